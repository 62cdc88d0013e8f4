//! The memory that series may take, and what was promised of it.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::model::Series;

/// What one series takes in all parts, by measure: its bytes so many times, and a fixed part.
const COPIES: i64 = 4;
const OVERHEAD_BYTES: i64 = 800;
/// More for a sketch.
const SKETCH_BYTES: i64 = 3_500;
/// More for the first series of a name: its family, its claims on the page and its row in the store.
const NAME_COPIES: i64 = 12;
const NAME_BYTES: i64 = 2_000;

/// Bytes a series takes in the end.
pub(super) fn cost_of_series(series: &Series) -> i64 {
    let sketch = if series.kind().is_sketch() { SKETCH_BYTES } else { 0 };
    COPIES * series.allocated_bytes() as i64 + OVERHEAD_BYTES + sketch
}

/// Bytes the first series of a name takes beside its own.
pub(super) fn cost_of_name(name: &str) -> i64 {
    NAME_COPIES * name.len() as i64 + NAME_BYTES
}

/// Bytes that are left for new series, and bytes that those admitted will take.
pub(super) struct Budget {
    /// Bytes that new series may still take; refilled from the size of the process and from what was promised.
    credit: AtomicI64,
    /// Bytes that what is live will take in the end: windows, store and page come to it later.
    promised: AtomicI64,
    /// The same for series outside windows, of the open window and of the one before; by then the process shows them.
    loose: [AtomicI64; 2],
    /// The size of the process without any series.
    bare: AtomicI64,
}

impl Default for Budget {
    /// Without bounds until the first grant.
    fn default() -> Budget {
        Budget { credit: AtomicI64::new(i64::MAX), promised: AtomicI64::new(0), loose: Default::default(), bare: AtomicI64::new(-1) }
    }
}

impl Budget {
    /// Whether nothing is left for what is new.
    pub(super) fn is_spent(&self) -> bool {
        self.credit.load(Ordering::Relaxed) <= 0
    }

    /// Promises bytes out of the credit.
    pub(super) fn charge(&self, bytes: i64) {
        self.credit.fetch_sub(bytes, Ordering::Relaxed);
        self.promise(bytes);
    }

    /// Promises bytes to what stands beside the limits.
    pub(super) fn promise(&self, bytes: i64) {
        self.promised.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes a promise back: what it was made for has left.
    pub(super) fn release(&self, bytes: i64) {
        self.promised.fetch_sub(bytes, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(super) fn promised(&self) -> i64 {
        self.promised.load(Ordering::Relaxed)
    }

    /// Takes bytes for a series outside windows.
    pub(super) fn charge_loose(&self, bytes: i64) {
        self.credit.fetch_sub(bytes, Ordering::Relaxed);
        self.loose[0].fetch_add(bytes, Ordering::Relaxed);
    }

    /// Notes that a window was cut: what was loose in it is on its way to the store.
    pub(super) fn turn(&self) {
        self.loose[1].store(self.loose[0].swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Sets the credit until the next call: the limit less what the process takes, or will take once all parts hold
    /// what was admitted.
    pub(super) fn grant(&self, limit_bytes: u64, resident_bytes: u64) {
        let (limit, resident) = (bounded(limit_bytes), bounded(resident_bytes));
        let promised = self.promised.load(Ordering::Relaxed);
        if self.bare.load(Ordering::Relaxed) < 0 {
            self.bare.store((resident - promised).max(0), Ordering::Relaxed);
        }
        let loose: i64 = self.loose.iter().map(|loose| loose.load(Ordering::Relaxed)).sum();
        let taken = resident.max(self.bare.load(Ordering::Relaxed) + promised) + loose;
        // An eighth is kept for windows in flight, the page, and what the allocator holds back.
        self.credit.store(limit - limit / 8 - taken, Ordering::Relaxed);
    }
}

fn bounded(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX / 4)
}
