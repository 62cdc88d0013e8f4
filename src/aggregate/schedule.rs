//! When the next window ends, also while the wall clock misbehaves.

/// Cuts fall on multiples of the interval. A window's end is greater than every earlier one.
#[derive(Debug)]
pub struct Schedule {
    interval: i64,
    /// Wall time of the next cut.
    due: i64,
    /// How far ahead of the wall clock a cut may be before the clock must have gone back.
    patience: i64,
    /// End of the last window that was cut, or that an earlier process cut.
    last: i64,
    /// Whether this process cut it.
    cut_before: bool,
}

/// A window that is due. Milliseconds.
#[derive(Debug, PartialEq, Eq)]
pub struct Due {
    /// Its end, unix time.
    pub end: i64,
    /// The interval, or the multiple of it that has gone by since the last cut.
    pub length: i64,
    /// The wall clock had gone back over windows already cut, so the end is ahead of it.
    pub stepped: bool,
}

impl Schedule {
    /// `last` is the end of the last window an earlier process cut. Milliseconds.
    pub fn new(interval: i64, now: i64, last: Option<i64>) -> Schedule {
        let last = last.unwrap_or(i64::MIN / 2);
        let next = next_multiple(interval, now);
        // What arrives in the rest of a bucket that was sent joins the following one. A last window far ahead
        // means that the clock was wrong then: waiting for it could take years.
        let due = if last + interval <= next + 2 * interval { next.max(last + interval) } else { next };
        Schedule { interval, due, patience: 3 * interval, last, cut_before: false }
    }

    /// Milliseconds until the next cut.
    pub fn wait(&self, now: i64) -> i64 {
        (self.due - now).clamp(0, self.interval)
    }

    /// The window that ended by now, if one did.
    pub fn due(&mut self, now: i64) -> Option<Due> {
        if self.due - now > self.patience {
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
        let end = if stepped { self.last + self.interval } else { end };
        let length = if self.cut_before && !stepped { end - self.last } else { self.interval };
        (self.last, self.cut_before, self.patience) = (end, true, 2 * self.interval);
        // A label that ran ahead of the clock is overtaken by leaving out every other cut.
        self.due = next_multiple(self.interval, now) + if end > now { self.interval } else { 0 };
        Due { end, length, stepped }
    }
}

fn next_multiple(interval: i64, now: i64) -> i64 {
    (now.div_euclid(interval) + 1) * interval
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(end: i64, length: i64, stepped: bool) -> Option<Due> {
        Some(Due { end, length, stepped })
    }

    #[test]
    fn windows_end_on_multiples() {
        let mut schedule = Schedule::new(10_000, 12_345, None);
        assert_eq!(schedule.wait(12_345), 7_655);
        assert_eq!(schedule.due(19_999), None);
        assert_eq!(schedule.due(20_003), due(20_000, 10_000, false));
        assert_eq!(schedule.due(29_999), None);
        assert_eq!(schedule.due(30_000), due(30_000, 10_000, false));
    }

    #[test]
    fn a_bucket_that_was_sent_is_not_sent_again() {
        let mut schedule = Schedule::new(10_000, 12_345, Some(20_000));
        assert_eq!(schedule.due(25_000), None);
        assert_eq!(schedule.due(30_000), due(30_000, 10_000, false));
    }

    #[test]
    fn a_late_window_has_its_true_length() {
        let mut schedule = Schedule::new(10_000, 0, None);
        assert_eq!(schedule.due(10_000), due(10_000, 10_000, false));
        assert_eq!(schedule.due(3_600_004), due(3_600_000, 3_590_000, false));
        assert_eq!(schedule.due(3_600_005), None);
        assert_eq!(schedule.due(3_610_000), due(3_610_000, 10_000, false));
    }

    #[test]
    fn a_step_back_never_repeats_a_window_and_its_lead_shrinks() {
        let mut schedule = Schedule::new(10_000, 1_000_000, None);
        assert_eq!(schedule.due(1_010_000), due(1_010_000, 10_000, false));
        assert_eq!(schedule.due(500_001), None);
        assert!(schedule.wait(500_001) <= 10_000);
        assert_eq!(schedule.due(510_000), due(1_020_000, 10_000, true));
        assert_eq!(schedule.due(520_000), None);
        assert_eq!(schedule.due(530_000), due(1_030_000, 10_000, true));
    }

    #[test]
    fn the_last_window_is_its_bucket() {
        let mut schedule = Schedule::new(10_000, 1_000, None);
        assert_eq!(schedule.last_cut(4_000), Due { end: 10_000, length: 10_000, stepped: false });
        let mut next = Schedule::new(10_000, 4_500, Some(10_000));
        assert_eq!(next.due(10_000), None);
        assert_eq!(next.due(20_000), due(20_000, 10_000, false));
        assert_eq!(schedule.last_cut(10_000), Due { end: 20_000, length: 10_000, stepped: true });
    }

    #[test]
    fn restarts_within_one_window_catch_up_with_the_clock() {
        let mut last = None;
        let mut now = 101_000;
        for _ in 0..8 {
            let mut schedule = Schedule::new(10_000, now, last);
            last = Some(schedule.last_cut(now + 900).end);
            now += 1_000;
        }
        assert_eq!(last, Some(180_000));
        let mut schedule = Schedule::new(10_000, now, last);
        let mut behind = 0;
        for second in 0..240 {
            let now = now + second * 1_000;
            if let Some(due) = schedule.due(now) {
                behind = due.end - now;
            }
        }
        assert!(behind <= 0, "{behind}");
    }
}
