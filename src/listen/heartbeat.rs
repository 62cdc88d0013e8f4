//! Progress that others can see.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Shows that a socket is being polled.
#[derive(Clone, Debug, Default)]
pub struct Heartbeat(Arc<AtomicU64>);

impl Heartbeat {
    /// Polls so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
