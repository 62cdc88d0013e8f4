//! A server on an ephemeral port with hand-made windows, series and rules.

use std::borrow::Cow;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use statsd_relay::alert::{GroupStatus, RuleHealth, RuleKind, RuleStatus};
use statsd_relay::clock::Clock;
use statsd_relay::model::series::{NameStyle, Spelling};
use statsd_relay::model::{
    Alert, AlertState, Column, ExpHist, Family, Form, Kind, Labels, Matcher, Sample, SampleValue, Select, SelectError, Selected, Series,
    SeriesSlice, Sketches, TimeRange, Window, labels,
};
use statsd_relay::telemetry::Telemetry;
use statsd_relay::web::{App, Health, HttpConfig, Inside, Limits, Page, ScrapeConfig, serve_within};
use tokio::sync::watch;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) page: Arc<Page>,
    pub(crate) health: Arc<Health>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start() -> Server {
        Server::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (page, health) = (Arc::new(Page::new(vec![0.5, 0.99])), Arc::new(Health::new()));
        let app = App {
            config: HttpConfig::default(),
            scrape: ScrapeConfig::default(),
            page: page.clone(),
            telemetry: Telemetry::install(),
            clock: Clock::system(),
            health: health.clone(),
            select: Arc::new(Literal::new()),
            rules: Arc::new(rules),
            config_yaml: "data_dir: null\n".to_string(),
            inside: Inside::default(),
        };
        let (stop, stopped) = watch::channel(false);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(serve_within(vec![listener], Arc::new(app), stopped, limits)).unwrap();
        });
        Server { address, page, health, stop, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn stop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn family(kind: Kind, name: &str, tags: &[Option<String>]) -> Arc<Family> {
    let one = |(slot, tag): (usize, &Option<String>)| {
        let spelling = Spelling { name: name.as_bytes(), tags: b"", kind, style: NameStyle::Plain };
        let tags: Vec<Cow<'_, str>> = tag.iter().map(|tag| Cow::Borrowed(tag.as_str())).collect();
        Series::new(slot as u32, spelling, name, &tags).unwrap()
    };
    let series = tags.iter().enumerate().map(one).collect();
    Arc::new(Family { name: name.into(), prom_name: labels::metric_name(name).into(), kind, help: None, form: Form::default(), series })
}

fn closed(families: Vec<(Arc<Family>, Column)>) -> Arc<Window> {
    Arc::new(Window::of(1_000_000_060_000, Duration::from_secs(10), families))
}

/// Two counters, a gauge and a timer.
pub(crate) fn window() -> Arc<Window> {
    let tag = |text: &str| Some(text.to_string());
    let mut exp = ExpHist::default();
    exp.record(0.32, 1.0);
    let sketches = Some(Arc::new(Sketches { exp, ..Sketches::default() }));
    closed(vec![
        (family(Kind::Gauge, "z.level", &[None]), Column::Gauge { value: vec![-7.0], age: vec![0] }),
        (
            family(Kind::Counter, "app.hits", &[tag("env:prod"), tag("env:a\"b")]),
            Column::Counter { gain: vec![1.0, 0.5], total: vec![3.0, 2.5], age: vec![0, 0] },
        ),
        (
            family(Kind::Timer, "req.time", &[None]),
            Column::Timer { count: vec![1.0], sum: vec![0.32], window: vec![sketches], buckets: Vec::new(), age: vec![0] },
        ),
    ])
}

/// Many counters with long labels.
pub(crate) fn counters(series: usize, label_bytes: usize) -> Arc<Window> {
    let tags: Vec<Option<String>> = (0..series).map(|n| Some(format!("k:{n:0>label_bytes$}"))).collect();
    let zeros = vec![0.0; series];
    closed(vec![(family(Kind::Counter, "many", &tags), Column::Counter { gain: zeros.clone(), total: zeros, age: vec![0; series] })])
}

/// Series held in memory. The name `broken` cannot be read.
struct Literal(Vec<SeriesSlice>);

impl Literal {
    fn new() -> Literal {
        let series = |pairs: &[(&str, &str)], samples: &[(i64, f64)]| SeriesSlice {
            labels: Labels::new(pairs.iter().copied()),
            samples: samples.iter().map(|&(at, value)| Sample { at, value: SampleValue::Float(value) }).collect(),
            start_time: None,
        };
        Literal(vec![
            series(&[("__name__", "hits"), ("env", "dev")], &[(1_000_000_060_000, 5.0)]),
            series(&[("__name__", "hits"), ("env", "prod")], &[(1_000_000_030_000, 10.0), (1_000_000_060_000, 12.0)]),
            series(&[("__name__", "load")], &[(1_000_000_060_000, 0.5)]),
        ])
    }
}

impl Select for Literal {
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<Selected, SelectError> {
        if matchers.iter().any(|matcher| matcher.value == "broken") {
            return Err(SelectError::Store("bad disk".into()));
        }
        let mut selected = Selected::default();
        for slice in &self.0 {
            let samples: Vec<Sample> =
                slice.samples.iter().filter(|sample| range.start < sample.at && sample.at <= range.end).cloned().collect();
            if !samples.is_empty() && matchers.iter().all(|matcher| matcher.matches(slice.labels.get(&matcher.name))) {
                selected.series.push(SeriesSlice { samples, ..slice.clone() });
            }
        }
        Ok(selected)
    }
}

/// One group with a firing alert and a failing recording rule.
fn rules() -> Vec<GroupStatus> {
    let alert = Alert {
        labels: Labels::new([("alertname", "Down"), ("job", "x")]),
        annotations: Labels::new([("summary", "it is")]),
        state: AlertState::Firing,
        active_at: 1_000_000_000_000,
        fired_at: Some(1_000_000_000_000),
        resolved_at: None,
        keep_since: None,
        value: 1.5,
    };
    let rule = |name: &str, kind: RuleKind, health: RuleHealth| RuleStatus {
        name: name.into(),
        query: "up == 0".into(),
        labels: if name == "Down" { Labels::new([("severity", "page")]) } else { Labels::default() },
        kind,
        health,
        last_error: (health == RuleHealth::Err).then(|| "no".to_string()),
        evaluation_time: Duration::from_millis(1),
        last_evaluation: Some(1_000_000_001_500),
    };
    let alerting = RuleKind::Alerting {
        state: AlertState::Firing,
        hold: Duration::from_secs(60),
        keep_firing_for: Duration::ZERO,
        annotations: Labels::default(),
        alerts: vec![alert],
    };
    vec![GroupStatus {
        name: "g".into(),
        file: "rules.yml".into(),
        interval: Duration::from_secs(10),
        limit: 0,
        evaluation_time: Duration::ZERO,
        last_evaluation: None,
        rules: vec![rule("Down", alerting, RuleHealth::Ok), rule("sum:up", RuleKind::Recording, RuleHealth::Err)],
    }]
}
