//! Datadog gets every metric under its own name and with its own numbers, and events and checks as they came.

use crate::intake::Intake;
use crate::relay::{Home, wait_for};
use statsd_relay::encode::datadog::proto::{MetricSeries, MetricType};

const KEY: &str = "0123456789abcdef0123456789abcdef";

/// The fake intake on a runtime of its own.
pub(crate) struct Datadog {
    pub(crate) intake: Intake,
    _runtime: tokio::runtime::Runtime,
}

impl Datadog {
    pub(crate) fn start() -> Datadog {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let intake = runtime.block_on(Intake::start());
        intake.require_key(KEY);
        Datadog { intake, _runtime: runtime }
    }

    /// The relay's configuration that sends here.
    pub(crate) fn sink(&self) -> String {
        format!("sinks: [{{ name: datadog, type: datadog, url: \"{}\", api_key: {KEY}, hostname: story-host }}]", self.intake.url())
    }

    /// What a counter gained, from its rates.
    pub(crate) fn gained(&self, metric: &str) -> f64 {
        self.points(metric).iter().map(|(series, value)| value * series.interval as f64).sum()
    }

    /// Every accepted point of a metric, with its series.
    fn points(&self, metric: &str) -> Vec<(MetricSeries, f64)> {
        let series = self.intake.series().into_iter().filter(|series| series.metric == metric);
        series.flat_map(|series| series.points.clone().into_iter().map(move |point| (series.clone(), point.value))).collect()
    }
}

#[test]
fn every_type_arrives_with_its_name_and_value() {
    let datadog = Datadog::start();
    let home = Home::new(&datadog.sink());
    let relay = home.start();
    // One datagram is in one window, so the summaries are of all its samples.
    relay.send(
        "web.hits:3|c|#env:test\nweb.hits:2|c|#env:test\nweb.load:7|g\nweb.users:ann|s\nweb.users:bob|s\n\
         web.request:250|ms\nweb.request:750|ms\nweb.size:1024|h\nweb.latency:0.125|d\nweb.latency:0.375|d",
    );
    relay.send("_e{8,9}:deployed|version 2|t:success|#env:test");
    relay.send("_sc|database|1|m:slow");

    let (rate, gauge) = (MetricType::Rate as i32, MetricType::Gauge as i32);
    let expected = [
        ("web.load", gauge, 7.0),
        ("web.users", gauge, 2.0),
        ("web.request.max", gauge, 750.0),
        ("web.request.median", gauge, 250.0),
        ("web.request.avg", gauge, 500.0),
        ("web.request.95percentile", gauge, 750.0),
        ("web.request.count", rate, 2.0),
        ("web.size.max", gauge, 1_024.0),
        ("web.size.count", rate, 1.0),
    ];
    for (metric, kind, value) in expected {
        let points = wait_for(metric, || Some(datadog.points(metric)).filter(|points| !points.is_empty()));
        let shown: Vec<(i32, f64)> = points.iter().map(|(series, value)| (series.r#type, *value)).collect();
        assert_eq!(shown, [(kind, value)], "{metric}");
    }
    wait_for("5 hits", || (datadog.gained("web.hits") == 5.0).then_some(()));
    for (hits, _) in datadog.points("web.hits") {
        assert_eq!((hits.r#type, hits.interval), (rate, 1), "{hits:?}");
        assert!(hits.tags.iter().any(|tag| tag == "env:test"), "{hits:?}");
        assert!(hits.resources.iter().any(|resource| resource.r#type == "host" && resource.name == "story-host"), "{hits:?}");
    }

    let sketch = wait_for("a sketch", || datadog.intake.sketches().into_iter().find(|sketch| sketch.metric == "web.latency"));
    let [dog] = &sketch.dogsketches[..] else { panic!("{sketch:?}") };
    assert_eq!((dog.cnt, dog.min, dog.max, dog.sum, sketch.host.as_str()), (2, 0.125, 0.375, 0.5, "story-host"), "{sketch:?}");

    let event = wait_for("an event", || datadog.intake.json("/api/v1/events").into_iter().next());
    assert_eq!((&event["title"], &event["text"], &event["alert_type"]), (&"deployed".into(), &"version 2".into(), &"success".into()));
    let check = wait_for("a check", || {
        let bodies = datadog.intake.json("/api/v1/check_run");
        // The endpoint takes one check or a list of them.
        bodies.into_iter().map(|body| body.get(0).cloned().unwrap_or(body)).find(|check| check["check"] == "database")
    });
    assert_eq!((&check["status"], &check["message"]), (&1.into(), &"slow".into()), "{check:#}");

    relay.assert_balanced(3);
    relay.stop();
    assert!(datadog.intake.received().iter().all(|request| !request.path.contains(KEY)));
    let log = std::fs::read_to_string(home.path("log")).unwrap();
    assert!(!log.contains(KEY), "the key is in the log");
}

#[test]
fn what_an_outage_delays_arrives_once() {
    use crate::intake::Fault;
    let datadog = Datadog::start();
    let home = Home::new(&datadog.sink());
    let relay = home.start();
    datadog.intake.fail("/api/v2/series", [Fault::Status(503), Fault::Reset]);
    for _ in 0..20 {
        relay.send("patient.hits:5|c");
    }
    wait_for("100 hits", || (datadog.gained("patient.hits") == 100.0).then_some(()));
    relay.assert_balanced(20);
    relay.stop();
    assert_eq!(datadog.gained("patient.hits"), 100.0);
}
