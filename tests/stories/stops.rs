//! A stop in the middle of a window.

use crate::http;
use crate::relay::{Home, Relay, wait_for};

fn wait_for_alert(relay: &Relay, state: &str) {
    let told = || http::get(relay.http, "/api/v1/alerts").ok().filter(|reply| reply.body.contains(&format!("\"state\":\"{state}\"")));
    wait_for(state, told);
}

#[test]
fn a_rule_waits_as_long_as_it_says_when_the_relay_stops_and_starts_meanwhile() {
    let home = Home::new("");
    let rules = home.write("rules.yml", "groups:\n- name: g\n  rules:\n  - { alert: Deep, expr: depth > 1, for: 10s }\n");
    home.configure(&format!("rules: {{ files: [{}], bundled: [] }}", rules.display()));
    let start = || {
        let mut command = home.command();
        command.args(["--set", "aggregate.interval=10s"]);
        Relay::start(command, &home.path("log"))
    };
    let relay = start();
    relay.send("depth:5|g");
    wait_for_alert(&relay, "pending");
    relay.stop();
    let log = std::fs::read_to_string(home.path("log")).unwrap();
    assert!(!log.contains("alert fires"), "{log}");
    let relay = start();
    let shown = relay.try_page().and_then(|page| page.value("depth", &[]));
    assert_eq!(shown, Some(5.0), "what stood at the stop is on the page before the first window ends");
    wait_for_alert(&relay, "pending");
    wait_for_alert(&relay, "firing");
    relay.stop();
}

#[test]
fn a_receiver_hears_of_a_group_once_over_a_stop_and_a_kill_and_of_its_end() {
    let webhook = http::Webhook::start();
    let home = Home::new("");
    let rules = home.write("rules.yml", "groups:\n- name: g\n  rules:\n  - { alert: Deep, expr: depth > 1 }\n");
    home.configure(&format!(
        "rules: {{ files: [{}], bundled: [] }}\nnotify:\n  route: {{ receiver: ops, group_wait: 0s, group_interval: 1s }}\n  \
         receivers: [{{ name: ops, webhook: [{{ url: \"{}\" }}] }}]",
        rules.display(),
        webhook.url()
    ));
    let statuses = || -> Vec<String> { webhook.received().iter().map(|body| body["status"].as_str().unwrap().to_string()).collect() };
    let some_windows = |relay: &Relay| {
        relay.wait_for_page(|page| {
            let cut = page.value("statsd_relay_windows_total", &[]);
            cut.is_none_or(|cut| cut < 4.0).then(|| format!("{cut:?} windows")).into_iter().collect()
        })
    };
    let relay = home.start();
    relay.send("depth:5|g");
    wait_for("a notification", || (!statuses().is_empty()).then_some(()));
    some_windows(&relay);
    relay.stop();
    let relay = home.start();
    some_windows(&relay);
    wait_for_alert(&relay, "firing");
    relay.kill();
    let relay = home.start();
    some_windows(&relay);
    wait_for_alert(&relay, "firing");
    assert_eq!(statuses(), ["firing"], "{:?}", webhook.received());
    relay.send("depth:0|g");
    wait_for("the end", || (statuses() == ["firing", "resolved"]).then_some(()));
    relay.stop();
}
