//! A Prometheus of the distribution scrapes the relay and sees what the relay itself answers; its tool finds nothing to criticise.

use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::http;
use crate::page::{Sample, vector};
use crate::peers::{Peer, free_port};
use crate::relay::{Home, Relay, outcome, wait_for};

const CONFIG: &str = "scrape: { counter_suffix: true }";

/// Counters, a gauge and a timer, two of them with tags.
fn send_orders(relay: &Relay) -> u64 {
    for number in 0..100 {
        relay.send(format!("shop.orders:1|c|#shop:{}\nshop.stock:{number}|g\nshop.request:250|ms\nshop.latency:0.5|d|#shop:a", number % 2));
    }
    relay.wait_for_sum("shop_orders_total", &[], 100.0);
    100
}

#[test]
fn promtool_has_nothing_to_say_about_the_page() {
    let Some(folder) = Peer::Prometheus.get() else { return };
    let home = Home::new(CONFIG);
    let relay = home.start();
    relay.send("_e{5,4}:hello|text");
    relay.send("_sc|database|1");
    relay.send("not a metric");
    let sent = 3 + send_orders(&relay);
    let page = home.write("page", &relay.page().text);
    let mut check = Command::new(folder.join("usr/bin/promtool"));
    check.args(["check", "metrics"]).stdin(File::open(page).unwrap());
    let end = outcome(check);
    assert_eq!((end.code, end.stdout.as_str(), end.stderr.as_str()), (Some(0), "", ""));
    relay.assert_balanced(sent);
}

#[test]
fn promtool_queries_the_relay() {
    let Some(folder) = Peer::Prometheus.get() else { return };
    let home = Home::new(CONFIG);
    let relay = home.start();
    send_orders(&relay);
    let mut query = Command::new(folder.join("usr/bin/promtool"));
    query.args(["query", "instant"]).arg(format!("http://{}", relay.http)).arg("sum(shop_orders_total)").stdin(Stdio::null());
    let end = outcome(query);
    assert_eq!(end.code, Some(0), "{end:?}");
    assert!(end.stdout.contains("=> 100 @["), "{end:?}");
}

#[test]
fn prometheus_and_the_relay_answer_the_same() {
    let Some(folder) = Peer::Prometheus.get() else { return };
    let home = Home::new(CONFIG);
    let relay = home.start();
    let prometheus = Prometheus::start(&folder, &home, relay.http);
    // Each pair is one series to Prometheus.
    relay.send("two.names:1|c|#a.b:1\ntwo_names:10|c|#a_b:1\ntwo.times:1|ms\ntwo_times:3|ms");
    send_orders(&relay);
    let expressions = [
        "sum(shop_orders_total)",
        "sum by (shop) (shop_orders_total)",
        "shop_orders_total{shop=\"1\"}",
        "max(shop_stock)",
        "sum(shop_request_count)",
        "sum(shop_request_sum)",
        "sum(shop_request{quantile=\"0.5\"})",
        "sum(shop_latency_sum) / sum(shop_latency_count)",
        "sum(shop_orders_total) > 99",
        "two_names_total == 11",
        "two_times_count == 2",
        "two_times_sum",
    ];
    for expression in expressions {
        let ours = numbers(relay.query(expression));
        assert!(!ours.is_empty(), "the relay has nothing for {expression}");
        wait_for(&format!("{expression} = {ours:?} from Prometheus"), || {
            let theirs = numbers(prometheus.query(expression)?);
            (theirs == ours).then_some(())
        });
    }
    // A scrape that takes longer than a second counts as none.
    wait_for("a scrape", || prometheus.query("up").map(numbers).filter(|up| *up == [("".to_string(), 1.0)]));
}

/// The labels that both know and the value of each row, sorted: a scrape adds `job` and `instance`.
fn numbers(rows: Vec<Sample>) -> Vec<(String, f64)> {
    let mut numbers: Vec<_> = rows
        .into_iter()
        .map(|mut row| {
            row.labels.remove("job");
            row.labels.remove("instance");
            (row.labels.into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(","), row.value)
        })
        .collect();
    numbers.sort_by(|a, b| a.0.cmp(&b.0));
    numbers
}

/// A Prometheus that scrapes one relay each second. Dropped, it is killed.
struct Prometheus {
    child: Child,
    address: SocketAddr,
}

impl Prometheus {
    fn start(folder: &Path, home: &Home, relay: SocketAddr) -> Prometheus {
        let config = format!(
            "global: {{ scrape_interval: 1s }}\nscrape_configs: [{{ job_name: relay, static_configs: [{{ targets: [\"{relay}\"] }}] }}]\n"
        );
        // Prometheus does not say which one the kernel chose.
        let address = free_port();
        let mut log = File::create(home.path("prometheus.log")).unwrap();
        writeln!(log, "on {address}").unwrap();
        let child = Command::new(folder.join("usr/bin/prometheus"))
            .arg(format!("--config.file={}", home.write("prometheus.yml", &config).display()))
            .arg(format!("--storage.tsdb.path={}", home.path("prometheus").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let prometheus = Prometheus { child, address };
        wait_for("Prometheus to be ready", || http::get(address, "/-/ready").ok().filter(|reply| reply.status == 200));
        prometheus
    }

    fn query(&self, expression: &str) -> Option<Vec<Sample>> {
        let reply = http::get(self.address, &format!("/api/v1/query?query={}", http::encoded(expression))).ok()?;
        (reply.status == 200).then(|| vector(&reply.body))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
