//! Builds the parts from the far end of the line to its beginning, except that sockets are bound first and
//! read before the store is open.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use parking_lot::RwLock;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::commits::Commits;
use super::cutting::{BaseOf, Cutting, resident_bytes};
use super::fan_out::FanOut;
use super::own::Own;
use super::sockets::Sockets;
use super::{ExitStatus, StartError, data_dir, sockets, systemd};
use crate::aggregate::{Aggregator, Base, Cutter, CutterOptions, Handed, Published, Restored, Schedule};
use crate::alert::{Engine, GroupStatus, SavedAlert, Settings};
use crate::clock::Clock;
use crate::config::{Config, Loaded, load_rules};
use crate::ingest::Producer;
use crate::listen::{Heartbeat, ListenConfig, Threads};
use crate::model::{Kind, Labels, Matcher, Select, SelectError, Selected, TimeRange};
use crate::notify::{self, NotifyHandle};
use crate::sink::{self, SinkContext, SinkHandle, SinkType};
use crate::store::{self, Store, StoreError, Writer};
use crate::telemetry::{self, Telemetry};
use crate::web::{self, App, Health, Page, State, TimerUnit};

/// Windows that may wait for the fan-out.
const WINDOWS_MAX: usize = 64;
/// Receive threads per UDP socket, at most, when `listen.threads` is `auto`: beyond it the socket's lock is what is waited for.
const THREADS_MAX: usize = 3;

/// A relay that runs.
pub struct Relay {
    pub(super) receivers: Vec<JoinHandle<()>>,
    pub(super) stop_receiving: Arc<AtomicBool>,
    pub(super) cutting: JoinHandle<()>,
    pub(super) stop_cutting: Arc<AtomicBool>,
    pub(super) fan_out: JoinHandle<()>,
    pub(super) committing: JoinHandle<()>,
    pub(super) sinks: Vec<SinkHandle>,
    pub(super) notify: NotifyHandle,
    pub(super) tasks: JoinSet<()>,
    pub(super) stop_web: watch::Sender<bool>,
    pub(super) web: JoinSet<std::io::Result<()>>,
    pub(super) health: Arc<Health>,
    pub(super) clock: Clock,
    banner: String,
}

impl Relay {
    /// What listens where, where the data lies, and one command to try: at most five lines.
    pub fn banner(&self) -> &str {
        &self.banner
    }
}

/// Starts a relay. When this returns it receives, serves and cuts windows.
pub async fn start(loaded: Loaded, clock: Clock) -> Result<Relay, StartError> {
    let config = &loaded.config;
    let telemetry = Telemetry::install();
    let health = Arc::new(Health::new());
    describe_process(&clock);

    let rules = load_rules(&config.rules, Path::new("")).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        StartError::config(lines.join("\n"))
    })?;
    for warning in &rules.warnings {
        tracing::warn!("{warning}");
    }
    let directory = if config.store.enabled {
        data_dir::choose(config.data_dir.as_deref(), std::env::var_os("STATE_DIRECTORY"))?
    } else {
        PathBuf::new()
    };
    let opened = sockets::open(&config.listen, &config.http.listen)?;
    for missing in &opened.missing {
        tracing::warn!("{missing}");
        health.set("listener", State::Degraded, missing.clone());
    }
    let banner = banner(&opened, &directory, config);

    let mut tasks = JoinSet::new();
    let (aggregator, inbox) = Aggregator::new(config.limits.clone());
    let stop_receiving = Arc::new(AtomicBool::new(false));
    let (receivers, heartbeats) = receive(opened.udp, &config.listen, &aggregator, &stop_receiving, &clock, &telemetry)?;

    let late = Arc::new(LateStore::default());
    let page = Arc::new(Page::new(config.aggregate.percentiles.clone()));
    let status = Arc::new(RwLock::new(Vec::new()));
    let (stop_web, web_stopped) = watch::channel(false);
    let app = Arc::new(App {
        config: config.http.clone(),
        scrape: config.scrape.clone(),
        page: page.clone(),
        telemetry: telemetry.clone(),
        clock: clock.clone(),
        health: health.clone(),
        select: late.clone(),
        rules: Arc::new({
            let status: Arc<RwLock<Vec<GroupStatus>>> = status.clone();
            move || status.read().clone()
        }),
        config_yaml: crate::config::to_yaml(config),
    });
    let mut web = JoinSet::new();
    web.spawn(web::serve(opened.http, app, web_stopped));

    let context = SinkContext { interval: config.aggregate.interval, clock: clock.clone(), hostname: hostname() };
    let mut sinks = Vec::new();
    for sink in &config.sinks {
        sinks.push(sink::start(sink, &context, &mut tasks).map_err(StartError::config)?);
    }
    let external_url = format!("http://{}", config.http.listen.first().map_or("localhost", String::as_str));
    let notify = notify::start(&config.notify, external_url.clone(), clock.clone(), &mut tasks).map_err(StartError::config)?;

    let (store, writer) = open_store(config, &directory, &clock)?;
    store.suffix_counters(config.scrape.counter_suffix);
    let cutter = cutter(&aggregator, inbox, config, &store);
    let (windows, waiting) = sync_channel(WINDOWS_MAX);
    let saved = saved_alerts(&store);
    let settings = Settings { window: config.aggregate.interval, external_url, clock: clock.clone(), ..Settings::default() };
    let engine = Engine::new(rules, settings, saved);
    *status.write() = engine.status();
    let stop_cutting = Arc::new(AtomicBool::new(false));
    let last_cut = Arc::new(AtomicI64::new(clock.now_ms()));
    let mut cutting = Cutting {
        aggregator,
        cutter,
        schedule: Schedule::new(config.aggregate.interval.as_millis() as i64, clock.now_ms(), store.last_window()),
        clock: clock.clone(),
        own: Own::new(telemetry.clone()),
        base: base_of(&store),
        out: windows,
        stop: stop_cutting.clone(),
        last_cut: last_cut.clone(),
    };
    show_what_stood(&mut cutting, &page, &store, &clock);
    late.open(store.clone());
    let (file, bytes) = (store.clone(), telemetry::STORE_BYTES.gauge(&[]));
    telemetry.before_reading(move || bytes.set(file.bytes() as f64));
    health.set("store", State::Ok, String::new());
    if let Some(aside) = store.set_aside() {
        let reason = format!("the last process died inside the store's file; it is now {}, and the store began afresh", aside.display());
        health.set("history", State::Degraded, reason);
    }
    let (commits, committing) = Commits::start(writer, health.clone(), clock.clone())?;
    let fan_out = FanOut {
        windows: waiting,
        store,
        engine,
        rules: status,
        commits,
        page,
        sinks: sinks.clone(),
        notify: notify.clone(),
        health: health.clone(),
        clock: clock.clone(),
    };
    let fan_out = spawn("fan-out", move || fan_out.run())?;
    let cutting = spawn("cut", move || cutting.run())?;
    tasks.spawn(systemd::watchdog(heartbeats, last_cut, config.aggregate.interval, clock.clone()));
    health.set_ready(true);
    systemd::ready();
    Ok(Relay {
        receivers,
        stop_receiving,
        cutting,
        stop_cutting,
        fan_out,
        committing,
        sinks,
        notify,
        tasks,
        stop_web,
        web,
        health,
        clock,
        banner,
    })
}

