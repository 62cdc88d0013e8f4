//! Rules that types cannot express, section by section. Every one says what would be right.

mod alerts;
mod sinks;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::Config;
use crate::listen::{Prefix, UnixEndpoint};
use crate::model::{Buckets, ByteSize};
use crate::shape;

/// Series identities fit into the index of the store up to this.
const MAX_KEY_BYTES: usize = 16 << 10;
/// What the kernel takes.
const MAX_SOCKET_PATH: usize = 107;
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// Findings as (path, message).
#[derive(Default)]
struct Findings(Vec<(String, String)>);

impl Findings {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push((path.into(), message.into()));
    }

    /// Adds the message of an `Err` under a path.
    fn check<T>(&mut self, path: impl Into<String>, result: Result<T, String>) {
        if let Err(message) = result {
            self.add(path, message);
        }
    }

    /// Adds the message when a rule does not hold.
    fn require(&mut self, holds: bool, path: impl Into<String>, message: &str) {
        if !holds {
            self.add(path, message);
        }
    }

    /// Items that may stand in a list only once, and do not.
    fn once<T: PartialEq>(&mut self, list: &str, items: &[T], counts: impl Fn(&T) -> bool) {
        for (index, item) in items.iter().enumerate() {
            if counts(item) && items[..index].contains(item) {
                self.add(format!("{list}[{index}]"), "listed twice");
            }
        }
    }

    /// Two items of one name.
    fn distinct<'a>(&mut self, list: &str, key: &str, names: impl Iterator<Item = &'a str>) {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, name) in names.enumerate() {
            if let Some(first) = seen.get(name) {
                self.add(format!("{list}[{index}]{key}"), format!("{name:?} is taken by {list}[{first}]"));
            } else {
                seen.insert(name, index);
            }
        }
    }
}

/// Everything that keeps a configuration from running.
pub(super) fn errors(config: &Config) -> Vec<(String, String)> {
    let mut findings = Findings::default();
    listen(config, &mut findings);
    findings.0.extend(shape::problems(&config.shape).into_iter().map(|error| (error.path, error.message)));
    limits(config, &mut findings);
    aggregate(config, &mut findings);
    store(config, &mut findings);
    http(config, &mut findings);
    sinks::check(&config.sinks, &mut findings);
    alerts::check(config, &mut findings);
    findings.0
}

/// What runs and may not be meant. Secrets are not looked at here. A key that is not `is_whole` may only seem to be unset.
pub(super) fn warnings(config: &Config, is_whole: impl Fn(&str) -> bool) -> Vec<(String, String)> {
    let mut findings = Findings::default();
    let guarded = config.http.web_config.is_some() || !is_whole("http.web_config");
    for (index, listen) in config.http.listen.iter().enumerate() {
        let open = address(listen).is_ok_and(|address| !address.ip().is_loopback());
        if !guarded && open {
            findings.add(
                format!("http.listen[{index}]"),
                "everyone who reaches this address can read: TLS and passwords (http.web_config) are not built yet",
            );
        }
    }
    if config.notify.route.is_none() && !config.notify.receivers.is_empty() {
        findings.add("notify.receivers", "without notify.route nobody is notified");
    }
    if !config.store.enabled && config.sinks.is_empty() && is_whole("sinks") {
        let message = "without a store and a sink, samples with a time of their own (|T) reach only rules that read them; \
                       statsd_relay_samples_stamped_total counts them";
        findings.add("store.enabled", message);
    }
    let filtered = !config.listen.allow_from.is_empty() || !is_whole("listen.allow_from");
    for (key, endpoints) in [("listen.udp", &config.listen.udp), ("listen.tcp", &config.listen.tcp)] {
        for (index, endpoint) in endpoints.iter().enumerate() {
            let open = address(&endpoint.address).is_ok_and(|address| !address.ip().is_loopback());
            if !filtered && open {
                findings.add(format!("{key}[{index}]"), "everyone who reaches this address can send; listen.allow_from names who may");
            }
        }
    }
    findings.0
}

