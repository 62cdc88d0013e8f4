//! `notify:` and `alertmanagers:` in relay.yaml.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::units::{duration, optional_duration};
use crate::net::Secret;

/// Who hears of alerts, in Alertmanager's words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
pub struct NotifyConfig {
    pub route: Option<RouteConfig>,
    pub inhibit_rules: Vec<InhibitRule>,
    pub receivers: Vec<ReceiverConfig>,
    pub heartbeat: Option<HeartbeatConfig>,
}

/// One node of the route tree. Absent timings are inherited from the parent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
pub struct RouteConfig {
    pub receiver: Option<String>,
    pub group_by: Option<Vec<String>>,
    #[serde(with = "optional_duration")]
    pub group_wait: Option<Duration>,
    #[serde(with = "optional_duration")]
    pub group_interval: Option<Duration>,
    #[serde(with = "optional_duration")]
    pub repeat_interval: Option<Duration>,
    /// `name="value"`, `name=~"regex"`, and their negations.
    pub matchers: Vec<String>,
    pub r#continue: bool,
    pub routes: Vec<RouteConfig>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
pub struct InhibitRule {
    pub source_matchers: Vec<String>,
    pub target_matchers: Vec<String>,
    pub equal: Vec<String>,
}

/// A receiver and the places it notifies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct ReceiverConfig {
    pub name: String,
    #[serde(default)]
    pub webhook: Vec<WebhookConfig>,
    #[serde(default)]
    pub slack: Vec<serde_json::Value>,
    #[serde(default)]
    pub pagerduty: Vec<serde_json::Value>,
    #[serde(default)]
    pub datadog: Vec<serde_json::Value>,
    #[serde(default)]
    pub sentry: Vec<serde_json::Value>,
    #[serde(default)]
    pub email: Vec<serde_json::Value>,
    #[serde(default)]
    pub exec: Vec<serde_json::Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct WebhookConfig {
    /// A secret: tokens hide in paths.
    pub url: Secret,
    #[serde(default = "yes")]
    pub send_resolved: bool,
    /// Alerts per notification; zero is no bound.
    #[serde(default)]
    pub max_alerts: usize,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct HeartbeatConfig {
    pub url: Secret,
    #[serde(with = "duration")]
    pub every: Duration,
}
