//! Whether a receiver is to hear of a group.

use std::collections::BTreeSet;
use std::time::Duration;

/// Why a notification is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    First,
    NewFiring,
    AllResolved,
    NewResolved,
    Repeat,
}

impl Reason {
    /// In Alertmanager's words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::First => "first notification",
            Reason::NewFiring => "new alerts in group",
            Reason::AllResolved => "all alerts resolved",
            Reason::NewResolved => "new resolved alerts",
            Reason::Repeat => "repeat interval elapsed",
        }
    }
}

/// What a receiver was told last. Alerts by the fingerprint of their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Notified {
    /// Unix milliseconds.
    pub(super) at: i64,
    pub(super) firing: BTreeSet<u64>,
    pub(super) resolved: BTreeSet<u64>,
}

/// Whether a receiver is to hear of a group: a function of what it heard last and what is so at `now.at`.
pub(super) fn decide(last: Option<&Notified>, now: &Notified, send_resolved: bool, repeat: Duration) -> Option<Reason> {
    let Some(last) = last else { return (!now.firing.is_empty()).then_some(Reason::First) };
    if !now.firing.is_subset(&last.firing) {
        return Some(Reason::NewFiring);
    }
    if now.firing.is_empty() {
        // Without a resolved one, those it was told of are inhibited now.
        return (send_resolved && !last.firing.is_empty() && !now.resolved.is_empty()).then_some(Reason::AllResolved);
    }
    if send_resolved && !now.resolved.is_subset(&last.resolved) {
        return Some(Reason::NewResolved);
    }
    (now.at - last.at >= repeat.as_millis() as i64).then_some(Reason::Repeat)
}
