//! The relay's metrics about itself: every name with its help, declared once; and the log.

use std::sync::{Arc, OnceLock};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Unit};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// `log:` in relay.yaml.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a mapping")]
pub struct LogConfig {
    pub level: LogLevel,
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// `auto` is the journal's form under systemd, else text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Auto,
    Text,
    Json,
}

/// Sends the log to stderr as configured. Later calls change nothing.
pub fn log_to_stderr(config: &LogConfig) {
    let level = match config.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false).with_ansi(false);
    // The journal has the time already; it reads the level from the prefix.
    let journal = config.format == LogFormat::Auto && std::env::var_os("JOURNAL_STREAM").is_some();
    // Fails only when a log is there already.
    let _ = match config.format {
        LogFormat::Json => log.json().try_init(),
        LogFormat::Auto if journal => log.without_time().event_format(Journal).try_init(),
        LogFormat::Auto | LogFormat::Text => log.try_init(),
    };
}

/// Lines for the journal: `<4>message field=value`.
struct Journal;

impl<S, N> FormatEvent<S, N> for Journal
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &tracing::Event<'_>) -> std::fmt::Result {
        let priority = match *event.metadata().level() {
            tracing::Level::ERROR => 3,
            tracing::Level::WARN => 4,
            tracing::Level::INFO => 6,
            tracing::Level::DEBUG | tracing::Level::TRACE => 7,
        };
        write!(writer, "<{priority}>")?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// What a self-metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    Counter,
    Gauge,
    /// Seconds.
    Histogram,
}

/// A self-metric: its name, type and help.
#[derive(Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: MetricKind,
    pub help: &'static str,
}

