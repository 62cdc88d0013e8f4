//! A receive thread's own table: raw identity to the value gained in the open window.
//!
//! The path of a line is [`Lane::record_together`]; what its parts do is in the files beside this one.

mod apart;
mod entry;
mod handed;
mod held;
mod line;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

use hashbrown::HashTable;

use self::entry::{Entry, idle_value};
use self::held::At;
use self::line::{NOWHERE, TOGETHER, weight_of};
use super::keys::OtherSpelling;
use super::senders::{Senders, Sent};
use super::{Counts, Registry};
use crate::model::sketch::saturate;
use crate::model::{Check, Event, Kind, Stamped};
use crate::parse::{Metric, ParseError, Values};

pub(super) use self::handed::InOrder;
pub use self::handed::{Gain, Handed, Logged};
pub use self::line::{Line, Together};

/// Records a log holds before it is handed over.
const LOG_MAX: usize = 16_384;
/// Distinct sample rates a log refers to before it is handed over.
const WEIGHTS_MAX: usize = 256;

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
        self.record_unplaced(registry, &Line::new(registry, metric, stamp));
    }

    /// Records lines of one batch.
    ///
    /// Where each series lies is looked up before the first is recorded: then the memory that the lines need is on
    /// its way all at once, not for one line after the other.
    pub fn record_together(&mut self, registry: &Registry, lines: &[Line<'_>]) {
        let mut places = [NOWHERE; TOGETHER];
        for (place, line) in places.iter_mut().zip(lines) {
            let at = self.table.find_bucket_index(line.hash, |entry| entry.hash == line.hash as u32);
            *place = at.unwrap_or(NOWHERE);
        }
        let series = places.iter().take(lines.len()).filter_map(|&place| self.table.get_bucket(place));
        std::hint::black_box(series.fold(0, |touched, entry| touched ^ entry.series.touch()));
        for (line, place) in lines.iter().zip(places) {
            self.record_line(registry, line, place);
        }
    }

    #[inline]
    fn record_line(&mut self, registry: &Registry, line: &Line<'_>, place: usize) {
        let window = self.window;
        match self.table.get_bucket_mut(place) {
            Some(entry) if entry.is_of(line) && (entry.stamp != 0 || entry.series.meet(window)) => {
                self.counts.tolerate(entry.tags);
                let scale = if entry.scale == 0 { 1.0 } else { self.scales[entry.scale as usize] };
                if !entry.gain(line, scale, &mut self.counts) {
                    let slot = entry.series.slot();
                    self.log_values(registry, line, slot, scale);
                }
            }
            _ => self.record_unplaced(registry, line),
        }
    }

    /// Records a line of which only the hash is known, or not even that.
    #[cold]
    fn record_unplaced(&mut self, registry: &Registry, line: &Line<'_>) {
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
        if !entry.gain(line, scale, &mut self.counts) {
            let slot = entry.series.slot();
            self.log_values(registry, line, slot, scale);
        }
    }

    /// Notes what cannot be added up in place.
    fn log_values(&mut self, registry: &Registry, line: &Line<'_>, slot: u32, scale: f64) {
        let stamp = line.stamp;
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
