//! A receive thread's own table: raw identity to the value gained in the open window.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

use hashbrown::HashTable;

use super::keys::OtherSpelling;
use super::senders::{Senders, Sent};
use super::{Counts, Limit, Registry, Resolved};
use crate::model::series::{NameStyle, Spelling};
use crate::model::sketch::saturate;
use crate::model::{Check, Event, Kind, Series, Stamped};
use crate::parse::{Metric, ParseError, ToleratedSet, Values};

/// Entries a table holds before it is handed over whole: small enough to stay in the cache.
const TABLE_MAX: usize = 57_344;
/// Bytes of further spellings a lane owns, and the longest it owns.
const FURTHER_BYTES: usize = 8 << 20;
const FURTHER_LONGEST: usize = 4_096;
/// Of these in one window, those that a limit refused a series of their own: a flood of new ones is not held.
const OVERFLOWING_MAX: usize = 4_096;
/// Lines whose series are looked up before the first of them is recorded.
const TOGETHER: usize = 16;
/// Records a log holds before it is handed over.
const LOG_MAX: usize = 16_384;
/// Distinct sample rates a log refers to before it is handed over.
const WEIGHTS_MAX: usize = 256;
/// Bytes of samples with a time of their own, and of events and checks, that one lane carries per window.
const STAMPED_MAX: usize = 16 << 20;
const EVENTS_MAX: usize = 4 << 20;
/// Bytes of a rejected line kept as an example.
const EXAMPLE_MAX: usize = 200;

/// Runs what may wait for another thread, as the thread at hand may wait.
pub type Patience = fn(&mut dyn FnMut());

/// One thread's gains since the last hand-over.
pub struct Lane {
    /// The open window this lane records into.
    window: u32,
    /// Survives windows; only its values leave.
    table: HashTable<Entry>,
    /// Series by spellings they were not born with: lines that would else ask the registry each time.
    further: HashTable<(OtherSpelling, Entry)>,
    further_bytes: usize,
    /// Spellings held in this window whose samples overflow.
    overflowing: usize,
    /// Series that left since the tables were begun: some of them may be in there.
    departed: usize,
    /// What the table's entries multiply values by; the first is 1.
    scales: Vec<f64>,
    log: Vec<Logged>,
    /// Weights the log refers to; the first is 1.
    weights: Vec<f64>,
    stamped: InOrder<Stamped>,
    stamped_bytes: usize,
    events: InOrder<(i64, Arc<Event>)>,
    checks: InOrder<(i64, Arc<Check>)>,
    events_bytes: usize,
    /// One rejected line per reason and window.
    examples: Vec<(ParseError, Box<[u8]>)>,
    counts: Counts,
    pub(super) senders: Senders,
    inbox: SyncSender<Handed>,
    patience: Patience,
}

/// A series this lane has met.
struct Entry {
    series: Series,
    /// A counter's gain, or a gauge's last absolute value (NaN: none in this window).
    value: f64,
    /// Of the last sample; 0 = untouched in this window.
    stamp: u64,
    hash: u32,
    /// Index into the scales: what values in this spelling are multiplied by.
    scale: u16,
    /// Blemishes of this spelling's tags, which every line has.
    tags: ToleratedSet,
    /// The series stands in for one that this limit refused, until the next window.
    limited: Option<Limit>,
}

impl Entry {
    #[inline(always)]
    fn is_of(&self, line: &Line<'_>) -> bool {
        self.hash == line.hash as u32 && self.series.spelling() == line.spelling
    }

    /// Adds a line up in place, if that can be done: false for what has to be logged.
    #[inline(always)]
    fn gain(&mut self, line: &Line<'_>, scale: f64, stamp: u64, counts: &mut Counts) -> bool {
        counts.accepted += 1;
        counts.tolerate(line.tolerated);
        // A gauge's set keeps its own stamp: a change after it is told by a later one.
        if self.stamp == 0 || !line.relative {
            self.stamp = stamp;
        }
        let samples = &mut counts.samples[line.spelling.kind as usize];
        match (line.spelling.kind, line.values) {
            (Kind::Counter, Values::One(value)) => {
                *samples += 1;
                add(&mut self.value, value * scale * weight_of(line.rate), &mut counts.saturated);
            }
            (Kind::Counter, values) => {
                for value in values.iter() {
                    *samples += 1;
                    add(&mut self.value, value * scale * weight_of(line.rate), &mut counts.saturated);
                }
            }
            (Kind::Gauge, values) if !line.relative => {
                for value in values.iter() {
                    *samples += 1;
                    self.value = saturate(value * scale);
                }
            }
            _ => return false,
        }
        true
    }
}

