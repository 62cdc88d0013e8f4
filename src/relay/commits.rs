//! The store's own thread: one durable commit for all windows that wait.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::StartError;
use super::start::spawn;
use crate::clock::Clock;
use crate::store::{StoreError, Writer};
use crate::telemetry;
use crate::web::{Health, State};

/// The way to the store's thread.
pub(super) struct Commits {
    bell: Bell,
    turns: Arc<Turns>,
    health: Arc<Health>,
    /// The turn asked for before the last one, and the last one.
    asked: (u64, u64),
}

/// Wakes the store's thread, which ends when nobody has one any more.
#[derive(Clone)]
pub(super) struct Bell(SyncSender<()>);

impl Bell {
    /// Has everything that waits to be written looked at.
    pub(super) fn ring(&self) {
        // One that still waits to be heard is enough.
        let _ = self.0.try_send(());
    }
}

struct Turns {
    state: Mutex<Turn>,
    changed: Condvar,
}

/// How many commits were asked for, the last that is done, and whether it went well.
struct Turn {
    asked: u64,
    answered: u64,
    well: bool,
}

impl Commits {
    pub(super) fn start(writer: Writer, health: Arc<Health>, clock: Clock) -> Result<(Commits, JoinHandle<()>), StartError> {
        let (bell, rung) = sync_channel(1);
        let turns = Arc::new(Turns { state: Mutex::new(Turn { asked: 0, answered: 0, well: true }), changed: Condvar::new() });
        let thread = spawn("store", {
            let (turns, health) = (turns.clone(), health.clone());
            move || run(writer, &rung, &turns, &health, &clock)
        })?;
        Ok((Commits { bell: Bell(bell), turns, health, asked: (0, 0) }, thread))
    }

    /// For others who have something written.
    pub(super) fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// Asks for everything appended so far to be made durable.
    pub(super) fn ask(&mut self) {
        let turn = {
            let mut state = self.turns.state.lock();
            state.asked += 1;
            state.asked
        };
        self.asked = (self.asked.1, turn);
        self.bell.ring();
    }

    /// Waits until the last ask is answered, but not beyond `patience`, and not at all while the disk is in
    /// trouble: a sick disk costs the outputs that long once.
    pub(super) fn wait(&self, patience: Duration) {
        let (previous, last) = self.asked;
        let mut state = self.turns.state.lock();
        let in_trouble = !state.well || state.answered < previous;
        if in_trouble {
            return;
        }
        let waited = self.turns.changed.wait_while_for(&mut state, |state| state.answered < last, patience);
        if waited.timed_out() {
            self.health.set("store", State::Degraded, format!("a commit takes longer than {patience:?}"));
        }
    }
}

fn run(mut writer: Writer, rung: &Receiver<()>, turns: &Turns, health: &Health, clock: &Clock) {
    let seconds = telemetry::STORE_COMMIT_SECONDS.histogram(&[]);
    while rung.recv().is_ok() {
        let (asked, answered) = {
            let state = turns.state.lock();
            (state.asked, state.answered)
        };
        let mut well = true;
        // One commit for all who asked until it began.
        if asked > answered {
            let began = clock.instant();
            let committed = writer.commit(clock.now_ms());
            seconds.record(clock.instant() - began);
            match &committed {
                Ok(_) => health.set("store", State::Ok, String::new()),
                Err(error) => {
                    tracing::error!(%error, "the store could not commit; it tries again with the next window");
                    tell(health, error);
                }
            }
            well = committed.is_ok();
            let mut state = turns.state.lock();
            (state.answered, state.well) = (asked, well);
            turns.changed.notify_all();
        }
        if well && let Err(error) = writer.commit_notified(clock.now_ms()) {
            tracing::error!(%error, "the store could not keep what receivers were told; it tries again with the next window");
            tell(health, &error);
        }
    }
    if let Err(error) = writer.close(clock.now_ms()) {
        telemetry::STORE_ERRORS.counter(&[("reason", error.reason())]).increment(1);
        tracing::error!(%error, "the store was not closed well; what was not committed is lost");
    }
}

fn tell(health: &Health, error: &StoreError) {
    telemetry::STORE_ERRORS.counter(&[("reason", error.reason())]).increment(1);
    health.set("store", State::Degraded, error.to_string());
}