fn listen(config: &Config, findings: &mut Findings) {
    let listen = &config.listen;
    for (key, endpoints) in [("listen.udp", &listen.udp), ("listen.tcp", &listen.tcp)] {
        for (index, endpoint) in endpoints.iter().enumerate() {
            findings.check(format!("{key}[{index}]"), address(&endpoint.address));
        }
        // Port 0 is another port each time.
        let addresses: Vec<&str> = endpoints.iter().map(|endpoint| endpoint.address.as_str()).collect();
        findings.once(key, &addresses, |address| !address.ends_with(":0"));
    }
    for (key, endpoints) in [("listen.unix_datagram", &listen.unix_datagram), ("listen.unix_stream", &listen.unix_stream)] {
        for (index, endpoint) in endpoints.iter().enumerate() {
            let mode = u32::from_str_radix(&endpoint.mode, 8).is_ok_and(|mode| mode <= 0o777);
            findings.require(mode, format!("{key}[{index}].mode"), "expected an octal mode in quotes, such as \"0722\"");
            let path = endpoint.path.starts_with(['/', '@']) && (2..=MAX_SOCKET_PATH).contains(&endpoint.path.len());
            findings.require(path, format!("{key}[{index}].path"), "expected an absolute path, or @ and a name, of at most 107 bytes");
        }
        findings.distinct(key, ".path", endpoints.iter().map(|endpoint| endpoint.path.as_str()));
    }
    // A file is one socket, whatever its kind; a name without a file is another one for each kind.
    for (index, UnixEndpoint { path, .. }) in listen.unix_stream.iter().enumerate().filter(|(_, stream)| stream.path.starts_with('/')) {
        let first = listen.unix_datagram.iter().position(|datagram| Path::new(&datagram.path) == Path::new(path));
        if let Some(first) = first {
            let message = format!("{path:?} is taken by listen.unix_datagram[{first}]; a socket file has one kind: choose another path");
            findings.add(format!("listen.unix_stream[{index}].path"), message);
        }
    }
    for (index, prefix) in listen.allow_from.iter().enumerate() {
        findings.check(format!("listen.allow_from[{index}]"), prefix.parse::<Prefix>());
    }
    size(listen.receive_buffer, "listen.receive_buffer", findings);
    findings.require(listen.max_connections > 0, "listen.max_connections", "expected at least 1");
    time(listen.idle_timeout, "listen.idle_timeout", findings);
}

fn limits(config: &Config, findings: &mut Findings) {
    let limits = &config.limits;
    for (key, limit) in
        [("series", limits.series), ("series_per_metric", limits.series_per_metric), ("tags_per_series", limits.tags_per_series)]
    {
        findings.require(limit > 0, format!("limits.{key}"), "expected at least 1");
    }
    findings.require((1..=MAX_KEY_BYTES).contains(&limits.key_bytes), "limits.key_bytes", "expected 1 to 16384 bytes");
    size(limits.memory, "limits.memory", findings);
}

fn aggregate(config: &Config, findings: &mut Findings) {
    let aggregate = &config.aggregate;
    let whole = aggregate.interval >= MIN_INTERVAL && aggregate.interval.subsec_nanos() == 0;
    findings.require(whole, "aggregate.interval", "expected whole seconds, at least 1s");
    let expire = aggregate.expire.is_zero() || aggregate.expire >= aggregate.interval;
    findings.require(expire, "aggregate.expire", "expected at least aggregate.interval, or 0 to keep series for good");
    for (index, percentile) in aggregate.percentiles.iter().enumerate() {
        findings.check(format!("aggregate.percentiles[{index}]"), quantile(*percentile));
    }
    findings.once("aggregate.percentiles", &aggregate.percentiles, |_| true);
}

/// Below this the file's own structure is most of it, and the bound would not hold.
const SMALLEST_STORE: ByteSize = ByteSize(16 << 20);

