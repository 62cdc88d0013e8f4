//! The only place that reads the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Wall time and monotonic time, from the system or from a test.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// The machine's clocks.
    pub fn system() -> Clock {
        Clock(None)
    }

    /// A clock that stands at `now` (unix milliseconds) until it is set.
    pub fn manual(now: i64) -> Clock {
        Clock(Some(Arc::new(AtomicI64::new(now))))
    }

    /// Moves a manual clock; no effect on the system's.
    pub fn set(&self, now: i64) {
        if let Some(manual) = &self.0 {
            manual.store(now, Ordering::Release);
        }
    }

    /// Unix milliseconds.
    #[allow(clippy::disallowed_methods, reason = "the one reader of the wall clock")]
    pub fn now_ms(&self) -> i64 {
        match &self.0 {
            Some(manual) => manual.load(Ordering::Acquire),
            None => match SystemTime::now().duration_since(UNIX_EPOCH) {
                Ok(since) => since.as_millis() as i64,
                Err(before) => -(before.duration().as_millis() as i64),
            },
        }
    }

    /// A point of the monotonic clock, for spans. Not affected by a manual clock.
    #[allow(clippy::disallowed_methods, reason = "the one reader of the monotonic clock")]
    pub fn instant(&self) -> Instant {
        Instant::now()
    }
}
