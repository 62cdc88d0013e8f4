//! One item of `sinks:` in relay.yaml. One flat struct, so that errors keep their place; which keys
//! belong to which type is checked when the file is loaded.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use crate::encode::Compression;
pub use crate::encode::datadog::{CounterForm, HistogramAggregate};
use crate::model::ByteSize;
use crate::model::units::{duration, optional_duration};
use crate::net::Secret;
use crate::shape::MatchConfig;

/// A sink. Keys that its type does not have stay `None`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct SinkConfig {
    pub name: String,
    pub r#type: SinkType,
    #[serde(default)]
    pub r#match: Option<MatchConfig>,
    #[serde(default)]
    pub queue: QueueConfig,
    #[serde(default, with = "optional_duration")]
    pub timeout: Option<Duration>,
    /// Whether the relay's own metrics go to this sink too.
    #[serde(default)]
    pub self_metrics: bool,
    /// Datadog: replaces `https://api.<site>`. Remote write: the endpoint.
    #[serde(default)]
    pub url: Option<String>,
    #[serde(default)]
    pub site: Option<String>,
    #[serde(default)]
    pub api_key: Option<Secret>,
    #[serde(default)]
    pub hostname: Option<String>,
    #[serde(default)]
    pub counters: Option<CounterForm>,
    #[serde(default)]
    pub histogram_aggregates: Option<Vec<HistogramAggregate>>,
    #[serde(default)]
    pub histogram_percentiles: Option<Vec<f64>>,
    #[serde(default)]
    pub compression: Option<Compression>,
    #[serde(default)]
    pub additional_endpoints: Vec<AdditionalEndpoint>,
    #[serde(default)]
    pub version: Option<u8>,
    #[serde(default)]
    pub native_histograms: Option<bool>,
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    #[serde(default)]
    pub basic_auth: Option<BasicAuth>,
    #[serde(default)]
    pub bearer: Option<Secret>,
    #[serde(default)]
    pub targets: Vec<String>,
    #[serde(default)]
    pub mode: Option<ForwardMode>,
    #[serde(default)]
    pub on_down: Option<OnDown>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SinkType {
    Datadog,
    RemoteWrite,
    Statsd,
}

impl SinkType {
    /// The word of the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            SinkType::Datadog => "datadog",
            SinkType::RemoteWrite => "remote_write",
            SinkType::Statsd => "statsd",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForwardMode {
    Raw,
    Aggregated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDown {
    Rehash,
    Drop,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct AdditionalEndpoint {
    pub url: String,
    pub api_key: Secret,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct BasicAuth {
    pub username: String,
    pub password: Secret,
}

/// What waits while the other side cannot take it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
pub struct QueueConfig {
    pub memory: ByteSize,
    pub disk: ByteSize,
    #[serde(with = "duration")]
    pub max_age: Duration,
}

impl Default for QueueConfig {
    fn default() -> Self {
        QueueConfig { memory: ByteSize(16 << 20), disk: ByteSize(1 << 30), max_age: Duration::from_secs(3_600) }
    }
}
