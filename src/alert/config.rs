//! `rules:` in relay.yaml.

use serde::{Deserialize, Serialize};

/// Which rules are evaluated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
pub struct RulesConfig {
    /// Globs of Prometheus rule files.
    pub files: Vec<String>,
    pub bundled: Vec<Bundle>,
}

impl Default for RulesConfig {
    fn default() -> Self {
        RulesConfig { files: Vec::new(), bundled: vec![Bundle::SelfMonitoring] }
    }
}

/// Rules that ship inside the binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bundle {
    #[serde(rename = "self")]
    SelfMonitoring,
    Sentry,
    Web,
    Anomaly,
}
