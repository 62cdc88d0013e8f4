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

/// The way of windows to the fan-out. What is counted of them stands at 0 from here on.
pub(super) fn windows() -> (SyncSender<Arc<Window>>, Receiver<Arc<Window>>) {
    for counted in [&telemetry::WINDOWS, &telemetry::CLOCK_STEPS] {
        counted.counter(&[]).increment(0);
    }
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
mod tests;
