//! A closed window: every live series with what it gained and what it stands at. Immutable, shared.

use std::sync::Arc;
use std::time::Duration;

use super::{Buckets, Check, DdSketch, Event, ExpHist, Form, Kind, Labels, Series};

/// The series of one name and type. Copied only when one is born or leaves.
#[derive(Debug, Clone)]
pub struct Family {
    /// As received (after shaping).
    pub name: Box<str>,
    /// The name in Prometheus' alphabet; a second type under one such name carries its type as a suffix.
    pub prom_name: Arc<str>,
    pub kind: Kind,
    /// From the mapping file.
    pub help: Option<Arc<str>>,
    /// Of timers, histograms and distributions.
    pub form: Form,
    /// Row order of the family's column.
    pub series: Vec<Series>,
}

/// What a timer, histogram or distribution received in one window.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sketches {
    /// Sum of weights.
    pub count: f64,
    /// Sum of value times weight, in the unit of the wire (milliseconds for timers).
    pub sum: f64,
    /// Extremes in the unit of the wire.
    pub min: f64,
    pub max: f64,
    /// Every `(value, weight)` in the unit of the wire, ascending by value, while there are at most 64.
    pub raw: Option<Vec<(f64, f64)>>,
    /// Folded in the unit of outputs: seconds for timers unless `scrape.timers_in` says otherwise.
    pub exp: ExpHist,
    /// Only for distributions, and only while a Datadog sink is configured. Unit of the wire.
    pub dd: Option<DdSketch>,
}

/// One family's values; row `i` belongs to `family.series[i]`.
///
/// `age` counts windows since the series last received something: 0 means in this one.
#[derive(Debug, Clone)]
pub enum Column {
    Counter {
        /// What the window added, corrected by sample rates. May be negative.
        gain: Vec<f64>,
        /// The running total, over restarts. Never falls.
        total: Vec<f64>,
        age: Vec<u16>,
    },
    Gauge {
        value: Vec<f64>,
        age: Vec<u16>,
    },
    Set {
        /// Distinct members in the window.
        count: Vec<f64>,
        age: Vec<u16>,
    },
    /// Timers, histograms and distributions.
    Timer {
        /// Running count and sum, in the unit of outputs, over restarts.
        count: Vec<f64>,
        sum: Vec<f64>,
        /// What the window received; `None` for an idle row.
        window: Vec<Option<Arc<Sketches>>>,
        /// Running weights within the bounds of the family's form; without rows when that has none.
        buckets: Vec<Arc<Buckets>>,
        age: Vec<u16>,
    },
}

impl Column {
    /// Windows since each row last received something.
    pub fn ages(&self) -> &[u16] {
        match self {
            Column::Counter { age, .. } | Column::Gauge { age, .. } | Column::Set { age, .. } | Column::Timer { age, .. } => age,
        }
    }
}

/// A counter or gauge sample with a time of its own (`|T`), not aggregated.
#[derive(Debug, Clone)]
pub struct Stamped {
    pub series: Series,
    /// Unix seconds.
    pub at: u64,
    pub value: f64,
}

/// A sample that already has Prometheus labels: the relay's own metrics, and what rules write.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    pub labels: Labels,
    /// `None` ends the series (a stale mark).
    pub value: Option<f64>,
}

/// Everything that happened between two cuts.
#[derive(Debug)]
pub struct Window {
    /// Unix milliseconds. A multiple of the interval, save for the last window of a process.
    pub end: i64,
    /// The configured interval; more when the cut came late.
    pub length: Duration,
    pub roster: Arc<[Arc<Family>]>,
    /// One per family of the roster.
    pub columns: Vec<Column>,
    /// Series that are new in this window.
    pub births: Vec<Series>,
    /// Series that left at this cut; they are no longer in the roster.
    pub gone: Vec<Series>,
    pub stamped: Vec<Stamped>,
    /// With the second they arrived at.
    pub events: Vec<(i64, Arc<Event>)>,
    pub checks: Vec<(i64, Arc<Check>)>,
    /// The relay's own metrics as of this cut.
    pub own: Vec<Recorded>,
}

impl Window {
    /// A window of these families in which nothing else happened.
    pub fn of(end: i64, length: Duration, rows: impl IntoIterator<Item = (Arc<Family>, Column)>) -> Window {
        let (roster, columns): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
        Window {
            end,
            length,
            roster: roster.into(),
            columns,
            births: Vec::new(),
            gone: Vec::new(),
            stamped: Vec::new(),
            events: Vec::new(),
            checks: Vec::new(),
            own: Vec::new(),
        }
    }

    /// Unix milliseconds at which the window began.
    pub fn start(&self) -> i64 {
        self.end - self.length.as_millis() as i64
    }

    /// Families with their columns.
    pub fn families(&self) -> impl Iterator<Item = (&Family, &Column)> {
        self.roster.iter().map(Arc::as_ref).zip(&self.columns)
    }
}
