//! One item of `checks:` in relay.yaml.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::units::duration;

/// Something the relay asks "are you well?".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct CheckConfig {
    pub name: String,
    pub r#type: CheckType,
    pub target: String,
    #[serde(with = "duration", default = "fifteen_seconds")]
    pub every: Duration,
    #[serde(with = "duration", default = "two_seconds")]
    pub timeout: Duration,
    #[serde(default = "three")]
    pub fail_after: u32,
}

fn fifteen_seconds() -> Duration {
    Duration::from_secs(15)
}

fn two_seconds() -> Duration {
    Duration::from_secs(2)
}

fn three() -> u32 {
    3
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckType {
    Tcp,
    Http,
    Postgres,
    Redis,
}
