//! `shape:` in relay.yaml.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What happens to names and tags before aggregation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
pub struct ShapeConfig {
    /// Prefix for names; never applied to names starting `datadog.`.
    pub namespace: String,
    /// Added to every metric; the sender's own value wins.
    pub tags: BTreeMap<String, String>,
    /// Path of a statsd_exporter mapping file.
    pub mapping: Option<PathBuf>,
    pub unmapped: Unmapped,
    pub filters: Vec<FilterConfig>,
}

/// What becomes of a metric no mapping rule names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unmapped {
    #[default]
    Pass,
    Drop,
}

/// One filter: exactly one of its keys is set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
pub struct FilterConfig {
    pub drop: Option<MatchConfig>,
    pub tags: Option<TagFilter>,
    pub scale: Option<ScaleFilter>,
}

/// Which metrics: every key that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
pub struct MatchConfig {
    /// Globs over the whole name; `*` crosses dots, `?` is one character.
    pub name: Vec<String>,
    pub regex: Option<String>,
    pub r#type: Vec<crate::model::Kind>,
    /// `key` or `key:glob`.
    pub tags: Vec<String>,
}

/// Edits tags.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
pub struct TagFilter {
    pub r#match: MatchConfig,
    pub drop: Vec<String>,
    pub keep: Vec<String>,
    pub rename: BTreeMap<String, String>,
    pub set: BTreeMap<String, String>,
}

/// Multiplies values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a mapping")]
pub struct ScaleFilter {
    #[serde(default)]
    pub r#match: MatchConfig,
    pub by: f64,
}