fn store(config: &Config, findings: &mut Findings) {
    const STEPS: [&str; 3] = ["raw", "1m", "1h"];
    let store = &config.store;
    findings.require(store.max_size >= SMALLEST_STORE, "store.max_size", "expected at least 16MiB");
    findings.require(!store.tiers.is_empty(), "store.tiers", "expected at least { step: raw, keep: 48h }");
    let mut previous: Option<(usize, Duration)> = None;
    for (index, tier) in store.tiers.iter().enumerate() {
        time(tier.keep, &format!("store.tiers[{index}].keep"), findings);
        let path = format!("store.tiers[{index}].step");
        let Some(rank) = STEPS.iter().position(|step| *step == tier.step) else {
            findings.add(path, format!("unknown step {:?}; expected raw, 1m or 1h", tier.step));
            continue;
        };
        match previous {
            None => findings.require(rank == 0, path, "the first tier is raw"),
            Some((before, _)) if rank <= before => findings.add(path, "steps ascend: raw, 1m, 1h"),
            Some((_, kept)) if tier.keep < kept => {
                findings.add(format!("store.tiers[{index}].keep"), "a coarser tier is kept at least as long as the one before");
            }
            _ => {}
        }
        previous = Some((rank, tier.keep));
    }
}

fn http(config: &Config, findings: &mut Findings) {
    findings.once("http.listen", &config.http.listen, |address| !address.ends_with(":0"));
    for (index, listen) in config.http.listen.iter().enumerate() {
        findings.check(format!("http.listen[{index}]"), address(listen));
    }
    let path = &config.scrape.path;
    let plain = path.len() > 1 && path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic() && !b"?#".contains(&b));
    findings.require(plain, "scrape.path", "expected a path such as /metrics");
    let taken = ["/api/", "/-/", "/health"].iter().any(|own| path.starts_with(own));
    findings.require(!taken, "scrape.path", "this path answers something else");
    let buckets = &config.scrape.buckets;
    findings.require(!buckets.is_empty(), "scrape.buckets", "expected at least one upper bound");
    if buckets.len() > Buckets::MAX {
        findings.add("scrape.buckets", format!("expected at most {} upper bounds", Buckets::MAX));
    }
    for (index, bound) in buckets.iter().enumerate() {
        findings.require(bound.is_finite(), format!("scrape.buckets[{index}]"), "expected a finite number; +Inf is always there");
        if index > 0 && *bound <= buckets[index - 1] {
            findings.add(format!("scrape.buckets[{index}]"), format!("buckets ascend, and {bound} follows {}", buckets[index - 1]));
        }
    }
}

/// Reads an address with its port.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("invalid address {text:?}: expected an IP address and a port, such as 127.0.0.1:8125 or [::1]:8125"))
}

/// Whether a `host:port` or a host stays on this machine.
pub(super) fn is_loopback(text: &str) -> bool {
    let host = text.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(text, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The `host:port` of a URL.
pub(super) fn host_of(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    (!host.is_empty() && !host.starts_with(':')).then_some(host)
}

/// Checks a URL. The error never quotes it: tokens hide in paths.
pub(super) fn url(text: &str) -> Result<(), String> {
    let invalid = || "invalid URL: expected http://HOST[:PORT]/... or https://HOST[:PORT]/...".to_string();
    let host = host_of(text).ok_or_else(invalid)?;
    let port = host.rsplit_once(':').filter(|(name, _)| !name.contains(':') || name.ends_with(']'));
    let port = port.is_none_or(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0));
    if port && text.bytes().all(|b| b.is_ascii_graphic()) { Ok(()) } else { Err(invalid()) }
}

fn quantile(value: f64) -> Result<(), String> {
    if value > 0.0 && value < 1.0 { Ok(()) } else { Err(format!("a percentile lies inside (0, 1), such as 0.99; this is {value}")) }
}

fn size(size: ByteSize, path: &str, findings: &mut Findings) {
    findings.require(size.0 > 0, path, "expected more than 0 bytes");
}

fn time(duration: Duration, path: &str, findings: &mut Findings) {
    findings.require(!duration.is_zero(), path, "expected more than 0s");
}

/// A name that becomes a label value and part of a file name.
fn name(name: &str) -> Result<(), String> {
    let fits = (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    if fits { Ok(()) } else { Err("a name is 1 to 64 letters, digits, _ . or -".to_string()) }
}
