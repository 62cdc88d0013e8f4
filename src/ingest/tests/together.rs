//! Lines of many datagrams are recorded some at a time: nobody can tell.

use proptest::collection::vec;

use super::*;

/// What one client, or several, may send, and what becomes of it before it is read.
fn datagrams() -> impl Strategy<Value = Vec<(String, u8, State)>> {
    let value = "-?[0-9]|[+-][0-9]|1:-2:[+]3|1e2|x";
    let line = ("[a-d]", value, "c|g|ms|s|h", prop_oneof![6 => "", 2 => "[|]#[pq]", 1 => "[|]@0[.]5", 1 => "[|]#q,p|[|]T1700000000"]);
    let line = line.prop_map(|(name, value, kind, fields)| format!("{name}:{value}|{kind}{fields}"));
    let line = prop_oneof![20 => line, 1 => Just("_e{1,1}:t|x".to_string()), 1 => Just(String::new())];
    let state = prop_oneof![8 => Just(State::Whole), 1 => Just(State::Truncated), 1 => Just(State::Denied)];
    vec((vec(line, 0..12).prop_map(|lines| lines.join("\n")), 0..3u8, state), 0..12)
}

/// Everything that can be told of windows in which batches of datagrams came.
fn told(batches: &[Vec<(String, u8, State)>], dialect: Dialect, limits: &LimitsConfig, one_by_one: bool) -> Vec<String> {
    let mut bench = Bench::new(1, limits.clone(), 1);
    let options = Options { dialect, ..Options::default() };
    let views = Arc::new(Views::default());
    let producer = Producer::new(bench.aggregator.clone(), Arc::new(Published::new("test")), options, Clock::manual(NOW));
    let producer = producer.seen(views.clone(), "test");
    // What is shown to somebody is recorded as it is read.
    let tapping = one_by_one.then(|| views.tap.listen(Wanted::default()).unwrap());
    let mut all = Vec::new();
    for batch in batches {
        producer.batch().datagrams(batch.iter().map(|(text, sender, state)| {
            let sender = Some(IpAddr::from([10, 0, 0, *sender]));
            Datagram { bytes: text.as_bytes(), sender, state: *state }
        }));
        let window = bench.cut();
        let stamped: Vec<_> = window.stamped.iter().map(|one| format!("{:?} {} {}", one.series, one.at, one.value)).collect();
        all.push(format!("{:?} {stamped:?} {} {:?}", rows(&window), window.events.len(), bench.report.examples));
        all.push(format!("{:?} {:?}", bench.aggregator.senders(), producer.counts()));
    }
    let rejected = views.rejected.examples();
    all.extend(rejected.iter().map(|one| format!("{one:?}")));
    drop(tapping);
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_recorded_together_comes_to_what_it_does_line_by_line(
        batches in vec(datagrams(), 1..4),
        dialect in prop::sample::select(vec![Dialect::DogStatsd, Dialect::Statsd]),
        series in prop::sample::select(vec![3, 1_000]),
    ) {
        let limits = LimitsConfig { series, series_per_metric: 2, ..LimitsConfig::default() };
        prop_assert_eq!(told(&batches, dialect, &limits, false), told(&batches, dialect, &limits, true));
    }
}
