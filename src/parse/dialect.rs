//! How a listener reads lines.

use serde::{Deserialize, Serialize};

use crate::model::series::NameStyle;

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

impl Dialect {
    /// Every dialect.
    pub const ALL: [Dialect; 5] = [Dialect::DogStatsd, Dialect::Statsd, Dialect::Influx, Dialect::Librato, Dialect::SignalFx];

    /// The word used in configuration and on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Dialect::DogStatsd => "dogstatsd",
            Dialect::Statsd => "statsd",
            Dialect::Influx => "influx",
            Dialect::Librato => "librato",
            Dialect::SignalFx => "signalfx",
        }
    }

    /// How tags are written into names.
    pub const fn name_style(self) -> NameStyle {
        match self {
            Dialect::DogStatsd | Dialect::Statsd => NameStyle::Plain,
            Dialect::Influx => NameStyle::Influx,
            Dialect::Librato => NameStyle::Librato,
            Dialect::SignalFx => NameStyle::SignalFx,
        }
    }

    /// Whether the forms of the original statsd are read: signs on gauges are changes, a line may hold
    /// several samples, blanks around a type do not count.
    pub const fn is_classic(self) -> bool {
        !matches!(self, Dialect::DogStatsd)
    }
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
