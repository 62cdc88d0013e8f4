//! The six StatsD types.

use serde::{Deserialize, Serialize};

/// What a series is. The order is the one of tables and pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Kind {
    /// `c`: adds up.
    Counter = 0,
    /// `g`: the last value stands.
    Gauge = 1,
    /// `ms`: a distribution of durations in milliseconds.
    Timer = 2,
    /// `h`: a distribution summarised here.
    Histogram = 3,
    /// `d`: a distribution forwarded as a sketch.
    Distribution = 4,
    /// `s`: counts distinct members per window.
    Set = 5,
}

impl Kind {
    /// Every kind, in order.
    pub const ALL: [Kind; 6] = [Kind::Counter, Kind::Gauge, Kind::Timer, Kind::Histogram, Kind::Distribution, Kind::Set];

    /// The word used in labels, JSON and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Timer => "timer",
            Kind::Histogram => "histogram",
            Kind::Distribution => "distribution",
            Kind::Set => "set",
        }
    }

    /// The kind with this number, as written by `kind as u8`.
    pub fn from_u8(number: u8) -> Option<Kind> {
        Kind::ALL.get(usize::from(number)).copied()
    }

    /// Whether samples of this kind are kept as sketches.
    pub const fn is_sketch(self) -> bool {
        matches!(self, Kind::Timer | Kind::Histogram | Kind::Distribution)
    }
}
