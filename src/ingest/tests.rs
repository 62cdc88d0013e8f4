//! Lines in, windows out: the core as a whole, through its one way in.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::aggregate::{Base, CutReport, Cutter, CutterOptions, LimitsConfig, Restored};
use crate::model::{Column, Kind, Window};

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
        let (aggregator, inbox) = Aggregator::new(limits);
        let options = CutterOptions {
            interval: std::time::Duration::from_secs(10),
            expire_windows,
            timers_in_seconds: true,
            counter_suffix: false,
            dd_sketches: true,
        };
        let published = Arc::new(Published::new("test"));
        let producer = || Producer::new(aggregator.clone(), published.clone(), Options::default(), Clock::manual(NOW));
        let producers = (0..lanes).map(|_| producer()).collect();
        let cutter = Cutter::new(aggregator.clone(), inbox, options);
        Bench { aggregator, cutter, producers, end: 0, report: CutReport::default() }
    }

    fn send(&self, lane: usize, datagram: &str) {
        let producer = &self.producers[lane];
        producer.batch(producer.ticket()).datagram(datagram.as_bytes());
    }

    fn cut(&mut self) -> Window {
        self.cut_from(|_| None)
    }

    fn cut_from(&mut self, mut base: impl FnMut(&crate::model::Series) -> Option<Base>) -> Window {
        self.end += 10_000;
        let (window, report) = self.cutter.cut(self.end, Vec::new(), &mut base);
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

fn shown(window: &Window, series: &str) -> Option<String> {
    rows(window).into_iter().find(|(name, _)| name == series).map(|(_, shown)| shown)
}

#[test]
fn each_type_means_what_the_protocol_says() {
    let mut bench = one_lane();
    bench.send(0, "c:1|c\nc:2|c|@0.1\ng:5|g\ng:7|g\nt:320|ms\nh:1:2:3|h|@0.5\nd:4|d\ns:a|s\ns:b|s\ns:a|s");
    let window = bench.cut();
    let expected = [
        ("c|counter", "21/21"),
        ("d|distribution", "1/4"),
        ("g|gauge", "7"),
        ("h|histogram", "6/12"),
        ("s|set", "2"),
        ("t|timer", "1/0.32"),
    ];
    assert_eq!(rows(&window), expected.map(|(series, shown)| (series.to_string(), shown.to_string())));
    let idle = bench.cut();
    let expected = [
        ("c|counter", "0/21"),
        ("d|distribution", "1/4"),
        ("g|gauge", "7"),
        ("h|histogram", "6/12"),
        ("s|set", "0"),
        ("t|timer", "1/0.32"),
    ];
    assert_eq!(rows(&idle), expected.map(|(series, shown)| (series.to_string(), shown.to_string())));
    assert!(idle.families().all(|(_, column)| column.ages() == [1]));
}

#[test]
fn tag_order_and_blanks_do_not_make_another_series() {
    let mut bench = one_lane();
    bench.send(0, "c:1|c|#b:2,a:1\nc:1|c|#a:1,b:2\nc:1|c|#a:1, b:2,a:1\nc:1|c|#b:2,a:1\n");
    assert_eq!(rows(&bench.cut()), [("c|counter|#a:1,b:2".to_string(), "4/4".to_string())]);
}

#[test]
fn one_name_with_two_types_is_two_series_with_stable_names() {
    let mut bench = one_lane();
    bench.send(0, "a.b:1|c\na.b:2|g\na.b_count:1|c\na.b:3|ms");
    let window = bench.cut();
    let mut names: Vec<String> = window.roster.iter().map(|family| format!("{}={}", family.kind.as_str(), family.prom_name)).collect();
    names.sort();
    assert_eq!(names, ["counter=a_b", "counter=a_b_count", "gauge=a_b_gauge", "timer=a_b_timer"]);
    assert_eq!(bench.report.clashes.len(), 2);
}

#[test]
fn a_gauge_keeps_the_order_of_arrival_over_lanes() {
    let mut bench = Bench::new(2, LimitsConfig::default(), 0);
    bench.producers[0] = Producer::new(
        bench.aggregator.clone(),
        Arc::new(Published::new("test")),
        Options { dialect: crate::parse::Dialect::Statsd, ..Options::default() },
        Clock::manual(0),
    );
    bench.send(1, "g:10|g");
    bench.send(0, "g:+5|g");
    assert_eq!(shown(&bench.cut(), "g|gauge").unwrap(), "15");
    bench.send(0, "g:+1|g");
    bench.send(1, "g:100|g");
    bench.send(0, "g:-2|g\ng:-3|g");
    assert_eq!(shown(&bench.cut(), "g|gauge").unwrap(), "95");
    bench.send(0, "g:+5|g");
    assert_eq!(shown(&bench.cut(), "g|gauge").unwrap(), "100");
    bench.send(0, "g:7|g\ng:+2|g");
    assert_eq!(shown(&bench.cut(), "g|gauge").unwrap(), "9");
}

#[test]
fn a_negative_window_leaves_the_total_and_is_told() {
    let mut bench = one_lane();
    bench.send(0, "c:5|c");
    bench.cut();
    bench.send(0, "c:-7|c");
    assert_eq!(shown(&bench.cut(), "c|counter").unwrap(), "-7/5");
    assert_eq!(bench.report.went_back, 1);
}

#[test]
fn an_idle_series_leaves_and_goes_on_from_its_total_when_it_returns() {
    let mut bench = Bench::new(1, LimitsConfig::default(), 2);
    bench.send(0, "c:5|c|#a:1\nother:1|c");
    bench.cut();
    bench.send(0, "other:1|c");
    assert_eq!(rows(&bench.cut()).len(), 2);
    bench.send(0, "other:1|c");
    let window = bench.cut();
    assert_eq!(rows(&window), [("other|counter".to_string(), "1/3".to_string())]);
    assert_eq!(format!("{:?}", window.gone), "[c|counter|#a:1]");
    assert_eq!(bench.aggregator.registry.len(), 1);
    bench.send(0, "c:2|c|#a:1");
    let window = bench.cut_from(|_| Some(Base { total: 5.0, ..Base::default() }));
    assert_eq!(shown(&window, "c|counter|#a:1").unwrap(), "2/7");
    assert_eq!(format!("{:?}", window.births), "[c|counter|#a:1]");
}

#[test]
fn what_was_live_at_the_stop_stands_at_the_start() {
    let mut bench = one_lane();
    let restored = |name: &str, kind, base| Restored { kind, name: name.into(), tags: vec!["a:1".into()], base, age: 3 };
    bench.cutter.restore(
        [
            restored("c", Kind::Counter, Base { total: 9.0, ..Base::default() }),
            restored("g", Kind::Gauge, Base { gauge: 4.0, ..Base::default() }),
            restored("t", Kind::Timer, Base { count: 2.0, sum: 0.5, ..Base::default() }),
        ],
        &mut |_| None,
    );
    let standing = bench.cutter.standing_window(5_000, Vec::new());
    assert_eq!(shown(&standing, "c|counter|#a:1").unwrap(), "0/9");
    bench.send(0, "c:1|c|#a:1\nt:500|ms|#a:1");
    let window = bench.cut();
    let expected = [("c|counter|#a:1", "1/10"), ("g|gauge|#a:1", "4"), ("t|timer|#a:1", "3/1")];
    assert_eq!(rows(&window), expected.map(|(series, shown)| (series.to_string(), shown.to_string())));
    assert!(window.births.is_empty());
}

#[test]
fn limits_overflow_into_one_series_of_the_name_and_spare_the_known() {
    let limits = LimitsConfig { series: 3, ..LimitsConfig::default() };
    let mut bench = Bench::new(1, limits, 0);
    bench.send(0, "a:1|c|#n:1\na:1|c|#n:2\nb:1|c\na:1|c|#n:3\na:1:1|c|#n:4\nnew:1|c\na:1|c|#n:1");
    let window = bench.cut();
    let expected = [("a|counter|#n:1", "2/2"), ("a|counter|#n:2", "1/1"), ("a|counter|#overflow:true", "3/3"), ("b|counter", "1/1")];
    assert_eq!(rows(&window), expected.map(|(series, shown)| (series.to_string(), shown.to_string())));
}

#[test]
fn many_lanes_give_what_one_gives() {
    let line = (0..4_u8, prop_oneof![Just("c"), Just("ms"), Just("d"), Just("s")], 0..50_i32, 0..3_u8);
    proptest!(ProptestConfig::with_cases(64), |(lines in prop::collection::vec((line, 0..3_usize), 1..200))| {
        let mut alone = one_lane();
        let mut sharded = Bench::new(3, LimitsConfig::default(), 0);
        for ((name, kind, value, tag), lane) in lines {
            let text = format!("n{name}:{value}|{kind}|#t:{tag}");
            alone.send(0, &text);
            sharded.send(lane, &text);
        }
        prop_assert_eq!(rows(&alone.cut()), rows(&sharded.cut()));
    });
}

#[test]
fn more_series_than_a_table_holds_are_all_counted() {
    let mut bench = one_lane();
    for round in 0..2 {
        for block in 0..700 {
            let lines: Vec<String> = (0..100).map(|at| format!("m:1|c|#id:{}", block * 100 + at)).collect();
            bench.send(0, &lines.join("\n"));
            bench.cutter.fold_next(std::time::Duration::ZERO, &mut |_| None);
        }
        let window = bench.cut();
        let (family, column) = window.families().next().unwrap();
        let Column::Counter { total, .. } = column else { panic!("a counter") };
        // The series limit of one metric is 50,000; the rest is in its overflow series.
        assert_eq!((family.series.len(), total.iter().sum::<f64>()), (50_001, f64::from(round + 1) * 70_000.0));
    }
}

#[test]
fn a_set_beyond_the_exact_bound_is_estimated() {
    let mut bench = one_lane();
    for member in 0..10_000 {
        bench.send(0, &format!("s:{member}|s"));
    }
    let count: f64 = shown(&bench.cut(), "s|set").unwrap().parse().unwrap();
    assert!((count / 10_000.0 - 1.0).abs() < 0.03, "{count}");
}

#[test]
fn stamped_samples_events_and_checks_ride_in_the_window() {
    let mut bench = one_lane();
    bench.send(0, "g:1:2|g|T1700000000\nc:1:2|c|T1700000001|@0.5\n_e{5,4}:title|text\n_sc|db|2|m:down");
    let window = bench.cut();
    assert!(window.roster.is_empty());
    let stamped: Vec<_> = window.stamped.iter().map(|sample| (sample.series.name(), sample.at, sample.value)).collect();
    assert_eq!(stamped, [("g", 1_700_000_000, 2.0), ("c", 1_700_000_001, 3.0)]);
    assert_eq!((window.events.len(), window.checks.len(), window.events[0].0), (1, 1, NOW / 1_000));
}

#[test]
fn a_time_of_its_own_has_its_bounds_and_means_nothing_to_a_timer() {
    let mut bench = one_lane();
    let second = NOW / 1_000;
    let (old, new) = (second - 48 * 3_600, second + 600);
    for (at, taken) in [(old, true), (old - 1, false), (new, true), (new + 1, false)] {
        bench.send(0, &format!("g:1:2|g|T{at}\nc:1|c|T{at}"));
        assert_eq!(bench.cut().stamped.len(), if taken { 2 } else { 0 }, "{at}");
    }
    let producer = &bench.producers[0];
    let counts = producer.batch(producer.ticket()).lane.counts().clone();
    for limit in [Limit::StampedTooOld, Limit::StampedTooNew] {
        assert_eq!((counts.shed[limit as usize], counts.limited[limit as usize]), (2, 3), "{limit:?}");
    }
    bench.send(0, "t:1|ms|T1");
    let window = bench.cut();
    assert_eq!((window.stamped.len(), shown(&window, "t|timer").is_some()), (0, true));
}

#[test]
fn where_a_line_comes_from_is_no_part_of_its_series() {
    let mut bench = one_lane();
    bench.send(0, "a:1|c|c:ci-1|e:pod|card:low\na:2|c|c:in-7\na:4|c");
    assert_eq!(rows(&bench.cut()).len(), 1);
}
