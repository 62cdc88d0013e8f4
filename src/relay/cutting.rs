//! The cut thread: folds what lanes hand over, and closes a window whenever one is due.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use crate::aggregate::{Aggregator, Base, CutReport, Cutter, Due, Schedule};
use crate::clock::Clock;
use crate::model::{Series, Window};
use crate::telemetry;

use super::own::Own;
use super::service_checks::ServiceChecks;

/// How often memory is looked at and the stop flag is read.
const TICK: Duration = Duration::from_millis(100);

/// Windows that may wait for the fan-out: each takes memory for every series.
const WINDOWS_MAX: usize = 4;

/// The way of windows to the fan-out. Their ledger stands at 0 from here on.
pub(super) fn windows() -> (SyncSender<Arc<Window>>, Receiver<Arc<Window>>) {
    telemetry::WINDOWS.counter(&[]).increment(0);
    sync_channel(WINDOWS_MAX)
}

/// Finds what a series that is born goes on from.
pub(super) type BaseOf = Box<dyn FnMut(&Series) -> Option<Base> + Send>;

/// Everything the cut thread owns.
pub(super) struct Cutting {
    pub(super) aggregator: Arc<Aggregator>,
    pub(super) cutter: Cutter,
    pub(super) schedule: Schedule,
    pub(super) clock: Clock,
    pub(super) own: Own,
    pub(super) checks: ServiceChecks,
    /// What a series that is born goes on from; asks memory, never the disk.
    pub(super) base: BaseOf,
    pub(super) out: SyncSender<Arc<Window>>,
    /// A window that found no room behind `out`. None is cut meanwhile: the next one is longer instead.
    pub(super) held: Option<Arc<Window>>,
    /// The end of the last one that was held: each is told once.
    pub(super) held_at: Option<i64>,
    /// Set once the listeners have stopped: one last cut.
    pub(super) stop: Arc<AtomicBool>,
    /// Cuts so far, for the watchdog.
    pub(super) cuts: Arc<AtomicU64>,
}

impl Cutting {
    pub(super) fn run(mut self) {
        loop {
            let stopping = self.stop.load(Ordering::Acquire);
            self.cut_what_is_due(stopping);
            if stopping {
                return;
            }
            if let Some(resident) = resident_bytes() {
                self.aggregator.registry.grant(resident);
            }
            let wait = Duration::from_millis(self.schedule.wait(self.clock.now_ms()).unsigned_abs());
            let wait = if self.held.is_some() { TICK } else { wait.min(TICK) };
            self.cutter.fold_next(wait, &mut *self.base);
        }
    }

    /// Passes on the window that is held; then cuts the one that is due, if there is room for it, and at the end the last.
    fn cut_what_is_due(&mut self, stopping: bool) {
        if let Some(window) = self.held.take() {
            self.pass_on(window, stopping);
        }
        let now = self.clock.now_ms();
        let regular = if self.held.is_none() { self.schedule.due(now) } else { None };
        let last = stopping.then(|| self.schedule.last_cut(now));
        for due in regular.into_iter().chain(last) {
            let window = self.cut(&due);
            self.pass_on(Arc::new(window), stopping);
        }
    }

    fn cut(&mut self, due: &Due) -> Window {
        if due.stepped {
            telemetry::CLOCK_STEPS.counter(&[]).increment(1);
            tracing::warn!(
                end = due.end,
                "windows up to this end were cut already (the clock went back, or two stops in one window); this one is labelled after them"
            );
        }
        let own = self.own.samples();
        let began = self.clock.instant();
        let length = Duration::from_millis(due.length.unsigned_abs());
        let (mut window, report) = self.cutter.cut(due.end, length, own, &mut *self.base);
        self.checks.show(&mut window);
        telemetry::FLUSH_SECONDS.histogram(&[]).record(self.clock.instant() - began);
        telemetry::WINDOWS.counter(&[]).increment(1);
        self.cuts.fetch_add(1, Ordering::Release);
        tell(&report);
        window
    }

    /// Hands a window to the fan-out, or holds it while there is no room; waits for room at the end.
    fn pass_on(&mut self, window: Arc<Window>, stopping: bool) {
        // Fails otherwise only when the fan-out is gone, which ends the process.
        if stopping {
            let _ = self.out.send(window);
        } else if let Err(TrySendError::Full(window)) = self.out.try_send(window) {
            if self.held_at.replace(window.end) != Some(window.end) {
                tracing::warn!(
                    end = window.end,
                    "earlier windows are still being worked on; the next one ends when there is room, and is longer"
                );
            }
            self.held = Some(window);
        }
    }
}

/// Memory of this process that is in use, in bytes.
pub(super) fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4_096)
}