/// What a lane records of a metric line, and the hash of its spelling.
pub struct Line<'a> {
    hash: u64,
    spelling: Spelling<'a>,
    values: Values<'a>,
    rate: f64,
    relative: bool,
    tolerated: ToleratedSet,
}

impl<'a> Line<'a> {
    /// `metric` is of the open window.
    #[inline(always)]
    pub fn new(registry: &Registry, metric: &Metric<'a>) -> Line<'a> {
        let Metric { spelling, values, rate, relative, tolerated, .. } = *metric;
        Line { hash: registry.hash(&spelling), spelling, values, rate, relative, tolerated }
    }
}

/// Lines that are recorded as one.
pub struct Together<'a> {
    lines: [Line<'a>; TOGETHER],
    count: usize,
}

impl Default for Together<'_> {
    fn default() -> Self {
        let spelling = Spelling { kind: Kind::Counter, style: NameStyle::Plain, name: &[], tags: &[] };
        let none = || Line { hash: 0, spelling, values: Values::One(0.0), rate: 1.0, relative: false, tolerated: ToleratedSet::default() };
        Together { lines: std::array::from_fn(|_| none()), count: 0 }
    }
}

impl<'a> Together<'a> {
    /// Adds a line when there is room, as there is unless the last call said that they are enough.
    #[inline(always)]
    pub fn add(&mut self, line: Line<'a>) -> bool {
        if let Some(place) = self.lines.get_mut(self.count) {
            *place = line;
            self.count += 1;
        }
        self.count == TOGETHER
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The lines added since the last call.
    pub fn take(&mut self) -> &[Line<'a>] {
        &self.lines[..std::mem::take(&mut self.count)]
    }
}

/// No place of a table.
const NOWHERE: usize = usize::MAX;

/// Where an entry lies.
enum At {
    Own(usize),
    Further(usize),
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

/// What a window lists one by one, each with the stamp that orders it among all lanes' lines.
pub(super) type InOrder<T> = Vec<(u64, T)>;

/// Everything a lane gained in one window, or in a part of it.
#[derive(Default)]
pub struct Handed {
    pub window: u32,
    pub values: Vec<Gain>,
    pub log: Vec<Logged>,
    pub weights: Vec<f64>,
    pub stamped: InOrder<Stamped>,
    pub events: InOrder<(i64, Arc<Event>)>,
    pub checks: InOrder<(i64, Arc<Check>)>,
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
            further: HashTable::new(),
            further_bytes: 0,
            overflowing: 0,
            departed: 0,
            scales: vec![1.0],
            log: Vec::new(),
            weights: vec![1.0],
            stamped: Vec::new(),
            stamped_bytes: 0,
            events: Vec::new(),
            checks: Vec::new(),
            events_bytes: 0,
            examples: Vec::new(),
            counts: Counts::default(),
            senders: Senders::default(),
            inbox,
            patience: |wait| wait(),
        }
    }

    /// From now on waits for the cutter in this way.
    pub fn wait_by(&mut self, patience: Patience) {
        self.patience = patience;
    }

    /// The window it records into.
    pub fn window(&self) -> u32 {
        self.window
    }

    /// What it counted since the counts were last published.
    pub fn counts(&mut self) -> &mut Counts {
        &mut self.counts
    }

    /// Notes what a sender sent.
    pub fn sent(&mut self, sender: Option<IpAddr>, sent: Sent) {
        self.senders.add(self.window, sender, sent);
    }

