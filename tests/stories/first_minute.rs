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

    for _ in 0..3 {
        relay.send("page.views:1|c|#env:dev");
    }
    // The default window has 10 s.
    relay.wait_for_sum("page_views", &[("env", "dev")], 3.0, 25);
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
        "rules: {{ files: [{}] }}\nnotify:\n  route: {{ receiver: ops, group_wait: 1s, group_interval: 1s }}\n  receivers: [{{ name: ops, webhook: [{{ url: \"{}\" }}] }}]\n",
        demo.display(),
        webhook.url()
    ));
    let relay = home.start();
    assert_eq!(relay.page().sum("ALERTS", &[]), 0.0);
    relay.send("demo.errors:1|c");

    let notification = wait_for("a notification", 30, || webhook.received().into_iter().next());
    assert_eq!((&notification["version"], &notification["status"]), (&"4".into(), &"firing".into()), "{notification:#}");
    assert_eq!(notification["receiver"], "ops", "{notification:#}");
    let alert = &notification["alerts"][0];
    let name = alert["labels"]["alertname"].as_str().unwrap_or_else(|| panic!("no name: {notification:#}"));
    assert_eq!(alert["status"], "firing", "{notification:#}");

    let alerts = relay.ask(&["alerts"]);
    assert_eq!(alerts.code, Some(0), "{alerts:?}");
    assert!(alerts.stdout.contains(name) && alerts.stdout.contains("firing"), "{alerts:?}");
    let firing = format!("ALERTS{{alertstate=\"firing\",alertname=\"{name}\"}}");
    assert_eq!(relay.query(&firing).first().map(|sample| sample.value), Some(1.0));
    relay.assert_balanced(1);
    relay.stop();
}
