//! A receive thread's own table: raw identity to the value gained in the open window.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use hashbrown::HashTable;

use super::{Counts, Limit, Registry, Resolved};
use crate::model::sketch::saturate;
use crate::model::{Check, Event, Kind, Series, Stamped};
use crate::parse::{Metric, ParseError, Values};

/// Entries a table holds before it is handed over whole: small enough to stay in the cache.
const TABLE_MAX: usize = 57_344;
/// Records a log holds before it is handed over.
const LOG_MAX: usize = 65_536;
/// Distinct sample rates a log refers to before it is handed over.
const WEIGHTS_MAX: usize = 256;
/// Samples with their own time, and events and checks, one lane carries per window.
const STAMPED_MAX: usize = 100_000;
const EVENTS_MAX: usize = 10_000;
/// Bytes of their texts.
const EVENT_BYTES_MAX: usize = 8 << 20;
/// Bytes of a rejected line kept as an example.
const EXAMPLE_MAX: usize = 200;

/// One thread's gains since the last hand-over.
pub struct Lane {
    /// The open window this lane records into.
    window: u32,
    /// Survives windows; only its values leave.
    table: HashTable<Entry>,
    log: Vec<Logged>,
    /// Weights the log refers to; the first is 1.
    weights: Vec<f64>,
    stamped: Vec<Stamped>,
    events: Vec<(i64, Arc<Event>)>,
    checks: Vec<(i64, Arc<Check>)>,
    event_bytes: usize,
    /// One rejected line per reason and window.
    examples: Vec<(ParseError, Box<[u8]>)>,
    counts: Counts,
    inbox: SyncSender<Handed>,
}

/// A series this lane has met.
struct Entry {
    series: Series,
    /// A counter's gain, or a gauge's last absolute value (NaN: none in this window).
    value: f64,
    /// Of the last sample; 0 = untouched in this window.
    stamp: u64,
    hash: u32,
    slot: u32,
}

/// What cannot be added up in place: a sample of a sketch, a set's member, a relative gauge.
#[derive(Clone, Copy, Debug)]
pub struct Logged {
    pub slot: u32,
    /// Index into the weights.
    pub weight: u32,
    pub stamp: u64,
    /// The sample, or the bits of a member's hash.
    pub value: f64,
}

/// A series' gain.
#[derive(Clone, Copy, Debug)]
pub struct Gain {
    pub slot: u32,
    pub stamp: u64,
    pub value: f64,
}

/// Everything a lane gained in one window, or in a part of it.
#[derive(Default)]
pub struct Handed {
    pub window: u32,
    pub values: Vec<Gain>,
    pub log: Vec<Logged>,
    pub weights: Vec<f64>,
    pub stamped: Vec<Stamped>,
    pub events: Vec<(i64, Arc<Event>)>,
    pub checks: Vec<(i64, Arc<Check>)>,
    pub examples: Vec<(ParseError, Box<[u8]>)>,
}

impl Handed {
    fn is_empty(&self) -> bool {
        self.values.is_empty()
            && self.log.is_empty()
            && self.stamped.is_empty()
            && self.events.is_empty()
            && self.checks.is_empty()
            && self.examples.is_empty()
    }
}

impl Lane {
    /// A lane that records into `window` and hands over to `inbox`.
    pub fn new(window: u32, inbox: SyncSender<Handed>) -> Lane {
        Lane {
            window,
            table: HashTable::new(),
            log: Vec::new(),
            weights: vec![1.0],
            stamped: Vec::new(),
            events: Vec::new(),
            checks: Vec::new(),
            event_bytes: 0,
            examples: Vec::new(),
            counts: Counts::default(),
            inbox,
        }
    }

    /// The window it records into.
    pub fn window(&self) -> u32 {
        self.window
    }

    /// What it counted since the counts were last published.
    pub fn counts(&mut self) -> &mut Counts {
        &mut self.counts
    }

    /// Closes the lane's window, if it is not `window` yet, and opens that one. Gives what was gained.
    pub fn turn(&mut self, window: u32) -> Option<Handed> {
        if self.window == window {
            return None;
        }
        let handed = self.take();
        self.window = window;
        handed
    }

    /// Sends what was gained so far to the cutter; waits while its inbox is full.
    pub fn hand_over(&mut self, handed: Option<Handed>) {
        if let Some(handed) = handed {
            // Fails only when the cutter is gone, at the very end of the process.
            let _ = self.inbox.send(handed);
        }
    }