fn receive(
    udp: Vec<(crate::listen::UdpListener, crate::parse::Options)>,
    listen: &ListenConfig,
    aggregator: &Arc<Aggregator>,
    stop: &Arc<AtomicBool>,
    clock: &Clock,
    telemetry: &Telemetry,
) -> Result<(Vec<JoinHandle<()>>, Vec<Heartbeat>), StartError> {
    let threads = match listen.threads {
        Threads::Auto => std::thread::available_parallelism().map_or(1, |cores| cores.get().min(THREADS_MAX)),
        Threads::Fixed(threads) => threads,
    };
    let (mut receivers, mut heartbeats) = (Vec::new(), Vec::new());
    for (listener, options) in udp {
        let wanted = listen.receive_buffer.bytes();
        // The kernel counts twice what it grants.
        if listener.granted_bytes < wanted {
            tracing::warn!(
                listener = listener.name,
                granted_bytes = listener.granted_bytes / 2,
                wanted_bytes = wanted,
                "the receive buffer is below half of listen.receive_buffer; raise net.core.rmem_max, or give the relay CAP_NET_ADMIN or a socket unit with ReceiveBuffer="
            );
        }
        let failed = |error: std::io::Error| StartError::failed(format!("the listener did not start: {error}"));
        let published = Arc::new(Published::new(&listener.name));
        let drops = listener.drop_counter().map_err(failed)?;
        telemetry.before_reading(move || drops.publish());
        heartbeats.push(listener.heartbeat());
        let producers = (0..threads).map(|_| Producer::new(aggregator.clone(), published.clone(), options, clock.clone())).collect();
        receivers.extend(listener.start(producers, stop.clone(), clock).map_err(failed)?);
    }
    let (published, series) = (aggregator.clone(), Kind::ALL.map(|kind| telemetry::SERIES.gauge(&[("type", kind.as_str())])));
    telemetry.before_reading(move || {
        published.publish();
        for (gauge, count) in series.iter().zip(published.registry.live_by_kind()) {
            gauge.set(count as f64);
        }
    });
    Ok((receivers, heartbeats))
}

fn open_store(config: &Config, directory: &Path, clock: &Clock) -> Result<(Store, Writer), StartError> {
    let (interval, percentiles) = (config.aggregate.interval, &config.aggregate.percentiles);
    let opened = if config.store.enabled {
        Store::open(directory, &config.store, interval, percentiles, clock.now_ms())
    } else {
        Store::in_memory(interval, percentiles, clock.now_ms())
    };
    opened.map_err(|error| StartError {
        status: if matches!(error, StoreError::InUse { .. }) { ExitStatus::InUse } else { ExitStatus::Failed },
        message: error.to_string(),
    })
}

