//! When a series is born, leaves and returns.

use super::*;

#[test]
fn a_series_stands_from_the_window_of_its_first_sample() {
    let mut bench = one_lane();
    bench.aggregator.registry.resolve(&spelling(b"g", b"", Kind::Gauge));
    assert!(rows(&bench.cut()).is_empty());
    bench.send(0, "g:7|g");
    let window = bench.cut();
    assert_eq!(shown(&window, "g|gauge").as_deref(), Some("7"));
    assert_eq!(format!("{:?}", window.births), "[g|gauge]");
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
    assert_rows(&window, &[("other|counter", "1/3")]);
    assert_eq!(format!("{:?}", window.gone), "[c|counter|#a:1]");
    assert_eq!(bench.aggregator.registry.len(), 1);
    bench.send(0, "c:2|c|#a:1");
    let window = bench.cut_from(|_| Some(Base { total: 5.0, ..Base::default() }));
    assert_eq!(shown(&window, "c|counter|#a:1").unwrap(), "2/7");
    assert_eq!(format!("{:?}", window.births), "[c|counter|#a:1]");
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
fn a_birth_told_of_a_series_that_has_left_makes_no_second_row() {
    let mut bench = shaped_by("{ mapping: m }", "mappings:\n- { match: a.*, name: a, ttl: 10s }\n", 0);
    bench.send(0, "a.b:1|c\nz:1|c");
    bench.cut();
    // A further spelling is resolved, and tells of the rule's options, while the cutter lets go of the series.
    bench.aggregator.registry.resolve(&spelling(b"a.c", b"", Kind::Counter));
    assert_eq!(rows(&bench.cut()).len(), 1);
    bench.send(0, "new:1|c\nz:1|c");
    let window = bench.cut();
    assert_eq!(rows(&window).len(), 2, "{window:?}");
    assert!(window.families().all(|(family, column)| family.series.len() == column.ages().len()));
}
