//! Builds the parts from the far end of the line to its beginning, except that sockets are bound first and
//! read before the store is open.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use parking_lot::RwLock;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::commits::{Bell, Commits};
use super::cutting::{self, BaseOf, Cutting, resident_bytes};
use super::fan_out::FanOut;
use super::inside::{self, Sinks};
use super::own::Own;
use super::receiving::Receiving;
use super::service_checks::ServiceChecks;
use super::sockets::Sockets;
use super::{ExitStatus, StartError, data_dir, sockets, systemd};
use crate::aggregate::{Aggregator, Base, Cutter, CutterOptions, Handed, Restored, Schedule};
use crate::alert::{Engine, GroupStatus, SavedAlert, Settings};
use crate::clock::Clock;
use crate::config::{self, Config, Loaded, load_rules};
use crate::ingest::Views;
use crate::listen::DatagramKind;
use crate::model::{Kind, Labels, Matcher, Room, Select, SelectError, Selected, TimeRange};
use crate::notify::{self, NotificationLog, NotifyHandle};
use crate::shape::{Presentation, Shaping};
use crate::sink::{self, SinkContext, SinkHandle, SinkType};
use crate::store::{self, Lock, Note, Store, StoreError, Writer};
use crate::telemetry::{self, Telemetry};
use crate::web::{self, App, Health, HttpConfig, Page, State, TimerForm, TimerUnit};

/// Of `limits.memory`, for each series that has left and stays known: they take some quarter of it.
const BYTES_PER_DEAD: usize = 4_096;

/// A relay that runs.
pub struct Relay {
    pub(super) receiving: Receiving,
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
    pub(super) views: Arc<Views>,
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
    let shaping = Arc::new(shaping(config)?);
    let directory = if config.store.enabled {
        data_dir::choose(config.data_dir.as_deref(), std::env::var_os("STATE_DIRECTORY"))?
    } else {
        PathBuf::new()
    };
    // Before the sockets: a second relay on this directory hears of that, not of a busy port.
    let lock = if config.store.enabled { Some(Lock::take(&directory).map_err(|error| refused(&error))?) } else { None };
    let opened = sockets::open(&config.listen, &config.http.listen)?;
    for missing in &opened.missing {
        tracing::warn!("{missing}");
        health.set("listener", State::Degraded, missing.clone());
    }
    let banner = banner(&opened, &directory, config);
    let readings = opened.readings();
    let Sockets { datagrams, streams, http, .. } = opened;

    let mut tasks = JoinSet::new();
    let (aggregator, inbox) = Aggregator::new(config.limits.clone(), shaping.clone());
    // The limit holds from the first datagram on.
    aggregator.registry.grant(resident_bytes().unwrap_or(0));
    let views = Arc::new(Views::default());
    let mut receiving = Receiving::new(config, aggregator.clone(), views.clone(), clock.clone())?;
    for datagram in datagrams {
        receiving.receive(datagram, &config.listen, &telemetry)?;
    }
    show_series(&aggregator, &telemetry);

    let late = Arc::new(LateStore::default());
    let running = Sinks::default();
    let page = Arc::new(Page::new(config.aggregate.percentiles.clone()));
    let status = Arc::new(RwLock::new(Vec::new()));
    let (stop_web, web_stopped) = watch::channel(false);
    // Inherited sockets may listen elsewhere than the file says.
    let addresses: Vec<String> = http.iter().filter_map(|listener| listener.local_addr().ok()).map(|address| address.to_string()).collect();
    let external_url = format!("http://{}", addresses.first().map_or("localhost", String::as_str));
    let app = Arc::new(App {
        config: HttpConfig { listen: addresses, ..config.http.clone() },
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
        config_yaml: config::to_yaml(config),
        inside: inside::inside(
            inside::explainer_by(config, shaping, readings),
            aggregator.clone(),
            views.clone(),
            late.clone(),
            running.clone(),
            clock.clone(),
        ),
    });
    let mut web = JoinSet::new();
    web.spawn(web::serve(http, app, web_stopped));

