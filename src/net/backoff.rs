//! How long to leave a sick receiver alone.

use std::time::Duration;

const BASE_SECONDS: f64 = 2.0;
const MAX_SECONDS: f64 = 64.0;
/// Errors beyond which the wait does not grow: floor(log2(max / base)) + 1.
const MAX_ERRORS: u32 = 6;
/// A success takes back this many errors, so that a receiver that limps is not stormed.
const RECOVERY: u32 = 2;

/// Counts errors and turns them into waits: 2-4 s, 4-8 s, ... 32-64 s, then 64 s.
#[derive(Debug, Default)]
pub struct Backoff {
    errors: u32,
}

impl Backoff {
    /// A receiver may ask for at most this with `Retry-After`.
    pub const LONGEST_ASKED: Duration = Duration::from_secs(640);

    /// Notes a failure. How long to wait before the next attempt.
    pub fn failed(&mut self) -> Duration {
        self.errors = (self.errors + 1).min(MAX_ERRORS);
        self.wait()
    }

    /// Notes a success. How long to wait before the next request; zero once recovered.
    pub fn succeeded(&mut self) -> Duration {
        self.errors = self.errors.saturating_sub(RECOVERY);
        if self.errors == 0 { Duration::ZERO } else { self.wait() }
    }

    fn wait(&self) -> Duration {
        let longest = BASE_SECONDS * f64::from(self.errors).exp2();
        if longest > MAX_SECONDS {
            return Duration::from_secs_f64(MAX_SECONDS);
        }
        Duration::from_secs_f64(longest / 2.0 * (1.0 + fastrand::f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_to_a_minute_and_fall_with_successes() {
        let mut backoff = Backoff::default();
        for (low, high) in [(2, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 64), (64, 64)] {
            let wait = backoff.failed().as_secs_f64();
            assert!((f64::from(low)..=f64::from(high)).contains(&wait), "{wait} is not in {low}-{high}");
        }
        let waits: Vec<f64> = (0..3).map(|_| backoff.succeeded().as_secs_f64()).collect();
        assert!((16.0..=32.0).contains(&waits[0]) && (4.0..=8.0).contains(&waits[1]) && waits[2] == 0.0, "{waits:?}");
    }
}
