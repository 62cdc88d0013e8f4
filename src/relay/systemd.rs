//! Readiness, watchdog and status for a supervisor. Without one, nothing happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;

use crate::clock::Clock;
use crate::listen::Heartbeat;

/// Tells the supervisor that everything listens and the store is open.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Tells the supervisor that the stop has begun.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the supervisor could not be notified");
    }
}

/// Feeds the watchdog while there is progress: every socket has been polled, and windows are being cut. A bad disk or upstream does not starve it.
pub(super) async fn watchdog(heartbeats: Vec<Heartbeat>, cuts: Arc<AtomicU64>, interval: Duration, clock: Clock) {
    let Some(period) = sd_notify::watchdog_enabled() else { return };
    let mut seen = vec![u64::MAX; heartbeats.len()];
    let (mut counted, mut last_cut) = (0, clock.instant());
    loop {
        tokio::time::sleep(period / 3).await;
        let polled = heartbeats.iter().zip(&mut seen).all(|(heartbeat, seen)| {
            let now = heartbeat.count();
            std::mem::replace(seen, now) != now
        });
        let cut = cuts.load(Ordering::Acquire);
        if std::mem::replace(&mut counted, cut) != cut {
            last_cut = clock.instant();
        }
        // The first cut of a process may come three intervals after its start.
        if polled && clock.instant() - last_cut < 3 * interval + period {
            tell(&[NotifyState::Watchdog]);
        }
    }
}
