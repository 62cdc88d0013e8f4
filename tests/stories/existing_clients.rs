//! Programs keep their StatsD libraries: each sends every type it can, and the totals are exact.

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
type Expected = (&'static str, Option<(&'static str, &'static str)>, f64);

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

/// The page shows `expected`; `set` has had `members` members, each sent once, so its windows add up to them.
fn assert_shows(relay: &Relay, expected: &[Expected], set: &str, members: f64) {
    let page = relay.wait_for_page(15, |page| amiss(page, expected));
    assert_eq!(page.sum("statsd_relay_lines_rejected_total", &[]), 0.0, "{}", page.text);
    let seen = format!("sum(sum_over_time({set}[5m]))");
    wait_for(&format!("{seen} == {members}"), 10, || relay.query(&seen).first().filter(|sample| sample.value == members).cloned());
}

/// Runs a client to its end with the relay's port as its argument.
fn run_client(interpreter: &str, variable: &str, packages: &Path, script: &str, relay: &Relay) {
    let mut command = Command::new(interpreter);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stories/clients").join(script);
    command.arg(script).arg(relay.udp.port().to_string()).env(variable, packages);
    for name in ["DD_AGENT_HOST", "DD_DOGSTATSD_PORT", "DD_DOGSTATSD_URL", "DD_ENV", "DD_SERVICE", "DD_VERSION", "DD_ENTITY_ID"] {
        command.env_remove(name);
    }
    let end = outcome(command);
    assert_eq!(end.code, Some(0), "{end:?}");
}

/// A relay whose listener reads a signed gauge as a change, as plain StatsD clients mean it.
fn start_plain(home: &Home) -> Relay {
    let mut command = home.command();
    command.args(["--set", "listen.dialect=statsd"]);
    Relay::start(command, &home.path("log"))
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
    client.event_with_options("deployed", "version 2\nto production", ["env:test"], Some(EventOptions::new())).unwrap();
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
fn the_python_client_datadog_is_understood() {
    let Some(packages) = Peer::Python.get() else { return };
    let home = Home::new("");
    let relay = home.start();
    run_client("python3", "PYTHONPATH", &packages, "with_datadog.py", &relay);
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
    assert_shows(&relay, &expected, "py_users", 2.0);
    let backfilled = relay.query("sum(last_over_time(py_backfilled[5m]))");
    assert_eq!(backfilled.first().map(|sample| sample.value), Some(42.0));
}

#[test]
fn the_python_client_statsd_is_understood() {
    let Some(packages) = Peer::Python.get() else { return };
    let home = Home::new("");
    let relay = start_plain(&home);
    run_client("python3", "PYTHONPATH", &packages, "with_statsd.py", &relay);
    let expected = [
        ("plain_hits", None, 7.0),
        ("plain_sampled", None, 4.0),
        ("plain_depth", None, 13.0),
        ("plain_request_count", None, 2.0),
        ("plain_request_sum", None, 0.75),
        ("plain_batched", None, 5.0),
    ];
    assert_shows(&relay, &expected, "plain_users", 2.0);
}

#[test]
fn the_node_client_hot_shots_is_understood() {
    let Some(packages) = Peer::Node.get() else { return };
    let home = Home::new("");
    let relay = start_plain(&home);
    run_client("node", "NODE_PATH", &packages.join("node_modules"), "with_hot_shots.js", &relay);
    let expected = [
        ("js_hits", Some(("page", "home")), 10.0),
        ("js_hits", Some(("page", "cart")), 3.0),
        ("js_hits", Some(("client", "hot-shots")), 13.0),
        ("js_sampled", None, 4.0),
        ("js_load", None, 9.0),
        ("js_request_count", None, 2.0),
        ("js_request_sum", None, 0.75),
        ("js_size_count", None, 3.0),
        ("js_size_sum", None, 2_048.0),
        ("js_latency_count", None, 2.0),
        ("js_latency_sum", None, 0.5),
        ("statsd_relay_events_total", None, 1.0),
        ("statsd_relay_service_checks_total", None, 1.0),
    ];
    assert_shows(&relay, &expected, "js_users", 2.0);
}