macro_rules! self_metrics {
    ($($ident:ident = $kind:ident $name:literal, $help:literal;)*) => {
        $(#[doc = $help] pub static $ident: Metric = Metric { name: $name, kind: MetricKind::$kind, help: $help };)*
        /// Every self-metric.
        pub static ALL: &[&Metric] = &[$(&$ident),*];
    };
}

self_metrics! {
    BUILD_INFO = Gauge "statsd_relay_build_info", "Version of the relay; always 1.";
    START_TIME = Gauge "statsd_relay_start_time_seconds", "When the process started, unix seconds.";
    DATAGRAMS_RECEIVED = Counter "statsd_relay_datagrams_received_total", "Datagrams (or stream frames) read from sockets, each one also where the kernel joined several.";
    DATAGRAMS_PARSED = Counter "statsd_relay_datagrams_parsed_total", "Datagrams whose lines were all read: received less empty, truncated and denied.";
    DATAGRAMS_EMPTY = Counter "statsd_relay_datagrams_empty_total", "Datagrams of zero bytes.";
    DATAGRAMS_TRUNCATED = Counter "statsd_relay_datagrams_truncated_total", "Datagrams the kernel cut; their complete lines were kept.";
    DATAGRAMS_DENIED = Counter "statsd_relay_datagrams_denied_total", "Datagrams refused before parsing, by reason.";
    CONNECTIONS = Gauge "statsd_relay_connections", "Open connections of a stream listener.";
    CONNECTIONS_REFUSED = Counter "statsd_relay_connections_refused_total", "Connections closed before anything was read, by reason.";
    CONNECTIONS_CLOSED = Counter "statsd_relay_connections_closed_total", "Connections that the relay closed, or that broke, by reason.";
    BYTES_RECEIVED = Counter "statsd_relay_bytes_received_total", "Payload bytes read from sockets.";
    DATAGRAMS_KERNEL_DROPPED = Counter "statsd_relay_datagrams_kernel_dropped_total", "Datagrams lost in the socket's receive buffer, in the kernel's unit: where a sender or a network card joined several, they count as one.";
    RECEIVE_BUFFER = Gauge "statsd_relay_receive_buffer_bytes", "Receive buffer granted by the kernel, as it counts it.";
    LINES_SEEN = Counter "statsd_relay_lines_seen_total", "Lines read: accepted, rejected or shed. A sample of a multi-sample line counts as one.";
    LINES_ACCEPTED = Counter "statsd_relay_lines_accepted_total", "Lines that became samples, events or checks.";
    LINES_REJECTED = Counter "statsd_relay_lines_rejected_total", "Lines refused by the parser, by reason.";
    LINES_SHED = Counter "statsd_relay_lines_shed_total", "Well-formed lines dropped by a filter, a mapping or a limit.";
    FILTER_HITS = Counter "statsd_relay_filter_hits_total", "By filter: lines that it dropped, or spellings of new series that it changed.";
    MAPPING_HITS = Counter "statsd_relay_mapping_hits_total", "By rule of the mapping file: lines that it dropped, or spellings of new series that it named.";
    MAPPING_UNMAPPED = Counter "statsd_relay_mapping_unmapped_total", "Spellings of new series that no rule of the mapping file names; each line of them where shape.unmapped drops them.";
    LINES_TOLERATED = Counter "statsd_relay_lines_tolerated_total", "Lines accepted with a blemish, by kind.";
    SAMPLES = Counter "statsd_relay_samples_total", "Values recorded, by type.";
    SAMPLES_STAMPED = Counter "statsd_relay_samples_stamped_total", "Values with a time of their own, which bypass aggregation.";
    EVENTS = Counter "statsd_relay_events_total", "Events accepted, by alert type.";
    SERVICE_CHECKS = Counter "statsd_relay_service_checks_total", "Service checks accepted, by status.";
    SERVICE_CHECK_STATUS = Gauge "statsd_relay_service_check_status", "Last status that clients reported of a service check: 0 ok, 1 warning, 2 critical, 3 unknown.";
    SERVICE_CHECKS_UNKEPT = Counter "statsd_relay_service_checks_unkept_total", "Service checks whose status is not shown, since there are too many or its labels are too long.";
    DEGRADED = Gauge "statsd_relay_degraded", "1 while the part is in trouble.";
    SERIES = Gauge "statsd_relay_series", "Live series, by type.";
    SERIES_LIMITED = Counter "statsd_relay_series_limited_total", "Samples that met a limit; each counts under the first it meets.";
    SERIES_EXPIRED = Counter "statsd_relay_series_expired_total", "Series that left after aggregate.expire, or their mapping rule's ttl, without a sample.";
    TYPE_CLASHES = Counter "statsd_relay_type_clashes_total", "Families that got their type as a suffix, since another type has their Prometheus name.";
    COUNTER_WENT_BACK = Counter "statsd_relay_counter_negative_windows_total", "Windows in which a counter's net gain was negative; its total stayed as it was.";
    SATURATED = Counter "statsd_relay_saturated_total", "Accumulators that were kept finite at the edge of f64.";
    WINDOWS = Counter "statsd_relay_windows_total", "Windows cut.";
    WINDOWS_COMMITTED = Counter "statsd_relay_windows_committed_total", "Windows durably in the store.";
    WINDOWS_STORE_FAILED = Counter "statsd_relay_windows_store_failed_total", "Windows the store could not keep, by reason.";
    CLOCK_STEPS = Counter "statsd_relay_clock_steps_total", "Times the wall clock went back over a window's end.";
    FLUSH_SECONDS = Histogram "statsd_relay_flush_seconds", "Time a cut takes.";
    PIPELINE_SECONDS = Histogram "statsd_relay_pipeline_seconds", "Receipt of a batch to the end of its parse and record, sampled.";
    STORE_BYTES = Gauge "statsd_relay_store_bytes", "Disk blocks allocated to the store's file, in bytes.";
    STORE_COMMIT_SECONDS = Histogram "statsd_relay_store_commit_seconds", "Time of one durable commit.";
    STORE_ERRORS = Counter "statsd_relay_store_errors_total", "Failed store operations, by reason.";
    SINK_OFFERED = Counter "statsd_relay_sink_points_offered_total", "Points handed to a sink; an event or a service check is one point.";
    SINK_POINTS = Counter "statsd_relay_sink_points_total", "Points a sink is done with, by result: delivered, refused, dropped.";
    SINK_DROPPED = Counter "statsd_relay_sink_points_dropped_total", "Points a sink gave up, by reason.";
    SINK_QUEUE_POINTS = Gauge "statsd_relay_sink_queue_points", "Points that wait in a sink's queue.";
    SINK_SPOOL_BYTES = Gauge "statsd_relay_sink_spool_bytes", "Bytes of a sink's spool on disk.";
    SINK_LAST_SUCCESS = Gauge "statsd_relay_sink_last_success_timestamp_seconds", "When a sink last delivered, unix seconds.";
    SINK_REQUESTS = Counter "statsd_relay_sink_requests_total", "Requests a sink made, by outcome.";
    RULE_EVALUATION_SECONDS = Histogram "statsd_relay_rule_evaluation_seconds", "Time a group's evaluation takes.";
    RULE_FAILURES = Counter "statsd_relay_rule_failures_total", "Rule evaluations that failed, by group.";
    RULE_MISSED = Counter "statsd_relay_rule_evaluations_missed_total", "Turns of a group that were skipped, never queued.";
    ALERTS = Gauge "statsd_relay_alerts", "Alerts of the relay's rules, by state.";
    NOTIFICATIONS = Counter "statsd_relay_notifications_total", "Notifications by receiver and result.";
    NOTIFICATIONS_DUE = Counter "statsd_relay_notifications_due_total", "Notifications that became due, by receiver.";
    RELOAD_SUCCESSFUL = Gauge "statsd_relay_config_last_reload_successful", "1 when the configuration in force is the one last read.";
    HTTP_REQUESTS = Counter "statsd_relay_http_requests_total", "HTTP requests, by status class.";
    HTTP_CONNECTIONS = Gauge "statsd_relay_http_connections", "Open HTTP connections.";
    HTTP_CONNECTIONS_REFUSED = Counter "statsd_relay_http_connections_refused_total", "HTTP connections closed at once, by reason.";
    SCRAPE_SERIES_MERGED = Gauge "statsd_relay_scrape_series_merged", "Series on the page that share a sample, since their labels agree after rewriting.";
    SCRAPE_SERIES_OMITTED = Gauge "statsd_relay_scrape_series_omitted", "Series the page leaves out, since their name belongs to the relay or to a summary.";
    RESIDENT_BYTES = Gauge "statsd_relay_process_resident_memory_bytes", "Resident memory of the process.";
}

impl Metric {
    /// A counter handle. Register once and keep it.
    pub fn counter(&'static self, labels: &[(&'static str, &str)]) -> Counter {
        metrics::with_recorder(|recorder| recorder.register_counter(&self.key(labels), &METADATA))
    }

    /// A gauge handle. Register once and keep it.
    pub fn gauge(&'static self, labels: &[(&'static str, &str)]) -> Gauge {
        metrics::with_recorder(|recorder| recorder.register_gauge(&self.key(labels), &METADATA))
    }

    /// A histogram handle; values are seconds. Register once and keep it.
    pub fn histogram(&'static self, labels: &[(&'static str, &str)]) -> Histogram {
        metrics::with_recorder(|recorder| recorder.register_histogram(&self.key(labels), &METADATA))
    }

    fn key(&'static self, labels: &[(&'static str, &str)]) -> Key {
        let labels: Vec<Label> = labels.iter().map(|(name, value)| Label::new(*name, value.to_string())).collect();
        Key::from_parts(self.name, labels)
    }
}

