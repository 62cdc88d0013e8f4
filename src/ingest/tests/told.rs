//! What a person who asks is told: who sends, and what becomes of a line.

use super::*;

#[test]
fn the_last_window_tells_who_sent_how_much() {
    let mut bench = Bench::new(2, LimitsConfig::default(), 0);
    let address = |last: u8| Some(IpAddr::from([10, 0, 0, last]));
    for (lane, sender, datagrams) in
        [(0, address(1), &["a:1|c\nb:x|c", "a:1|c"][..]), (1, address(1), &["a:1|c"]), (1, None, &["a:1:2|c", ""])]
    {
        let producer = &bench.producers[lane];
        let mut batch = producer.batch();
        let whole = datagrams.iter().map(|text| Datagram { bytes: text.as_bytes(), sender, state: State::Whole });
        batch.datagrams(whole.chain([Datagram { bytes: b"not read", sender: address(2), state: State::Denied }]));
    }
    assert_eq!(bench.aggregator.senders(), (Vec::new(), true), "the window is open");
    bench.cut();
    let sending = |sender, lines, bytes| Sending { listener: "test".into(), sender, sent: Sent { lines, bytes } };
    assert_eq!(bench.aggregator.senders(), (vec![sending(None, 1, 7), sending(address(1), 4, 21), sending(address(2), 0, 24)], true));
    bench.cut();
    assert_eq!(bench.aggregator.senders(), (Vec::new(), true), "nobody sent in the window after it");
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
        store: true,
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
    let statsd = Options { dialect: Dialect::Statsd, ..Options::default() };
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
        store: true,
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