    /// Closes the lane's window, if it is not `window` yet, and opens that one. Gives what was gained.
    pub fn turn(&mut self, window: u32) -> Option<Handed> {
        if self.window == window {
            return None;
        }
        let handed = self.take();
        (self.stamped_bytes, self.events_bytes, self.overflowing) = (0, 0, 0);
        self.window = window;
        if self.departed > 0 && self.departed * 4 >= self.table.len() + self.further.len() {
            self.forget();
        }
        handed
    }

    /// Notes that so many series have left. When that may be a quarter of those held here, all are forgotten with the
    /// next turn: a table would keep them in memory for as long as it lasts.
    pub fn part_with(&mut self, series: usize) {
        self.departed += series;
    }

    /// Sends what was gained so far to the cutter; waits while its inbox is full.
    pub fn hand_over(&mut self, handed: Option<Handed>) {
        let Some(handed) = handed else { return };
        // Else it fails only when the cutter is gone, at the very end of the process.
        if let Err(TrySendError::Full(handed)) = self.inbox.try_send(handed) {
            let mut waiting = Some(handed);
            (self.patience)(&mut || {
                if let Some(handed) = waiting.take() {
                    let _ = self.inbox.send(handed);
                }
            });
        }
    }

    /// Records one metric line. `stamp` orders it among all lanes' samples; never 0.
    pub fn record(&mut self, registry: &Registry, metric: &Metric<'_>, stamp: u64) {
        if metric.stands_apart().is_some() {
            return self.record_stamped(registry, metric, stamp);
        }
        self.record_unplaced(registry, &Line::new(registry, metric), stamp);
    }

