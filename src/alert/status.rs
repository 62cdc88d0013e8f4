//! What the rule engine shows of itself.

use std::time::Duration;

use crate::model::{Alert, AlertState, Labels};

/// One group of a rule file.
#[derive(Clone, Debug)]
pub struct GroupStatus {
    pub name: String,
    pub file: String,
    pub interval: Duration,
    /// Instances a rule may have; zero is no bound.
    pub limit: usize,
    pub evaluation_time: Duration,
    /// Unix milliseconds.
    pub last_evaluation: Option<i64>,
    pub rules: Vec<RuleStatus>,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct RuleStatus {
    pub name: String,
    /// The expression, as the printer writes it.
    pub query: String,
    pub labels: Labels,
    pub kind: RuleKind,
    pub health: RuleHealth,
    pub last_error: Option<String>,
    pub evaluation_time: Duration,
    /// Unix milliseconds.
    pub last_evaluation: Option<i64>,
}

#[derive(Clone, Debug)]
pub enum RuleKind {
    Recording,
    Alerting {
        /// The worst state of its alerts.
        state: AlertState,
        /// The rule's `for`.
        hold: Duration,
        keep_firing_for: Duration,
        annotations: Labels,
        /// Pending and firing.
        alerts: Vec<Alert>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleHealth {
    /// Never evaluated.
    Unknown,
    Ok,
    Err,
}
