//! What happens to a closed window: memory, rules, disk, then everybody else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use parking_lot::RwLock;

use super::commits::Commits;
use crate::alert::{Engine, Evaluation, GroupStatus};
use crate::clock::Clock;
use crate::model::{Alert, AlertState, Labels, Window};
use crate::notify::NotifyHandle;
use crate::sink::{SinkHandle, SinkState};
use crate::store::{AlertRows, Store};
use crate::web::{Health, Page, State};

/// What leaves is durable by then, or the disk is too slow to wait for.
const COMMIT_PATIENCE: Duration = Duration::from_secs(1);

/// Everything the fan-out thread owns.
pub(super) struct FanOut {
    pub(super) windows: Receiver<Arc<Window>>,
    pub(super) store: Store,
    pub(super) engine: Engine,
    pub(super) rules: Arc<RwLock<Vec<GroupStatus>>>,
    pub(super) commits: Commits,
    pub(super) page: Arc<Page>,
    pub(super) sinks: Vec<SinkHandle>,
    pub(super) notify: NotifyHandle,
    pub(super) health: Arc<Health>,
    pub(super) clock: Clock,
    pub(super) stopping: Arc<AtomicBool>,
    /// What fired at the last window.
    pub(super) firing: BTreeSet<Labels>,
}

impl FanOut {
    /// Takes windows until the cutter is done.
    pub(super) fn run(mut self) {
        while let Ok(window) = self.windows.recv() {
            let cut = self.clock.instant();
            self.store.append(&window);
            self.store.show(&window);
            // A window that the stop cut short ends in the future: no time has passed that a rule could wait for.
            if window.end <= self.clock.now_ms() || !self.stopping.load(Ordering::Acquire) {
                self.judge(window.end);
            }
            self.commits.ask();
            // At the end several windows may wait here, and all have to be in the store when it closes.
            if !self.stopping.load(Ordering::Acquire) {
                self.commits.wait(COMMIT_PATIENCE.saturating_sub(self.clock.instant() - cut));
            }
            for sink in &self.sinks {
                sink.offer(window.clone());
                self.tell_sink(sink);
            }
            self.page.show(window);
        }
    }

    /// Has the rules look at everything up to the end of a window.
    fn judge(&mut self, end: i64) {
        let evaluation = self.engine.evaluate(end, &self.store, &mut |at, samples| self.store.record(at, &samples));
        *self.rules.write() = self.engine.status();
        self.tell_rules(&evaluation);
        self.tell_alerts(&evaluation.alerts);
        self.notify.offer(evaluation.alerts);
        self.tell_receivers();
        self.store.save_alerts(saved(&self.engine));
    }

    /// Logs what began and what ended to fire.
    fn tell_alerts(&mut self, alerts: &[Alert]) {
        let firing: BTreeSet<Labels> =
            alerts.iter().filter(|alert| alert.state == AlertState::Firing).map(|alert| alert.labels.clone()).collect();
        for labels in firing.difference(&self.firing) {
            tracing::warn!("alert fires: {labels}");
        }
        for labels in self.firing.difference(&firing) {
            tracing::info!("alert is over: {labels}");
        }
        self.firing = firing;
    }

    fn tell_receivers(&self) {
        let failing = self.notify.failing();
        let reasons: Vec<String> = failing.iter().map(|(receiver, why)| format!("{receiver}: {why}")).collect();
        let state = if reasons.is_empty() { State::Ok } else { State::Degraded };
        self.health.set("notify", state, reasons.join("; "));
    }

    fn tell_rules(&self, evaluation: &Evaluation) {
        let reason = evaluation.failures.first().map(|failure| format!("rule {} in {}: {}", failure.rule, failure.file, failure.error));
        let state = if reason.is_some() { State::Degraded } else { State::Ok };
        self.health.set("rules", state, reason.unwrap_or_default());
    }

    fn tell_sink(&self, sink: &SinkHandle) {
        let health = sink.health();
        let state = if health.state == SinkState::Ok { State::Ok } else { State::Degraded };
        self.health.set(&format!("sink:{}", sink.name()), state, health.reason.unwrap_or_default());
    }
}

fn saved(engine: &Engine) -> AlertRows {
    engine.saved().into_iter().map(|alert| ((alert.rule, alert.labels), alert.bytes)).collect()
}
