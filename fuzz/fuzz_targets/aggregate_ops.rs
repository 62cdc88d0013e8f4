//! Any sequence of lines, cuts and memory running out and coming back: windows and counts are those of a plain model.
//!
//! The first byte chooses the limits; every four bytes after it are one step.
#![no_main]

#[path = "aggregate_ops/model.rs"]
mod model;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use model::{Identity, Line, Model, Row};
use statsd_relay::aggregate::{Aggregator, Cutter, CutterOptions, LimitsConfig, OnLimit, Published};
use statsd_relay::clock::Clock;
use statsd_relay::ingest::Producer;
use statsd_relay::model::{Column, Kind, Series, Window};
use statsd_relay::parse::{Dialect, Options};

/// Unix seconds.
const NOW: i64 = 1_700_000_000;
/// Made once: it registers every counter.
static PUBLISHED: LazyLock<Arc<Published>> = LazyLock::new(|| Arc::new(Published::new("fuzz")));

fuzz_target!(|data: &[u8]| {
    let Some((&switches, steps)) = data.split_first() else { return };
    let mut bench = Bench::new(switches);
    steps.chunks_exact(4).for_each(|step| bench.step([step[0], step[1], step[2], step[3]]));
    bench.cut();
    bench.compare_counts();
});

/// The core with its model beside it.
struct Bench {
    aggregator: Arc<Aggregator>,
    cutter: Cutter,
    /// The last one reads plain StatsD, where a sign on a gauge is a change.
    producers: Vec<Producer>,
    model: Model,
    end: i64,
}

impl Bench {
    fn new(switches: u8) -> Bench {
        let choice = |shift: u8| usize::from(switches >> shift & 3);
        let limits = LimitsConfig {
            series: [2, 5, 12, 1_000][choice(3)],
            series_per_metric: [1, 2, 4, 1_000][choice(5)],
            tags_per_series: 3,
            key_bytes: 40,
            on_limit: if switches & 1 == 0 { OnLimit::Overflow } else { OnLimit::Drop },
            ..LimitsConfig::default()
        };
        let expire_windows = choice(1) as u32;
        let (aggregator, inbox) = Aggregator::new(limits.clone(), Arc::default());
        // The size of the process without any series.
        aggregator.registry.grant(0);
        let producer = |dialect| {
            let options = Options { dialect, ..Options::default() };
            Producer::new(aggregator.clone(), PUBLISHED.clone(), options, Clock::manual(NOW * 1_000))
        };
        let producers = [Dialect::DogStatsd, Dialect::DogStatsd, Dialect::Statsd].map(producer).into();
        let options = CutterOptions {
            interval: Duration::from_secs(10),
            expire_windows,
            // Sums of whole milliseconds are exact.
            timers_in_seconds: false,
            counter_suffix: false,
            dd_sketches: true,
            presentation: Default::default(),
        };
        let cutter = Cutter::new(aggregator.clone(), inbox, options);
        Bench { cutter, aggregator, producers, model: Model::new(limits, expire_windows), end: 0 }
    }

    fn step(&mut self, [what, series, value, form]: [u8; 4]) {
        match what % 16 {
            0 => self.cut(),
            1 => self.memory(true),
            2 => self.memory(false),
            3 => {
                self.send(0, b"a:x|c");
                self.model.rejected += 1;
            }
            4 => {
                self.send(1, b"_e{1,1}:t|x");
                (self.model.accepted, self.model.events) = (self.model.accepted + 1, self.model.events + 1);
            }
            what => {
                let line = Line::new(series, value, form);
                let lane = usize::from(what) % self.producers.len();
                // What is known of a stamped spelling while memory is out depends on more than the model keeps.
                let stamped = what == 15 && !self.model.out_of_memory;
                let stamp = if stamped { format!("|T{NOW}") } else { String::new() };
                self.send(lane, format!("{}{stamp}", line.text()).as_bytes());
                self.model.take(&line, lane, stamped);
            }
        }
    }

    fn send(&self, lane: usize, datagram: &[u8]) {
        let producer = &self.producers[lane];
        producer.batch().frame(datagram);
    }

    fn memory(&mut self, is_out: bool) {
        self.aggregator.registry.grant(if is_out { u64::MAX } else { 0 });
        self.model.out_of_memory = is_out;
    }

    fn cut(&mut self) {
        self.end += 10_000;
        let left = self.model.left.clone();
        let mut base = |series: &Series| left.get(&identity(series)).cloned();
        let (window, report) = self.cutter.cut(self.end, Duration::from_secs(10), Vec::new(), &mut base);
        let expected = self.model.cut();
        assert_eq!(rows(&window), expected.rows);
        assert_eq!(sorted(&window.births), expected.births);
        assert_eq!(sorted(&window.gone), expected.gone);
        let stamped: Vec<(Identity, f64)> = window.stamped.iter().map(|one| (identity(&one.series), one.value)).collect();
        assert_eq!(by_series(stamped), by_series(expected.stamped));
        assert_eq!((report.went_back, report.expired), (expected.went_back, window.gone.len() as u64));
        assert_eq!(window.events.len() as u64, expected.events);
        assert_eq!(self.aggregator.registry.len(), self.model.live.len());
    }

    /// Every line is accepted, rejected or shed, and every sample where the model has it.
    fn compare_counts(&self) {
        let counts: Vec<_> = self.producers.iter().map(Producer::counts).collect();
        let model = &self.model;
        let add = |of: &dyn Fn(usize) -> u64| (0..counts.len()).map(of).sum::<u64>();
        assert_eq!(add(&|lane| counts[lane].accepted), model.accepted);
        assert_eq!(add(&|lane| counts[lane].rejected.iter().sum()), model.rejected);
        assert_eq!(add(&|lane| counts[lane].stamped), model.stamped);
        for limit in 0..model.shed.len() {
            assert_eq!(add(&|lane| counts[lane].shed[limit]), model.shed[limit]);
            assert_eq!(add(&|lane| counts[lane].limited[limit]), model.limited[limit]);
        }
        for kind in Kind::ALL {
            assert_eq!(add(&|lane| counts[lane].samples[kind as usize]), model.samples[kind as usize], "{kind:?}");
        }
    }
}

fn identity(series: &Series) -> Identity {
    (series.kind(), series.name().to_string(), series.tags().map(String::from).collect())
}

fn sorted(series: &[Series]) -> Vec<Identity> {
    let mut all: Vec<Identity> = series.iter().map(identity).collect();
    all.sort();
    all
}

/// In order of identities; samples of one series stay in theirs, lane by lane.
fn by_series(mut stamped: Vec<(Identity, f64)>) -> Vec<(Identity, f64)> {
    stamped.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    stamped
}

fn rows(window: &Window) -> BTreeMap<Identity, (u16, Row)> {
    let mut rows = BTreeMap::new();
    for (family, column) in window.families() {
        for (at, series) in family.series.iter().enumerate() {
            let row = match column {
                Column::Counter { gain, total, .. } => Row::Counter { gain: gain[at], total: total[at] },
                Column::Gauge { value, .. } => Row::Gauge(value[at]),
                Column::Set { count, .. } => Row::Set(count[at]),
                Column::Timer { count, sum, window, .. } => Row::Timer {
                    count: count[at],
                    sum: sum[at],
                    window: window[at].as_ref().map(|window| [window.count, window.sum, window.min, window.max]),
                },
            };
            let twice = rows.insert(identity(series), (column.ages()[at], row));
            assert_eq!(twice, None, "{series:?} stands twice");
        }
    }
    rows
}
