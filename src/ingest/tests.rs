//! Lines in, windows out: the core as a whole, through its one way in.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::aggregate::{Base, CutReport, Cutter, CutterOptions, LimitsConfig, Restored, Sending};
use crate::model::{Buckets, Column, Family, Form, Kind, Window};
use crate::parse::Tolerated;
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
        producer.batch(producer.ticket()).datagram(datagram.as_bytes());
    }

    /// Has a lane take a signed gauge for a change.
    fn read_as_classic(&mut self, lane: usize) {
        let options = Options { dialect: crate::parse::Dialect::Statsd, ..Options::default() };
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
fn clashing_types_keep_their_names_over_a_restart() {
    let named = |window: &Window| {
        let of = |family: &Arc<Family>| (family.name.to_string(), family.kind, family.prom_name.to_string());
        window.roster.iter().map(of).collect::<BTreeSet<_>>()
    };
    let lines = ["x:1|c", "x:1|g", "x:1|ms", "x_timer_sum:1|g", "y.z:1|ms", "y_z_count:1|c"];
    let mut bench = one_lane();
    bench.send(0, &lines.join("\n"));
    let before = named(&bench.cut());
    assert_eq!(before.iter().filter(|(name, _, page)| name != page).count(), 5);
    let stored: Vec<_> = before.iter().cloned().collect();
    for stored in [stored.clone(), stored.into_iter().rev().collect()] {
        let mut restarted = one_lane();
        restarted.cutter.keep_names(&stored);
        for line in lines.iter().rev() {
            restarted.send(0, line);
        }
        assert_eq!(named(&restarted.cut()), before);
    }
}

#[test]
fn families_are_named_anew_when_their_names_are_made_otherwise() {
    let mut bench = one_lane();
    let stored = [("c", Kind::Counter, "c_total"), ("c", Kind::Gauge, "c"), ("d", Kind::Gauge, "d_counter")];
    bench.cutter.keep_names(&stored.map(|(name, kind, page)| (name.to_string(), kind, page.to_string())));
    bench.send(0, "c:1|c\nc:1|g\nd:1|g");
    let mut names: Vec<String> = bench.cut().roster.iter().map(|family| family.prom_name.to_string()).collect();
    names.sort();
    assert_eq!(names, ["c", "c_counter", "d"]);
}

#[test]
fn what_is_listed_in_a_window_keeps_the_order_of_arrival_over_lanes() {
    let mut bench = Bench::new(2, LimitsConfig::default(), 0);
    for (lane, number) in [(1, 2), (0, 0), (1, 1), (0, 3)] {
        bench.send(lane, &format!("_sc|db|{number}\n_e{{1,1}}:{number}|t\ng:{number}|g|T1700000000"));
    }
    let window = bench.cut();
    assert_eq!(window.checks.iter().map(|(_, check)| check.status as u8).collect::<Vec<_>>(), [2, 0, 1, 3]);
    assert_eq!(window.events.iter().map(|(_, event)| event.title.to_string()).collect::<Vec<_>>(), ["2", "0", "1", "3"]);
    assert_eq!(window.stamped.iter().map(|stamped| stamped.value).collect::<Vec<_>>(), [2.0, 0.0, 1.0, 3.0]);
}

#[test]
fn a_gauge_keeps_the_order_of_arrival_over_lanes() {
    let mut bench = Bench::new(2, LimitsConfig::default(), 0);
    bench.read_as_classic(0);
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
    let restored = |name: &str, kind, base| Restored { kind, name: name.into(), tags: vec!["a:1".into()], sent_name: None, base, age: 3 };
    bench.cutter.restore([
        restored("c", Kind::Counter, Base { total: 9.0, ..Base::default() }),
        restored("g", Kind::Gauge, Base { gauge: 4.0, ..Base::default() }),
        restored("t", Kind::Timer, Base { count: 2.0, sum: 0.5, ..Base::default() }),
    ]);
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

/// One lane whose lines are shaped by `shape` (YAML) with the mapping file `mapping`.
fn shaped_by(shape: &str, mapping: &str, expire_windows: u32) -> Bench {
    let config: ShapeConfig = serde_yaml::from_str(shape).unwrap();
    let shaping = Shaping::new(&config, |_| Ok(mapping.to_string())).unwrap();
    Bench::shaped(1, LimitsConfig::default(), expire_windows, Arc::new(shaping))
}

#[test]
fn lines_join_the_series_that_shaping_names() {
    let mapping = "mappings:\n- { match: app.*.hits, name: hits, labels: { app: $1 } }\n- { match: all.*, name: all }\n";
    let mut bench = shaped_by("{ mapping: m, namespace: ns, tags: { env: prod } }", mapping, 0);
    for _ in 0..3 {
        bench.send(0, "app.shop.hits:1|c|#b,a\napp.shop.hits:2|c|#a,b\nall.x:1|c\nall.y:10|c\nns.all:100|c");
    }
    let window = bench.cut();
    assert_eq!(shown(&window, "ns.hits|counter|#a,app:shop,b,env:prod").as_deref(), Some("9/9"));
    assert_eq!(shown(&window, "ns.all|counter|#env:prod").as_deref(), Some("33/33"));
    assert_eq!(shown(&window, "ns.ns.all|counter|#env:prod").as_deref(), Some("300/300"));
    assert_eq!(rows(&window).len(), 3);
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

#[test]
fn a_rules_histogram_counts_every_sample_within_its_bounds() {
    let mut bench = shaped_by("{ mapping: m }", TIMINGS, 0);
    bench.send(0, "quick.a:100:250:250.0001|ms\nquick.a:-5|ms|@0.5\nquick.a:99999|ms\nother.a:50|ms\ndefault:1|h\nshares:1|h\nplain:1|h");
    let window = bench.cut();
    assert_eq!(buckets(&window, "took"), [(0.1, 4.0), (0.25, 5.0), (1.0, 6.0), (f64::INFINITY, 7.0)]);
    assert_eq!(shown(&window, "took|timer").unwrap(), "7/100.63900009999999");
    let form = |name: &str| window.families().find(|(family, _)| &*family.name == name).unwrap().0.form.clone();
    assert_eq!(form("shares"), Form::Summary(Some([0.75].as_slice().into())));
    assert_eq!((form("plain"), form("default")), (Form::Summary(None), Form::Histogram(Arc::default())));
    assert!(buckets(&window, "plain").is_empty());
    // More than are kept as they came.
    let line = "quick.b:200|ms\n".repeat(500);
    bench.send(0, &line);
    let window = bench.cut();
    assert_eq!(buckets(&window, "took"), [(0.1, 4.0), (0.25, 505.0), (1.0, 506.0), (f64::INFINITY, 507.0)]);
    assert_eq!(buckets(&bench.cut(), "took")[1], (0.25, 505.0));
}

#[test]
fn a_restored_series_is_what_its_rule_says_before_it_is_heard_again() {
    let mut bench = shaped_by("{ mapping: m }", TIMINGS, 0);
    let bounds: Arc<[f64]> = [0.1, 0.5].as_slice().into();
    let before = Some(Arc::new(Buckets::with_weights(&bounds, vec![3.0, 4.0])));
    let base = Base { count: 9.0, sum: 2.0, buckets: before, ..Base::default() };
    let restored = |sent: &str| Restored {
        kind: Kind::Timer,
        name: "took".into(),
        tags: vec![format!("sent:{}", &sent[..1])],
        sent_name: Some(sent.into()),
        base: base.clone(),
        age: 0,
    };
    bench.cutter.restore([restored("quick.x"), restored("unmapped"), restored("shares")]);
    let standing = bench.cutter.standing_window(5_000, Vec::new());
    assert_eq!(standing.roster[0].help.as_deref(), Some("Words."));
    // What was known of the one bound that is still there stays; of the others nothing is.
    assert_eq!(buckets(&standing, "took"), [(0.1, 3.0), (0.25, 3.0), (1.0, 7.0), (f64::INFINITY, 9.0)]);
    let gone: Vec<String> = (0..4).flat_map(|_| bench.cut().gone).map(|series| format!("{series:?}")).collect();
    assert_eq!(gone, ["took|timer|#sent:q"], "only the rule that still gives that name has a say about its ttl");
}

#[test]
fn buckets_go_on_after_a_restart_whichever_series_says_how_the_family_is_shown() {
    let mut bench = shaped_by("{ mapping: m }", TIMINGS, 0);
    let bounds: Arc<[f64]> = [0.1, 0.25, 1.0].as_slice().into();
    let restored = |tag: &str, sent: &str, weight: f64| Restored {
        kind: Kind::Timer,
        name: "took".into(),
        tags: vec![tag.into()],
        sent_name: Some(sent.into()),
        base: Base { count: weight, buckets: Some(Arc::new(Buckets::with_weights(&bounds, vec![weight, 0.0, 0.0]))), ..Base::default() },
        age: 0,
    };
    // The sender of the first names the family itself; an overflow is of no rule, not even of the defaults.
    bench.cutter.restore([restored("sent:took", "took", 7.0), restored("overflow:true", "took", 2.0), restored("sent:q", "quick.x", 5.0)]);
    let standing = bench.cutter.standing_window(5_000, Vec::new());
    let (_, Column::Timer { buckets, .. }) = standing.families().next().unwrap() else { panic!() };
    let first: Vec<f64> = buckets.iter().map(|buckets| buckets.weights()[0]).collect();
    assert_eq!(first, [7.0, 2.0, 5.0]);
}

#[test]
fn every_dropped_line_is_counted_by_its_reason() {
    let mapping = "mappings:\n- { match: gone.*, name: x, action: drop }\n- { match: kept.*, name: kept }\n";
    let mut bench = shaped_by("{ mapping: m, unmapped: drop, filters: [{ drop: { tags: [noise] } }] }", mapping, 0);
    for _ in 0..5 {
        bench.send(0, "gone.a:1|c\ngone.b:1|ms\nkept.a:1|c\nkept.a:1|c|#noise\nother:1|g\nother:1|g|T1700000000");
    }
    let counts = bench.producers[0].counts();
    assert_eq!(counts.accepted, 5);
    assert_eq!(counts.dropped[DropReason::Mapping as usize], 10);
    assert_eq!(counts.dropped[DropReason::Filter as usize], 5);
    assert_eq!(counts.dropped[DropReason::Unmapped as usize], 10);
    let window = bench.cut();
    assert_eq!(rows(&window), [("kept|counter".to_string(), "5/5".to_string())]);
    assert!(window.stamped.is_empty());
}

#[test]
fn values_are_scaled_by_the_rule_of_their_own_spelling() {
    let mapping =
        "mappings:\n- { match: us.*, name: t, scale: 0.5 }\n- { match: ms.*, name: t, scale: 4 }\n- { match: plain.*, name: t }\n";
    let mut bench = shaped_by("{ mapping: m, filters: [{ scale: { match: { type: [gauge] }, by: 2 } }] }", mapping, 0);
    for _ in 0..2 {
        bench.send(0, "ms.a:1|c\nus.a:1|c|@0.5\nplain.a:1|c\nms.a:1:2|h\nus.a:10|h\nms.a:3|g\nus.a:6|g|T1700000000\nms.a:x|s");
    }
    let window = bench.cut();
    assert_eq!(shown(&window, "t|counter").as_deref(), Some("12/12"));
    assert_eq!(shown(&window, "t|histogram").as_deref(), Some("6/34"));
    assert_eq!(shown(&window, "t|gauge").as_deref(), Some("24"));
    assert_eq!(shown(&window, "t|set").as_deref(), Some("1"));
    assert_eq!(window.stamped.iter().map(|stamped| stamped.value).collect::<Vec<_>>(), [6.0, 6.0]);
    bench.send(0, "us.a:2|c\nms.a:2|c");
    assert_eq!(shown(&bench.cut(), "t|counter").as_deref(), Some("9/21"));
}

#[test]
fn a_series_leaves_by_the_ttl_of_its_rule() {
    let mapping =
        "defaults: { ttl: 40s }\nmappings:\n- { match: short, name: short, ttl: 15s, help: Short. }\n- { match: long, name: long }\n";
    let mut bench = shaped_by("{ mapping: m }", mapping, 0);
    bench.send(0, "short:1|c\nlong:1|c\nother:1|c");
    let first = bench.cut();
    let helped: Vec<&str> = first.families().filter(|(family, _)| family.help.is_some()).map(|(family, _)| &*family.name).collect();
    assert_eq!(helped, ["short"]);
    let left: Vec<Vec<String>> = (0..5).map(|_| bench.cut().gone.iter().map(|series| series.name().to_string()).collect()).collect();
    assert_eq!(left, [vec![], vec!["short".to_string()], vec![], vec!["long".to_string(), "other".to_string()], vec![]]);
    bench.send(0, "short:1|c");
    assert_eq!(shown(&bench.cut(), "short|counter").as_deref(), Some("1/1"));
}

#[test]
fn a_restored_series_is_met_by_its_lines_and_by_no_other_name() {
    let mapping = "mappings:\n- { match: brief, name: brief, ttl: 10s }\n";
    let mut bench = shaped_by("{ namespace: ns, mapping: m }", mapping, 0);
    let restored = |name: &str, tags: &[&str], total: f64| Restored {
        kind: Kind::Counter,
        name: name.into(),
        tags: tags.iter().map(ToString::to_string).collect(),
        sent_name: None,
        base: Base { total, ..Base::default() },
        age: 0,
    };
    bench.cutter.restore([restored("ns.hits", &["a:1", "b:x,y"], 40.0), restored("ns.brief", &[], 1.0)]);
    bench.send(0, "hits:2|c|#a:1\nns.hits:100|c|#a:1\nbrief:1|c");
    let window = bench.cut();
    assert_eq!(shown(&window, "ns.hits|counter|#a:1,b:x,y").as_deref(), Some("0/40"));
    assert_eq!(shown(&window, "ns.hits|counter|#a:1").as_deref(), Some("2/2"));
    assert_eq!(shown(&window, "ns.ns.hits|counter|#a:1").as_deref(), Some("100/100"));
    assert_eq!(shown(&window, "ns.brief|counter").as_deref(), Some("1/2"));
    assert_eq!(window.births.len(), 2);
    assert_eq!(bench.cut().gone.iter().map(|series| series.name().to_string()).collect::<Vec<_>>(), ["ns.brief"]);
}

#[test]
fn a_restored_series_goes_on_by_its_first_line_and_leaves_like_any_other() {
    let mut bench = shaped_by("{ namespace: ns }", "", 2);
    let restored = |name: &str, age| {
        let base = Base { total: 40.0, ..Base::default() };
        Restored { kind: Kind::Counter, name: name.into(), tags: vec!["a:1".into()], sent_name: None, base, age }
    };
    bench.cutter.restore([restored("ns.met", 1), restored("ns.idle", 1)]);
    bench.send(0, "met:2|c|#a:1");
    assert_eq!(shown(&bench.cut(), "ns.met|counter|#a:1").as_deref(), Some("2/42"));
    let window = bench.cut();
    assert_eq!(format!("{:?}", window.gone), "[ns.idle|counter|#a:1]");
    let window = bench.cut();
    assert_eq!(format!("{:?}", window.gone), "[ns.met|counter|#a:1]");
    assert!(bench.aggregator.registry.is_empty() && rows(&window).is_empty());
    bench.send(0, "met:1|c|#a:1");
    assert_eq!(rows(&bench.cut()), [("ns.met|counter|#a:1".to_string(), "1/1".to_string())]);
}

#[test]
fn a_restored_series_whose_first_line_is_not_recorded_leaves_all_the_same() {
    let mut bench = shaped_by("{ namespace: ns }", "", 2);
    let tags = vec!["a:1".into()];
    bench.cutter.restore([Restored { kind: Kind::Counter, name: "ns.c".into(), tags, sent_name: None, base: Base::default(), age: 0 }]);
    let spelling = crate::model::series::Spelling { name: b"c", tags: b"a:1", kind: Kind::Counter, style: Default::default() };
    bench.aggregator.registry.resolve(&spelling);
    for _ in 0..3 {
        assert_eq!(rows(&bench.cut()).len(), bench.aggregator.registry.len());
    }
    assert!(bench.aggregator.registry.is_empty());
}

#[test]
fn what_overflowed_is_counted_when_its_series_gets_a_line_of_its_own() {
    let limits = LimitsConfig { series_per_metric: 1, ..LimitsConfig::default() };
    let mut bench = Bench::new(2, limits, 0);
    bench.send(0, "a:1|c|#n:1\na:2|c|#n:2");
    bench.send(1, "a:4|c|#overflow:true");
    bench.send(0, "a:8|c|#n:3");
    let expected = [("a|counter|#n:1", "1/1"), ("a|counter|#overflow:true", "14/14")];
    assert_eq!(rows(&bench.cut()), expected.map(|(series, shown)| (series.to_string(), shown.to_string())));
}

#[test]
fn a_gauge_that_returns_before_the_store_knows_that_it_left_begins_at_zero() {
    let mut bench = Bench::new(1, LimitsConfig::default(), 1);
    bench.read_as_classic(0);
    bench.send(0, "g:40|g\nc:40|c");
    bench.cut();
    assert_eq!(bench.cut().gone.len(), 2);
    bench.send(0, "g:+2|g\nc:2|c");
    // The store's memory is a window behind: to it both are live.
    let window = bench.cut_from(|_| Some(Base { total: 40.0, gauge: 40.0, ..Base::default() }));
    assert_eq!(shown(&window, "g|gauge").as_deref(), Some("2"));
    assert_eq!(shown(&window, "c|counter").as_deref(), Some("2/42"));
}

#[test]
fn what_is_remembered_about_dropped_lines_is_bounded() {
    let config: ShapeConfig = serde_yaml::from_str("{ filters: [{ drop: { name: ['noise.*'] } }] }").unwrap();
    let shaping = Shaping::new(&config, |_| Ok(String::new())).unwrap();
    let limits = LimitsConfig { series: 100, ..LimitsConfig::default() };
    let mut bench = Bench::shaped(1, limits, 0, Arc::new(shaping));
    for n in 0..250 {
        bench.send(0, &format!("noise.{n}:1|c"));
    }
    assert_eq!(bench.producers[0].counts().dropped[DropReason::Filter as usize], 250);
    bench.cut();
    bench.send(0, "noise.1:1|c\nkept:1|c");
    assert_eq!(rows(&bench.cut()).len(), 1);
}

#[test]
fn many_spellings_of_one_series_add_up() {
    let mut bench = shaped_by("{ mapping: m }", "mappings:\n- { match: all.*, name: all }\n", 0);
    for _ in 0..2 {
        for block in 0..400 {
            let lines: Vec<String> = (0..100).map(|n| format!("all.{}:1|c", block * 100 + n)).collect();
            bench.send(0, &lines.join("\n"));
        }
    }
    assert_eq!(rows(&bench.cut()), [("all|counter".to_string(), "80000/80000".to_string())]);
}

#[test]
fn spellings_of_one_gauge_keep_their_order() {
    let mut bench = Bench::new(1, LimitsConfig::default(), 1);
    bench.send(0, "a:1|g|#x,y\na:2|g|#y,x\na:3|g|#x,y\nb:1|g|#x,y\nb:2|g|#y,x");
    let window = bench.cut();
    assert_eq!(shown(&window, "a|gauge|#x,y").as_deref(), Some("3"));
    assert_eq!(shown(&window, "b|gauge|#x,y").as_deref(), Some("2"));
    assert_eq!(bench.cut().gone.len(), 2);
    bench.send(0, "b:5|g|#y,x\na:6|g|#y,x\na:7|g|#x,y");
    let window = bench.cut();
    assert_eq!(shown(&window, "a|gauge|#x,y").as_deref(), Some("7"));
    assert_eq!(shown(&window, "b|gauge|#x,y").as_deref(), Some("5"));
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
    let counts = bench.producers[0].counts();
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

#[test]
fn a_blemish_of_the_tags_is_counted_for_every_line() {
    let mut bench = one_lane();
    for _ in 0..3 {
        bench.producers[0].batch(bench.producers[0].ticket()).datagram(b"a:1|c|#x:\xff\na:1|c|#y,x:\xff\na:1|c|#y");
    }
    assert_eq!(bench.producers[0].counts().tolerated[crate::parse::Tolerated::TagRepaired as usize], 6);
    assert_eq!(rows(&bench.cut()).len(), 3);
}

#[test]
fn a_series_stands_from_the_window_of_its_first_sample() {
    let mut bench = one_lane();
    let registry = &bench.aggregator.registry;
    let spelling = crate::model::series::Spelling { name: b"g", tags: b"", kind: Kind::Gauge, style: Default::default() };
    registry.resolve(&spelling);
    assert!(rows(&bench.cut()).is_empty());
    bench.send(0, "g:7|g");
    let window = bench.cut();
    assert_eq!(shown(&window, "g|gauge").as_deref(), Some("7"));
    assert_eq!(format!("{:?}", window.births), "[g|gauge]");
}

#[test]
fn a_birth_told_of_a_series_that_has_left_makes_no_second_row() {
    let mut bench = shaped_by("{ mapping: m }", "mappings:\n- { match: a.*, name: a, ttl: 10s }\n", 0);
    bench.send(0, "a.b:1|c\nz:1|c");
    bench.cut();
    // A further spelling is resolved, and tells of the rule's options, while the cutter lets go of the series.
    let spelling = crate::model::series::Spelling { name: b"a.c", tags: b"", kind: Kind::Counter, style: Default::default() };
    bench.aggregator.registry.resolve(&spelling);
    assert_eq!(rows(&bench.cut()).len(), 1);
    bench.send(0, "new:1|c\nz:1|c");
    let window = bench.cut();
    assert_eq!(rows(&window).len(), 2, "{window:?}");
    assert!(window.families().all(|(family, column)| family.series.len() == column.ages().len()));
}

#[test]
fn long_further_spellings_are_counted_and_not_held() {
    let mut bench = one_lane();
    for at in 0..300 {
        let blanks = " ".repeat(5_000 + at);
        bench.send(0, &format!("a:1|c|#x,{blanks}"));
    }
    assert_eq!(rows(&bench.cut()), [("a|counter|#x".to_string(), "300/300".to_string())]);
}

#[test]
fn what_a_line_of_another_spelling_is_recorded_by_keeps_its_own_scale_and_blemishes() {
    let mapping = "mappings:\n- { match: us.*, name: t, scale: 0.5 }\n- { match: ms.*, name: t, scale: 4 }\n";
    let shaping = Shaping::new(&serde_yaml::from_str("{ mapping: m }").unwrap(), |_| Ok(mapping.to_string())).unwrap();
    let limits = LimitsConfig { series_per_metric: 2, ..LimitsConfig::default() };
    let mut bench = Bench::shaped(2, limits, 0, Arc::new(shaping));
    bench.send(0, "us.a:10|c|#__name__:b\nus.a:10|c|#overflow:true");
    let long = format!("us.a:100|c|#{},__name__:b", " ".repeat(5_000));
    let refused = format!("us.a:100|c|#{}", "x".repeat(4_500));
    bench.send(1, &format!("{long}\n{refused}\nus.a:1000|c|#__name__:b\nus.a:1000|c|#overflow:true\n{long}"));
    let window = bench.cut();
    assert_eq!(shown(&window, "t|counter|#__name__:b").as_deref(), Some("605/605"));
    assert_eq!(shown(&window, "t|counter|#overflow:true").as_deref(), Some("555/555"));
    assert_eq!(bench.producers[1].counts().tolerated[Tolerated::TagDropped as usize], 3);
}

#[test]
fn a_tag_that_becomes_no_label_is_counted_with_each_line_of_it() {
    let mut bench = one_lane();
    let second = NOW / 1_000;
    // In order: a known spelling, another one of the series, a sample with a time of its own, twice, and a check.
    bench.send(0, "a:1|c|#__name__:b\na:1|c|#__name__:b\na:1|c|# __name__:b");
    bench.send(0, &format!("own:1|g|#__name__:b|T{second}\nown:2|g|#__name__:b|T{second}\n_sc|up|0|#__name__:b"));
    bench.send(0, "plain:1|c|#name__:b");
    assert_eq!(bench.producers[0].counts().tolerated[Tolerated::TagDropped as usize], 6);
    let window = bench.cut();
    assert_eq!(shown(&window, "a|counter|#__name__:b"), Some("3/3".into()), "outputs that know such tags have it");

    let mut again = one_lane();
    let restored =
        Restored { kind: Kind::Counter, name: "a".into(), tags: vec!["__name__:b".into()], sent_name: None, base: Base::default(), age: 0 };
    again.cutter.restore([restored]);
    again.send(0, "a:1|c|#__name__:b");
    assert_eq!(again.producers[0].counts().tolerated[Tolerated::TagDropped as usize], 1);
}

#[test]
fn the_last_window_tells_who_sent_how_much() {
    let mut bench = Bench::new(2, LimitsConfig::default(), 0);
    let address = |last: u8| Some(IpAddr::from([10, 0, 0, last]));
    for (lane, sender, datagrams) in
        [(0, address(1), &["a:1|c\nb:x|c", "a:1|c"][..]), (1, address(1), &["a:1|c"]), (1, None, &["a:1:2|c", ""])]
    {
        let producer = &bench.producers[lane];
        let mut batch = producer.batch(producer.ticket());
        for datagram in datagrams {
            batch.sent_by(sender);
            batch.datagram(datagram.as_bytes());
        }
        batch.sent_by(address(2));
        batch.denied(b"not read");
    }
    assert_eq!(bench.aggregator.senders(), (Vec::new(), true), "the window is open");
    bench.cut();
    let sending = |sender, lines, bytes| Sending { listener: "test".into(), sender, sent: Sent { lines, bytes } };
    assert_eq!(bench.aggregator.senders(), (vec![sending(None, 1, 7), sending(address(1), 4, 21), sending(address(2), 0, 24)], true));
    bench.cut();
    assert_eq!(bench.aggregator.senders(), (Vec::new(), true), "nobody sent in the window after it");
}

#[test]
fn lines_that_are_meant_to_cost_much_are_counted_under_their_names() {
    let tags = |count: usize| (0..count).map(|tag| format!("{tag:x}:v")).collect::<Vec<_>>().join(",");
    let colons = ":".repeat(65_500);
    let table: [(String, &str); 8] = [
        ("a:1|c|@1e-300".into(), "accepted rate_clamped"),
        ("a:NaN|g".into(), "non_finite_value"),
        ("a:1:NaN|g".into(), "accepted non_finite_dropped"),
        (format!("a{colons}|c"), "empty_value"),
        (colons.clone(), "empty_name"),
        (format!("new:1|c|#{}", tags(8_000)), "tags_per_series shed"),
        (format!("a:1|c|#{}", tags(8_000)), "accepted tags_per_series"),
        (format!("a:1|c|#{}", ",".repeat(65_000)), "accepted"),
    ];
    let bench = one_lane();
    bench.send(0, "a:1|c");
    for (line, expected) in table {
        let before = bench.producers[0].counts();
        bench.send(0, &line);
        let after = bench.producers[0].counts();
        let mut told = Vec::new();
        told.extend((after.accepted > before.accepted).then_some("accepted"));
        told.extend(
            ParseError::ALL.into_iter().filter(|r| after.rejected[*r as usize] > before.rejected[*r as usize]).map(ParseError::as_str),
        );
        told.extend(
            Tolerated::ALL.into_iter().filter(|k| after.tolerated[*k as usize] > before.tolerated[*k as usize]).map(Tolerated::as_str),
        );
        told.extend(Limit::ALL.into_iter().filter(|l| after.limited[*l as usize] > before.limited[*l as usize]).map(Limit::as_str));
        told.extend((after.shed.iter().sum::<u64>() > before.shed.iter().sum::<u64>()).then_some("shed"));
        assert_eq!(told.join(" "), expected, "{}", &line[..line.len().min(60)]);
    }
}

#[test]
fn a_line_is_explained_by_what_is_live() {
    let limits = LimitsConfig { series_per_metric: 2, tags_per_series: 3, ..LimitsConfig::default() };
    let mut bench = Bench::new(1, limits.clone(), 0);
    let live = Some(bench.aggregator.clone());
    let (readings, back) = (Reading::all([], Options::default()), Duration::from_secs(3_600));
    let explainer = Explainer {
        readings,
        shaping: Arc::default(),
        limits,
        back,
        counter_suffix: false,
        presentation: Presentation::default(),
        datadog: Vec::new(),
        live,
    };
    bench.send(0, "a:1|c|#t:1\na:1|c|#t:2\nhits:1|c\nslow_sum:1|g");
    bench.cut();
    let second = NOW / 1_000;
    let table = [
        ("a:1|c|#t:2", "known", None, "a|t:2", "a"),
        ("a:1|c|#t:3", "overflow", Some("series_per_metric"), "a|overflow:true", "a"),
        ("a:1|c|#1,2,3,4", "overflow", Some("tags_per_series"), "a|overflow:true", "a"),
        ("a:1|g", "new", None, "a", "a_gauge"),
        ("hits:1|c|#t", "new", None, "hits|t", "hits"),
        ("slow:1|ms", "new", None, "slow", "slow_timer"),
        ("b:1|c|#1,2,3,4", "shed", Some("tags_per_series"), "b|1,2,3,4", ""),
        (&format!("a:1|c|#t:9|T{second}"), "new", None, "a|t:9", "a"),
        (&format!("a:1|c|#1,2,3,4|T{second}"), "shed", Some("tags_per_series"), "a|1,2,3,4", ""),
        ("a:1|c|T1", "shed", Some("stamped_too_old"), "a", ""),
    ];
    for (line, becomes, limited, series, page) in table {
        let fate = explainer.explain(line.as_bytes(), NOW).remove(0).metric.unwrap();
        let told = serde_json::to_value(fate.becomes).unwrap();
        let named = [vec![fate.series.name.clone()], Vec::from_iter((!fate.series.tags.is_empty()).then(|| fate.series.tags.join(",")))];
        let on_page = fate.outputs.first().map_or("", |output| output.names[0].as_str());
        assert_eq!(
            (told.as_str(), fate.limited, named.concat().join("|"), on_page),
            (Some(becomes), limited, series.into(), page),
            "{line}"
        );
        assert_eq!(fate.clashes, page.contains('_'), "{line}");
    }
    // To ask leaves no trace, and what was foretold comes true.
    bench.send(0, "slow:1|ms\na:1|c|#t:3");
    let window = bench.cut();
    let names: BTreeSet<&str> = window.roster.iter().map(|family| &*family.prom_name).collect();
    assert_eq!(names, BTreeSet::from(["a", "hits", "slow_sum", "slow_timer"]));
    assert_eq!(shown(&window, "a|counter|#overflow:true"), Some("1/1".into()));
}

#[test]
fn a_line_is_explained_as_each_kind_of_listener_reads_it() {
    let statsd = Options { dialect: crate::parse::Dialect::Statsd, ..Options::default() };
    let strict = Options { strict: true, ..Options::default() };
    let listeners = [("udp:a", Options::default()), ("udp:b", statsd), ("tcp:c", Options::default()), ("tcp:d", strict)];
    let readings = Reading::all(listeners.map(|(name, options)| (name.to_string(), options)), Options::default());
    let explainer = Explainer {
        readings,
        shaping: Arc::default(),
        limits: LimitsConfig::default(),
        back: Duration::ZERO,
        counter_suffix: false,
        presentation: Presentation::default(),
        datadog: Vec::new(),
        live: None,
    };
    let told = explainer.explain(b"a:+1|g|zz", NOW);
    let told: Vec<(String, &str, &serde_json::Value)> = told
        .iter()
        .map(|one| (one.listeners.join(" "), one.dialect, one.record.get("relative").unwrap_or(&one.record["reason"])))
        .collect();
    assert_eq!(
        told,
        [
            ("udp:a tcp:c".to_string(), "dogstatsd", &false.into()),
            ("udp:b".to_string(), "statsd", &true.into()),
            ("tcp:d".to_string(), "dogstatsd", &"unknown_field".into()),
        ]
    );
}
