//! `store:` in relay.yaml.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::ByteSize;
use crate::model::units::duration;

/// The local store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
pub struct StoreConfig {
    pub enabled: bool,
    pub tiers: Vec<Tier>,
    pub max_size: ByteSize,
    /// Counters go on after a restart.
    pub persist_totals: bool,
}

impl Default for StoreConfig {
    fn default() -> Self {
        let tier = |step: &str, days: u64| Tier { step: step.to_string(), keep: Duration::from_secs(days * 86_400) };
        StoreConfig {
            enabled: true,
            tiers: vec![tier("raw", 2), tier("1m", 14), tier("1h", 400)],
            max_size: ByteSize(2 << 30),
            persist_totals: true,
        }
    }
}

/// One resolution and how long it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct Tier {
    /// `raw`, `1m` or `1h`.
    pub step: String,
    #[serde(with = "duration")]
    pub keep: Duration,
}