    /// Records lines of one batch; the first gets `stamp`, each next one a stamp greater by one.
    ///
    /// Where each series lies is looked up before the first is recorded: then the memory that the lines need is on
    /// its way all at once, not for one line after the other.
    pub fn record_together(&mut self, registry: &Registry, lines: &[Line<'_>], stamp: u64) {
        let mut places = [NOWHERE; TOGETHER];
        for (place, line) in places.iter_mut().zip(lines) {
            let at = self.table.find_bucket_index(line.hash, |entry| entry.hash == line.hash as u32);
            *place = at.unwrap_or(NOWHERE);
        }
        let series = places.iter().take(lines.len()).filter_map(|&place| self.table.get_bucket(place));
        std::hint::black_box(series.fold(0, |touched, entry| touched ^ entry.series.touch()));
        for ((line, place), stamp) in lines.iter().zip(places).zip(stamp..) {
            self.record_line(registry, line, place, stamp);
        }
    }

    #[inline]
    fn record_line(&mut self, registry: &Registry, line: &Line<'_>, place: usize, stamp: u64) {
        let window = self.window;
        match self.table.get_bucket_mut(place) {
            Some(entry) if entry.is_of(line) && (entry.stamp != 0 || entry.series.meet(window)) => {
                self.counts.tolerate(entry.tags);
                let scale = if entry.scale == 0 { 1.0 } else { self.scales[entry.scale as usize] };
                if !entry.gain(line, scale, stamp, &mut self.counts) {
                    let slot = entry.series.slot();
                    self.log_values(registry, line, slot, scale, stamp);
                }
            }
            _ => self.record_unplaced(registry, line, stamp),
        }
    }

    /// Records a line of which only the hash is known, or not even that.
    #[cold]
    fn record_unplaced(&mut self, registry: &Registry, line: &Line<'_>, stamp: u64) {
        let (at, unheld) = match self.find(line) {
            Some(at) => (At::Own(at), None),
            None => match self.admit(registry, line) {
                Some(admitted) => admitted,
                None => return,
            },
        };
        let entry = match at {
            At::Own(at) => self.table.get_bucket_mut(at),
            At::Further(at) => self.further.get_bucket_mut(at).map(|(_, entry)| entry),
        };
        let Some(entry) = entry else { return };
        let scale = match unheld {
            Some(scale) => scale,
            None => {
                self.counts.tolerate(entry.tags);
                if entry.scale == 0 { 1.0 } else { self.scales[entry.scale as usize] }
            }
        };
        if !entry.gain(line, scale, stamp, &mut self.counts) {
            let slot = entry.series.slot();
            self.log_values(registry, line, slot, scale, stamp);
        }
    }

    /// Notes what cannot be added up in place.
    fn log_values(&mut self, registry: &Registry, line: &Line<'_>, slot: u32, scale: f64, stamp: u64) {
        match line.values {
            Values::Member(member) => {
                let value = f64::from_bits(registry.hash_member(member));
                self.log(line, Logged { slot, weight: 0, stamp, value });
            }
            Values::One(value) => {
                let weight = self.weight(weight_of(line.rate));
                self.log(line, Logged { slot, weight, stamp, value: saturate(value * scale) });
            }
            Values::Packed(_) => {
                let weight = self.weight(weight_of(line.rate));
                for value in line.values.iter() {
                    self.log(line, Logged { slot, weight, stamp, value: saturate(value * scale) });
                }
            }
        }
    }

    /// Notes an event. `arrival` is unix seconds; `stamp` as for a metric line.
    pub fn record_event(&mut self, event: Event, arrival: i64, stamp: u64) {
        self.events_bytes += event.bytes();
        if self.events_bytes > EVENTS_MAX {
            return self.count_shed(Limit::EventsPerWindow, 0);
        }
        self.counts.accepted += 1;
        self.counts.events[event.alert_type as usize] += 1;
        self.events.push((stamp, (arrival, Arc::new(event))));
    }

    /// Notes a service check. `arrival` is unix seconds; `stamp` as for a metric line.
    pub fn record_check(&mut self, check: Check, arrival: i64, stamp: u64) {
        self.events_bytes += check.bytes();
        if self.events_bytes > EVENTS_MAX {
            return self.count_shed(Limit::EventsPerWindow, 0);
        }
        self.counts.accepted += 1;
        self.counts.checks[check.status as usize] += 1;
        self.checks.push((stamp, (arrival, Arc::new(check))));
    }

    /// Counts a refused line and keeps it as this window's example of its reason.
    pub fn reject(&mut self, reason: ParseError, line: &[u8]) {
        self.counts.rejected[reason as usize] += 1;
        if !self.examples.iter().any(|(have, _)| *have == reason) {
            self.examples.push((reason, line[..line.len().min(EXAMPLE_MAX)].into()));
        }
    }

    /// Where the line's series lies in the table, ready to be added to.
    fn find(&mut self, line: &Line<'_>) -> Option<usize> {
        let at = self.table.find_bucket_index(line.hash, |entry| entry.is_of(line))?;
        let entry = self.table.get_bucket_mut(at)?;
        if entry.stamp != 0 || entry.series.meet(self.window) {
            return Some(at);
        }
        // The series has left since this lane last met it.
        if let Ok(gone) = self.table.find_entry(line.hash, |entry| entry.is_of(line)) {
            gone.remove();
        }
        None
    }

    /// Finds a line that is not in the table: under a further spelling, else by the registry, and makes room for it.
    ///
    /// For a line whose spelling is not held also gives its scale, which is not that of the entry.
    #[cold]
    fn admit(&mut self, registry: &Registry, line: &Line<'_>) -> Option<(At, Option<f64>)> {
        if let Some(at) = self.find_further(line) {
            return Some((At::Further(at), None));
        }
        loop {
            let route = registry.resolve(&line.spelling);
            let held = match route.resolved {
                Resolved::Series(series) if series.spelling() == line.spelling => {
                    self.hold(registry, series, route.scale, route.tolerated).map(|at| (At::Own(at), None))
                }
                // One that is too long to be held asks each time.
                Resolved::Series(series) if !is_short(&line.spelling) => {
                    self.counts.tolerate(route.tolerated);
                    self.hold_for_another(registry, series).map(|at| (At::Own(at), Some(route.scale)))
                }
                Resolved::Series(series) => {
                    self.hold_further(registry, series, line, (route.scale, route.tolerated)).map(|at| (At::Further(at), None))
                }
                Resolved::Overflow(series, limit) if self.overflowing < OVERFLOWING_MAX && is_short(&line.spelling) => {
                    let held = self.hold_further(registry, series, line, (route.scale, route.tolerated));
                    if let Some((_, entry)) = held.and_then(|at| self.further.get_bucket_mut(at)) {
                        entry.limited = Some(limit);
                        self.overflowing += 1;
                        self.counts.limited[limit as usize] += members(line.values);
                    }
                    held.map(|at| (At::Further(at), None))
                }
                Resolved::Overflow(series, limit) => {
                    self.counts.limited[limit as usize] += members(line.values);
                    self.counts.tolerate(route.tolerated);
                    self.hold_for_another(registry, series).map(|at| (At::Own(at), Some(route.scale)))
                }
                Resolved::Shed(limit) => {
                    self.count_shed(limit, members(line.values));
                    return None;
                }
                Resolved::Dropped(reason) => {
                    self.counts.dropped[reason as usize] += 1;
                    return None;
                }
            };
            if held.is_some() {
                return held;
            }
        }
    }

    /// Where the line's spelling lies among the further ones, ready to be added to.
    fn find_further(&mut self, line: &Line<'_>) -> Option<usize> {
        let same = |(spelling, entry): &(OtherSpelling, Entry)| {
            entry.hash == line.hash as u32 && spelling.of_kind(entry.series.kind()) == line.spelling
        };
        let at = self.further.find_bucket_index(line.hash, same)?;
        let (_, entry) = self.further.get_bucket_mut(at)?;
        if entry.stamp != 0 {
            if let Some(limit) = entry.limited {
                self.counts.limited[limit as usize] += members(line.values);
            }
            return Some(at);
        }
        // There may be room by now for what was refused.
        if entry.limited.is_none() && entry.series.meet(self.window) {
            return Some(at);
        }
        if let Ok(gone) = self.further.find_entry(line.hash, same) {
            gone.remove();
        }
        None
    }

    /// A place for a series under a spelling that is not in the table. `None`: it has just left.
    fn hold_further(&mut self, registry: &Registry, series: Series, line: &Line<'_>, of: (f64, ToleratedSet)) -> Option<usize> {
        if !series.meet(self.window) {
            return None;
        }
        let bytes = line.spelling.name.len() + line.spelling.tags.len();
        if self.further.len() >= TABLE_MAX || self.further_bytes + bytes > FURTHER_BYTES {
            let handed = self.take();
            self.hand_over(handed);
            self.further = HashTable::new();
            self.further_bytes = 0;
        }
        self.further_bytes += bytes;
        let entry = self.entry(series, line.hash, of.0, of.1);
        let rehash = |(spelling, entry): &(OtherSpelling, Entry)| registry.hash(&spelling.of_kind(entry.series.kind()));
        let placed = self.further.insert_unique(line.hash, (OtherSpelling::new(&line.spelling), entry), rehash);
        Some(placed.bucket_index())
    }

    /// The place of a series for a line of another spelling: lines of its own will find it as theirs.
    fn hold_for_another(&mut self, registry: &Registry, series: Series) -> Option<usize> {
        let (scale, tags) = registry.of_own_lines(&series);
        self.hold(registry, series, scale, tags)
    }

    /// The place of a series in the table, by the spelling it was born with. `None`: it has just left.
    fn hold(&mut self, registry: &Registry, series: Series, scale: f64, tags: ToleratedSet) -> Option<usize> {
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
            self.start_over();
        }
        let entry = self.entry(series, hash, scale, tags);
        let placed = self.table.insert_unique(hash, entry, |entry| registry.hash(&entry.series.spelling()));
        Some(placed.bucket_index())
    }

