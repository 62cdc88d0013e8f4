//! Looks at groups when it is time, sends what is due, and takes the outcomes back. One task owns it all.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify as Bell, watch};
use tokio::task::JoinSet;

use super::group::{Due, Ended, Groups, Outcome};
use super::heartbeat::Pulse;
use super::{LogChanges, Notification, Notify, NotifyError};
use crate::clock::Clock;
use crate::model::Alert;
use crate::telemetry;

/// Groups are looked at this often, and whenever alerts are offered or an attempt ends.
const TICK: Duration = Duration::from_millis(500);
/// Attempts on their way at once; others wait for the next look.
const MAX_ATTEMPTS: usize = 32;

/// Where alerts are offered. Cloning shares it.
#[derive(Clone, Default)]
pub struct NotifyHandle {
    /// `None` without a route.
    pub(super) groups: Option<(Arc<Inbox>, watch::Receiver<bool>)>,
    pub(super) pulse: Option<Arc<Pulse>>,
}

pub(super) struct Inbox {
    /// The newest offer; an older one that was not yet taken is out of date.
    offered: Mutex<Option<Vec<Alert>>>,
    /// Receivers whose last attempt failed, with the reason.
    failing: Mutex<BTreeMap<String, String>>,
    bell: Bell,
    closing: AtomicBool,
    /// Keeps what was told; `None` once nobody waits for it.
    keep: Mutex<Option<Keep>>,
}

type Keep = Box<dyn Fn(LogChanges) + Send>;

impl NotifyHandle {
    /// Takes every firing and every recently resolved alert there is, once for each evaluation. Never waits.
    pub fn offer(&self, alerts: Vec<Alert>) {
        if let Some(pulse) = &self.pulse {
            pulse.felt.store(true, Ordering::Release);
        }
        if let Some((inbox, _)) = &self.groups {
            *inbox.offered.lock() = Some(alerts);
            inbox.bell.notify_one();
        }
    }

    /// Receivers whose last attempt failed, each with the reason.
    pub fn failing(&self) -> BTreeMap<String, String> {
        self.groups.as_ref().map_or_else(BTreeMap::new, |(inbox, _)| inbox.failing.lock().clone())
    }

    /// Sends what is due, lets attempts end, and stops. False when `deadline` came first. Nothing is kept from then on.
    pub async fn drain(&self, deadline: Duration) -> bool {
        if let Some(pulse) = &self.pulse {
            pulse.stop.notify_one();
        }
        let Some((inbox, stopped)) = &self.groups else { return true };
        inbox.closing.store(true, Ordering::Release);
        inbox.bell.notify_one();
        let mut stopped = stopped.clone();
        let stopped = tokio::time::timeout(deadline, stopped.wait_for(|stopped| *stopped)).await.is_ok();
        inbox.keep.lock().take();
        stopped
    }
}

struct Attempt {
    key: String,
    target: usize,
    receiver: String,
    result: Result<(), NotifyError>,
}

struct Driver<N> {
    groups: Groups,
    targets: Vec<N>,
    clock: Clock,
    inbox: Arc<Inbox>,
    attempts: JoinSet<Attempt>,
    waiting: VecDeque<Due>,
}

/// Starts the task. `targets` are those of `groups`, in the same order.
pub(super) fn start<N: Notify>(groups: Groups, targets: Vec<N>, keep: Keep, clock: Clock, tasks: &mut JoinSet<()>) -> NotifyHandle {
    let inbox = Arc::new(Inbox {
        offered: Mutex::new(None),
        failing: Mutex::default(),
        bell: Bell::new(),
        closing: AtomicBool::new(false),
        keep: Mutex::new(Some(keep)),
    });
    let (stopped, watched) = watch::channel(false);
    let handle = NotifyHandle { groups: Some((Arc::clone(&inbox), watched)), pulse: None };
    let driver = Driver { groups, targets, clock, inbox, attempts: JoinSet::new(), waiting: VecDeque::new() };
    tasks.spawn(async move {
        driver.run().await;
        // Nobody waits for it: then nobody needs to know.
        let _ = stopped.send(true);
    });
    handle
}

impl<N: Notify> Driver<N> {
    async fn run(mut self) {
        loop {
            let now = self.clock.now_ms();
            // Bound first: the lock must not be held over the rest.
            let offered = self.inbox.offered.lock().take();
            if let Some(alerts) = offered {
                self.groups.offer(&alerts, now);
            }
            self.look(now);
            self.keep();
            let closing = self.inbox.closing.load(Ordering::Acquire);
            if closing && self.attempts.is_empty() {
                match self.groups.open() {
                    0 => {}
                    open => tracing::warn!(open, "notifications were not delivered before the stop"),
                }
                return;
            }
            tokio::select! {
                Some(attempt) = self.attempts.join_next() => if let Ok(attempt) = attempt { self.ended(attempt) },
                () = self.inbox.bell.notified() => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    fn look(&mut self, now: i64) {
        let (due, ended) = self.groups.due(now);
        for (receiver, end) in ended {
            count(&receiver, end);
        }
        for due in &due {
            if due.fresh {
                telemetry::NOTIFICATIONS_DUE.counter(&[("receiver", &due.notification.receiver)]).increment(1);
            }
        }
        self.waiting.extend(due);
        while self.attempts.len() < MAX_ATTEMPTS
            && let Some(Due { key, target, notification, .. }) = self.waiting.pop_front()
        {
            self.attempts.spawn(attempt(self.targets[target].clone(), key, target, notification));
        }
    }

    fn keep(&mut self) {
        let changes = self.groups.log_changes();
        if let (false, Some(keep)) = (changes.is_empty(), &*self.inbox.keep.lock()) {
            keep(changes);
        }
    }

    fn ended(&mut self, attempt: Attempt) {
        let Attempt { key, target, receiver, result } = attempt;
        match &result {
            Ok(()) => self.inbox.failing.lock().remove(&receiver),
            Err(error) => self.inbox.failing.lock().insert(receiver.clone(), error.to_string()),
        };
        let outcome = match result {
            Ok(()) => Outcome::Delivered,
            Err(NotifyError::Refused(why)) => {
                tracing::error!(receiver, kind = N::KIND, why, "a notification was refused");
                Outcome::Refused
            }
            Err(NotifyError::Retry { after, why }) => {
                tracing::warn!(receiver, kind = N::KIND, why, "a notification could not be delivered; it will be tried again");
                Outcome::Retry(after)
            }
        };
        if let Some(end) = self.groups.attempted(&key, target, &outcome, self.clock.now_ms()) {
            count(&receiver, end);
        }
    }
}

async fn attempt<N: Notify>(target: N, key: String, index: usize, notification: Notification) -> Attempt {
    let result = target.deliver(&notification).await;
    Attempt { key, target: index, receiver: notification.receiver, result }
}

pub(super) fn count(receiver: &str, end: Ended) {
    telemetry::NOTIFICATIONS.counter(&[("receiver", receiver), ("result", end.as_str())]).increment(1);
}

/// Shows a receiver's counters from the start, as 0.
pub(super) fn register(receiver: &str) {
    telemetry::NOTIFICATIONS_DUE.counter(&[("receiver", receiver)]).increment(0);
    for end in Ended::ALL {
        telemetry::NOTIFICATIONS.counter(&[("receiver", receiver), ("result", end.as_str())]).increment(0);
    }
}
