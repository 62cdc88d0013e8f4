//! An event, as a client sent it.

use serde::Serialize;

/// How an event is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertType {
    #[default]
    Info,
    Success,
    Warning,
    Error,
}

/// Whether an event is shown by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    #[default]
    Normal,
    Low,
}

/// Text with a title, a time and tags. Absent strings are `None`, never empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub title: String,
    /// May be empty.
    pub text: String,
    /// Unix seconds the client gave.
    pub timestamp: Option<u64>,
    pub hostname: Option<String>,
    pub aggregation_key: Option<String>,
    pub priority: Priority,
    pub source_type: Option<String>,
    pub alert_type: AlertType,
    /// Canonical: trimmed, distinct, sorted.
    pub tags: Vec<String>,
}

impl Event {
    /// Memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        let texts = [Some(&self.text), self.hostname.as_ref(), self.aggregation_key.as_ref(), self.source_type.as_ref()];
        let tags: usize = self.tags.iter().map(|tag| tag.len() + size_of::<String>()).sum();
        size_of::<Event>() + self.title.len() + texts.into_iter().flatten().map(String::len).sum::<usize>() + tags
    }
}
