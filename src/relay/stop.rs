//! Down the line: sockets, the last cut, its commit, the sinks. Bounded, whatever hangs.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Relay, systemd};

/// From the signal to the exit.
const BUDGET: Duration = Duration::from_millis(4_500);

impl Relay {
    /// Drains, cuts, commits and delivers what is queued. What cannot be delivered in time is counted dropped.
    pub async fn stop(mut self) {
        systemd::stopping();
        let deadline = Instant::from_std(self.clock.instant()) + BUDGET;
        self.health.set_ready(false);
        self.views.tap.close();
        self.stop_receiving.store(true, Ordering::Release);
        let threads = async {
            join(std::mem::take(&mut self.receivers)).await;
            self.stop_cutting.store(true, Ordering::Release);
            join([self.cutting, self.fan_out]).await;
        };
        if timeout_at(deadline, threads).await.is_err() {
            tracing::error!("the last window was not cut in time");
        }
        let drains = self.sinks.iter().map(|sink| sink.drain(deadline));
        for drain in drains {
            drain.await;
        }
        self.notify.drain(deadline.saturating_duration_since(Instant::from_std(self.clock.instant()))).await;
        if timeout_at(deadline, join([self.committing])).await.is_err() {
            tracing::error!("the store was not closed in time; what is committed is safe");
        }
        // A receiver that fails leaves nothing to be done: the server ends with the process.
        let _ = self.stop_web.send(true);
        let _ = timeout_at(deadline, self.web.join_all()).await;
        self.tasks.abort_all();
    }
}

async fn join(threads: impl IntoIterator<Item = std::thread::JoinHandle<()>> + Send + 'static) {
    let joined = tokio::task::spawn_blocking(move || {
        for thread in threads {
            // A thread that panicked has aborted the process.
            let _ = thread.join();
        }
    });
    let _ = joined.await;
}
