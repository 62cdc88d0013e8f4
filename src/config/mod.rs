//! `relay.yaml`: composes the sections that the parts own, and finds what is wrong with them.
//!
//! ```text
//! file ──► yaml (guards, places) ──► + environment ──► + flags ──► typed Config
//!                                                                     │ paths     relative to where they were written
//!                                                                     │ validate  what types cannot say
//!                                                                     ▼ not_built what has no effect yet
//!                                                                   Loaded
//! ```

mod error;
mod load;
mod not_built;
mod rules;
mod secrets;
mod typing;
mod validate;
mod yaml;

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};

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

pub use error::{ConfigError, Finding, Place};
pub use load::{DEFAULT_FILE, Loaded, Sources, load, parse};
pub use not_built::not_built_yet;
pub use rules::{load_rules, read_text};
pub use yaml::to_yaml;

/// The reference: every key with its default and what it does.
pub const REFERENCE: &str = include_str!("../../relay.yaml");

/// The whole configuration. `Config::default()` is what runs with no file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a mapping of sections")]
pub struct Config {
    /// Holds `relay.tsdb` and `spool/`; `None` tries the usual places.
    pub data_dir: Option<PathBuf>,
    #[serde(deserialize_with = "section")]
    pub listen: ListenConfig,
    #[serde(deserialize_with = "section")]
    pub shape: ShapeConfig,
    #[serde(deserialize_with = "section")]
    pub limits: LimitsConfig,
    #[serde(deserialize_with = "section")]
    pub aggregate: AggregateConfig,
    #[serde(deserialize_with = "section")]
    pub store: StoreConfig,
    #[serde(deserialize_with = "section")]
    pub http: HttpConfig,
    #[serde(deserialize_with = "section")]
    pub scrape: ScrapeConfig,
    #[serde(deserialize_with = "section")]
    pub sinks: Vec<SinkConfig>,
    #[serde(deserialize_with = "section")]
    pub rules: RulesConfig,
    /// URLs of real Alertmanagers; then the routes stay silent.
    #[serde(deserialize_with = "section")]
    pub alertmanagers: Vec<String>,
    #[serde(deserialize_with = "section")]
    pub notify: NotifyConfig,
    #[serde(deserialize_with = "section")]
    pub checks: Vec<CheckConfig>,
    #[serde(deserialize_with = "section")]
    pub log: LogConfig,
}

/// A section whose keys are all commented out is its default.
fn section<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
