//! The store's own thread: one durable commit for all windows that wait.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::StartError;
use super::start::spawn;
use crate::clock::Clock;
use crate::store::Writer;
use crate::telemetry;
use crate::web::{Health, State};

/// The way to the store's thread.
pub(super) struct Commits {
    asks: SyncSender<()>,
    done: Arc<Done>,
    health: Arc<Health>,
    asked: u64,
}

struct Done {
    answered: Mutex<Answered>,
    changed: Condvar,
}

/// How many asks have been answered, and whether the last one went well.
struct Answered {
    count: u64,
    well: bool,
}

impl Commits {
    pub(super) fn start(writer: Writer, health: Arc<Health>, clock: Clock) -> Result<(Commits, JoinHandle<()>), StartError> {
        // One may wait: it will commit what came after it was asked as well.
        let (asks, waiting) = sync_channel(1);
        let done = Arc::new(Done { answered: Mutex::new(Answered { count: 0, well: true }), changed: Condvar::new() });
        let thread = spawn("store", {
            let (done, health) = (done.clone(), health.clone());
            move || run(writer, &waiting, &done, &health, &clock)
        })?;
        Ok((Commits { asks, done, health, asked: 0 }, thread))
    }

    /// Asks for everything appended so far to be made durable.
    pub(super) fn ask(&mut self) {
        match self.asks.try_send(()) {
            Ok(()) => self.asked += 1,
            // The one that waits takes these windows along.
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }

    /// Waits until the last ask is answered, but not beyond `patience`, and not at all while the disk is in
    /// trouble: a sick disk costs the outputs that long once.
    pub(super) fn wait(&self, patience: Duration) {
        let mut answered = self.done.answered.lock();
        let in_trouble = !answered.well || answered.count + 1 < self.asked;
        if in_trouble {
            return;
        }
        let waited = self.done.changed.wait_while_for(&mut answered, |answered| answered.count < self.asked, patience);
        if waited.timed_out() {
            self.health.set("store", State::Degraded, format!("a commit takes longer than {patience:?}"));
        }
    }
}

fn run(mut writer: Writer, waiting: &Receiver<()>, done: &Done, health: &Health, clock: &Clock) {
    let seconds = telemetry::STORE_COMMIT_SECONDS.histogram(&[]);
    let mut count = 0;
    while waiting.recv().is_ok() {
        let began = clock.instant();
        let committed = writer.commit(clock.now_ms());
        seconds.record(clock.instant() - began);
        let well = match committed {
            Ok(_) => {
                health.set("store", State::Ok, String::new());
                true
            }
            Err(error) => {
                tracing::error!(%error, "the store could not commit; it tries again with the next window");
                telemetry::STORE_ERRORS.counter(&[("reason", error.reason())]).increment(1);
                health.set("store", State::Degraded, error.to_string());
                false
            }
        };
        count += 1;
        *done.answered.lock() = Answered { count, well };
        done.changed.notify_all();
    }
    if let Err(error) = writer.close(clock.now_ms()) {
        telemetry::STORE_ERRORS.counter(&[("reason", error.reason())]).increment(1);
        tracing::error!(%error, "the store was not closed well");
    }
}
