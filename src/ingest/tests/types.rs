//! What each type of line comes to in a window, in the order of arrival, over however many lanes.

use super::*;

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
    assert_rows(&window, &expected);
    let idle = bench.cut();
    let expected = [
        ("c|counter", "0/21"),
        ("d|distribution", "1/4"),
        ("g|gauge", "7"),
        ("h|histogram", "6/12"),
        ("s|set", "0"),
        ("t|timer", "1/0.32"),
    ];
    assert_rows(&idle, &expected);
    assert!(idle.families().all(|(_, column)| column.ages() == [1]));
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
fn a_gauge_keeps_the_order_of_arrival_over_datagrams_of_every_state() {
    let mut bench = one_lane();
    let producer = &bench.producers[0];
    let states = [(&b"a:1|g\nb:1|g"[..], State::Whole), (b"a:2|g\nc:1|g\ncut", State::Truncated), (b"b:2|g\nc:2|g", State::Whole)];
    producer.batch().datagrams(states.map(|(bytes, state)| Datagram { bytes, sender: None, state }));
    assert_rows(&bench.cut(), &[("a|gauge", "2"), ("b|gauge", "2"), ("c|gauge", "2")]);
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
    let counts = bench.producers[0].counts();
    for limit in [Limit::StampedTooOld, Limit::StampedTooNew] {
        assert_eq!((counts.shed[limit as usize], counts.limited[limit as usize]), (2, 3), "{limit:?}");
    }
    bench.send(0, "t:1|ms|T1");
    let window = bench.cut();
    assert_eq!((window.stamped.len(), shown(&window, "t|timer").is_some()), (0, true));
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
