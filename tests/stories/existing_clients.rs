//! Programs keep their StatsD libraries: each sends every type it can, and the totals are exact.

use std::ffi::OsStr;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;

use cadence::prelude::*;
use cadence::{StatsdClient, UdpMetricSink};
use dogstatsd::{EventOptions, Options, ServiceCheckOptions, ServiceStatus};

use crate::page::Page;
use crate::peers::Peer;
use crate::relay::{Home, Relay, outcome, wait_for};

/// A sample name, a label that narrows it, and the sum the page has to show.
pub(crate) type Expected = (&'static str, Option<(&'static str, &'static str)>, f64);

fn amiss(page: &Page, expected: &[Expected]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, label, value) in expected {
        let shown = page.value(name, label.as_slice());
        // Seconds of a timer are a quotient; all else here is exact in binary.
        if shown.is_none_or(|shown| (shown - value).abs() > 1e-12) {
            found.push(format!("{name}{label:?} is {shown:?}, not {value}"));
        }
    }
    found
}

/// The page shows `expected`, and every line was accepted.
pub(crate) fn assert_totals(relay: &Relay, expected: &[Expected]) {
    let page = relay.wait_for_page(|page| amiss(page, expected));
    assert_eq!(page.sum("statsd_relay_lines_rejected_total", &[]), 0.0, "{}", page.text);
}

/// The page shows `expected`; `set` has had `members` members, each sent once, so its windows add up to them.
pub(crate) fn assert_shows(relay: &Relay, expected: &[Expected], set: &str, members: f64) {
    assert_totals(relay, expected);
    let seen = format!("sum(sum_over_time({set}[5m]))");
    wait_for(&format!("{seen} == {members}"), || relay.query(&seen).first().filter(|sample| sample.value == members).cloned());
}

/// Runs a client to its end with `to` as its arguments.
pub(crate) fn run_client(interpreter: impl AsRef<OsStr>, packages: &[(&str, &Path)], script: &str, to: &[&str]) {
    let mut command = Command::new(interpreter);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stories/clients").join(script);
    command.arg(script).args(to).envs(packages.iter().copied());
    for name in ["DD_AGENT_HOST", "DD_DOGSTATSD_PORT", "DD_DOGSTATSD_URL", "DD_ENV", "DD_SERVICE", "DD_VERSION", "DD_ENTITY_ID"] {
        command.env_remove(name);
    }
    let end = outcome(command);
    assert_eq!(end.code, Some(0), "{end:?}");
}

/// The argument of a client that sends to the relay by UDP.
pub(crate) fn port(relay: &Relay) -> String {
    relay.udp.port().to_string()
}

/// A listener that reads a signed gauge as a change, as plain StatsD clients mean it.
pub(crate) fn plain() -> String {
    "dialect=statsd".into()
}