    /// Records one metric line. `stamp` orders it among all lanes' samples; never 0.
    pub fn record(&mut self, registry: &Registry, metric: &Metric<'_>, stamp: u64) {
        if metric.stands_apart().is_some() {
            return self.record_stamped(registry, metric);
        }
        let hash = registry.hash(&metric.spelling);
        let at = match self.find(hash, metric) {
            Some(at) => at,
            None => match self.admit(registry, metric) {
                Some(at) => at,
                None => return,
            },
        };
        self.counts.accepted += 1;
        self.counts.tolerate(metric.tolerated);
        let weight = if metric.rate == 1.0 { 1.0 } else { 1.0 / metric.rate };
        let Some(entry) = self.table.get_bucket_mut(at) else { return };
        // A gauge's set keeps its own stamp: a change after it is told by a later one.
        if entry.stamp == 0 || !metric.relative {
            entry.stamp = stamp;
        }
        let slot = entry.slot;
        let samples = &mut self.counts.samples[metric.spelling.kind as usize];
        match (metric.spelling.kind, metric.values) {
            (Kind::Counter, Values::One(value)) => {
                *samples += 1;
                add(&mut entry.value, value * weight, &mut self.counts.saturated);
            }
            (Kind::Counter, values) => {
                for value in values.iter() {
                    *samples += 1;
                    add(&mut entry.value, value * weight, &mut self.counts.saturated);
                }
            }
            (Kind::Gauge, values) if !metric.relative => {
                for value in values.iter() {
                    *samples += 1;
                    entry.value = value;
                }
            }
            (Kind::Set, Values::Member(member)) => {
                *samples += 1;
                let value = f64::from_bits(registry.hash_member(member));
                self.log(Logged { slot, weight: 0, stamp, value });
            }
            (_, values) => {
                let weight = self.weight(weight);
                for value in values.iter() {
                    self.counts.samples[metric.spelling.kind as usize] += 1;
                    self.log(Logged { slot, weight, stamp, value });
                }
            }
        }
    }

    /// Notes an event. `arrival` is unix seconds.
    pub fn record_event(&mut self, event: Event, arrival: i64) {
        if !self.has_room_for(event.title.len() + event.text.len() + event.tags.iter().map(String::len).sum::<usize>()) {
            return self.count_shed(Limit::EventsPerWindow, 0);
        }
        self.counts.accepted += 1;
        self.counts.events[event.alert_type as usize] += 1;
        self.events.push((arrival, Arc::new(event)));
    }

    /// Notes a service check. `arrival` is unix seconds.
    pub fn record_check(&mut self, check: Check, arrival: i64) {
        let message = check.message.as_ref().map_or(0, String::len);
        if !self.has_room_for(check.name.len() + message + check.tags.iter().map(String::len).sum::<usize>()) {
            return self.count_shed(Limit::EventsPerWindow, 0);
        }
        self.counts.accepted += 1;
        self.counts.checks[check.status as usize] += 1;
        self.checks.push((arrival, Arc::new(check)));
    }

    /// Whether one more event or check fits this window; it is counted when it does.
    fn has_room_for(&mut self, bytes: usize) -> bool {
        let fits = self.events.len() + self.checks.len() < EVENTS_MAX && self.event_bytes + bytes <= EVENT_BYTES_MAX;
        self.event_bytes += if fits { bytes } else { 0 };
        fits
    }

    /// Counts a refused line and keeps it as this window's example of its reason.
    pub fn reject(&mut self, reason: ParseError, line: &[u8]) {
        self.counts.rejected[reason as usize] += 1;
        if !self.examples.iter().any(|(have, _)| *have == reason) {
            self.examples.push((reason, line[..line.len().min(EXAMPLE_MAX)].into()));
        }
    }

    /// Where the line's series lies in the table, ready to be added to.
    fn find(&mut self, hash: u64, metric: &Metric<'_>) -> Option<usize> {
        let at = self.table.find_bucket_index(hash, |entry| entry.hash == hash as u32 && entry.series.spelling() == metric.spelling)?;
        let entry = self.table.get_bucket_mut(at)?;
        if entry.stamp != 0 || entry.series.meet(self.window) {
            return Some(at);
        }
        // The series has left since this lane last met it.
        if let Ok(gone) = self.table.find_entry(hash, |entry| entry.hash == hash as u32 && entry.series.spelling() == metric.spelling) {
            gone.remove();
        }
        None
    }

    /// Asks the registry for a series this lane does not hold, and makes room for it.
    #[cold]
    fn admit(&mut self, registry: &Registry, metric: &Metric<'_>) -> Option<usize> {
        loop {
            let (resolved, blemishes) = registry.resolve(&metric.spelling);
            let series = match resolved {
                Resolved::Series(series) => series,
                Resolved::Overflow(series, limit) => {
                    self.counts.limited[limit as usize] += members(metric);
                    series
                }
                Resolved::Shed(limit) => {
                    self.shed(limit, metric);
                    return None;
                }
            };
            self.counts.tolerate(blemishes);
            if let Some(at) = self.hold(registry, series) {
                return Some(at);
            }
        }
    }