static METADATA: Metadata<'static> = Metadata::new("statsd_relay", Level::INFO, None);

/// Bounds of the relay's own histograms, in seconds.
const SECONDS: [f64; 14] = [0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Access to the current values of all self-metrics.
#[derive(Clone)]
pub struct Telemetry {
    handle: PrometheusHandle,
    /// Called before every reading: parts that count privately add up here.
    publishers: Arc<RwLock<Vec<Publisher>>>,
}

type Publisher = Box<dyn Fn() + Send + Sync>;

/// One self-metric as the exporter shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnFamily {
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    pub help: String,
    /// Lines of the text format, without their newline.
    pub lines: Vec<String>,
}

impl Telemetry {
    /// Installs the process-wide recorder; later calls give the same one.
    pub fn install() -> Telemetry {
        static INSTALLED: OnceLock<Telemetry> = OnceLock::new();
        INSTALLED
            .get_or_init(|| {
                let (telemetry, recorder) = Telemetry::with_recorder();
                // Fails only when a recorder is there already; then its owner sees our metrics.
                let _ = metrics::set_global_recorder(recorder);
                describe();
                telemetry
            })
            .clone()
    }

    /// What reads a recorder, before anything is recorded there.
    fn with_recorder() -> (Telemetry, PrometheusRecorder) {
        // The bounds are a non-empty constant: the builder accepts them.
        let recorder = PrometheusBuilder::new().set_buckets(&SECONDS).unwrap_or_default().build_recorder();
        (Telemetry { handle: recorder.handle(), publishers: Arc::default() }, recorder)
    }

