//! What lanes, cutter and pages share: the registry, the open window, the order of batches.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use super::{Handed, Lane, LimitsConfig, Published, Registry, Sent};
use crate::shape::Shaping;

/// Hand-overs that may wait for the cutter; then lanes wait, and the kernel's buffer is the queue.
pub(super) const INBOX_MAX: usize = 256;

/// What lanes, cutter and pages share.
pub struct Aggregator {
    pub registry: Registry,
    /// The open window. Counts up; only the cutter writes it.
    pub(super) window: AtomicU32,
    /// Orders batches over all lanes.
    tickets: AtomicU64,
    pub(super) lanes: RwLock<Vec<Listed>>,
    inbox: SyncSender<Handed>,
}

/// Longer than a batch holds its lane.
const PUBLISH_PATIENCE: Duration = Duration::from_millis(5);
/// The first window's number: ages of earlier windows reach back from it.
const FIRST_WINDOW: u32 = 1 << 16;

/// A lane and where its counts go.
type Listed = (Arc<Mutex<Lane>>, Arc<Published>);

/// What a sender sent to a listener in the last closed window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sending {
    pub listener: String,
    /// `None` where the transport names no sender.
    pub sender: Option<IpAddr>,
    pub sent: Sent,
}

/// Stamps a batch may give to its records.
const STAMPS_PER_BATCH: u64 = 1 << 24;

impl Aggregator {
    /// The shared half, and the inbox for its one cutter.
    pub fn new(limits: LimitsConfig, shaping: Arc<Shaping>) -> (Arc<Aggregator>, Receiver<Handed>) {
        let (inbox, outbox) = sync_channel(INBOX_MAX);
        let aggregator = Aggregator {
            registry: Registry::new(limits, shaping),
            window: AtomicU32::new(FIRST_WINDOW),
            tickets: AtomicU64::new(STAMPS_PER_BATCH),
            lanes: RwLock::default(),
            inbox,
        };
        (Arc::new(aggregator), outbox)
    }

    /// A lane for one more receiving thread, whose counts go to the metrics of `published`.
    pub fn lane(&self, published: Arc<Published>) -> Arc<Mutex<Lane>> {
        let mut lanes = self.lanes.write();
        let lane = Arc::new(Mutex::new(Lane::new(self.window(), self.inbox.clone())));
        lanes.push((lane.clone(), published));
        lane
    }

    /// The open window.
    pub fn window(&self) -> u32 {
        self.window.load(Ordering::Acquire)
    }

    /// The first stamp of a batch: later batches, of any lane, have greater ones.
    pub fn ticket(&self) -> u64 {
        self.tickets.fetch_add(STAMPS_PER_BATCH, Ordering::Relaxed)
    }

    /// Batches with smaller stamps have begun.
    pub(super) fn begun(&self) -> u64 {
        self.tickets.load(Ordering::Relaxed)
    }

    /// Who sent in the last closed window, and whether that is everyone. A lane that is held is left out.
    pub fn senders(&self) -> (Vec<Sending>, bool) {
        let closed = self.window().wrapping_sub(1);
        let (mut sent_by, mut complete) = (BTreeMap::<(&str, Option<IpAddr>), Sent>::new(), true);
        let lanes = self.lanes.read();
        for (lane, published) in lanes.iter() {
            let Some(lane) = lane.try_lock_for(PUBLISH_PATIENCE) else {
                complete = false;
                continue;
            };
            let Some(of_lane) = lane.senders.of(closed) else { continue };
            complete &= !of_lane.forgot;
            for (sender, sent) in &of_lane.of {
                sent_by.entry((&published.listener, *sender)).or_default().add(*sent);
            }
        }
        let sending = |((listener, sender), sent): ((&str, _), _)| Sending { listener: listener.to_string(), sender, sent };
        (sent_by.into_iter().map(sending).collect(), complete)
    }

    /// Adds every lane's counts to the self-metrics. A lane that is held for longer than a batch takes is left
    /// for the next call: it may be waiting for the cutter, which calls this.
    pub fn publish(&self) {
        for (lane, published) in self.lanes.read().iter() {
            if let Some(mut lane) = lane.try_lock_for(PUBLISH_PATIENCE) {
                published.add(lane.counts());
            }
        }
    }
}