    /// The place of a series in the table, by the spelling it was born with. `None`: it has just left.
    fn hold(&mut self, registry: &Registry, series: Series) -> Option<usize> {
        let hash = registry.hash(&series.spelling());
        let same = |entry: &Entry| entry.hash == hash as u32 && entry.series.spelling() == series.spelling();
        if let Some(at) = self.table.find_bucket_index(hash, same) {
            let entry = self.table.get_bucket_mut(at)?;
            if entry.stamp != 0 || entry.series.meet(self.window) {
                return Some(at);
            }
            if let Ok(gone) = self.table.find_entry(hash, same) {
                gone.remove();
            }
        }
        if !series.meet(self.window) {
            return None;
        }
        if self.table.len() >= TABLE_MAX {
            let handed = self.take();
            self.hand_over(handed);
            self.table = HashTable::new();
        }
        let value = idle_value(series.kind());
        let entry = Entry { slot: series.slot(), value, stamp: 0, hash: hash as u32, series };
        let placed = self.table.insert_unique(hash, entry, |entry| registry.hash(&entry.series.spelling()));
        Some(placed.bucket_index())
    }

    #[cold]
    fn record_stamped(&mut self, registry: &Registry, metric: &Metric<'_>) {
        let Some(at) = metric.stands_apart() else { return };
        if self.stamped.len() >= STAMPED_MAX {
            return self.shed(Limit::StampedPerWindow, metric);
        }
        let series = match registry.detached(&metric.spelling) {
            Ok(series) => series,
            Err(limit) => return self.shed(limit, metric),
        };
        self.counts.accepted += 1;
        self.counts.tolerate(metric.tolerated);
        // Several values in one pack: the last of a gauge stands, those of a counter add up.
        let mut stands = None;
        for value in metric.values.iter() {
            self.counts.stamped += 1;
            stands = Some(match (metric.spelling.kind, stands) {
                (Kind::Counter, Some(sum)) => saturate(sum + value),
                _ => value,
            });
        }
        self.stamped.extend(stands.map(|value| Stamped { series, at, value }));
    }

    /// Counts a well-formed line that is not recorded.
    pub fn shed(&mut self, limit: Limit, metric: &Metric<'_>) {
        self.count_shed(limit, members(metric));
    }

    fn count_shed(&mut self, limit: Limit, samples: u64) {
        self.counts.shed[limit as usize] += 1;
        self.counts.limited[limit as usize] += samples;
    }

    fn weight(&mut self, weight: f64) -> u32 {
        match self.weights.iter().position(|&have| have == weight) {
            Some(at) => at as u32,
            None => {
                if self.weights.len() >= WEIGHTS_MAX {
                    let handed = self.take_log();
                    self.hand_over(Some(handed));
                }
                self.weights.push(weight);
                (self.weights.len() - 1) as u32
            }
        }
    }

    fn log(&mut self, record: Logged) {
        self.log.push(record);
        if self.log.len() >= LOG_MAX {
            let weights = self.weights.clone();
            let handed = self.take_log();
            self.hand_over(Some(handed));
            // A pack that is being recorded goes on with the weight it has.
            self.weights = weights;
        }
    }

    fn take_log(&mut self) -> Handed {
        let weights = std::mem::replace(&mut self.weights, vec![1.0]);
        Handed { window: self.window, log: std::mem::take(&mut self.log), weights, ..Handed::default() }
    }

    fn take(&mut self) -> Option<Handed> {
        let mut values = Vec::new();
        for entry in &mut self.table {
            if entry.stamp != 0 {
                let idle = idle_value(entry.series.kind());
                let value = std::mem::replace(&mut entry.value, idle);
                // Sketches and sets have their samples in the log.
                if matches!(entry.series.kind(), Kind::Counter) || (matches!(entry.series.kind(), Kind::Gauge) && !value.is_nan()) {
                    values.push(Gain { slot: entry.slot, stamp: entry.stamp, value });
                }
                entry.stamp = 0;
            }
        }
        self.event_bytes = 0;
        let handed = Handed {
            values,
            stamped: std::mem::take(&mut self.stamped),
            events: std::mem::take(&mut self.events),
            checks: std::mem::take(&mut self.checks),
            examples: std::mem::take(&mut self.examples),
            ..self.take_log()
        };
        (!handed.is_empty()).then_some(handed)
    }
}

fn idle_value(kind: Kind) -> f64 {
    if kind == Kind::Gauge { f64::NAN } else { 0.0 }
}

fn add(sum: &mut f64, value: f64, saturated: &mut u64) {
    *sum += value;
    if !sum.is_finite() {
        *sum = if sum.is_nan() { 0.0 } else { saturate(*sum) };
        *saturated += 1;
    }
}

fn members(metric: &Metric<'_>) -> u64 {
    match metric.values {
        Values::Packed(_) => metric.values.iter().count() as u64,
        Values::One(_) | Values::Member(_) => 1,
    }
}