    /// Has `publish` called before every reading, so that what it counts is exact when it is shown.
    pub fn before_reading(&self, publish: impl Fn() + Send + Sync + 'static) {
        self.publishers.write().push(Box::new(publish));
    }

    /// Every registered self-metric with its values now, sorted by name.
    pub fn families(&self) -> Vec<OwnFamily> {
        for publish in self.publishers.read().iter() {
            publish();
        }
        let text = self.handle.render();
        let mut families: Vec<OwnFamily> = Vec::new();
        let mut help = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                help = rest.split_once(' ').map_or("", |(_, help)| help);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap_or((rest, "untyped"));
                families.push(OwnFamily {
                    name: name.into(),
                    kind: kind.into(),
                    help: std::mem::take(&mut help).into(),
                    lines: Vec::new(),
                });
            } else if let (false, Some(family)) = (line.is_empty(), families.last_mut()) {
                family.lines.push(line.to_string());
            }
        }
        for family in &mut families {
            // A histogram's buckets ascend as they come; sorted as text they would not.
            if family.kind != "histogram" {
                family.lines.sort_unstable();
            }
        }
        families.sort_by(|a, b| a.name.cmp(&b.name));
        families
    }
}

/// Tells the recorder what every metric means.
fn describe() {
    for metric in ALL {
        let (name, unit) = (KeyName::from(metric.name), (metric.kind == MetricKind::Histogram).then_some(Unit::Seconds));
        metrics::with_recorder(|recorder| match metric.kind {
            MetricKind::Counter => recorder.describe_counter(name, unit, metric.help.into()),
            MetricKind::Gauge => recorder.describe_gauge(name, unit, metric.help.into()),
            MetricKind::Histogram => recorder.describe_histogram(name, unit, metric.help.into()),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_carry_help_type_and_values() {
        // Not the process's, where other tests count as well.
        let (telemetry, recorder) = Telemetry::with_recorder();
        metrics::with_local_recorder(&recorder, || {
            describe();
            LINES_SHED.counter(&[("reason", "a \"quoted\" one")]).increment(3);
            FLUSH_SECONDS.histogram(&[]).record(0.002);
        });
        let families = telemetry.families();
        let shed = families.iter().find(|family| family.name == LINES_SHED.name).unwrap();
        assert_eq!((shed.kind.as_str(), shed.help.as_str()), ("counter", LINES_SHED.help));
        // Other tests of this process count too.
        assert!(shed.lines.iter().any(|line| line == r#"statsd_relay_lines_shed_total{reason="a \"quoted\" one"} 3"#), "{:?}", shed.lines);
        let flush = families.iter().find(|family| family.name == FLUSH_SECONDS.name).unwrap();
        assert_eq!(flush.kind, "histogram");
        let bucket = flush.lines.iter().find_map(|line| line.strip_prefix(r#"statsd_relay_flush_seconds_bucket{le="0.005"} "#));
        assert!(bucket.is_some_and(|count| count.parse::<u64>().unwrap() >= 1), "{:?}", flush.lines);
    }

    #[test]
    fn every_name_has_the_prefix_a_unit_and_help() {
        for metric in ALL {
            assert!(metric.name.starts_with("statsd_relay_"), "{}", metric.name);
            assert_eq!(metric.kind == MetricKind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
    }
}
