//! What receivers were told, kept so that a restart repeats nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::decision::Notified;
use crate::alert::labels_fingerprint;
use crate::model::Labels;

/// Fingerprints of a target and of a group's key.
pub type LogKey = (u64, u64);

/// Rows that are new or other than before; `None` takes a row away.
pub type LogChanges = Vec<(LogKey, Option<Vec<u8>>)>;

/// Where a process finds what the one before it told, and keeps what it tells itself.
pub struct NotificationLog {
    /// As they were kept.
    pub rows: Vec<(LogKey, Vec<u8>)>,
    /// Makes changes durable. Called right after a receiver answered; it must not wait.
    pub keep: Box<dyn Fn(LogChanges) + Send>,
}

impl Default for NotificationLog {
    /// Nothing was told, and nothing is kept.
    fn default() -> NotificationLog {
        NotificationLog { rows: Vec::new(), keep: Box::new(|_| {}) }
    }
}

const VERSION: u8 = 1;
/// A row that no alert asks for goes after this.
const KEPT: Duration = Duration::from_secs(120 * 3_600);
/// Rows that are read back, the newest first.
const MAX_ROWS: usize = 100_000;

/// The rows of earlier processes, and what is to be written.
#[derive(Default)]
pub(super) struct Log {
    /// Those whose group this process has not seen the end of.
    earlier: BTreeMap<LogKey, Notified>,
    changes: BTreeMap<LogKey, Option<Vec<u8>>>,
}

impl Log {
    /// Reads rows back at `now` (unix milliseconds). What is too old, too much or unreadable is taken away.
    pub(super) fn new(rows: &[(LogKey, Vec<u8>)], now: i64) -> Log {
        let mut read: Vec<(LogKey, Notified)> = rows.iter().filter_map(|(key, row)| Some((*key, decode(row)?))).collect();
        read.retain(|(_, told)| now.saturating_sub(told.at) < KEPT.as_millis() as i64);
        read.sort_unstable_by_key(|(_, told)| std::cmp::Reverse(told.at));
        read.truncate(MAX_ROWS);
        // A clock that was set back must not silence anyone.
        let earlier: BTreeMap<LogKey, Notified> =
            read.into_iter().map(|(key, told)| (key, Notified { at: told.at.min(now), ..told })).collect();
        let changes = rows.iter().filter(|(key, _)| !earlier.contains_key(key)).map(|(key, _)| (*key, None)).collect();
        Log { earlier, changes }
    }

    /// What an earlier process told a target of a group last.
    pub(super) fn earlier(&self, key: LogKey) -> Option<&Notified> {
        self.earlier.get(&key)
    }

    /// Whether a group of an earlier process is still to be met.
    pub(super) fn has_earlier(&self) -> bool {
        !self.earlier.is_empty()
    }

    pub(super) fn told(&mut self, key: LogKey, told: &Notified) {
        self.earlier.remove(&key);
        self.changes.insert(key, Some(encode(told)));
    }

    pub(super) fn forget(&mut self, key: LogKey) {
        self.earlier.remove(&key);
        self.changes.insert(key, None);
    }

    /// What changed since this was asked last.
    pub(super) fn changes(&mut self) -> LogChanges {
        std::mem::take(&mut self.changes).into_iter().collect()
    }
}

/// The name of a receiver's target, over restarts.
pub(super) fn target_key(receiver: &str, kind: &str, index: usize) -> u64 {
    labels_fingerprint(&Labels::new([("receiver", receiver), (kind, index.to_string().as_str())]))
}

pub(super) fn group_key(key: &str) -> u64 {
    labels_fingerprint(&Labels::new([("group", key)]))
}

/// Version, time, then of firing and of resolved alerts their count and fingerprints; little-endian.
fn encode(told: &Notified) -> Vec<u8> {
    let mut row = vec![VERSION];
    row.extend_from_slice(&told.at.to_le_bytes());
    for alerts in [&told.firing, &told.resolved] {
        row.extend_from_slice(&(alerts.len() as u64).to_le_bytes());
        alerts.iter().for_each(|alert| row.extend_from_slice(&alert.to_le_bytes()));
    }
    row
}

/// Reads it back. `None` for bytes that this version did not write.
fn decode(row: &[u8]) -> Option<Notified> {
    let (&version, row) = row.split_first()?;
    let (words, rest) = row.as_chunks::<8>();
    let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
    let at = words.next()? as i64;
    let mut alerts = || {
        let count = usize::try_from(words.next()?).ok()?;
        let alerts: BTreeSet<u64> = words.by_ref().take(count).collect();
        (alerts.len() == count).then_some(alerts)
    };
    let (firing, resolved) = (alerts()?, alerts()?);
    (version == VERSION && rest.is_empty() && words.next().is_none()).then_some(Notified { at, firing, resolved })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_told_is_read_back_and_damage_refused(at: i64, firing: BTreeSet<u64>, resolved: BTreeSet<u64>, cut: prop::sample::Index) {
            let told = Notified { at, firing, resolved };
            let row = encode(&told);
            prop_assert_eq!(decode(&row[..cut.index(row.len())]), None);
            prop_assert_eq!(decode(&row), Some(told));
        }
    }

    #[test]
    fn what_is_old_or_unreadable_is_taken_away_and_no_time_lies_ahead() {
        let told = |at| encode(&Notified { at, ..Notified::default() });
        let hour = 3_600_000;
        let mut log = Log::new(&[((1, 1), told(0)), ((1, 2), told(10 * hour)), ((1, 3), vec![9]), ((1, 4), told(500 * hour))], 121 * hour);
        assert_eq!((log.earlier((1, 2)).unwrap().at, log.earlier((1, 4)).unwrap().at), (10 * hour, 121 * hour));
        assert_eq!(log.changes(), [((1, 1), None), ((1, 3), None)]);
        log.forget((1, 2));
        assert_eq!(log.earlier((1, 2)), None);
        assert_eq!(log.changes(), [((1, 2), None)]);
        assert!(log.changes().is_empty());
    }
}
