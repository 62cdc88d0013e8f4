//! What is deleted, and when.

use std::time::Duration;

use super::StoreConfig;
use super::tables::Tables;
use super::timeline::partition_of;

/// How long things are kept, in milliseconds, and how large the file may be, in bytes.
#[derive(Debug)]
pub(super) struct Retention {
    samples: i64,
    notes: i64,
    pub(super) max_size: u64,
    /// The partition of the oldest time kept when this was last seen to.
    cleaned: i64,
}

impl Retention {
    pub(super) fn new(config: &StoreConfig) -> Retention {
        let keep = |step: &str| config.tiers.iter().find(|tier| tier.step == step).map(|tier| milliseconds(tier.keep));
        let samples = keep("raw").unwrap_or(i64::MAX / 2);
        let notes = keep("1m").unwrap_or(samples);
        Retention { samples, notes: notes.max(samples), max_size: config.max_size.0, cleaned: i64::MIN }
    }

    /// Deletes what is too old; answers since when notes are kept, in unix milliseconds.
    ///
    /// The time is that of the last window, or the clock's if it is before that. It is believed once the file
    /// has windows of the two hours before it: a leap of the clock deletes nothing.
    pub(super) fn expire(&mut self, tables: &mut Tables<'_>, through: i64, now_ms: i64) -> Result<i64, redb::Error> {
        let time = now_ms.min(through);
        let oldest = (time - self.samples).max(0);
        if partition_of(oldest) == self.cleaned || !tables.has_hours_before(partition_of(time))? {
            return Ok(0);
        }
        self.cleaned = partition_of(oldest);
        // The hour of the last window stays: it says where every total stands.
        tables.forget_frames(partition_of(oldest).min(partition_of(through)))?;
        tables.forget_stamped(oldest)?;
        Ok((time - self.notes).max(0))
    }
}

fn milliseconds(keep: Duration) -> i64 {
    i64::try_from(keep.as_millis()).unwrap_or(i64::MAX / 2).min(i64::MAX / 2)
}
