//! Takes windows to a receiver: place in the window, retry, splitting, holding. The same for every sink.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::line::{Line, Phase, SinkState};
use crate::encode::{Budget, Payload, Place};
use crate::model::Window;
use crate::net::Backoff;

/// How long a sink waits before it tries again with a key that was refused.
const HOLD: Duration = Duration::from_secs(60);
/// Refusals are logged at most this often; every one is counted.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// Somewhere a window goes, by one route: a route fails and recovers on its own.
pub(super) trait Sink: Send + 'static {
    const KIND: &'static str;
    /// The route's name, for the log.
    fn route(&self) -> &'static str;
    /// What one payload may hold.
    fn budget(&self) -> Budget;
    /// Writes the payload that begins at `place`; the same place and budget give the same bytes. None: the window is done.
    fn encode(&mut self, window: &Window, place: Place, budget: Budget, out: &mut Payload) -> Option<Place>;
    /// One attempt at one payload.
    fn send(&mut self, payload: &Payload) -> impl Future<Output = Result<Delivered, SinkError>> + Send;
}

/// The receiver answered for good: it took the payload, save for the points it will never take.
#[derive(Debug, PartialEq)]
pub(super) struct Delivered {
    pub(super) refused: u64,
    /// What it said about them.
    pub(super) why: Option<String>,
}

/// What to do about a payload that is not delivered. Texts never hold a secret.
#[derive(Debug, PartialEq)]
pub(super) enum SinkError {
    /// Later may work.
    Retry { outcome: &'static str, why: String, after: Option<Duration> },
    /// A person must act.
    Misconfigured { why: String },
    /// Half of it may work.
    TooLarge,
}

/// Where a payload ended.
enum End {
    Settled,
    TooLarge,
    /// Its window was given up, or the sink is closed.
    Gone,
}

/// One route at work.
pub(super) struct Driver<S> {
    sink: S,
    route: usize,
    line: Arc<Line>,
    phase: watch::Receiver<Phase>,
    backoff: Backoff,
    /// When a refusal was last logged.
    said: Option<Instant>,
}

impl<S: Sink> Driver<S> {
    pub(super) fn new(sink: S, route: usize, line: Arc<Line>) -> Driver<S> {
        let phase = line.watch();
        Driver { sink, route, line, phase, backoff: Backoff::default(), said: None }
    }

    /// Delivers windows until the sink is closed.
    pub(super) async fn run(mut self) {
        while let Some((id, window)) = self.line.next(self.route, &mut self.phase).await {
            self.window(id, &window).await;
        }
    }

    /// Takes one window through, payload by payload. An acknowledged payload is never sent again.
    async fn window(&mut self, id: u64, window: &Window) {
        let mut place = Some(Place::default());
        let mut budget = self.sink.budget();
        while let Some(at) = place {
            let mut payload = Payload::default();
            let next = self.sink.encode(window, at, budget, &mut payload);
            match self.payload(id, window.end, &payload).await {
                End::Settled => (place, budget) = (next, self.sink.budget()),
                End::TooLarge if payload.points > 1 => budget.points = payload.points / 2,
                End::TooLarge => {
                    self.line.dropped(id, self.route, &payload, "too_large");
                    (place, budget) = (next, self.sink.budget());
                }
                End::Gone => return,
            }
        }
        self.line.finish(id, self.route);
    }

    /// Tries one payload of the window that ended at `end` until the receiver has answered for good.
    async fn payload(&mut self, id: u64, end: i64, payload: &Payload) -> End {
        loop {
            if !self.line.depart(id, self.route, payload) {
                return End::Gone;
            }
            if payload.points == 0 {
                self.line.delivered(id, self.route, payload, 0);
                return End::Settled;
            }
            let result = tokio::select! {
                result = self.sink.send(payload) => result,
                () = closed(&mut self.phase) => return End::Gone,
            };
            match result {
                Ok(delivered) => {
                    self.delivered(id, payload, &delivered).await;
                    return End::Settled;
                }
                Err(error) => {
                    let waiting = self.line.come_back(id, self.route, payload, end);
                    let wait = self.failed(&error);
                    match wait {
                        Some(wait) => self.pause(wait).await,
                        None if waiting => return End::TooLarge,
                        None => return End::Gone,
                    }
                }
            }
        }
    }

    async fn delivered(&mut self, id: u64, payload: &Payload, delivered: &Delivered) {
        self.line.request(if delivered.refused == 0 { "ok" } else { "refused" });
        self.line.delivered(id, self.route, payload, delivered.refused);
        let (sink, kind, route) = (self.line.name(), S::KIND, self.sink.route());
        if let Some(why) = &delivered.why
            && self.said.is_none_or(|said| said.elapsed() >= SAY_AGAIN)
        {
            self.said = Some(Instant::now());
            tracing::warn!(sink, kind, route, points = delivered.refused, "points are refused: {why}");
        }
        if self.line.turned(self.route, SinkState::Ok, None) {
            tracing::info!(sink, kind, route, "delivers again");
        }
        let wait = self.backoff.succeeded();
        if !wait.is_zero() {
            self.pause(wait).await;
        }
    }

    /// Notes the failure and says it once. How long to wait, or `None` when the payload is too large.
    fn failed(&mut self, error: &SinkError) -> Option<Duration> {
        let (sink, kind, route) = (self.line.name(), S::KIND, self.sink.route());
        match error {
            SinkError::Retry { outcome, why, after } => {
                self.line.request(outcome);
                if self.line.turned(self.route, SinkState::Retrying, Some(why)) {
                    tracing::warn!(sink, kind, route, "not delivered, will be tried again: {why}");
                }
                let asked = after.unwrap_or_default().min(Backoff::LONGEST_ASKED);
                Some(self.backoff.failed().max(asked))
            }
            SinkError::Misconfigured { why } => {
                self.line.request("unauthorized");
                if self.line.turned(self.route, SinkState::Held, Some(why)) {
                    tracing::error!(sink, kind, route, "held, the queue is kept: {why}");
                }
                Some(HOLD)
            }
            SinkError::TooLarge => {
                self.line.request("too_large");
                None
            }
        }
    }

    /// Waits, but not past the beginning or the end of the drain.
    async fn pause(&mut self, wait: Duration) {
        let before = *self.phase.borrow();
        let turned = async {
            // An error says that the line is gone, which cannot be while the driver holds it.
            let _ = self.phase.wait_for(|phase| *phase != before).await;
        };
        let _ = tokio::time::timeout(wait, turned).await;
    }
}

async fn closed(phase: &mut watch::Receiver<Phase>) {
    let _ = phase.wait_for(|phase| *phase == Phase::Closed).await;
}
