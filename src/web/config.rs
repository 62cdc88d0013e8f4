//! `http:` and `scrape:` in relay.yaml.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::net::Secret;

/// The HTTP server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
pub struct HttpConfig {
    pub listen: Vec<String>,
    /// A Prometheus web-config file.
    pub web_config: Option<PathBuf>,
    /// Bearer token for POST calls; without it they work from loopback only.
    pub admin: Option<Secret>,
    pub ui: bool,
}

impl Default for HttpConfig {
    fn default() -> Self {
        HttpConfig { listen: vec!["127.0.0.1:9102".to_string()], web_config: None, admin: None, ui: true }
    }
}

/// The scrape page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
pub struct ScrapeConfig {
    pub path: String,
    pub timers: TimerForm,
    pub timers_in: TimerUnit,
    /// Upper bounds of classic histograms, ascending.
    pub buckets: Vec<f64>,
    /// Appends `_total` to counters that lack it.
    pub counter_suffix: bool,
}

impl Default for ScrapeConfig {
    fn default() -> Self {
        ScrapeConfig {
            path: "/metrics".to_string(),
            timers: TimerForm::Summary,
            timers_in: TimerUnit::Seconds,
            buckets: vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0],
            counter_suffix: false,
        }
    }
}

/// How text formats show timers, histograms and distributions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimerForm {
    #[default]
    Summary,
    Histogram,
}

/// The unit of type `ms` on the way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimerUnit {
    #[default]
    Seconds,
    Milliseconds,
}
