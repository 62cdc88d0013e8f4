//! Whether a series has its place: what lanes and cutter agree on without a lock. The only synchronisation that is
//! made by hand.

use std::sync::atomic::{AtomicU32, Ordering};

/// In place of a window: the series has left, and whoever holds its handle must resolve it again.
const GONE: u32 = u32::MAX;

/// What a gate is made of: the standard library's atomic, or a model checker's.
pub(super) trait Word {
    fn new(value: u32) -> Self;
    fn load(&self, order: Ordering) -> u32;
    fn swap(&self, value: u32, order: Ordering) -> u32;
    fn fetch_max(&self, value: u32, order: Ordering) -> u32;
    fn compare_exchange(&self, current: u32, new: u32, success: Ordering, failure: Ordering) -> Result<u32, u32>;
}

/// Has every method of [`Word`] done by the type's own of that name.
macro_rules! word {
    ($atomic:ty) => {
        impl Word for $atomic {
            fn new(value: u32) -> Self {
                <$atomic>::new(value)
            }
            fn load(&self, order: Ordering) -> u32 {
                <$atomic>::load(self, order)
            }
            fn swap(&self, value: u32, order: Ordering) -> u32 {
                <$atomic>::swap(self, value, order)
            }
            fn fetch_max(&self, value: u32, order: Ordering) -> u32 {
                <$atomic>::fetch_max(self, value, order)
            }
            fn compare_exchange(&self, current: u32, new: u32, success: Ordering, failure: Ordering) -> Result<u32, u32> {
                <$atomic>::compare_exchange(self, current, new, success, failure)
            }
        }
    };
}

word!(AtomicU32);

/// The last window a lane met a series in, until the series leaves.
///
/// A lane meets a series before its first record of a window, and resolves it again when it has left. The cutter looks
/// at the gate, and lets the series go only if nobody met it since: then takes it from the maps, then frees its slot.
pub(super) struct Gate<W = AtomicU32>(W);

impl<W: Word> Gate<W> {
    /// The gate of a series that nobody met.
    pub(super) fn new() -> Gate<W> {
        Gate(W::new(0))
    }

    /// Notes that a lane met the series in `window`. False when it has left.
    pub(super) fn meet(&self, window: u32) -> bool {
        self.0.fetch_max(window, Ordering::AcqRel) != GONE
    }

    /// The last window a lane met it in; [`u32::MAX`] when it has left.
    pub(super) fn last_met(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    /// Closes the gate unless a lane met the series after `seen`. True when this call closed it.
    pub(super) fn leave(&self, seen: u32) -> bool {
        self.0.compare_exchange(seen, GONE, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Closes the gate whoever met the series. The last window a lane met it in, when this call closed it.
    pub(super) fn close(&self) -> Option<u32> {
        Some(self.0.swap(GONE, Ordering::AcqRel)).filter(|&met| met != GONE)
    }

    /// Whether it is closed.
    pub(super) fn is_closed(&self) -> bool {
        self.last_met() == GONE
    }
}

#[cfg(test)]
mod tests;
