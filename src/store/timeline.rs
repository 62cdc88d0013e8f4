//! The times of slots: of the hour that is open and of the one before.

/// Length of a partition in milliseconds.
pub(super) const PARTITION_MS: i64 = 3_600_000;
/// Slots an hour may have: the shortest interval needs 3,601.
const SLOTS: usize = 60_000;

/// The partition a sample at `at` (unix milliseconds) belongs to; they are open on the left.
pub(super) const fn partition_of(at: i64) -> i64 {
    (at - 1).div_euclid(PARTITION_MS)
}

/// Ascending times in two partitions.
#[derive(Clone, Debug, Default)]
pub(super) struct Timeline {
    /// Nothing up to here was read back at the start.
    pub(super) from: i64,
    partition: Option<i64>,
    before: Option<i64>,
    pub(super) now_times: Vec<i64>,
    pub(super) before_times: Vec<i64>,
}

impl Timeline {
    /// One that is told nothing up to `from`.
    pub(super) fn since(from: i64) -> Timeline {
        Timeline { from, ..Timeline::default() }
    }

    /// Opens the partition of `at` when it is a later one; true when it did.
    pub(super) fn turn(&mut self, at: i64) -> bool {
        let partition = partition_of(at);
        if self.partition.is_some_and(|open| open >= partition) {
            return false;
        }
        self.before = self.partition.replace(partition);
        self.before_times = std::mem::take(&mut self.now_times);
        true
    }

    /// Lets go of the earlier partition once the open one reaches `reach` back from `at`; true when it did.
    pub(super) fn let_go(&mut self, at: i64, reach: i64) -> bool {
        let done = self.partition.is_some_and(|open| at - open * PARTITION_MS >= reach);
        let held = done && self.before.take().is_some();
        if held {
            self.before_times = Vec::new();
        }
        held
    }

    /// The slot of `at` in the open partition, a new one if it is later than all; `None` for the past.
    pub(super) fn slot(&mut self, at: i64) -> Option<u16> {
        if self.partition != Some(partition_of(at)) {
            return None;
        }
        if self.now_times.last().is_none_or(|&last| last < at) && self.now_times.len() < SLOTS {
            self.now_times.push(at);
        }
        self.now_times.binary_search(&at).ok().and_then(|slot| u16::try_from(slot).ok())
    }

    /// Everything later than this is in memory.
    pub(super) fn covered_from(&self) -> i64 {
        self.before.or(self.partition).map_or(i64::MAX, |partition| self.from.max(partition * PARTITION_MS))
    }

    /// The last time.
    #[cfg(test)]
    pub(super) fn last(&self) -> Option<i64> {
        self.now_times.last().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_ends_with_its_last_window() {
        let mut line = Timeline::default();
        assert_eq!(line.covered_from(), i64::MAX);
        assert!(line.turn(10_000));
        assert_eq!((line.slot(10_000), line.slot(20_000), line.slot(10_000), line.slot(15_000)), (Some(0), Some(1), Some(0), None));
        assert!(!line.turn(PARTITION_MS));
        assert_eq!(line.slot(PARTITION_MS), Some(2));
        assert!(line.turn(PARTITION_MS + 1));
        assert_eq!((line.slot(PARTITION_MS), line.slot(PARTITION_MS + 1)), (None, Some(0)));
        assert_eq!((line.covered_from(), line.before_times.len(), line.last()), (0, 3, Some(PARTITION_MS + 1)));
        assert!(!line.let_go(PARTITION_MS + 999, 1_000));
        assert!(line.let_go(PARTITION_MS + 1_000, 1_000) && !line.let_go(PARTITION_MS + 1_001, 1_000));
        assert_eq!((line.covered_from(), line.before_times.len(), line.last()), (PARTITION_MS, 0, Some(PARTITION_MS + 1)));
    }
}
