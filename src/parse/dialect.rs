//! How a listener reads lines.

use serde::{Deserialize, Serialize};

/// Differs in tags inside names, the meaning of a sign on a gauge, and multi-sample lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    #[default]
    DogStatsd,
    Statsd,
    Influx,
    Librato,
    SignalFx,
}

/// The switches of one listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    pub dialect: Dialect,
    /// Every tolerated irregularity is a rejection.
    pub strict: bool,
    /// A last line without its newline is a rejection.
    pub eol_required: bool,
}
