//! What the relay and the drivers of one sink share: the queue, the ledger and the health.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::ledger::Ledger;
use super::queue::Queue;
use crate::clock::Clock;
use crate::encode::Payload;
use crate::model::Window;

/// A sink that runs. Cloning gives another handle to the same one.
#[derive(Clone)]
pub struct SinkHandle(pub(super) Arc<Line>);

/// How a sink does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SinkHealth {
    /// The worst of the sink's routes.
    pub state: SinkState,
    /// Why it is not ok.
    pub reason: Option<String>,
    pub queued_points: u64,
    /// The last failure, also when it is over.
    pub last_error: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SinkState {
    #[default]
    Ok,
    /// The receiver does not answer as it should; tried again with growing waits.
    Retrying,
    /// The receiver does not know us: someone must act. The queue is kept.
    Held,
}

/// Points of a window by route.
pub(super) type Count = Box<dyn Fn(&Window) -> Vec<u64> + Send + Sync>;

/// Where the sink is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// Waits are cut short once; what is left at the deadline is given up.
    Draining,
    Closed,
}

/// See [`SinkHandle`].
pub(super) struct Line {
    name: String,
    count: Count,
    max_age: Duration,
    clock: Clock,
    state: Mutex<State>,
    phase: watch::Sender<Phase>,
    settled: Notify,
}

struct State {
    queue: Queue,
    ledger: Ledger,
    routes: Vec<(SinkState, Option<String>)>,
    last_error: Option<String>,
    /// Whether the log knows that points are being given up.
    dropping: bool,
}

impl SinkHandle {
    /// Hands a window over. Never blocks; needs no runtime. Over the queue's bound the oldest window goes.
    pub fn offer(&self, window: Arc<Window>) {
        let line = &self.0;
        let points = (line.count)(&window);
        let total = points.iter().sum();
        if total == 0 {
            return;
        }
        let mut state = line.state.lock();
        state.ledger.offered(total);
        if line.is_closed() {
            state.ledger.dropped(total, "shutdown");
            return;
        }
        let dropped = state.queue.push(window, &points);
        line.give_up(&mut state, dropped, "queue_full");
        line.expire(&mut state);
        drop(state);
        line.phase.send_modify(|_| {});
    }

    /// The sink's name in relay.yaml.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub fn health(&self) -> SinkHealth {
        let state = self.0.state.lock();
        let (worst, reason) = state.routes.iter().max_by_key(|(state, _)| *state).cloned().unwrap_or_default();
        SinkHealth { state: worst, reason, queued_points: state.queue.points(), last_error: state.last_error.clone() }
    }

    /// Sends what it can until the deadline, then counts the rest as dropped and ends the sink's tasks.
    pub async fn drain(&self, deadline: Instant) {
        let line = &self.0;
        line.phase.send_replace(Phase::Draining);
        let empty = async {
            loop {
                let settled = line.settled.notified();
                if line.state.lock().queue.points() == 0 {
                    return;
                }
                settled.await;
            }
        };
        // Late means that something is left, which is counted now.
        let _ = tokio::time::timeout_at(deadline, empty).await;
        let mut state = line.state.lock();
        line.phase.send_replace(Phase::Closed);
        let left = state.queue.clear();
        line.give_up(&mut state, left, "shutdown");
    }
}

