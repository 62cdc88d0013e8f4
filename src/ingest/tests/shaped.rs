//! Lines that a mapping file and filters shape.

use super::*;

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
    assert_rows(&window, &[("kept|counter", "5/5")]);
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
fn what_is_remembered_about_dropped_lines_is_bounded() {
    let limits = LimitsConfig { series: 100, ..LimitsConfig::default() };
    let mut bench = Bench::shaped(1, limits, 0, shaping("{ filters: [{ drop: { name: ['noise.*'] } }] }", ""));
    for n in 0..250 {
        bench.send(0, &format!("noise.{n}:1|c"));
    }
    assert_eq!(bench.producers[0].counts().dropped[DropReason::Filter as usize], 250);
    bench.cut();
    bench.send(0, "noise.1:1|c\nkept:1|c");
    assert_eq!(rows(&bench.cut()).len(), 1);
}