    let context = SinkContext { interval: config.aggregate.interval, clock: clock.clone(), hostname: hostname() };
    let mut sinks = Vec::new();
    for sink in &config.sinks {
        sinks.push(sink::start(sink, &context, &mut tasks).map_err(StartError::config)?);
    }
    // Set once, here.
    let _ = running.set(config.sinks.iter().map(|sink| sink.r#type).zip(sinks.iter().cloned()).collect());

    // On a thread of its own, so that a signal is answered meanwhile.
    let opening = tokio::task::spawn_blocking({
        let (config, clock, reads) = (config.clone(), clock.clone(), rules.reads());
        move || open_store(&config, lock, reads, &clock)
    });
    let (store, writer) = opening.await.map_err(|error| StartError::failed(format!("the store did not open: {error}")))??;
    store.bound_dead(config.limits.memory.bytes() / BYTES_PER_DEAD);
    store.suffix_counters(config.scrape.counter_suffix);
    let cutter = cutter(&aggregator, inbox, config, &store);
    let (windows, waiting) = cutting::windows();
    let saved = saved_alerts(&store);
    let settings =
        Settings { window: config.aggregate.interval, external_url: external_url.clone(), clock: clock.clone(), ..Settings::default() };
    let engine = Engine::new(rules, settings, saved);
    *status.write() = engine.status();
    let stop_cutting = Arc::new(AtomicBool::new(false));
    let cuts = Arc::new(AtomicU64::new(0));
    let mut cutting = Cutting {
        aggregator,
        cutter,
        schedule: Schedule::new(config.aggregate.interval.as_millis() as i64, clock.now_ms(), store.last_window()),
        clock: clock.clone(),
        own: Own::new(telemetry.clone()),
        checks: ServiceChecks::new(config.aggregate.expire),
        base: base_of(&store),
        out: windows,
        held: None,
        held_at: None,
        stop: stop_cutting.clone(),
        cuts: cuts.clone(),
    };
    restore_checks(&mut cutting.checks, &store, &clock);
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
    let log = notification_log(&store, commits.bell());
    let notify = notify::start(&config.notify, &external_url, log, clock.clone(), &mut tasks).map_err(StartError::config)?;
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
        stopping: stop_cutting.clone(),
        firing: BTreeSet::new(),
    };
    let fan_out = spawn("fan-out", move || fan_out.run())?;
    let cutting = spawn("cut", move || cutting.run())?;
    for stream in streams {
        receiving.accept(stream, &config.listen)?;
    }
    tasks.spawn(systemd::watchdog(receiving.heartbeats(), cuts, config.aggregate.interval, clock.clone()));
    health.set_ready(true);
    systemd::ready();
    Ok(Relay { receiving, cutting, stop_cutting, fan_out, committing, sinks, notify, tasks, stop_web, web, health, views, clock, banner })
}

/// Compiles `shape:`. What has no effect in a mapping file is said once, here.
pub(super) fn shaping(config: &Config) -> Result<Shaping, StartError> {
    let shaping = Shaping::new(&config.shape, config::read_text).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        StartError::config(lines.join("\n"))
    })?;
    for warning in shaping.warnings() {
        tracing::warn!("{warning}");
    }
    Ok(shaping)
}

/// Has live series counted whenever self-metrics are read.
fn show_series(aggregator: &Arc<Aggregator>, telemetry: &Telemetry) {
    let (published, series) = (aggregator.clone(), Kind::ALL.map(|kind| telemetry::SERIES.gauge(&[("type", kind.as_str())])));
    telemetry.before_reading(move || {
        published.publish();
        for (gauge, count) in series.iter().zip(published.registry.live_by_kind()) {
            gauge.set(count as f64);
        }
    });
}

fn open_store(config: &Config, lock: Option<Lock>, reads: Vec<Vec<Matcher>>, clock: &Clock) -> Result<(Store, Writer), StartError> {
    let (interval, percentiles) = (config.aggregate.interval, &config.aggregate.percentiles);
    let opened = match lock {
        Some(lock) => Store::open(lock, &config.store, interval, percentiles, clock.now_ms()),
        None => Store::in_memory(interval, percentiles, reads, clock.now_ms()),
    };
    opened.map_err(|error| refused(&error))
}

fn refused(error: &StoreError) -> StartError {
    let status = if matches!(error, StoreError::InUse { .. }) { ExitStatus::InUse } else { ExitStatus::Failed };
    StartError { status, message: error.to_string() }
}

