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
use crate::web::{Health, State};

/// The way to the store's thread.
pub(super) struct Commits {
    asks: SyncSender<()>,
    done: Arc<Done>,
    asked: u64,
}

/// How many asks have been answered, and whether the last one went well.
#[derive(Default)]
struct Done {
    answered: Mutex<(u64, bool)>,
    changed: Condvar,
}

impl Commits {
    pub(super) fn start(writer: Writer, health: Arc<Health>, clock: Clock) -> Result<(Commits, JoinHandle<()>), StartError> {
        // One may wait: it will commit what came after it was asked as well.
        let (asks, waiting) = sync_channel(1);
        let done = Arc::new(Done::default());
        let thread = spawn("store", {
            let done = done.clone();
            move || run(writer, &waiting, &done, &health, &clock)
        })?;
        Ok((Commits { asks, done, asked: 0 }, thread))
    }

    /// Asks for everything appended so far to be made durable.
    pub(super) fn ask(&mut self) {
        match self.asks.try_send(()) {
            Ok(()) => self.asked += 1,
            // The one that waits takes these windows along.
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }

    /// Waits until the last ask is answered, but not for a disk that is in trouble and not beyond `patience`.
    pub(super) fn wait(&self, patience: Duration) {
        let mut answered = self.done.answered.lock();
        let (_, well) = *answered;
        if well || answered.0 == 0 {
            self.done.changed.wait_while_for(&mut answered, |(count, _)| *count < self.asked, patience);
        }
    }
}

fn run(mut writer: Writer, waiting: &Receiver<()>, done: &Done, health: &Health, clock: &Clock) {
    let mut count = 0;
    while waiting.recv().is_ok() {
        let well = match writer.commit(clock.now_ms()) {
            Ok(_) => {
                health.set("store", State::Ok, String::new());
                true
            }
            Err(error) => {
                tracing::error!(%error, "the store could not commit; it tries again with the next window");
                health.set("store", State::Degraded, error.to_string());
                false
            }
        };
        count += 1;
        *done.answered.lock() = (count, well);
        done.changed.notify_all();
    }
    if let Err(error) = writer.close(clock.now_ms()) {
        tracing::error!(%error, "the store was not closed well");
    }
}