    fn entry(&mut self, series: Series, hash: u64, scale: f64, tags: ToleratedSet) -> Entry {
        if self.scales.len() >= usize::from(u16::MAX) {
            self.start_over();
        }
        let scale = self.scales.iter().position(|&have| have == scale).unwrap_or_else(|| {
            self.scales.push(scale);
            self.scales.len() - 1
        });
        Entry { value: idle_value(series.kind()), stamp: 0, hash: hash as u32, scale: scale as u16, tags, limited: None, series }
    }

    /// Hands over what was gained and forgets every series.
    fn start_over(&mut self) {
        let handed = self.take();
        self.hand_over(handed);
        self.forget();
    }

    /// Forgets every series; what they gained was taken.
    fn forget(&mut self) {
        self.table = HashTable::new();
        self.further = HashTable::new();
        (self.further_bytes, self.departed) = (0, 0);
        self.scales.truncate(1);
    }

    #[cold]
    fn record_stamped(&mut self, registry: &Registry, metric: &Metric<'_>, stamp: u64) {
        let Some(at) = metric.stands_apart() else { return };
        let route = registry.detached(&metric.spelling);
        let series = match route.resolved {
            Resolved::Series(series) | Resolved::Overflow(series, _) => series,
            Resolved::Shed(limit) => return self.shed(limit, metric),
            Resolved::Dropped(reason) => {
                self.counts.dropped[reason as usize] += 1;
                return;
            }
        };
        self.stamped_bytes += series.allocated_bytes() + size_of::<(u64, Stamped)>();
        if self.stamped_bytes > STAMPED_MAX {
            return self.shed(Limit::StampedPerWindow, metric);
        }
        self.counts.accepted += 1;
        self.counts.tolerate(metric.tolerated);
        self.counts.tolerate(route.tolerated);
        // Several values in one pack: the last of a gauge stands, those of a counter add up.
        let mut stands = None;
        for value in metric.values.iter().map(|value| saturate(value * route.scale)) {
            self.counts.stamped += 1;
            stands = Some(match (metric.spelling.kind, stands) {
                (Kind::Counter, Some(sum)) => saturate(sum + value),
                _ => value,
            });
        }
        self.stamped.extend(stands.map(|value| (stamp, Stamped { series, at, value })));
    }

