//! Down the line: sockets, the last cut, its commit, the sinks. Bounded, whatever hangs.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::{Relay, systemd};
use crate::listen::DRAIN;

/// From the signal to the last attempt of a sink.
const BUDGET: Duration = Duration::from_millis(4_300);
/// For what is done by then, and only has to be noticed.
const GRACE: Duration = Duration::from_millis(200);

impl Relay {
    /// Drains, cuts, commits and delivers what is queued. What cannot be delivered in time is counted dropped.
    pub async fn stop(mut self) {
        systemd::stopping();
        let deadline = Instant::from_std(self.clock.instant()) + BUDGET;
        self.health.set_ready(false);
        self.views.tap.close();
        // A receiver that hangs does not cost the window.
        if timeout_at(Instant::from_std(self.clock.instant()) + DRAIN + 2 * GRACE, self.receiving.stop()).await.is_err() {
            tracing::error!("a receiver did not stop in time");
        }
        self.stop_cutting.store(true, Ordering::Release);
        // The store closes beside the sinks' last attempts, as soon as the last window is in it and receivers are told.
        let mut closing = JoinSet::new();
        closing.spawn(join([self.committing]));
        if timeout_at(deadline, join([self.cutting, self.fan_out])).await.is_err() {
            tracing::error!("the last window was not cut in time");
        }
        // All at once: one that hangs takes no time from the others.
        let mut drains = JoinSet::new();
        for sink in self.sinks {
            drains.spawn(async move { sink.drain(deadline).await });
        }
        let left = deadline.saturating_duration_since(Instant::from_std(self.clock.instant()));
        // The store is open until then: what receivers are told now is still kept.
        let left = left.saturating_sub(2 * GRACE);
        drains.spawn(async move {
            self.notify.drain(left).await;
        });
        drains.join_all().await;
        if timeout_at(deadline + GRACE, closing.join_all()).await.is_err() {
            tracing::error!("the store was not closed in time; what is committed is safe");
        }
        // A receiver that fails leaves nothing to be done: the server ends with the process.
        let _ = self.stop_web.send(true);
        let _ = timeout_at(deadline + GRACE, self.web.join_all()).await;
        self.tasks.abort_all();
        tracing::info!("stopped");
    }
}

pub(super) async fn join(threads: impl IntoIterator<Item = std::thread::JoinHandle<()>> + Send + 'static) {
    let joined = tokio::task::spawn_blocking(move || {
        for thread in threads {
            // A thread that panicked has aborted the process.
            let _ = thread.join();
        }
    });
    let _ = joined.await;
}
