//! What PromQL reads from: the store, or a literal in a test.

use std::sync::Arc;

use regex::Regex;

use super::{ByteSize, ExpHist, Labels, Room};

/// How a matcher compares.
#[derive(Clone, Debug)]
pub enum MatchOp {
    Equal,
    NotEqual,
    /// Anchored at both ends.
    Matches(Regex),
    NotMatches(Regex),
}

/// A label matcher. An absent label counts as empty.
#[derive(Clone, Debug)]
pub struct Matcher {
    pub name: String,
    /// The text as written, also of a regex.
    pub value: String,
    pub op: MatchOp,
}

impl Matcher {
    /// Whether a label value passes.
    pub fn matches(&self, value: &str) -> bool {
        match &self.op {
            MatchOp::Equal => self.value == value,
            MatchOp::NotEqual => self.value != value,
            MatchOp::Matches(regex) => regex.is_match(value),
            MatchOp::NotMatches(regex) => !regex.is_match(value),
        }
    }
}

/// Samples with `start < at <= end`, unix milliseconds: open on the left, as in PromQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    pub start: i64,
    pub end: i64,
}

/// A sample's value.
#[derive(Clone, Debug, PartialEq)]
pub enum SampleValue {
    Float(f64),
    /// Cumulative, in the layout of a Prometheus native histogram.
    Histogram(Arc<ExpHist>),
    /// The series ended here.
    Stale,
}

/// One sample. `at` is unix milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub at: i64,
    pub value: SampleValue,
}

/// One series' samples in a range, ascending in time.
#[derive(Clone, Debug)]
pub struct SeriesSlice {
    pub labels: Labels,
    pub samples: Vec<Sample>,
    /// When the series was born, for counters and histograms: it stood at zero then.
    pub start_time: Option<i64>,
}

/// What a selection found.
#[derive(Clone, Debug, Default)]
pub struct Selected {
    pub series: Vec<SeriesSlice>,
    /// Damage met on the way, naming metric and time range.
    pub warnings: Vec<String>,
}

/// Why a selection gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    #[error("the query needs more than {0} series; narrow its matchers")]
    TooManySeries(usize),
    #[error("the query needs more than {0} samples; shorten its range or narrow its matchers")]
    TooManySamples(usize),
    #[error("the query needs more than {0} of memory for samples; shorten its range or narrow its matchers")]
    TooManyBytes(ByteSize),
    #[error("the query timed out while its samples were read")]
    Timeout,
    #[error("the store cannot be read: {0}")]
    Store(String),
}

/// Something PromQL can read.
pub trait Select: Sync {
    /// Every series the matchers name that has samples in the range, in any order.
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<Selected, SelectError>;

    /// The same within what a query may still take; what it finds stays taken.
    fn select_within(&self, matchers: &[Matcher], range: TimeRange, _room: &Room) -> Result<Selected, SelectError> {
        self.select(matchers, range)
    }

    /// The label sets of every series the matchers name that has samples in the range, in any order.
    fn label_sets(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>, SelectError> {
        Ok(self.select(matchers, range)?.series.into_iter().map(|slice| slice.labels).collect())
    }
}
