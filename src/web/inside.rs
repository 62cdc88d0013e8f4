//! What the relay lets one look at beside its data.

use std::sync::Arc;

use serde::Serialize;

use crate::aggregate::Sending;
use crate::ingest::{Explanation, Views};
use crate::model::TimeRange;
use crate::sink::SinkHealth;
use crate::store::Note;

/// Events and checks that arrived in a range (unix milliseconds), the newest first, at most so many; or why not.
pub(super) type Notes = dyn Fn(TimeRange, usize) -> Result<Vec<(i64, Note)>, String> + Send + Sync;

/// What becomes of every sample of a line.
pub(super) type Explain = dyn Fn(&str) -> Vec<Explanation> + Send + Sync;

/// Who sent in the last closed window, and whether that is everyone.
pub(super) type Senders = dyn Fn() -> (Vec<Sending>, bool) + Send + Sync;

/// Views of a running relay.
pub struct Inside {
    /// Lines on their way in.
    pub views: Arc<Views>,
    pub notes: Box<Notes>,
    pub sinks: Box<dyn Fn() -> Vec<SinkStatus> + Send + Sync>,
    pub explain: Box<Explain>,
    pub senders: Box<Senders>,
}

/// A sink by name.
#[derive(Clone, Debug, Serialize)]
pub struct SinkStatus {
    pub name: String,
    pub r#type: &'static str,
    #[serde(flatten)]
    pub health: SinkHealth,
}

impl Default for Inside {
    /// Shows nothing.
    fn default() -> Inside {
        Inside {
            views: Arc::default(),
            notes: Box::new(|_, _| Ok(Vec::new())),
            sinks: Box::new(Vec::new),
            explain: Box::new(|_| Vec::new()),
            senders: Box::new(|| (Vec::new(), true)),
        }
    }
}
