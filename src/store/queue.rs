//! Windows that wait for their commit, within a bound.

use std::collections::VecDeque;
use std::sync::Arc;

use super::role::Number;

/// Bytes that may wait while the disk is sick.
const BYTES: usize = 64 << 20;

/// A sample with a time of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct OwnTime {
    /// Unix seconds.
    pub(super) at: u64,
    pub(super) number: Number,
    /// A gain of a counter, or a gauge's value.
    pub(super) value: f64,
}

/// What one call left to be written.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// End of the window, or the time of what a rule recorded.
    pub(super) at: i64,
    pub(super) is_window: bool,
    pub(super) parts: Vec<Vec<u8>>,
    pub(super) stamped: Vec<OwnTime>,
    /// Arrival in unix milliseconds, and the note's bytes.
    pub(super) notes: Vec<(i64, Vec<u8>)>,
}

impl Pending {
    fn bytes(&self) -> usize {
        let parts: usize = self.parts.iter().map(Vec::len).sum();
        let notes: usize = self.notes.iter().map(|(_, note)| note.len() + 32).sum();
        parts + notes + self.stamped.len() * size_of::<OwnTime>()
    }
}

/// First in, first written.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Arc<Pending>>,
    bytes: usize,
}

impl Queue {
    /// False when there is no room: what is refused is lost to the disk, and what waits stays whole.
    pub(super) fn push(&mut self, pending: Pending) -> bool {
        let bytes = pending.bytes();
        if self.bytes + bytes > BYTES && !self.waiting.is_empty() {
            return false;
        }
        self.bytes += bytes;
        self.waiting.push_back(Arc::new(pending));
        true
    }

    pub(super) fn all(&self) -> Vec<Arc<Pending>> {
        self.waiting.iter().cloned().collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Pending> {
        self.waiting.iter().map(Arc::as_ref)
    }

    /// Forgets the first `n`, which are on disk.
    pub(super) fn written(&mut self, n: usize) {
        for pending in self.waiting.drain(..n.min(self.waiting.len())) {
            self.bytes -= pending.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_refuses_and_takes_again_once_written() {
        let mut queue = Queue::default();
        let window = || Pending { parts: vec![vec![0; BYTES / 2]], is_window: true, ..Pending::default() };
        assert!(queue.push(window()) && queue.push(window()));
        assert!(!queue.push(window()));
        assert_eq!(queue.all().len(), 2);
        queue.written(1);
        assert!(queue.push(window()));
    }
}
