//! A newcomer's first minute: nothing configured, a metric seen, an alert heard.

use std::path::Path;

use crate::http::Webhook;
use crate::relay::{Home, Relay, relay, wait_for};

#[test]
fn without_configuration_a_metric_is_on_the_page_and_in_queries() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = relay();
    command.args(["--udp", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data-dir"]).arg(folder.path().join("data")).current_dir(&folder);
    let relay = Relay::start(command, &folder.path().join("log"));
    assert!((1..=5).contains(&relay.banner.len()), "{:#?}", relay.banner);
    assert!(relay.banner[0].contains("statsd-relay"), "{:#?}", relay.banner);
    for term in ["windows_total", "windows_committed_total", "windows_store_failed_total"] {
        assert!(relay.page().value(&format!("statsd_relay_{term}"), &[]).is_some(), "{term} is part of a ledger from the start");
    }

    for _ in 0..3 {
        relay.send("page.views:1|c|#env:dev");
    }
    // The default window has 10 s.
    relay.wait_for_sum("page_views", &[("env", "dev")], 3.0);
    let answer = relay.ask(&["query", "page_views"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(answer.stdout.contains("page_views") && answer.stdout.contains("dev"), "{answer:?}");
    assert!(answer.stdout.split(|c: char| !c.is_ascii_digit()).any(|number| number == "3"), "{answer:?}");
    let answer = relay.ask(&["query", "--output", "json", "sum(page_views)"]);
    assert!(serde_json::from_str::<serde_json::Value>(&answer.stdout).is_ok(), "{answer:?}");
    relay.assert_balanced(3);
    relay.stop();
}

#[test]
fn the_demo_rule_reaches_a_webhook_and_the_alerts_command() {
    let webhook = Webhook::start();
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/rules/demo.yml");
    let home = Home::new(&format!(
        "rules: {{ files: [{}] }}\nnotify:\n  route: {{ receiver: ops, group_wait: 1s, group_interval: 1s }}\n  \
         receivers: [{{ name: ops, webhook: [{{ url: \"{}\" }}] }}]",
        demo.display(),
        webhook.url()
    ));
    let relay = home.start();
    relay.send("demo.temperature:42|g");
    let firing = wait_for_notification(&webhook, "firing");
    assert_eq!((&firing["version"], &firing["receiver"]), (&"4".into(), &"ops".into()), "{firing:#}");
    assert_eq!(firing["alerts"][0]["annotations"]["summary"], "It is 42 degrees", "{firing:#}");
    assert_eq!(firing["externalURL"], format!("http://{}", relay.http), "where it listens, not what the file says");

    let alerts = relay.ask(&["alerts"]);
    assert_eq!(alerts.code, Some(0), "{alerts:?}");
    assert!(alerts.stdout.contains("DemoTooHot") && alerts.stdout.contains("firing"), "{alerts:?}");
    let series = relay.query("ALERTS{alertname=\"DemoTooHot\",alertstate=\"firing\"}");
    assert_eq!(series.first().map(|sample| sample.value), Some(1.0));

    relay.send("demo.temperature:20|g");
    wait_for_notification(&webhook, "resolved");
    relay.assert_balanced(2);
    relay.stop();
}

/// The first notification of that status, which is about the hot demo.
fn wait_for_notification(webhook: &Webhook, status: &str) -> serde_json::Value {
    let found = wait_for(&format!("a {status} notification"), || webhook.received().into_iter().find(|body| body["status"] == status));
    assert_eq!(found["alerts"][0]["labels"]["alertname"], "DemoTooHot", "{found:#}");
    assert_eq!(found["alerts"][0]["status"], status, "{found:#}");
    found
}
