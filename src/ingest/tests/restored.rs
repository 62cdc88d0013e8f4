//! Series that were live when an earlier process stopped.

use super::*;

#[test]
fn what_was_live_at_the_stop_stands_at_the_start() {
    let mut bench = one_lane();
    let left = [
        restored(Kind::Counter, "c", &["a:1"], Base { total: 9.0, ..Base::default() }),
        restored(Kind::Gauge, "g", &["a:1"], Base { gauge: 4.0, ..Base::default() }),
        restored(Kind::Timer, "t", &["a:1"], Base { count: 2.0, sum: 0.5, ..Base::default() }),
    ];
    bench.cutter.restore(left.map(|left| Restored { age: 3, ..left }));
    let standing = bench.cutter.standing_window(5_000, Vec::new());
    assert_eq!(shown(&standing, "c|counter|#a:1").unwrap(), "0/9");
    bench.send(0, "c:1|c|#a:1\nt:500|ms|#a:1");
    let window = bench.cut();
    let expected = [("c|counter|#a:1", "1/10"), ("g|gauge|#a:1", "4"), ("t|timer|#a:1", "3/1")];
    assert_rows(&window, &expected);
    assert!(window.births.is_empty());
}

#[test]
fn a_restored_series_is_met_by_its_lines_and_by_no_other_name() {
    let mapping = "mappings:\n- { match: brief, name: brief, ttl: 10s }\n";
    let mut bench = shaped_by("{ namespace: ns, mapping: m }", mapping, 0);
    let left = |name, tags, total| restored(Kind::Counter, name, tags, Base { total, ..Base::default() });
    bench.cutter.restore([left("ns.hits", &["a:1", "b:x,y"], 40.0), left("ns.brief", &[], 1.0)]);
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
    let left = ["ns.met", "ns.idle"].map(|name| restored(Kind::Counter, name, &["a:1"], Base { total: 40.0, ..Base::default() }));
    bench.cutter.restore(left.map(|left| Restored { age: 1, ..left }));
    bench.send(0, "met:2|c|#a:1");
    assert_eq!(shown(&bench.cut(), "ns.met|counter|#a:1").as_deref(), Some("2/42"));
    let window = bench.cut();
    assert_eq!(format!("{:?}", window.gone), "[ns.idle|counter|#a:1]");
    let window = bench.cut();
    assert_eq!(format!("{:?}", window.gone), "[ns.met|counter|#a:1]");
    assert!(bench.aggregator.registry.is_empty() && rows(&window).is_empty());
    bench.send(0, "met:1|c|#a:1");
    assert_rows(&bench.cut(), &[("ns.met|counter|#a:1", "1/1")]);
}

#[test]
fn a_restored_series_whose_first_line_is_not_recorded_leaves_all_the_same() {
    let mut bench = shaped_by("{ namespace: ns }", "", 2);
    bench.cutter.restore([restored(Kind::Counter, "ns.c", &["a:1"], Base::default())]);
    bench.aggregator.registry.resolve(&spelling(b"c", b"a:1", Kind::Counter));
    for _ in 0..3 {
        assert_eq!(rows(&bench.cut()).len(), bench.aggregator.registry.len());
    }
    assert!(bench.aggregator.registry.is_empty());
}

#[test]
fn a_restored_series_is_what_its_rule_says_before_it_is_heard_again() {
    let mut bench = shaped_by("{ mapping: m }", TIMINGS, 0);
    let bounds: Arc<[f64]> = [0.1, 0.5].as_slice().into();
    let before = Some(Arc::new(Buckets::with_weights(&bounds, vec![3.0, 4.0])));
    let base = Base { count: 9.0, sum: 2.0, buckets: before, ..Base::default() };
    let left = |sent: &str| {
        let left = restored(Kind::Timer, "took", &[&format!("sent:{}", &sent[..1])], base.clone());
        Restored { sent_name: Some(sent.into()), ..left }
    };
    bench.cutter.restore([left("quick.x"), left("unmapped"), left("shares")]);
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
    let left = |tag: &str, sent: &str, weight: f64| {
        let buckets = Some(Arc::new(Buckets::with_weights(&bounds, vec![weight, 0.0, 0.0])));
        let left = restored(Kind::Timer, "took", &[tag], Base { count: weight, buckets, ..Base::default() });
        Restored { sent_name: Some(sent.into()), ..left }
    };
    // The sender of the first names the family itself; an overflow is of no rule, not even of the defaults.
    bench.cutter.restore([left("sent:took", "took", 7.0), left("overflow:true", "took", 2.0), left("sent:q", "quick.x", 5.0)]);
    let standing = bench.cutter.standing_window(5_000, Vec::new());
    let (_, Column::Timer { buckets, .. }) = standing.families().next().unwrap() else { panic!() };
    let first: Vec<f64> = buckets.iter().map(|buckets| buckets.weights()[0]).collect();
    assert_eq!(first, [7.0, 2.0, 5.0]);
}
