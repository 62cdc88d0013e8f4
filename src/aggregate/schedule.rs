//! When the next window ends, also while the wall clock misbehaves.

/// Cuts fall on multiples of the interval. A window's end is greater than every earlier one.
#[derive(Debug)]
pub struct Schedule {
    interval: i64,
    /// Wall time of the next cut.
    due: i64,
    /// End of the last window that was cut, or that an earlier process cut.
    last: i64,
}

/// A window that is due.
#[derive(Debug, PartialEq, Eq)]
pub struct Due {
    /// Its end, unix milliseconds.
    pub end: i64,
    /// The wall clock had gone back over windows already cut, so the end is ahead of it.
    pub stepped: bool,
}

impl Schedule {
    /// `last` is the end of the last window an earlier process cut. Milliseconds.
    pub fn new(interval: i64, now: i64, last: Option<i64>) -> Schedule {
        let last = last.unwrap_or(i64::MIN / 2);
        let due = next_multiple(interval, now);
        // What arrives in the rest of a bucket that was sent joins the following one. A last window far
        // ahead means that the clock was wrong then: waiting for it could take years.
        let due = if last >= due && last < due + 2 * interval { last + interval } else { due };
        Schedule { interval, due, last }
    }

    /// Milliseconds until the next cut.
    pub fn wait(&self, now: i64) -> i64 {
        (self.due - now).clamp(0, self.interval)
    }

    /// The window that ended by now, if one did.
    pub fn due(&mut self, now: i64) -> Option<Due> {
        // After a step back the next cut is at the next multiple, at most two intervals away.
        if self.due - now > 2 * self.interval {
            self.due = next_multiple(self.interval, now);
        }
        (now >= self.due).then(|| self.close(now.div_euclid(self.interval) * self.interval, now))
    }

    /// Ends the open window early, as the bucket it lies in.
    pub fn last_cut(&mut self, now: i64) -> Due {
        self.close(next_multiple(self.interval, now - 1), now)
    }

    fn close(&mut self, end: i64, now: i64) -> Due {
        let stepped = end <= self.last;
        self.last = if stepped { self.last + self.interval } else { end };
        self.due = next_multiple(self.interval, now);
        Due { end: self.last, stepped }
    }
}

fn next_multiple(interval: i64, now: i64) -> i64 {
    (now.div_euclid(interval) + 1) * interval
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(end: i64, stepped: bool) -> Option<Due> {
        Some(Due { end, stepped })
    }

    #[test]
    fn windows_end_on_multiples() {
        let mut schedule = Schedule::new(10_000, 12_345, None);
        assert_eq!(schedule.wait(12_345), 7_655);
        assert_eq!(schedule.due(19_999), None);
        assert_eq!(schedule.due(20_003), due(20_000, false));
        assert_eq!(schedule.due(29_999), None);
        assert_eq!(schedule.due(30_000), due(30_000, false));
    }

    #[test]
    fn a_bucket_that_was_sent_is_not_sent_again() {
        let mut schedule = Schedule::new(10_000, 12_345, Some(20_000));
        assert_eq!(schedule.due(25_000), None);
        assert_eq!(schedule.due(30_000), due(30_000, false));
    }

    #[test]
    fn a_jump_ahead_gives_one_late_window() {
        let mut schedule = Schedule::new(10_000, 0, None);
        assert_eq!(schedule.due(3_600_004), due(3_600_000, false));
        assert_eq!(schedule.due(3_600_005), None);
        assert_eq!(schedule.due(3_610_000), due(3_610_000, false));
    }

    #[test]
    fn a_step_back_never_repeats_a_window() {
        let mut schedule = Schedule::new(10_000, 1_000_000, None);
        assert_eq!(schedule.due(1_010_000), due(1_010_000, false));
        assert_eq!(schedule.due(500_001), None);
        assert!(schedule.wait(500_001) <= 10_000);
        assert_eq!(schedule.due(510_000), due(1_020_000, true));
        assert_eq!(schedule.due(520_000), due(1_030_000, true));
    }

    #[test]
    fn the_last_window_is_its_bucket() {
        let mut schedule = Schedule::new(10_000, 1_000, None);
        assert_eq!(schedule.last_cut(4_000), Due { end: 10_000, stepped: false });
        let mut next = Schedule::new(10_000, 4_500, Some(10_000));
        assert_eq!(next.due(10_000), None);
        assert_eq!(next.due(20_000), due(20_000, false));
        assert_eq!(schedule.last_cut(10_000), Due { end: 20_000, stepped: true });
    }
}
