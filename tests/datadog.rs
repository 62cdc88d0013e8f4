//! A Datadog sink against an intake that decodes, refuses, stalls and forgets to answer.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests")]

mod intake;

use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use intake::window::WindowBuilder;
use intake::{Fault, Intake};
use statsd_relay::clock::Clock;
use statsd_relay::encode::datadog::proto::{MetricSeries, MetricType};
use statsd_relay::model::{AlertType, Check, CheckStatus, Event, Kind, Priority};
use statsd_relay::sink::{self, SinkConfig, SinkContext, SinkHandle, SinkState};
use statsd_relay::telemetry::Telemetry;
use tokio::task::JoinSet;
use tokio::time::Instant;

const KEY: &str = "canary-0123456789abcdef";
/// End of the first window, unix milliseconds; its bucket begins at 1,700,000,000.
const END: i64 = 1_700_000_010_000;

/// A sink at work against an intake.
struct Bench {
    intake: Intake,
    sink: SinkHandle,
    clock: Clock,
    _tasks: JoinSet<()>,
}

impl Bench {
    async fn start(name: &str, keys: &str) -> Bench {
        Bench::with_key(name, KEY, keys).await
    }

    /// `key` is written as in relay.yaml.
    async fn with_key(name: &str, key: &str, keys: &str) -> Bench {
        Telemetry::install();
        let intake = Intake::start().await;
        let text = format!("{{ name: {name}, type: datadog, url: '{}', api_key: {key}, hostname: h, {keys} }}", intake.url());
        let (clock, mut tasks) = (Clock::manual(END), JoinSet::new());
        let context = SinkContext { interval: Duration::from_secs(10), clock: clock.clone(), hostname: "machine".to_string() };
        let sink = sink::start(&config(&text), &context, &mut tasks).expect("starts");
        Bench { intake, sink, clock, _tasks: tasks }
    }

    /// Waits until the queue is empty, at most for this long.
    async fn settle(&self, seconds: u64) {
        let deadline = Instant::now() + Duration::from_secs(seconds);
        while self.sink.health().queued_points > 0 {
            assert!(Instant::now() < deadline, "{:?}", self.sink.health());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.balance();
        self.intake.assert_lawful();
    }

    fn ledger(&self) -> HashMap<String, u64> {
        ledger(self.sink.name())
    }

    /// offered = delivered + refused + dropped + queued, and every drop has a reason.
    fn balance(&self) {
        let ledger = self.ledger();
        let of = |key: &str| ledger.get(key).copied().unwrap_or_default();
        assert_eq!(of("offered"), of("delivered") + of("refused") + of("dropped") + self.sink.health().queued_points, "{ledger:?}");
        let by_reason: u64 = ledger.iter().filter(|(key, _)| key.starts_with("reason:")).map(|(_, points)| points).sum();
        assert_eq!(of("dropped"), by_reason, "{ledger:?}");
    }
}

fn config(text: &str) -> SinkConfig {
    serde_yaml::from_str(text).expect("a sink")
}

/// The sink's counters: `offered`, each result, `reason:x` for drops and `outcome:x` for requests.
fn ledger(sink: &str) -> HashMap<String, u64> {
    let mut ledger = HashMap::new();
    for line in Telemetry::install().families().into_iter().flat_map(|family| family.lines) {
        let Some((name, rest)) = line.strip_prefix("statsd_relay_sink_").and_then(|line| line.split_once('{')) else { continue };
        if !rest.contains(&format!("sink=\"{sink}\"")) {
            continue;
        }
        let label = |key: &str| rest.split(&format!("{key}=\"")).nth(1).and_then(|rest| rest.split('"').next()).map(str::to_string);
        let key = match name {
            "points_offered_total" => Some("offered".to_string()),
            "points_total" => label("result"),
            "points_dropped_total" => label("reason").map(|reason| format!("reason:{reason}")),
            "requests_total" => label("outcome").map(|outcome| format!("outcome:{outcome}")),
            _ => None,
        };
        let value: f64 = rest.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a value");
        key.map(|key| ledger.insert(key, value as u64));
    }
    ledger
}

fn find<'a>(series: &'a [MetricSeries], name: &str) -> &'a MetricSeries {
    series.iter().find(|series| series.metric == name).unwrap_or_else(|| panic!("no {name} in {series:?}"))
}

