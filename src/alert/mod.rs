//! Rules: Prometheus rule files evaluated on closed windows.

mod config;
mod status;

pub use config::{Bundle, RulesConfig};
pub use status::{GroupStatus, RuleHealth, RuleKind, RuleStatus};
