//! What a query may still take: memory for samples, and time.

use std::cell::Cell;
use std::time::Instant;

use super::{ByteSize, SelectError};

/// Memory and time of one query, shared by all it reads.
#[derive(Debug)]
pub struct Room {
    /// Bytes there are in all.
    most: usize,
    taken: Cell<usize>,
    full: Cell<bool>,
    deadline: Option<Instant>,
}

impl Default for Room {
    /// What one query may take, without a deadline.
    fn default() -> Room {
        Room::new(Room::OF_A_QUERY, None)
    }
}

impl Room {
    /// Bytes of samples one query may hold.
    pub const OF_A_QUERY: usize = 500 << 20;

    /// Room for so many bytes until the deadline.
    pub fn new(most: usize, deadline: Option<Instant>) -> Room {
        Room { most, taken: Cell::new(0), full: Cell::new(false), deadline }
    }

    /// Takes bytes, also beyond what there is: from then on it is full.
    pub fn take(&self, bytes: usize) {
        let taken = self.taken.get().saturating_add(bytes);
        self.taken.set(taken);
        self.full.set(self.full.get() || taken > self.most);
    }

    /// Gives bytes back. What was full stays so: something is missing already.
    pub fn give(&self, bytes: usize) {
        self.taken.set(self.taken.get().saturating_sub(bytes));
    }

    /// Bytes taken and not given back.
    pub fn taken(&self) -> usize {
        self.taken.get()
    }

    /// Whether more was taken than there is.
    pub fn is_full(&self) -> bool {
        self.full.get()
    }

    /// The error when it is full or its time is over.
    pub fn check(&self, now: Instant) -> Result<(), SelectError> {
        match self.deadline {
            _ if self.is_full() => Err(SelectError::TooManyBytes(ByteSize(self.most as u64))),
            Some(deadline) if now >= deadline => Err(SelectError::Timeout),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a deadline needs a point to be after")]
    fn what_was_full_stays_full_and_time_runs_out_at_the_deadline() {
        let now = Instant::now();
        let room = Room::new(10, Some(now + Duration::from_secs(1)));
        room.take(10);
        assert!(room.check(now).is_ok());
        assert!(matches!(room.check(now + Duration::from_secs(1)), Err(SelectError::Timeout)));
        room.take(1);
        room.give(11);
        assert_eq!(room.taken(), 0);
        let full = room.check(now).unwrap_err().to_string();
        assert_eq!(full, "the query needs more than 10 of memory for samples; shorten its range or narrow its matchers");
    }
}
