//! A dead man's switch: someone outside is called while the relay works, and raises the alarm when calls stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify as Bell;

use super::HeartbeatConfig;
use super::driver::count;
use super::group::Ended;
use crate::net::{Http, Post, Url};
use crate::telemetry;

/// For one call, from the name's lookup to the answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// What counters call it.
pub(super) const NAME: &str = "heartbeat";

/// What the one who offers alerts and the caller share.
#[derive(Default)]
pub(super) struct Pulse {
    /// Whether rules were evaluated since the last call.
    pub(super) felt: AtomicBool,
    pub(super) stop: Bell,
}

pub(super) struct Heartbeat {
    url: Url,
    http: Http,
    every: Duration,
}

impl Heartbeat {
    /// Reads the URL's secret and makes a client for it.
    pub(super) fn new(config: &HeartbeatConfig) -> Result<Heartbeat, String> {
        let url = Url::parse(&config.url.read()?)?;
        Ok(Heartbeat { http: Http::for_url(&url)?, url, every: config.every })
    }

    /// Calls once every interval in which rules were evaluated. A call that fails is not repeated: the next is near.
    pub(super) async fn run(self, pulse: Arc<Pulse>) {
        loop {
            tokio::select! {
                () = pulse.stop.notified() => return,
                () = tokio::time::sleep(self.every) => {}
            }
            if !pulse.felt.swap(false, Ordering::AcqRel) {
                tracing::warn!("no rules were evaluated since the last heartbeat; none is sent");
                continue;
            }
            telemetry::NOTIFICATIONS_DUE.counter(&[("receiver", NAME)]).increment(1);
            count(NAME, self.call().await);
        }
    }

    async fn call(&self) -> Ended {
        let post = Post {
            url: &self.url,
            content_type: "text/plain",
            headers: Vec::new(),
            secret_headers: Vec::new(),
            body: Bytes::new(),
            timeout: TIMEOUT,
        };
        match self.http.post(post).await {
            Ok(reply) if (200..300).contains(&reply.status) => Ended::Delivered,
            Ok(reply) => {
                tracing::warn!(url = %self.url, status = reply.status, "the heartbeat was refused");
                Ended::Refused
            }
            Err(error) => {
                tracing::warn!(%error, "the heartbeat could not be delivered");
                Ended::Failed
            }
        }
    }
}