    /// Counts a well-formed line that is not recorded.
    pub fn shed(&mut self, limit: Limit, metric: &Metric<'_>) {
        self.count_shed(limit, members(metric.values));
    }

    fn count_shed(&mut self, limit: Limit, samples: u64) {
        self.counts.shed[limit as usize] += 1;
        self.counts.limited[limit as usize] += samples;
    }

    fn weight(&mut self, weight: f64) -> u32 {
        if weight == 1.0 {
            return 0;
        }
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

    fn log(&mut self, line: &Line<'_>, record: Logged) {
        self.counts.samples[line.spelling.kind as usize] += 1;
        if self.log.capacity() == 0 {
            self.log.reserve_exact(LOG_MAX);
        }
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

    /// Gives what was gained so far, in the window that stays open.
    pub(super) fn take(&mut self) -> Option<Handed> {
        let mut values = Vec::new();
        for entry in self.table.iter_mut().chain(self.further.iter_mut().map(|(_, entry)| entry)) {
            if entry.stamp != 0 {
                let idle = idle_value(entry.series.kind());
                let value = std::mem::replace(&mut entry.value, idle);
                // Sketches and sets have their samples in the log.
                if matches!(entry.series.kind(), Kind::Counter) || (matches!(entry.series.kind(), Kind::Gauge) && !value.is_nan()) {
                    values.push(Gain { slot: entry.series.slot(), stamp: entry.stamp, value });
                }
                entry.stamp = 0;
            }
        }
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

/// How many samples one of this rate stands for.
fn weight_of(rate: f64) -> f64 {
    if rate == 1.0 { 1.0 } else { 1.0 / rate }
}

fn add(sum: &mut f64, value: f64, saturated: &mut u64) {
    *sum += value;
    if !sum.is_finite() {
        *sum = if sum.is_nan() { 0.0 } else { saturate(*sum) };
        *saturated += 1;
    }
}

/// Whether a spelling may be held.
fn is_short(spelling: &Spelling<'_>) -> bool {
    spelling.name.len() + spelling.tags.len() <= FURTHER_LONGEST
}

fn members(values: Values<'_>) -> u64 {
    match values {
        Values::Packed(_) => values.iter().count() as u64,
        Values::One(_) | Values::Member(_) => 1,
    }
}