impl Line {
    pub(super) fn new(name: &str, routes: usize, memory: usize, max_age: Duration, clock: Clock, count: Count) -> Line {
        let state = State {
            queue: Queue::new(memory),
            ledger: Ledger::new(name),
            routes: vec![Default::default(); routes],
            last_error: None,
            dropping: false,
        };
        let (name, phase) = (name.to_string(), watch::Sender::new(Phase::Running));
        Line { name, count, max_age, clock, state: Mutex::new(state), phase, settled: Notify::new() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn watch(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// The oldest window that the route is not done with, when there is one. `None` once the sink is closed.
    pub(super) async fn next(&self, route: usize, phase: &mut watch::Receiver<Phase>) -> Option<(u64, Arc<Window>)> {
        loop {
            if *phase.borrow_and_update() == Phase::Closed {
                return None;
            }
            let oldest = {
                let mut state = self.state.lock();
                self.expire(&mut state);
                state.queue.oldest(route)
            };
            if oldest.is_some() {
                return oldest;
            }
            phase.changed().await.ok()?;
        }
    }

    /// Notes that the payload is on its way. False when its window was given up.
    pub(super) fn depart(&self, id: u64, route: usize, payload: &Payload) -> bool {
        let mut state = self.state.lock();
        self.expire(&mut state);
        state.queue.depart(id, route, payload.settles())
    }

    /// Notes that the payload came back. False when its window, which ended at `end`, was given up meanwhile.
    pub(super) fn come_back(&self, id: u64, route: usize, payload: &Payload, end: i64) -> bool {
        let mut state = self.state.lock();
        let waiting = state.queue.come_back(id, route, payload.settles());
        if !waiting && !self.is_closed() {
            let reason = if end < self.oldest_kept() { "too_old" } else { "queue_full" };
            self.give_up(&mut state, payload.settles(), reason);
        }
        waiting
    }

    /// Settles a payload of which the receiver refused `refused` points and took the rest.
    pub(super) fn delivered(&self, id: u64, route: usize, payload: &Payload, refused: u64) {
        let state = self.state.lock();
        if self.is_closed() {
            return;
        }
        if payload.points > refused {
            state.ledger.delivered(payload.points - refused, self.clock.now_ms());
        }
        state.ledger.refused(refused);
        self.settle(state, id, route, payload);
    }

    /// Settles a payload that is given up.
    pub(super) fn dropped(&self, id: u64, route: usize, payload: &Payload, reason: &'static str) {
        let state = self.state.lock();
        if self.is_closed() {
            return;
        }
        state.ledger.dropped(payload.points, reason);
        self.settle(state, id, route, payload);
    }

    /// Notes that the route is through with the window.
    pub(super) fn finish(&self, id: u64, route: usize) {
        let mut state = self.state.lock();
        let missing = state.queue.finish(id, route);
        debug_assert_eq!(missing, 0, "the encoder settles exactly the points it counted");
        self.give_up(&mut state, missing, "not_found");
    }

    /// Counts a request by its outcome.
    pub(super) fn request(&self, outcome: &'static str) {
        self.state.lock().ledger.request(outcome);
    }

    /// Notes how a route does. True when that is news.
    pub(super) fn turned(&self, route: usize, now: SinkState, why: Option<&str>) -> bool {
        let mut state = self.state.lock();
        if let Some(why) = why {
            state.last_error = Some(why.to_string());
        }
        if now == SinkState::Ok {
            state.dropping = false;
        }
        let was = std::mem::replace(&mut state.routes[route], (now, why.map(str::to_string)));
        was.0 != now
    }

    fn settle(&self, mut state: parking_lot::MutexGuard<'_, State>, id: u64, route: usize, payload: &Payload) {
        for (reason, points) in &payload.unfit {
            state.ledger.dropped(*points, reason.as_str());
        }
        state.queue.settle(id, route, payload.settles());
        state.ledger.queued(state.queue.points());
        drop(state);
        self.settled.notify_waiters();
    }

    /// Whether what was left has been counted as dropped. Decided under the lock, and for good.
    fn is_closed(&self) -> bool {
        *self.phase.borrow() == Phase::Closed
    }

    /// Windows that ended before this (unix milliseconds) are too old to be sent.
    fn oldest_kept(&self) -> i64 {
        self.clock.now_ms().saturating_sub(i64::try_from(self.max_age.as_millis()).unwrap_or(i64::MAX))
    }

    fn expire(&self, state: &mut State) {
        let dropped = state.queue.expire(self.oldest_kept());
        self.give_up(state, dropped, "too_old");
    }

    fn give_up(&self, state: &mut State, points: u64, reason: &'static str) {
        state.ledger.dropped(points, reason);
        state.ledger.queued(state.queue.points());
        if points > 0 && !state.dropping {
            state.dropping = true;
            tracing::warn!(sink = self.name, reason, points, "points are given up; later ones are counted, not logged");
        }
    }
}
