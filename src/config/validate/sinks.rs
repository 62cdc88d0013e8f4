//! Which keys a sink's type has, needs, and what they may hold.

use super::{Findings, name, quantile, size, time, url};
use crate::sink::{SinkConfig, SinkType};

pub(super) fn check(sinks: &[SinkConfig], findings: &mut Findings) {
    findings.distinct("sinks", ".name", sinks.iter().map(|sink| sink.name.as_str()));
    for (index, sink) in sinks.iter().enumerate() {
        let path = |key: &str| format!("sinks[{index}].{key}");
        findings.check(path("name"), name(&sink.name));
        belonging(sink, &path, findings);
        required(sink, &path, findings);
        values(sink, &path, findings);
    }
}

/// Keys that another type has.
fn belonging(sink: &SinkConfig, path: &impl Fn(&str) -> String, findings: &mut Findings) {
    use SinkType::{Datadog, RemoteWrite, Statsd};
    let keys: [(&str, bool, &[SinkType]); 17] = [
        ("url", sink.url.is_some(), &[Datadog, RemoteWrite]),
        ("site", sink.site.is_some(), &[Datadog]),
        ("api_key", sink.api_key.is_some(), &[Datadog]),
        ("hostname", sink.hostname.is_some(), &[Datadog]),
        ("counters", sink.counters.is_some(), &[Datadog]),
        ("histogram_aggregates", sink.histogram_aggregates.is_some(), &[Datadog]),
        ("histogram_percentiles", sink.histogram_percentiles.is_some(), &[Datadog]),
        ("compression", sink.compression.is_some(), &[Datadog]),
        ("additional_endpoints", !sink.additional_endpoints.is_empty(), &[Datadog]),
        ("version", sink.version.is_some(), &[RemoteWrite]),
        ("native_histograms", sink.native_histograms.is_some(), &[RemoteWrite]),
        ("headers", !sink.headers.is_empty(), &[RemoteWrite]),
        ("basic_auth", sink.basic_auth.is_some(), &[RemoteWrite]),
        ("bearer", sink.bearer.is_some(), &[RemoteWrite]),
        ("targets", !sink.targets.is_empty(), &[Statsd]),
        ("mode", sink.mode.is_some(), &[Statsd]),
        ("on_down", sink.on_down.is_some(), &[Statsd]),
    ];
    for (key, set, owners) in keys {
        if set && !owners.contains(&sink.r#type) {
            let owners: Vec<&str> = owners.iter().map(|owner| word(*owner)).collect();
            findings.add(path(key), format!("a {} sink has no such key; it belongs to {}", word(sink.r#type), owners.join(" and ")));
        }
    }
}

/// Keys without which a type cannot run.
fn required(sink: &SinkConfig, path: &impl Fn(&str) -> String, findings: &mut Findings) {
    let missing = match sink.r#type {
        SinkType::Datadog if sink.api_key.is_none() => ("api_key", "{ env: DD_API_KEY }"),
        SinkType::RemoteWrite if sink.url.is_none() => ("url", "\"http://127.0.0.1:9090/api/v1/write\""),
        SinkType::Statsd if sink.targets.is_empty() => ("targets", "[\"127.0.0.1:8126\"]"),
        _ => return,
    };
    findings.add(path(missing.0), format!("a {} sink needs {}: {}", word(sink.r#type), missing.0, missing.1));
}

fn values(sink: &SinkConfig, path: &impl Fn(&str) -> String, findings: &mut Findings) {
    if let Some(text) = &sink.url {
        findings.check(path("url"), url(text));
    }
    if let Some(site) = &sink.site {
        let host = site.contains('.') && site.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b));
        findings.require(host, path("site"), "expected a host name such as datadoghq.com or datadoghq.eu");
        findings.require(sink.url.is_none(), path("site"), "url is set too; leave out one of them");
    }
    for (index, percentile) in sink.histogram_percentiles.iter().flatten().enumerate() {
        let at = path(&format!("histogram_percentiles[{index}]"));
        let whole = (percentile * 100.0 - (percentile * 100.0).round()).abs() < 1e-9;
        findings.require(whole, &at, "expected a whole percent, such as 0.95: the metric's name ends in it");
        findings.check(at, quantile(*percentile));
    }
    findings.once(&path("histogram_percentiles"), sink.histogram_percentiles.as_deref().unwrap_or_default(), |_| true);
    findings.once(&path("histogram_aggregates"), sink.histogram_aggregates.as_deref().unwrap_or_default(), |_| true);
    findings.require(sink.version.is_none_or(|version| matches!(version, 1 | 2)), path("version"), "expected 1 or 2");
    for (index, endpoint) in sink.additional_endpoints.iter().enumerate() {
        findings.check(path(&format!("additional_endpoints[{index}].url")), url(&endpoint.url));
    }
    for (index, target) in sink.targets.iter().enumerate() {
        let fits = target.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        findings.require(fits, path(&format!("targets[{index}]")), "expected HOST:PORT");
    }
    if let Some(timeout) = sink.timeout {
        time(timeout, &path("timeout"), findings);
    }
    size(sink.queue.memory, &path("queue.memory"), findings);
    time(sink.queue.max_age, &path("queue.max_age"), findings);
}

/// A type as it is written.
fn word(kind: SinkType) -> &'static str {
    match kind {
        SinkType::Datadog => "datadog",
        SinkType::RemoteWrite => "remote_write",
        SinkType::Statsd => "statsd",
    }
}
