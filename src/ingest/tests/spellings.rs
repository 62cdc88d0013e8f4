//! One series in several spellings, and what is wrong with them.

use super::*;

#[test]
fn tag_order_and_blanks_do_not_make_another_series() {
    let mut bench = one_lane();
    bench.send(0, "c:1|c|#b:2,a:1\nc:1|c|#a:1,b:2\nc:1|c|#a:1, b:2,a:1\nc:1|c|#b:2,a:1\n");
    assert_rows(&bench.cut(), &[("c|counter|#a:1,b:2", "4/4")]);
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
    assert_rows(&bench.cut(), &[("all|counter", "80000/80000")]);
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
fn long_further_spellings_are_counted_and_not_held() {
    let mut bench = one_lane();
    for at in 0..300 {
        let blanks = " ".repeat(5_000 + at);
        bench.send(0, &format!("a:1|c|#x,{blanks}"));
    }
    assert_rows(&bench.cut(), &[("a|counter|#x", "300/300")]);
}

#[test]
fn what_a_line_of_another_spelling_is_recorded_by_keeps_its_own_scale_and_blemishes() {
    let mapping = "mappings:\n- { match: us.*, name: t, scale: 0.5 }\n- { match: ms.*, name: t, scale: 4 }\n";
    let limits = LimitsConfig { series_per_metric: 2, ..LimitsConfig::default() };
    let mut bench = Bench::shaped(2, limits, 0, shaping("{ mapping: m }", mapping));
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
fn where_a_line_comes_from_is_no_part_of_its_series() {
    let mut bench = one_lane();
    bench.send(0, "a:1|c|c:ci-1|e:pod|card:low\na:2|c|c:in-7\na:4|c");
    assert_eq!(rows(&bench.cut()).len(), 1);
}

#[test]
fn a_blemish_of_the_tags_is_counted_for_every_line() {
    let mut bench = one_lane();
    for _ in 0..3 {
        bench.producers[0].batch().frame(b"a:1|c|#x:\xff\na:1|c|#y,x:\xff\na:1|c|#y");
    }
    assert_eq!(bench.producers[0].counts().tolerated[Tolerated::TagRepaired as usize], 6);
    assert_eq!(rows(&bench.cut()).len(), 3);
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
    again.cutter.restore([restored(Kind::Counter, "a", &["__name__:b"], Base::default())]);
    again.send(0, "a:1|c|#__name__:b");
    assert_eq!(again.producers[0].counts().tolerated[Tolerated::TagDropped as usize], 1);
}