fn cutter(aggregator: &Arc<Aggregator>, inbox: Receiver<Handed>, config: &Config, store: &Store) -> Cutter {
    let interval = config.aggregate.interval;
    let options = CutterOptions {
        interval,
        expire_windows: u32::try_from(config.aggregate.expire.as_millis().div_ceil(interval.as_millis())).unwrap_or(u32::MAX),
        timers_in_seconds: config.scrape.timers_in == TimerUnit::Seconds,
        counter_suffix: config.scrape.counter_suffix,
        dd_sketches: config.sinks.iter().any(|sink| sink.r#type == SinkType::Datadog),
    };
    let mut cutter = Cutter::new(aggregator.clone(), inbox, options);
    cutter.keep_names(store.names());
    let restored = store.live().into_iter().map(|live| Restored {
        kind: live.kind,
        name: live.name,
        tags: live.tags,
        base: base(live.base),
        age: live.age,
    });
    cutter.restore(restored, &mut *base_of(store));
    cutter
}

fn saved_alerts(store: &Store) -> Vec<SavedAlert> {
    match store.alerts() {
        Ok(rows) => rows.into_iter().map(|((rule, labels), bytes)| SavedAlert { rule, labels, bytes }).collect(),
        Err(error) => {
            tracing::error!(%error, "the alerts of the last process cannot be read; they start anew");
            Vec::new()
        }
    }
}

fn base(base: store::Base) -> Base {
    Base { total: base.total, gauge: base.gauge.unwrap_or(0.0), count: base.count, sum: base.sum }
}

fn base_of(store: &Store) -> BaseOf {
    let store = store.clone();
    Box::new(move |series| store.base(series.kind(), series.name(), &mut series.tags()).map(base))
}

/// Shows what was live at the stop, with its last values, until the first window is cut.
fn show_what_stood(cutting: &mut Cutting, page: &Page, store: &Store, clock: &Clock) {
    let at = store.last_window().unwrap_or(clock.now_ms());
    let window = cutting.cutter.standing_window(at, Vec::new());
    for series in window.families().filter(|(family, _)| family.kind.is_sketch()).flat_map(|(family, _)| &family.series) {
        if let Some(recent) = store.recent(series.kind(), series.name(), &mut series.tags()) {
            page.warm(series.kind(), series.name(), series.tags(), recent);
        }
    }
    page.show(Arc::new(window));
}

pub(super) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StartError> {
    std::thread::Builder::new()
        .name(name.to_string())
        .spawn(run)
        .map_err(|error| StartError::failed(format!("the {name} thread did not start: {error}")))
}

fn describe_process(clock: &Clock) {
    telemetry::BUILD_INFO.gauge(&[("version", env!("CARGO_PKG_VERSION"))]).set(1.0);
    telemetry::START_TIME.gauge(&[]).set(clock.now_ms() as f64 / 1_000.0);
    telemetry::RELOAD_SUCCESSFUL.gauge(&[]).set(1.0);
    let resident = telemetry::RESIDENT_BYTES.gauge(&[]);
    Telemetry::install().before_reading(move || resident.set(resident_bytes().unwrap_or(0) as f64));
}

fn banner(opened: &Sockets, directory: &Path, config: &Config) -> String {
    let statsd: Vec<String> = opened.udp.iter().map(|(listener, _)| format!("udp {}", listener.address)).collect();
    let http: Vec<String> =
        opened.http.iter().filter_map(|listener| listener.local_addr().ok()).map(|address| format!("http://{address}")).collect();
    let data = if config.store.enabled { directory.join("relay.tsdb") } else { PathBuf::from("in memory only (store.enabled: false)") };
    let port = opened.udp.first().map_or(8125, |(listener, _)| listener.address.port());
    let host = opened.udp.first().map_or("127.0.0.1".into(), |(listener, _)| listener.address.ip().to_string());
    let page = format!("{}{}", http.first().map_or("", String::as_str), config.scrape.path);
    format!(
        "statsd-relay {} ready\n  statsd  {}\n  http    {}\n  data    {}\n  try     echo -n 'hello:1|c' >/dev/udp/{host}/{port}; sleep {}; curl -s {page} | grep hello\n",
        env!("CARGO_PKG_VERSION"),
        statsd.join(", "),
        http.join(", "),
        data.display(),
        config.aggregate.interval.as_secs() + 1,
    )
}

fn hostname() -> String {
    nix::unistd::gethostname().map_or_else(|_| "localhost".into(), |name| name.to_string_lossy().into_owned())
}

/// The store, once it is open. Until then a query is told so.
#[derive(Default)]
struct LateStore(OnceLock<Store>);

impl LateStore {
    fn open(&self, store: Store) {
        // Called once, by the start.
        let _ = self.0.set(store);
    }

    fn get(&self) -> Result<&Store, SelectError> {
        self.0.get().ok_or_else(|| SelectError::Store("it is being opened; try again in a moment".into()))
    }
}

impl Select for LateStore {
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<Selected, SelectError> {
        self.get()?.select(matchers, range)
    }

    fn label_sets(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>, SelectError> {
        self.get()?.label_sets(matchers, range)
    }
}
