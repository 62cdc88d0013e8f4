//! Lines in, windows out: the core as a whole, through its one way in.

mod limits;
mod lives;
mod names;
mod restored;
mod shaped;
mod spellings;
mod together;
mod told;
mod types;

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::aggregate::{Base, CutReport, Cutter, CutterOptions, LimitsConfig, Restored, Sending};
use crate::model::series::Spelling;
use crate::model::{Buckets, Column, Family, Form, Kind, Window};
use crate::parse::{Dialect, Tolerated};
use crate::shape::{DropReason, Presentation, ShapeConfig, Shaping};

/// Unix milliseconds.
const NOW: i64 = 1_700_000_005_000;

struct Bench {
    aggregator: Arc<Aggregator>,
    cutter: Cutter,
    producers: Vec<Producer>,
    end: i64,
    report: CutReport,
}

impl Bench {
    fn new(lanes: usize, limits: LimitsConfig, expire_windows: u32) -> Bench {
        Bench::shaped(lanes, limits, expire_windows, Arc::default())
    }

    fn shaped(lanes: usize, limits: LimitsConfig, expire_windows: u32, shaping: Arc<Shaping>) -> Bench {
        let (aggregator, inbox) = Aggregator::new(limits, shaping);
        let options = CutterOptions {
            interval: std::time::Duration::from_secs(10),
            expire_windows,
            timers_in_seconds: true,
            counter_suffix: false,
            dd_sketches: true,
            presentation: Presentation::default(),
        };
        let published = Arc::new(Published::new("test"));
        let producer = || Producer::new(aggregator.clone(), published.clone(), Options::default(), Clock::manual(NOW));
        let producers = (0..lanes).map(|_| producer()).collect();
        let cutter = Cutter::new(aggregator.clone(), inbox, options);
        Bench { aggregator, cutter, producers, end: 0, report: CutReport::default() }
    }

    fn send(&self, lane: usize, datagram: &str) {
        let producer = &self.producers[lane];
        producer.batch().frame(datagram.as_bytes());
    }

    /// Has a lane take a signed gauge for a change.
    fn read_as_classic(&mut self, lane: usize) {
        let options = Options { dialect: Dialect::Statsd, ..Options::default() };
        self.producers[lane] = Producer::new(self.aggregator.clone(), Arc::new(Published::new("test")), options, Clock::manual(0));
    }

    fn cut(&mut self) -> Window {
        self.cut_from(|_| None)
    }

    fn cut_from(&mut self, mut base: impl FnMut(&crate::model::Series) -> Option<Base>) -> Window {
        self.end += 10_000;
        let (window, report) = self.cutter.cut(self.end, std::time::Duration::from_secs(10), Vec::new(), &mut base);
        self.report = report;
        window
    }
}

fn one_lane() -> Bench {
    Bench::new(1, LimitsConfig::default(), 0)
}

/// `name|kind|#tags` with what the window shows: counters `gain/total`, others their value or count/sum.
fn rows(window: &Window) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    for (family, column) in window.families() {
        for (row, series) in family.series.iter().enumerate() {
            let shown = match column {
                Column::Counter { gain, total, .. } => format!("{}/{}", gain[row], total[row]),
                Column::Gauge { value, .. } => value[row].to_string(),
                Column::Set { count, .. } => count[row].to_string(),
                Column::Timer { count, sum, .. } => format!("{}/{}", count[row], sum[row]),
            };
            rows.push((format!("{series:?}"), shown));
        }
    }
    rows.sort();
    rows
}

/// The window has these rows and no others.
#[track_caller]
fn assert_rows(window: &Window, expected: &[(&str, &str)]) {
    let shown = rows(window);
    assert_eq!(shown.iter().map(|(series, shown)| (series.as_str(), shown.as_str())).collect::<Vec<_>>(), expected);
}

fn shown(window: &Window, series: &str) -> Option<String> {
    rows(window).into_iter().find(|(name, _)| name == series).map(|(_, shown)| shown)
}

/// What `shape` (YAML) says, with the mapping file `mapping`.
fn shaping(shape: &str, mapping: &str) -> Arc<Shaping> {
    let config: ShapeConfig = serde_yaml::from_str(shape).unwrap();
    Arc::new(Shaping::new(&config, |_| Ok(mapping.to_string())).unwrap())
}

/// One lane whose lines are shaped.
fn shaped_by(shape: &str, mapping: &str, expire_windows: u32) -> Bench {
    Bench::shaped(1, LimitsConfig::default(), expire_windows, shaping(shape, mapping))
}

fn spelling(name: &'static [u8], tags: &'static [u8], kind: Kind) -> Spelling<'static> {
    Spelling { name, tags, kind, style: Default::default() }
}

/// A series that an earlier process left, live until its last window, under the name that its lines have.
fn restored(kind: Kind, name: &str, tags: &[&str], base: Base) -> Restored {
    let tags = tags.iter().map(ToString::to_string).collect();
    Restored { kind, name: name.into(), tags, sent_name: None, base, age: 0 }
}

/// The cumulative weights of a timer's buckets, the infinite one too; none for a summary.
fn buckets(window: &Window, name: &str) -> Vec<(f64, f64)> {
    let (_, column) = window.families().find(|(family, _)| &*family.name == name).unwrap();
    let Column::Timer { count, buckets, .. } = column else { panic!("{name} is no timer") };
    buckets.first().map_or(Vec::new(), |buckets| buckets.cumulative(count[0]).collect())
}

const TIMINGS: &str = "
mappings:
- { match: quick.*, name: took, ttl: 30s, help: Words., observer_type: histogram, buckets: [0.1, 0.25, 1] }
- { match: other.*, name: took, observer_type: summary }
- { match: default, name: default, observer_type: histogram }
- { match: shares, name: shares, quantiles: [{ quantile: 0.75 }] }
";
