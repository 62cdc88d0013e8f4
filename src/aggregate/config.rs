//! `aggregate:` and `limits:` in relay.yaml.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Limit;
use crate::model::ByteSize;
use crate::model::units::duration;

/// How samples become windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
pub struct AggregateConfig {
    /// Window length, at least 1 s, aligned to the epoch.
    #[serde(with = "duration")]
    pub interval: Duration,
    /// Idle series leave after this; zero keeps them for good.
    #[serde(with = "duration")]
    pub expire: Duration,
    /// Quantiles of summaries, each inside (0, 1).
    pub percentiles: Vec<f64>,
}

impl Default for AggregateConfig {
    fn default() -> Self {
        AggregateConfig { interval: Duration::from_secs(10), expire: Duration::from_secs(3_600), percentiles: vec![0.5, 0.9, 0.95, 0.99] }
    }
}

/// What series may cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
pub struct LimitsConfig {
    pub series: usize,
    pub series_per_metric: usize,
    pub tags_per_series: usize,
    /// Name and tags of one series.
    pub key_bytes: usize,
    /// Process memory at which new series are refused.
    pub memory: ByteSize,
    pub on_limit: OnLimit,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        LimitsConfig {
            series: 1_000_000,
            series_per_metric: 50_000,
            tags_per_series: 100,
            key_bytes: 4_096,
            memory: ByteSize(1 << 30),
            on_limit: OnLimit::Overflow,
        }
    }
}

impl LimitsConfig {
    /// The limit that a series with this identity meets whatever else is live.
    pub fn met_by(&self, name: &str, tags: &[&str]) -> Option<Limit> {
        if tags.len() > self.tags_per_series {
            return Some(Limit::TagsPerSeries);
        }
        (LimitsConfig::key_bytes_of(name, tags) > self.key_bytes).then_some(Limit::KeyBytes)
    }

    /// What counts against `key_bytes`: name, tags, and a byte between them.
    pub fn key_bytes_of(name: &str, tags: &[&str]) -> usize {
        name.len() + tags.iter().map(|tag| tag.len() + 1).sum::<usize>()
    }
}

/// What becomes of samples of a series that a limit refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnLimit {
    /// Into one series of that name tagged `overflow:true`, if the name has a series; else shed.
    #[default]
    Overflow,
    Drop,
}