fn cutter(aggregator: &Arc<Aggregator>, inbox: Receiver<Handed>, config: &Config, store: &Store) -> Cutter {
    let interval = config.aggregate.interval;
    let options = CutterOptions {
        interval,
        expire_windows: u32::try_from(config.aggregate.expire.as_millis().div_ceil(interval.as_millis())).unwrap_or(u32::MAX),
        timers_in_seconds: config.scrape.timers_in == TimerUnit::Seconds,
        counter_suffix: config.scrape.counter_suffix,
        dd_sketches: config.sinks.iter().any(|sink| sink.r#type == SinkType::Datadog),
        presentation: presentation(config),
    };
    let mut cutter = Cutter::new(aggregator.clone(), inbox, options);
    cutter.keep_names(&store.names());
    let restored = store.live().into_iter().map(|live| Restored {
        kind: live.kind,
        name: live.name,
        tags: live.tags,
        sent_name: live.sent_name,
        base: base(live.base),
        age: live.age,
    });
    cutter.restore(restored);
    cutter
}

/// How timers, histograms and distributions are shown where no mapping file says.
pub(super) fn presentation(config: &Config) -> Presentation {
    let buckets = Some(config.scrape.buckets.as_slice().into());
    Presentation { histogram: Some(config.scrape.timers == TimerForm::Histogram), buckets, quantiles: None }
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

fn notification_log(store: &Store, bell: Bell) -> NotificationLog {
    let rows = store.notified().unwrap_or_else(|error| {
        tracing::error!(%error, "what the last process told receivers cannot be read; they are told again");
        Vec::new()
    });
    let store = store.clone();
    let keep = move |changes| {
        store.save_notified(changes);
        bell.ring();
    };
    NotificationLog { rows, keep: Box::new(keep) }
}

fn base(base: store::Base) -> Base {
    Base { total: base.total, gauge: base.gauge.unwrap_or(0.0), count: base.count, sum: base.sum, buckets: base.buckets }
}

fn base_of(store: &Store) -> BaseOf {
    let store = store.clone();
    Box::new(move |series| store.base(series.kind(), series.name(), &mut series.tags()).map(base))
}

/// Puts back the statuses of service checks that were reported to earlier processes and still stand.
fn restore_checks(checks: &mut ServiceChecks, store: &Store, clock: &Clock) {
    let range = TimeRange { start: checks.since(clock.now_ms()), end: i64::MAX };
    let recalled = store.recall_notes(range, &mut |at, note| match note {
        Note::Check(check) => checks.restore(at, &check),
        Note::Event(_) => ControlFlow::Continue(()),
    });
    if let Err(error) = recalled {
        tracing::error!(%error, "the service checks of the last process cannot be read; each is unknown until its next report");
    }
}

/// Shows what was live at the stop, with its last values, until the first window is cut.
fn show_what_stood(cutting: &mut Cutting, page: &Page, store: &Store, clock: &Clock) {
    let at = store.last_window().unwrap_or(clock.now_ms());
    let window = cutting.cutter.standing_window(at, cutting.checks.standing());
    for series in window.families().filter(|(family, _)| family.kind.is_sketch()).flat_map(|(family, _)| &family.series) {
        if let Some(recent) = store.recent(series.kind(), series.name(), &mut series.tags()) {
            page.warm(series.kind(), series.name(), series.tags(), recent);
        }
    }
    store.present(window.families().map(|(family, _)| family));
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
    let datagrams = opened.datagrams.iter().map(|(listener, _)| &listener.name);
    let streams = opened.streams.iter().map(|(listener, _)| &listener.name);
    // A listener's name is its kind and its address.
    let statsd: Vec<String> = datagrams.chain(streams).map(|name| name.replacen(':', " ", 1)).collect();
    let http: Vec<String> =
        opened.http.iter().filter_map(|listener| listener.local_addr().ok()).map(|address| format!("http://{address}")).collect();
    let data = if config.store.enabled { directory.join("relay.tsdb") } else { PathBuf::from("in memory only (store.enabled: false)") };
    let udp = opened.datagrams.iter().find_map(|(listener, _)| match listener.kind {
        DatagramKind::Udp { address, .. } => Some(address),
        DatagramKind::Unix => None,
    });
    let page = format!("curl -s {}{}", http.first().map_or("", String::as_str), config.scrape.path);
    let command = match udp {
        Some(to) => {
            let seconds = config.aggregate.interval.as_secs() + 1;
            format!("echo -n 'hello:1|c' >/dev/udp/{}/{}; sleep {seconds}; {page} | grep hello", to.ip(), to.port())
        }
        None => page,
    };
    format!(
        "statsd-relay {} ready\n  statsd  {}\n  http    {}\n  data    {}\n  try     {command}\n",
        env!("CARGO_PKG_VERSION"),
        statsd.join(", "),
        http.join(", "),
        data.display(),
    )
}

pub(super) fn hostname() -> String {
    nix::unistd::gethostname().map_or_else(|_| "localhost".into(), |name| name.to_string_lossy().into_owned())
}

/// The store, once it is open. Until then a query is told so.
#[derive(Default)]
pub(super) struct LateStore(OnceLock<Store>);

impl LateStore {
    fn open(&self, store: Store) {
        // Called once, by the start.
        let _ = self.0.set(store);
    }

    pub(super) fn get(&self) -> Result<&Store, SelectError> {
        self.0.get().ok_or_else(|| SelectError::Store("it is being opened; try again in a moment".into()))
    }
}

impl Select for LateStore {
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<Selected, SelectError> {
        self.get()?.select(matchers, range)
    }

    fn select_within(&self, matchers: &[Matcher], range: TimeRange, room: &Room) -> Result<Selected, SelectError> {
        self.get()?.select_within(matchers, range, room)
    }

    fn label_sets(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>, SelectError> {
        self.get()?.label_sets(matchers, range)
    }
}
