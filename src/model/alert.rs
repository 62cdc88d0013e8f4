//! One instance of an alerting rule.

use super::Labels;

/// Where an instance stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertState {
    /// Not there, or gone for good.
    Inactive,
    /// Seen, but not yet for as long as the rule's `for`.
    Pending,
    Firing,
    /// Was firing and ended; kept for a while so that receivers hear of it.
    Resolved,
}

impl AlertState {
    pub const fn as_str(self) -> &'static str {
        match self {
            AlertState::Inactive => "inactive",
            AlertState::Pending => "pending",
            AlertState::Firing => "firing",
            AlertState::Resolved => "resolved",
        }
    }
}

/// An alert as rules make it and receivers get it. Times are unix milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// With `alertname`.
    pub labels: Labels,
    pub annotations: Labels,
    pub state: AlertState,
    /// When the expression first held.
    pub active_at: i64,
    pub fired_at: Option<i64>,
    pub resolved_at: Option<i64>,
    /// Since when `keep_firing_for` alone keeps it firing.
    pub keep_since: Option<i64>,
    /// The expression's value at the last evaluation.
    pub value: f64,
}
