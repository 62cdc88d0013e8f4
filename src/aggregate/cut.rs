//! The cutter: adds what lanes hand over to the standings, and closes windows.

mod births;
mod column;
mod deltas;
mod families;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use parking_lot::Mutex;

pub use births::{Base, Restored};

use super::aggregator::INBOX_MAX;
use super::lane::{InOrder, Logged};
use super::standing::{Body, Fold, Standings};
use super::{Aggregator, Birth, Handed, Lane};
use crate::model::sketch::saturate;
use crate::model::{Check, Column, Event, Kind, Recorded, Series, Stamped, Window};
use crate::parse::ParseError;
use crate::shape::Presentation;
use deltas::Deltas;
use families::Families;

/// Finds what a series that is born goes on from.
type BaseOf<'a> = dyn FnMut(&Series) -> Option<Base> + 'a;

/// How windows are cut.
#[derive(Clone, Debug)]
pub struct CutterOptions {
    pub interval: Duration,
    /// Idle windows after which a series leaves; 0 = never.
    pub expire_windows: u32,
    /// Timers are shown in seconds, else in milliseconds.
    pub timers_in_seconds: bool,
    /// `_total` is appended to counters that lack it.
    pub counter_suffix: bool,
    /// A Datadog sink wants sketches of distributions.
    pub dd_sketches: bool,
    /// How timers, histograms and distributions are shown where no mapping file says.
    pub presentation: Presentation,
}

/// What a cut met that the log and the self-metrics should tell.
#[derive(Debug, Default)]
pub struct CutReport {
    pub examples: Vec<(ParseError, Box<[u8]>)>,
    /// Counters whose net gain was negative.
    pub went_back: u64,
    pub saturated: u64,
    pub expired: u64,
    /// Families that got their type as a suffix, as `(received name, Prometheus name)`.
    pub clashes: Vec<(String, Arc<str>)>,
}

/// Owns the standings. Lives on one thread.
pub struct Cutter {
    aggregator: Arc<Aggregator>,
    inbox: Receiver<Handed>,
    options: CutterOptions,
    /// The window being filled.
    window: u32,
    standings: Standings,
    families: Families,
    /// Born, and without a sample so far, by slot.
    born: HashMap<u32, Birth>,
    births: Vec<Series>,
    deltas: Deltas,
    stamped: InOrder<Stamped>,
    events: InOrder<(i64, Arc<Event>)>,
    checks: InOrder<(i64, Arc<Check>)>,
    /// Handed over by lanes that were quicker than the cut.
    ahead: Vec<Handed>,
    /// Some series leaves when it is idle.
    any_expire: bool,
    /// Series that left at the last cut.
    departed: usize,
    report: CutReport,
}

impl Cutter {
    pub fn new(aggregator: Arc<Aggregator>, inbox: Receiver<Handed>, options: CutterOptions) -> Cutter {
        Cutter {
            window: aggregator.window(),
            aggregator,
            inbox,
            standings: Standings::default(),
            families: Families::new(options.presentation.clone()),
            born: HashMap::new(),
            births: Vec::new(),
            deltas: Deltas::new(),
            stamped: Vec::new(),
            events: Vec::new(),
            checks: Vec::new(),
            ahead: Vec::new(),
            any_expire: options.expire_windows > 0,
            departed: 0,
            report: CutReport::default(),
            options,
        }
    }

