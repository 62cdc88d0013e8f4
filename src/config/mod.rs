//! `relay.yaml`: composes the sections that the parts own.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::aggregate::{AggregateConfig, LimitsConfig};
use crate::alert::RulesConfig;
use crate::listen::ListenConfig;
use crate::notify::NotifyConfig;
use crate::probe::CheckConfig;
use crate::shape::ShapeConfig;
use crate::sink::SinkConfig;
use crate::store::StoreConfig;
use crate::telemetry::LogConfig;
use crate::web::{HttpConfig, ScrapeConfig};

/// The whole configuration. `Config::default()` is what runs with no file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Holds `relay.tsdb` and `spool/`; `None` tries the usual places.
    pub data_dir: Option<PathBuf>,
    pub listen: ListenConfig,
    pub shape: ShapeConfig,
    pub limits: LimitsConfig,
    pub aggregate: AggregateConfig,
    pub store: StoreConfig,
    pub http: HttpConfig,
    pub scrape: ScrapeConfig,
    pub sinks: Vec<SinkConfig>,
    pub rules: RulesConfig,
    /// URLs of real Alertmanagers; then the routes stay silent.
    pub alertmanagers: Vec<String>,
    pub notify: NotifyConfig,
    pub checks: Vec<CheckConfig>,
    pub log: LogConfig,
}
