//! Rules: Prometheus rule files evaluated on closed windows.
//!
//! ```text
//! texts -> RuleSet::new -> Engine;   Engine + window's end + Select -> series written, alerts to tell of
//! ```

mod config;
mod engine;
mod fingerprint;
mod group;
mod rules;
mod saved;
mod state;
mod status;
mod template;

pub use config::{Bundle, RulesConfig};
pub use engine::{Engine, Evaluation, Failure, Settings};
pub use fingerprint::of_labels as labels_fingerprint;
pub use rules::{Action, Alerting, Group, Rule, RuleError, RuleSet};
pub use saved::SavedAlert;
pub use status::{GroupStatus, RuleHealth, RuleKind, RuleStatus};