    /// Waits up to `patience` for a hand-over and adds it up.
    pub fn fold_next(&mut self, patience: Duration, base: &mut BaseOf<'_>) {
        match self.inbox.recv_timeout(patience) {
            Ok(handed) => {
                self.fold(handed, base);
                if self.deltas.are_many() {
                    self.collect(base, Lane::take);
                    self.deltas.settle_earlier(self.aggregator.begun(), &mut self.standings);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            // All lanes are gone: nothing will come any more.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(patience),
        }
    }

    /// Closes the open window as the one that ends at `end` (unix milliseconds) and is `length` long.
    pub fn cut(&mut self, end: i64, length: Duration, own: Vec<Recorded>, base: &mut BaseOf<'_>) -> (Window, CutReport) {
        let next = self.window.wrapping_add(1);
        self.aggregator.window.store(next, Ordering::Release);
        self.aggregator.registry.turn();
        let departed = self.departed;
        self.collect(base, |lane| {
            lane.part_with(departed);
            lane.turn(next)
        });
        self.notice_births();
        self.born.retain(|_, born| !born.series.is_gone());
        // After a flood of births the map would stay as large as that was.
        self.born.shrink_to(self.born.len() * 2);
        self.deltas.settle(&mut self.standings);
        let gone = self.expire();
        let window = Window {
            end,
            length,
            roster: self.families.roster(),
            columns: self.columns(),
            births: std::mem::take(&mut self.births),
            gone,
            stamped: in_order(&mut self.stamped),
            events: in_order(&mut self.events),
            checks: in_order(&mut self.checks),
            own,
        };
        self.window = next;
        for handed in std::mem::take(&mut self.ahead) {
            self.fold(handed, base);
        }
        (window, std::mem::take(&mut self.report))
    }

    /// A window that shows where everything stands, without closing the open one.
    pub fn standing_window(&mut self, end: i64, own: Vec<Recorded>) -> Window {
        let rows = self.families.roster().to_vec().into_iter().zip(self.columns());
        Window { own, ..Window::of(end, self.options.interval, rows) }
    }

    /// Has every lane give what it gained, and adds it all up.
    fn collect(&mut self, base: &mut BaseOf<'_>, part: impl Fn(&mut Lane) -> Option<Handed>) {
        let lanes: Vec<Arc<Mutex<Lane>>> = self.aggregator.lanes.read().iter().map(|(lane, _)| lane.clone()).collect();
        for lane in lanes {
            let handed = loop {
                // A lane that waits for room in the inbox holds its lock: keep the inbox moving.
                if let Some(mut lane) = lane.try_lock_for(Duration::from_micros(50)) {
                    break part(&mut lane);
                }
                if let Ok(handed) = self.inbox.try_recv() {
                    self.fold(handed, base);
                }
            };
            if let Some(handed) = handed {
                self.fold(handed, base);
            }
        }
        // What was handed over before is among so many; what comes meanwhile need not be.
        for _ in 0..INBOX_MAX {
            let Ok(handed) = self.inbox.try_recv() else { break };
            self.fold(handed, base);
        }
    }

    /// Adds up what a lane handed over; puts it aside when it is of the next window.
    fn fold(&mut self, mut handed: Handed, base: &mut BaseOf<'_>) {
        if handed.window != self.window {
            return self.ahead.push(handed);
        }
        self.notice_births();
        let window = self.window;
        for gain in handed.values {
            let Some(standing) = self.standing(gain.slot, base) else { continue };
            standing.last = window;
            match &mut standing.body {
                Body::Counter { gain: sum, .. } => *sum = saturate(*sum + gain.value),
                Body::Gauge { value, set } if *set < gain.stamp => (*value, *set) = (gain.value, gain.stamp),
                Body::Gauge { .. } | Body::Set(_) | Body::Dist { .. } => {}
            }
        }
        // The samples of one series side by side: what they are added to is fetched once. Their order is in the stamps.
        handed.log.sort_unstable_by_key(|logged| logged.slot);
        for logged in handed.log {
            self.fold_logged(logged, &handed.weights, base);
        }
        self.stamped.extend(handed.stamped);
        self.events.extend(handed.events);
        self.checks.extend(handed.checks);
        for (reason, line) in handed.examples {
            if !self.report.examples.iter().any(|(have, _)| *have == reason) {
                self.report.examples.push((reason, line));
            }
        }
    }

    /// Adds up one record of a lane's log.
    fn fold_logged(&mut self, logged: Logged, weights: &[f64], base: &mut BaseOf<'_>) {
        if self.standing(logged.slot, base).is_none() {
            return;
        }
        let Some(standing) = self.standings.get_mut(logged.slot) else { return };
        standing.last = self.window;
        match &mut standing.body {
            Body::Gauge { .. } => self.deltas.push(logged.slot, logged.stamp, logged.value),
            Body::Set(distinct) => distinct.get_or_insert_default().insert(logged.value.to_bits()),
            Body::Dist { window, .. } => {
                let fold = self.options.fold(standing.series.kind());
                let weight = weights.get(logged.weight as usize).copied().unwrap_or(1.0);
                let window = window.get_or_insert_default();
                window.record(logged.value, weight, fold);
                if window.is_full() {
                    window.fold(Fold { bounds: self.families.bounds(standing.place.family), ..fold });
                }
            }
            Body::Counter { .. } => {}
        }
    }

    /// Lets go of series that were idle for too long.
    fn expire(&mut self) -> Vec<Series> {
        self.aggregator.registry.make_room();
        let mut gone = Vec::new();
        if self.any_expire {
            let left = self.standings.iter().filter(|standing| standing.leave(self.window));
            gone.extend(left.map(|standing| standing.series.clone()));
        }
        for series in &gone {
            self.remove(series);
            self.aggregator.registry.forget(series);
        }
        if !gone.is_empty() {
            self.aggregator.registry.forget_spellings_of_the_gone();
            self.aggregator.registry.give_back();
            self.standings.give_back();
            self.report.expired = gone.len() as u64;
        }
        self.departed = gone.len();
        gone
    }

    fn remove(&mut self, series: &Series) {
        let Some(standing) = self.standings.remove(series.slot()) else { return };
        let family_left = self.families.remove(standing.place, |slot, place| {
            if let Some(moved) = self.standings.get_mut(slot) {
                moved.place = place;
            }
        });
        if family_left {
            self.aggregator.registry.names.lock().release(series.name(), series.kind());
        }
    }

    /// What every family gained in the window and where it stands, in the order of the roster.
    fn columns(&mut self) -> Vec<Column> {
        let (standings, report) = (&mut self.standings, &mut self.report);
        let close = |rows: &mut families::Rows| {
            let bounds = rows.bounds().cloned();
            let fold = Fold { bounds: bounds.as_ref(), ..self.options.fold(rows.family.kind) };
            column::close(rows, standings, self.window, fold, report)
        };
        self.families.iter_mut().map(close).collect()
    }
}

impl CutterOptions {
    /// How samples of a kind are folded where there are no buckets.
    fn fold(&self, kind: Kind) -> Fold<'static> {
        let divisor = if kind == Kind::Timer && self.timers_in_seconds { 1_000.0 } else { 1.0 };
        Fold { divisor, dd: self.dd_sketches && kind == Kind::Distribution, bounds: None }
    }
}

/// What came, as it came over all lanes.
fn in_order<T>(came: &mut InOrder<T>) -> Vec<T> {
    let mut came = std::mem::take(came);
    came.sort_unstable_by_key(|&(stamp, _)| stamp);
    came.into_iter().map(|(_, what)| what).collect()
}

#[cfg(test)]
mod tests;