fn tell(report: &CutReport) {
    telemetry::COUNTER_WENT_BACK.counter(&[]).increment(report.went_back);
    telemetry::SATURATED.counter(&[]).increment(report.saturated);
    telemetry::SERIES_EXPIRED.counter(&[]).increment(report.expired);
    telemetry::TYPE_CLASHES.counter(&[]).increment(report.clashes.len() as u64);
    for (name, prom_name) in &report.clashes {
        tracing::warn!(metric = name.escape_debug().to_string(), page = %prom_name, "another type has this metric's name on the page");
    }
    for (reason, line) in &report.examples {
        let line = String::from_utf8_lossy(line).escape_debug().to_string();
        tracing::warn!(reason = reason.as_str(), line, "lines were rejected in this window; one of them");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::{CutterOptions, LimitsConfig, Published};
    use crate::ingest::Producer;
    use crate::model::Column;
    use crate::parse::Options;
    use crate::shape::Presentation;
    use crate::telemetry::Telemetry;

    const INTERVAL: Duration = Duration::from_secs(1);
    const START: i64 = 1_700_000_000_000;

    /// A cut thread that is given its turns by hand, with one client.
    struct Bench {
        cutting: Cutting,
        client: Producer,
        waiting: Receiver<Arc<Window>>,
        clock: Clock,
        /// Intervals gone by; in each the client sent one more count than in the one before.
        gone_by: i64,
    }

    impl Bench {
        fn new() -> Bench {
            let clock = Clock::manual(START);
            let (aggregator, inbox) = Aggregator::new(LimitsConfig::default(), Arc::default());
            let options = CutterOptions {
                interval: INTERVAL,
                expire_windows: 0,
                timers_in_seconds: true,
                counter_suffix: false,
                dd_sketches: false,
                presentation: Presentation::default(),
            };
            let (out, waiting) = windows();
            let client = Producer::new(aggregator.clone(), Arc::new(Published::new("test")), Options::default(), clock.clone());
            let cutting = Cutting {
                cutter: Cutter::new(aggregator.clone(), inbox, options),
                aggregator,
                schedule: Schedule::new(INTERVAL.as_millis() as i64, START, None),
                clock: clock.clone(),
                own: Own::new(Telemetry::install()),
                checks: ServiceChecks::new(Duration::ZERO),
                base: Box::new(|_| None),
                out,
                held: None,
                held_at: None,
                stop: Arc::default(),
                cuts: Arc::default(),
            };
            Bench { cutting, client, waiting, clock, gone_by: 0 }
        }

        /// Intervals go by in which the fan-out takes nothing; answers how many windows there are by then.
        fn stand_still_for(&mut self, intervals: i64) -> u64 {
            for _ in 0..intervals {
                self.gone_by += 1;
                self.client.batch(self.client.ticket()).datagram(format!("c:{}|c", self.gone_by).as_bytes());
                self.clock.set(START + self.gone_by * INTERVAL.as_millis() as i64);
                self.cutting.cut_what_is_due(false);
            }
            self.cutting.cuts.load(Ordering::Acquire)
        }

        /// Every interval is in one of the windows, and so is every count.
        fn assert_complete(&self, windows: &[Arc<Window>]) {
            let mut end = START;
            let mut counted = 0.0;
            for window in windows {
                assert_eq!(window.start(), end);
                end = window.end;
                let (_, column) = window.families().next().unwrap();
                let Column::Counter { gain, .. } = column else { panic!("a counter") };
                counted += gain[0];
            }
            assert!(end >= self.clock.now_ms());
            assert_eq!(counted, (1..=self.gone_by).sum::<i64>() as f64);
        }
    }

    #[test]
    fn while_the_fan_out_stands_still_windows_are_bounded_and_every_count_is_in_one() {
        let mut bench = Bench::new();
        assert_eq!(bench.stand_still_for(5), 5, "four wait, one more is held");
        assert_eq!(bench.stand_still_for(20), 5, "the next one is longer instead");
        let mut taken = Vec::new();
        for _ in 0..3 {
            taken.extend(bench.waiting.try_iter());
            bench.cutting.cut_what_is_due(false);
        }
        assert_eq!(bench.cutting.cuts.load(Ordering::Acquire), 6);
        assert_eq!(taken.iter().map(|window| window.length.as_secs()).collect::<Vec<_>>(), [1, 1, 1, 1, 1, 20]);
        bench.assert_complete(&taken);
    }

    #[test]
    fn a_stop_waits_until_the_fan_out_has_taken_every_window() {
        let mut bench = Bench::new();
        bench.stand_still_for(9);
        bench.clock.set(bench.clock.now_ms() + 500);
        let (cutting, waiting) = (&mut bench.cutting, &bench.waiting);
        let taken: Vec<_> = std::thread::scope(|scope| {
            let stopping = scope.spawn(|| cutting.cut_what_is_due(true));
            // Time enough for one that does not wait.
            std::thread::sleep(Duration::from_millis(100));
            assert!(!stopping.is_finished());
            let taken = (0..7).map(|_| waiting.recv_timeout(Duration::from_secs(60)).unwrap()).collect();
            stopping.join().unwrap();
            taken
        });
        assert_eq!(taken.iter().map(|window| window.length.as_secs()).collect::<Vec<_>>(), [1, 1, 1, 1, 1, 4, 1]);
        bench.assert_complete(&taken);
    }
}