#[tokio::test]
async fn each_type_becomes_what_the_agent_would_send() {
    let bench = Bench::start("types", "histogram_aggregates: [max, min, median, avg, sum, count]").await;
    let samples = [(1.0, 1.0), (2.0, 1.0), (2.0, 1.0), (10.0, 2.0)];
    let window = WindowBuilder::new(END)
        .counter("hits", "env:prod,host:web1", 15.0, 0)
        .counter("silent", "", 0.0, 30)
        .counter("forgotten", "", 0.0, 31)
        .gauge("depth", "device:sda,dd.internal.resource:pod:p1", -2.5, 0)
        .gauge("old_depth", "", 7.0, 1)
        .set("users", "host:", 3.0, 0)
        .sketch(Kind::Timer, "latency", "env:prod", &samples)
        .sketch(Kind::Histogram, "size", "", &[])
        .stamped(Kind::Counter, "late_hits", 1_699_999_000, 20.0)
        .stamped(Kind::Gauge, "late_depth", 1_699_999_001, 4.0)
        .build();
    bench.sink.offer(window);
    bench.settle(5).await;
    let series = bench.intake.series();
    let figures: HashMap<&str, (MetricType, f64, i64, i64, &str)> = series
        .iter()
        .map(|series| {
            let point = series.points[0];
            (series.metric.as_str(), (series.r#type(), point.value, point.timestamp, series.interval, series.unit.as_str()))
        })
        .collect();
    let start = 1_700_000_000;
    let expected = HashMap::from([
        ("hits", (MetricType::Rate, 1.5, start, 10, "")),
        ("silent", (MetricType::Rate, 0.0, start, 10, "")),
        ("depth", (MetricType::Gauge, -2.5, start, 0, "")),
        ("users", (MetricType::Gauge, 3.0, start, 0, "")),
        ("latency.max", (MetricType::Gauge, 10.0, start, 0, "millisecond")),
        ("latency.min", (MetricType::Gauge, 1.0, start, 0, "millisecond")),
        ("latency.median", (MetricType::Gauge, 2.0, start, 0, "millisecond")),
        ("latency.avg", (MetricType::Gauge, 5.0, start, 0, "millisecond")),
        ("latency.sum", (MetricType::Gauge, 25.0, start, 0, "millisecond")),
        ("latency.count", (MetricType::Rate, 0.5, start, 10, "")),
        ("latency.95percentile", (MetricType::Gauge, 10.0, start, 0, "millisecond")),
        ("late_hits", (MetricType::Rate, 2.0, 1_699_999_000, 10, "")),
        ("late_depth", (MetricType::Gauge, 4.0, 1_699_999_001, 0, "")),
    ]);
    assert_eq!(figures, expected);
    let resources = |name| -> Vec<(String, String)> {
        find(&series, name).resources.iter().map(|resource| (resource.r#type.clone(), resource.name.clone())).collect()
    };
    assert_eq!(resources("hits"), [("host".into(), "web1".into())]);
    assert_eq!(resources("depth"), [("host".into(), "h".into()), ("device".into(), "sda".into()), ("pod".into(), "p1".into())]);
    assert_eq!(resources("users"), []);
    assert_eq!((find(&series, "hits").tags.join(","), find(&series, "depth").tags.len()), ("env:prod".to_string(), 0));
    assert_eq!(bench.ledger()["delivered"], 13);
}

#[tokio::test]
async fn counters_may_be_counts() {
    let bench = Bench::start("counts", "counters: count, compression: none").await;
    bench.sink.offer(WindowBuilder::new(END).counter("hits", "", 15.0, 0).stamped(Kind::Counter, "late", 1_699_999_990, 3.0).build());
    bench.settle(5).await;
    let series = bench.intake.series();
    for (name, value) in [("hits", 15.0), ("late", 3.0)] {
        let series = find(&series, name);
        assert_eq!((series.r#type(), series.points[0].value, series.interval), (MetricType::Count, value, 10));
    }
}

#[tokio::test]
async fn stamped_samples_of_one_second_become_one_value() {
    let bench = Bench::start("stamped", "counters: count").await;
    let window = WindowBuilder::new(END)
        .stamped(Kind::Counter, "c", 1_699_999_990, 1.0)
        .stamped(Kind::Gauge, "g", 1_699_999_990, 5.0)
        .stamped(Kind::Counter, "c", 1_699_999_991, 8.0)
        .stamped(Kind::Counter, "c", 1_699_999_990, 2.0)
        .stamped(Kind::Gauge, "g", 1_699_999_990, 4.0);
    bench.sink.offer(window.build());
    bench.settle(5).await;
    let series = bench.intake.series();
    let points: Vec<_> = series.iter().map(|series| (series.metric.as_str(), series.points[0].timestamp, series.points[0].value)).collect();
    assert_eq!(points, [("c", 1_699_999_990, 3.0), ("g", 1_699_999_990, 4.0), ("c", 1_699_999_991, 8.0)]);
}

#[tokio::test]
async fn every_compression_is_understood_and_named() {
    for (form, header) in [("zstd", Some("zstd")), ("deflate", Some("deflate")), ("gzip", Some("gzip")), ("none", None)] {
        let bench = Bench::start(&format!("form_{form}"), &format!("compression: {form}")).await;
        bench.sink.offer(WindowBuilder::new(END).gauge("a", "k:v", 1.5, 0).build());
        bench.settle(5).await;
        let request = bench.intake.received().remove(0);
        let headers = |name: &str| request.headers.get(name).map(String::as_str);
        assert_eq!(headers("content-encoding"), header);
        assert_eq!((headers("dd-api-key"), headers("content-type")), (Some(KEY), Some("application/x-protobuf")));
        assert_eq!(headers("user-agent"), Some(concat!("statsd-relay/", env!("CARGO_PKG_VERSION"))));
        assert!(request.accepted && !request.path.contains(KEY));
    }
}

#[tokio::test]
async fn distributions_go_as_sketches() {
    let bench = Bench::start("sketches", "").await;
    let samples = [(-1.0, 1.0), (0.0, 1.0), (1.0, 1.0), (2.0, 2.0)];
    bench.sink.offer(WindowBuilder::new(END).sketch(Kind::Distribution, "d", "k:v,host:other", &samples).build());
    bench.settle(5).await;
    let sketches = bench.intake.sketches();
    let sketch = &sketches[0];
    assert_eq!((sketches.len(), sketch.metric.as_str(), sketch.host.as_str(), sketch.tags.join(",")), (1, "d", "other", "k:v".into()));
    let dog = &sketch.dogsketches[0];
    assert_eq!((dog.ts, dog.cnt, dog.min, dog.max, dog.avg, dog.sum), (1_700_000_000, 5, -1.0, 2.0, 0.8, 4.0));
    assert_eq!((dog.k.as_slice(), dog.n.as_slice()), (&[-1338, 0, 1338, 1383][..], &[1, 1, 1, 2][..]));
    assert!(bench.intake.series().is_empty());
}

#[tokio::test]
async fn events_and_checks_go_to_the_public_api() {
    let bench = Bench::start("events", "").await;
    let event = Event {
        title: "deploy".into(),
        text: String::new(),
        timestamp: None,
        hostname: None,
        aggregation_key: Some("k".repeat(120)),
        priority: Priority::Low,
        source_type: None,
        alert_type: AlertType::Warning,
        tags: vec!["env:prod".into(), "host:web1".into()],
    };
    let check = |name: &str, status| Check {
        name: name.into(),
        status,
        timestamp: Some(1_700_000_003),
        hostname: Some("db1".into()),
        message: Some("m".into()),
        tags: vec!["host:ignored".into(), "role:db".into()],
    };
    let window = WindowBuilder::new(END).event(event.clone()).event(Event { title: "second".into(), ..event });
    bench.sink.offer(window.check(check("up", CheckStatus::Ok)).check(check("disk", CheckStatus::Critical)).build());
    bench.settle(5).await;
    let events = bench.intake.json("/api/v1/events");
    assert_eq!(events.len(), 2);
    let expected = serde_json::json!({
        "title": "deploy", "text": "deploy", "date_happened": 1_700_000_009, "host": "web1", "tags": ["env:prod"],
        "priority": "low", "alert_type": "warning", "aggregation_key": "k".repeat(100),
    });
    assert_eq!(events[0], expected);
    let item = |name: &str, status: u8| serde_json::json!({"check": name, "host_name": "db1", "timestamp": 1_700_000_003, "status": status, "message": "m", "tags": ["role:db"]});
    assert_eq!(bench.intake.json("/api/v1/check_run"), [serde_json::json!([item("up", 0), item("disk", 2)])]);
    assert_eq!(bench.ledger()["delivered"], 4);
}

#[tokio::test]
async fn what_the_intake_would_drop_is_counted_and_does_not_leave() {
    let bench = Bench::start("unfit", "").await;
    let many: String = (0..101).map(|tag| format!("t{tag},")).collect();
    let window = WindowBuilder::new(END)
        .gauge("good", "", 1.0, 0)
        .gauge("1.2.3", "", 1.0, 0)
        .gauge("many", &many, 1.0, 0)
        .gauge("nan", "", f64::NAN, 0)
        .gauge("far", &format!("host:{}", "h".repeat(256)), 1.0, 0)
        .stamped(Kind::Gauge, "ahead", 1_700_000_611, 1.0)
        .stamped(Kind::Gauge, "just_ahead", 1_700_000_610, 1.0);
    bench.sink.offer(window.build());
    bench.settle(5).await;
    let names: Vec<String> = bench.intake.series().into_iter().map(|series| series.metric).collect();
    assert_eq!(names, ["good", "just_ahead"]);
    let ledger = bench.ledger();
    assert_eq!((ledger["offered"], ledger["delivered"], ledger["dropped"]), (7, 2, 5));
    for reason in ["unfit_name", "unfit_tags", "unfit_value", "unfit_host", "unfit_future"] {
        assert_eq!(ledger[&format!("reason:{reason}")], 1, "{reason}");
    }
}

#[tokio::test]
async fn payloads_stay_within_every_limit_of_the_intake() {
    let bench = Bench::start("split", "").await;
    let mut random = fastrand::Rng::with_seed(1);
    let mut window = WindowBuilder::new(END);
    for row in 0..25_000 {
        window = window.gauge(&format!("small.{}", row / 1_000), &format!("row:{row}"), 1.0, 0);
    }
    // Text that does not compress: about 2 kB a series.
    for row in 0..800 {
        let tags: String = (0..10).map(|_| (0..195).map(|_| random.alphanumeric()).collect::<String>() + ",").collect();
        window = window.gauge("large", &format!("{tags}row:{row}"), 1.0, 0);
    }
    bench.sink.offer(window.build());
    bench.settle(30).await;
    let requests = bench.intake.received();
    assert!(requests.len() > 4, "{}", requests.len());
    for request in &requests {
        let intake::Decoded::Series(series) = &request.decoded else { panic!("{}", request.path) };
        assert!(series.len() <= 10_000 && request.body.len() <= 512_000 && request.plain <= 5_242_880);
    }
    assert!(requests.iter().any(|request| request.body.len() > 480_000), "no payload is nearly full");
    assert_eq!((bench.intake.series().len(), bench.intake.stored().len()), (25_800, 25_800));
}

#[tokio::test(start_paused = true)]
async fn sums_are_exact_after_a_storm_of_faults() {
    let bench = Bench::start("storm", "").await;
    let faults = [
        Fault::Status(500),
        Fault::Reset,
        Fault::RetryAfter(429, 90),
        Fault::Close,
        Fault::AnswerLost,
        Fault::Status(404),
        Fault::Slow(Duration::from_secs(30)),
        Fault::Redirect("http://127.0.0.1:1/elsewhere".to_string()),
    ];
    bench.intake.fail("/api/v2/series", faults);
    for turn in 0..20 {
        let end = END + turn * 10_000;
        bench.clock.set(end);
        bench.sink.offer(WindowBuilder::new(end).counter("hits", "", (turn + 1) as f64, 0).counter("misses", "", 1.0, 0).build());
        tokio::time::sleep(Duration::from_secs(10)).await;
        bench.balance();
    }
    bench.settle(3_600).await;
    let stored = bench.intake.stored();
    let sum = |name: &str| stored.iter().filter(|((metric, ..), _)| metric == name).map(|(_, value)| value * 10.0).sum::<f64>();
    assert_eq!((sum("hits"), sum("misses"), stored.len()), (210.0, 20.0, 40));
    let ledger = bench.ledger();
    assert_eq!((ledger["offered"], ledger["delivered"]), (40, 40));
    assert_eq!(bench.sink.health().state, SinkState::Ok);
    // The wait that the intake asked for was kept.
    let times: Vec<Instant> = bench.intake.received().iter().map(|request| request.at).collect();
    assert!(times[3] - times[2] >= Duration::from_secs(90), "{:?}", times[3] - times[2]);
    // No value of a context and second ever differed, and only faults made repetitions.
    let mut seen: HashMap<(String, i64), f64> = HashMap::new();
    for series in bench.intake.series() {
        let before = seen.insert((series.metric, series.points[0].timestamp), series.points[0].value);
        assert!(before.is_none_or(|before| before == series.points[0].value));
    }
    assert!(bench.intake.series().len() <= 40 + 2 * 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_are_offered_from_a_plain_thread() {
    let bench = Bench::start("thread", "").await;
    let sink = bench.sink.clone();
    let cutter = std::thread::spawn(move || {
        for turn in 0..200 {
            let window = WindowBuilder::new(END + turn * 10_000).counter("hits", "", 10.0, 0);
            sink.offer(window.sketch(Kind::Distribution, "d", "", &[(1.0, 1.0)]).build());
        }
    });
    cutter.join().unwrap();
    bench.settle(30).await;
    let sum: f64 = bench.intake.stored().values().map(|rate| rate * 10.0).sum();
    assert_eq!((sum, bench.intake.sketches().len(), bench.ledger()["delivered"]), (2_000.0, 200, 400));
}

#[tokio::test(start_paused = true)]
async fn a_failing_route_does_not_stop_the_others() {
    let bench = Bench::start("routes", "").await;
    bench.intake.fail("/api/beta/sketches", vec![Fault::Status(500); 4]);
    for turn in 0..3 {
        let window = WindowBuilder::new(END + turn * 10_000).counter("hits", "", 1.0, 0);
        bench.sink.offer(window.sketch(Kind::Distribution, "d", "", &[(1.0, 1.0)]).build());
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((bench.intake.series().len(), bench.intake.sketches().len()), (3, 0));
    let health = bench.sink.health();
    assert_eq!((health.state, health.queued_points), (SinkState::Retrying, 3));
    assert!(health.reason.unwrap().contains("500"));
    bench.settle(600).await;
    assert_eq!((bench.intake.series().len(), bench.intake.sketches().len()), (3, 3));
    let sketches: Vec<Instant> =
        bench.intake.received().iter().filter(|request| request.path == "/api/beta/sketches").map(|request| request.at).collect();
    for (wait, (low, high)) in sketches.windows(2).zip([(2, 4), (4, 8), (8, 16), (16, 32)]) {
        let wait = (wait[1] - wait[0]).as_secs_f64();
        assert!(wait >= f64::from(low) - 0.01 && wait <= f64::from(high) + 0.1, "{wait} is not in {low}-{high}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_holds_the_queue_until_the_file_has_a_valid_one() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "old-key-0123456789\n").unwrap();
    let bench = Bench::with_key("held", &format!("{{ file: {} }}", file.path().display()), "").await;
    bench.intake.require_key("new-key-0123456789");
    for turn in 0..12 {
        bench.sink.offer(WindowBuilder::new(END + turn * 10_000).counter("hits", "", 1.0, 0).build());
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    let health = bench.sink.health();
    assert_eq!((health.state, health.queued_points), (SinkState::Held, 12));
    assert!(
        health.reason.as_ref().is_some_and(|why| why.contains("403") && why.contains("api_key") && !why.contains("old-key")),
        "{health:?}"
    );
    assert!((2..=3).contains(&bench.intake.received().len()), "{}", bench.intake.received().len());
    bench.balance();
    std::fs::write(file.path(), "new-key-0123456789\n").unwrap();
    bench.settle(120).await;
    assert_eq!(bench.intake.stored().len(), 12);
    assert_eq!((bench.ledger()["delivered"], bench.sink.health().state), (12, SinkState::Ok));
}

#[tokio::test(start_paused = true)]
async fn too_large_is_split_until_it_fits_and_the_rest_is_counted() {
    let bench = Bench::start("large", "").await;
    bench.intake.fail("/api/v2/series", vec![Fault::Status(413); 2]);
    let window = (0..8).fold(WindowBuilder::new(END), |window, row| window.gauge("a", &format!("row:{row}"), 1.0, 0));
    bench.sink.offer(window.build());
    bench.settle(60).await;
    let sizes: Vec<usize> = bench
        .intake
        .received()
        .iter()
        .map(|request| if let intake::Decoded::Series(series) = &request.decoded { series.len() } else { 0 })
        .collect();
    assert_eq!(sizes, [8, 4, 2, 6]);
    assert_eq!(bench.intake.stored().len(), 8);
    bench.intake.fail("/api/v2/series", vec![Fault::Status(413); 1]);
    bench.sink.offer(WindowBuilder::new(END).gauge("a", "", 1.0, 0).build());
    bench.settle(60).await;
    let ledger = bench.ledger();
    assert_eq!((ledger["delivered"], ledger["reason:too_large"]), (8, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refused_payload_is_counted_and_never_sent_again() {
    let bench = Bench::start("refused", "").await;
    bench.intake.fail("/api/v2/series", [Fault::Status(400)]);
    for turn in 0..2 {
        bench.sink.offer(WindowBuilder::new(END + turn * 10_000).counter("hits", "", 1.0, 0).build());
    }
    bench.settle(60).await;
    assert_eq!(bench.intake.received().len(), 2);
    assert_eq!((bench.ledger()["delivered"], bench.ledger()["refused"]), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_in_bytes_and_in_age() {
    let bench = Bench::start("bounds", "queue: { memory: 64KiB, max_age: 5m }, counters: count").await;
    bench.intake.fail("/api/v2/series", vec![Fault::Status(503); 1_000]);
    let window = |turn: i64| {
        let rows =
            (0..1_000).fold(WindowBuilder::new(END + turn * 10_000), |window, row| window.counter("c", &format!("row:{row}"), 1.0, 0));
        rows.build()
    };
    for turn in 0..20 {
        bench.clock.set(END + turn * 10_000);
        bench.sink.offer(window(turn));
        bench.balance();
        assert!(bench.sink.health().queued_points <= 3_000);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    bench.balance();
    let dropped = bench.ledger()["reason:queue_full"];
    assert_eq!((dropped, bench.sink.health().queued_points), (17_000, 3_000));
    bench.clock.set(END + 19 * 10_000 + 300_001);
    tokio::time::sleep(Duration::from_secs(200)).await;
    bench.balance();
    assert_eq!((bench.ledger()["reason:too_old"], bench.sink.health().queued_points), (3_000, 0));
}

#[tokio::test(start_paused = true)]
async fn a_payload_on_its_way_is_settled_by_its_answer_though_its_window_was_given_up() {
    // A receiver that answers in three seconds, or not in time.
    for (name, slow, delivered, dropped) in [("late_good", 3, 2, 0), ("late_lost", 30, 1, 1)] {
        let bench = Bench::start(name, "queue: { memory: 64 }, timeout: 5s").await;
        bench.intake.fail("/api/v2/series", [Fault::Slow(Duration::from_secs(slow))]);
        bench.sink.offer(WindowBuilder::new(END).counter("hits", "", 1.0, 0).build());
        tokio::time::sleep(Duration::from_secs(1)).await;
        bench.sink.offer(WindowBuilder::new(END + 10_000).counter("hits", "", 1.0, 0).build());
        assert_eq!(bench.sink.health().queued_points, 2);
        bench.balance();
        bench.settle(60).await;
        let ledger = bench.ledger();
        assert_eq!((ledger["delivered"], ledger.get("reason:queue_full").copied().unwrap_or_default()), (delivered, dropped), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn draining_sends_what_it_can_and_counts_the_rest() {
    let bench = Bench::start("drain", "").await;
    bench.intake.fail("/api/v2/series", vec![Fault::Status(503); 3]);
    bench.intake.fail("/api/beta/sketches", vec![Fault::Slow(Duration::from_secs(15)); 50]);
    let window = WindowBuilder::new(END).counter("hits", "", 1.0, 0).sketch(Kind::Distribution, "d", "", &[(1.0, 1.0)]);
    bench.sink.offer(window.build());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let started = Instant::now();
    bench.sink.drain(started + Duration::from_secs(4)).await;
    assert!(started.elapsed() <= Duration::from_secs(5));
    bench.sink.offer(WindowBuilder::new(END).counter("hits", "", 1.0, 0).build());
    tokio::time::sleep(Duration::from_secs(60)).await;
    bench.balance();
    assert_eq!((bench.ledger()["reason:shutdown"], bench.sink.health().queued_points), (3, 0));
    let bench = Bench::start("drained", "").await;
    bench.intake.fail("/api/v2/series", vec![Fault::Status(503); 1]);
    bench.sink.offer(WindowBuilder::new(END).counter("hits", "", 1.0, 0).build());
    tokio::time::sleep(Duration::from_millis(500)).await;
    // The wait of two seconds or more is cut short.
    bench.sink.drain(Instant::now() + Duration::from_secs(1)).await;
    assert_eq!(bench.ledger()["delivered"], 1);
    bench.balance();
}

/// A log that a test can read.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn the_key_is_in_no_log_line_and_an_outage_is_said_once() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone()).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let bench = Bench::start("quiet", "").await;
    let faults = [Fault::Status(500), Fault::Close, Fault::Status(403), Fault::Status(401), Fault::Status(400), Fault::Reset];
    bench.intake.fail("/api/v2/series", faults);
    for turn in 0..4 {
        bench.sink.offer(WindowBuilder::new(END + turn * 10_000).counter("hits", "", 1.0, 0).build());
    }
    bench.settle(3_600).await;
    drop(guard);
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(!text.contains(KEY), "{text}");
    let count = |what: &str| text.lines().filter(|line| line.contains(what)).count();
    assert_eq!((count("will be tried again"), count("held, the queue is kept"), count("points are refused")), (2, 1, 1), "{text}");
    assert!(!format!("{:?}", bench.sink.health()).contains(KEY));
}

#[tokio::test]
async fn a_wrong_sink_names_the_key_and_the_remedy() {
    let table = [
        ("{ name: a, type: datadog }", ["sinks.a.api_key", "DD_API_KEY"]),
        ("{ name: a, type: datadog, api_key: { env: SURELY_NOT_SET } }", ["sinks.a.api_key", "SURELY_NOT_SET"]),
        ("{ name: a, type: datadog, api_key: k, url: 'ftp://h' }", ["sinks.a.url", "http or https"]),
        ("{ name: a, type: datadog, api_key: k, url: 'http://169.254.169.254' }", ["sinks.a.url", "refused"]),
        ("{ name: a, type: datadog, api_key: k, url: 'http://h', site: s }", ["sinks.a.site", "leave out one"]),
        ("{ name: a, type: datadog, api_key: k, url: 'http://h', histogram_percentiles: [0.999] }", ["histogram_percentiles", "0.999"]),
        ("{ name: a, type: datadog, api_key: k, url: 'http://h', self_metrics: true }", ["self_metrics", "leave it out"]),
        ("{ name: a, type: remote_write, url: 'http://h' }", ["remote_write", "not built yet"]),
    ];
    let context = SinkContext { interval: Duration::from_secs(10), clock: Clock::system(), hostname: "m".to_string() };
    for (text, parts) in table {
        let error = sink::start(&config(text), &context, &mut JoinSet::new()).err().expect(text);
        for part in parts {
            assert!(error.contains(part), "{error:?} lacks {part:?}");
        }
    }
}