#[test]
fn the_rust_client_cadence_is_understood() {
    let home = Home::new("");
    let relay = home.start();
    let sink = UdpMetricSink::from(relay.udp, UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    let client = StatsdClient::builder("rust", sink).with_tag("client", "cadence").build();
    for _ in 0..10 {
        client.incr("hits").unwrap();
    }
    client.count_with_tags("hits", 5).with_tag("page", "cart").try_send().unwrap();
    client.count_with_tags("sampled", 1).with_sampling_rate(0.25).try_send().unwrap();
    client.gauge("load", 7_u64).unwrap();
    client.gauge("load", 2.5).unwrap();
    client.time("request", vec![250_u64, 500]).unwrap();
    client.histogram("size", vec![1_024_u64, 512]).unwrap();
    client.distribution("latency", vec![0.125, 0.375]).unwrap();
    client.meter("turns", 4_u64).unwrap();
    client.set("users", 1).unwrap();
    client.set("users", 2).unwrap();
    let expected = [
        ("rust_hits", None, 15.0),
        ("rust_hits", Some(("page", "cart")), 5.0),
        ("rust_hits", Some(("client", "cadence")), 15.0),
        ("rust_sampled", None, 4.0),
        ("rust_load", None, 2.5),
        ("rust_request_count", None, 2.0),
        ("rust_request_sum", None, 0.75),
        ("rust_size_count", None, 2.0),
        ("rust_size_sum", None, 1_536.0),
        ("rust_latency_count", None, 2.0),
        ("rust_latency_sum", None, 0.5),
        ("rust_turns", None, 4.0),
    ];
    assert_shows(&relay, &expected, "rust_users", 2.0);
    relay.assert_balanced(20);
}

#[test]
fn the_rust_client_dogstatsd_is_understood() {
    let home = Home::new("");
    let relay = home.start();
    let options = Options::new("127.0.0.1:0", &relay.udp.to_string(), "dog", vec!["client:dogstatsd".into()], None, None);
    let client = dogstatsd::Client::new(options).unwrap();
    for _ in 0..10 {
        client.incr("hits", ["page:home"]).unwrap();
    }
    client.decr("hits", ["page:home"]).unwrap();
    client.count("hits", 5, ["page:cart"]).unwrap();
    client.gauge("load", "-2.5", [""; 0]).unwrap();
    client.timing("request", 250, [""; 0]).unwrap();
    client.timing("request", 500, [""; 0]).unwrap();
    client.histogram("size", "1024", [""; 0]).unwrap();
    client.distribution("latency", "0.125", [""; 0]).unwrap();
    client.set("users", "ann", [""; 0]).unwrap();
    client.set("users", "bob", [""; 0]).unwrap();
    client.event_with_options("deployed", "version 2", ["env:test"], Some(EventOptions::new())).unwrap();
    client.service_check("database", ServiceStatus::Warning, [""; 0], None::<ServiceCheckOptions<'_>>).unwrap();
    let expected = [
        ("dog_hits", Some(("page", "home")), 9.0),
        ("dog_hits", Some(("page", "cart")), 5.0),
        ("dog_hits", Some(("client", "dogstatsd")), 14.0),
        ("dog_load", None, -2.5),
        ("dog_request_count", None, 2.0),
        ("dog_request_sum", None, 0.75),
        ("dog_size_sum", None, 1_024.0),
        ("dog_latency_sum", None, 0.125),
        ("statsd_relay_events_total", None, 1.0),
        ("statsd_relay_service_checks_total", None, 1.0),
    ];
    assert_shows(&relay, &expected, "dog_users", 2.0);
    relay.assert_balanced(21);
}

#[test]
fn the_rust_client_statsd_is_understood() {
    let home = Home::new("");
    let relay = home.start_listening(&[plain()]);
    let client = statsd::Client::new(relay.udp, "crate").unwrap();
    for _ in 0..10 {
        client.incr("hits");
    }
    client.decr("hits");
    client.count("hits", 5.0);
    client.sampled_count("sampled", 3.0, 1.0);
    client.gauge("load", 2.5);
    client.timer("request", 250.0);
    client.timer("request", 500.0);
    client.histogram("size", 1_024.0);
    let mut pipeline = client.pipeline();
    pipeline.count("batched", 2.0);
    pipeline.count("batched", 3.0);
    pipeline.send(&client);
    let expected = [
        ("crate_hits", None, 14.0),
        ("crate_sampled", None, 3.0),
        ("crate_load", None, 2.5),
        ("crate_request_count", None, 2.0),
        ("crate_request_sum", None, 0.75),
        ("crate_size_sum", None, 1_024.0),
        ("crate_batched", None, 5.0),
    ];
    assert_totals(&relay, &expected);
    relay.assert_balanced(18);
}

/// What `with_datadog.py` sends, by whatever way.
pub(crate) fn assert_shows_datadog(relay: &Relay) {
    let expected = [
        ("py_hits", Some(("page", "home")), 10.0),
        ("py_hits", Some(("page", "cart")), 3.0),
        ("py_hits", Some(("client", "datadog")), 13.0),
        ("py_sampled", None, 4.0),
        ("py_load", None, -2.5),
        ("py_request_count", None, 2.0),
        ("py_request_sum", None, 0.75),
        ("py_size_count", None, 3.0),
        ("py_size_sum", None, 2_048.0),
        ("py_latency_count", None, 2.0),
        ("py_latency_sum", None, 0.5),
        ("statsd_relay_events_total", None, 1.0),
        ("statsd_relay_service_checks_total", None, 1.0),
    ];
    assert_shows(relay, &expected, "py_users", 2.0);
    let backfilled = || relay.query("sum(last_over_time(py_backfilled[5m]))").first().map(|sample| sample.value);
    wait_for("a sample with a time of its own", || backfilled().filter(|value| *value == 42.0));
}

/// What `with_statsd.py` sends, by whatever way.
pub(crate) fn assert_shows_plain(relay: &Relay) {
    let expected = [
        ("plain_hits", None, 7.0),
        ("plain_sampled", None, 4.0),
        ("plain_depth", None, 13.0),
        ("plain_request_count", None, 2.0),
        ("plain_request_sum", None, 0.75),
        ("plain_batched", None, 5.0),
    ];
    assert_shows(relay, &expected, "plain_users", 2.0);
}

#[test]
fn the_python_client_datadog_is_understood() {
    let Some(packages) = Peer::Python.get() else { return };
    let home = Home::new("");
    let relay = home.start();
    run_client("python3", &[("PYTHONPATH", &packages)], "with_datadog.py", &[&port(&relay)]);
    assert_shows_datadog(&relay);
}

#[test]
fn the_python_client_statsd_is_understood() {
    let Some(packages) = Peer::Python.get() else { return };
    let home = Home::new("");
    let relay = home.start_listening(&[plain()]);
    run_client("python3", &[("PYTHONPATH", &packages)], "with_statsd.py", &[&port(&relay)]);
    assert_shows_plain(&relay);
}

#[test]
fn the_python_client_aiodogstatsd_is_understood() {
    let Some(packages) = Peer::Python.get() else { return };
    let home = Home::new("");
    let relay = home.start();
    run_client("python3", &[("PYTHONPATH", &packages)], "with_aiodogstatsd.py", &[&port(&relay)]);
    let expected = [
        ("aio_hits", Some(("page", "home")), 10.0),
        ("aio_hits", Some(("page", "cart")), 3.0),
        ("aio_hits", Some(("client", "aiodogstatsd")), 13.0),
        ("aio_sampled", None, 4.0),
        ("aio_load", None, -2.5),
        ("aio_request_count", None, 2.0),
        ("aio_request_sum", None, 0.75),
        ("aio_size_count", None, 3.0),
        ("aio_size_sum", None, 2_048.0),
        ("aio_latency_sum", None, 0.5),
    ];
    assert_totals(&relay, &expected);
    relay.assert_balanced(21);
}

#[test]
fn the_python_client_markus_is_understood() {
    let Some(packages) = Peer::Python.get() else { return };
    let home = Home::new("");
    let relay = home.start();
    run_client("python3", &[("PYTHONPATH", &packages)], "with_markus.py", &[&port(&relay)]);
    let expected = [
        ("dd_markus_hits", Some(("page", "home")), 10.0),
        ("dd_markus_hits", Some(("page", "cart")), 5.0),
        ("dd_markus_load", None, 7.0),
        ("dd_markus_request_count", None, 2.0),
        ("dd_markus_request_sum", None, 0.75),
        ("dd_markus_size_sum", None, 1_024.0),
        // Its plain backend drops tags, and calls a histogram a timer.
        ("plain_markus_hits", None, 15.0),
        ("plain_markus_load", None, 7.0),
        ("plain_markus_request_sum", None, 0.75),
        ("plain_markus_size_sum", None, 1.024),
    ];
    assert_totals(&relay, &expected);
}
