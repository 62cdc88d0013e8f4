//! What a user sees of the relay at work: lines as they come, what was refused, what is big, what was said, and why.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::datadog_receives::Datadog;
use crate::http;
use crate::relay::{Home, PATIENCE, Relay, outcome, relay, wait_for};

/// The `data` of an answer of the relay's own API.
fn data(relay: &Relay, path: &str) -> Value {
    let reply = http::get(relay.http, &format!("/api/v1/relay/{path}")).unwrap();
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    serde_json::from_str::<Value>(&reply.body).unwrap()["data"].clone()
}

/// Reads a tap until it is dropped: every line of the stream.
fn tap(http: SocketAddr, query: &str) -> Receiver<String> {
    let mut stream = TcpStream::connect(http).unwrap();
    write!(stream, "GET /api/v1/relay/tap{query} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let (lines, received) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    wait_until(&received, ": listening");
    received
}

fn wait_until(lines: &Receiver<String>, wanted: &str) -> String {
    loop {
        let line = lines.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("no {wanted:?}: {error}"));
        if line.contains(wanted) {
            return line;
        }
    }
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[test]
fn a_tap_shows_lines_as_they_come_and_ends_with_the_relay() {
    let home = Home::new("");
    let relay = home.start();
    let (all, refused) = (tap(relay.http, "?filter=web"), tap(relay.http, "?rejected=true"));
    let mut command = crate::relay::relay();
    command.args(["tap", "web.*", "--url", &format!("http://{}", relay.http)]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut cli = command.spawn().unwrap();
    let mut printed = BufReader::new(cli.stdout.take().unwrap()).lines();
    // The command needs a moment to connect; until then its lines pass by.
    let send = || relay.send("web.hits:1|c|c:ci-abc|e:pod-7|card:low\ndb.hits:1|c\nweb.\x1b[2J:x|c");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let start = Instant::now();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) && start.elapsed() < PATIENCE {
                send();
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let line = wait_until(&all, "data: ");
        let line: Value = serde_json::from_str(line.trim_start_matches("data: ")).unwrap();
        assert_eq!(line["line"], "web.hits:1|c|c:ci-abc|e:pod-7|card:low");
        assert_eq!(line["listener"], format!("udp:{}", relay.udp));
        let record = &line["record"];
        assert_eq!(
            (&record["container_id"], &record["external_data"], &record["cardinality"]),
            (&"abc".into(), &"pod-7".into(), &"low".into())
        );
        let line = wait_until(&refused, "data: ");
        assert!(line.contains(r#""reason":"bad_value""#) && line.contains(r#""offset":9"#) && line.contains(r"\\u{1b}"), "{line}");
        assert_eq!(printed.next().unwrap().unwrap(), "web.hits:1|c|c:ci-abc|e:pod-7|card:low");
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(relay.query("count(web_hits)").first().map_or(1.0, |count| count.value), 1.0, "origin fields are no part of a series");
    relay.stop();
    assert_eq!(cli.wait().unwrap().code(), Some(0));
}

#[test]
fn there_are_only_a_few_taps_and_wrong_ones_are_refused() {
    let home = Home::new("");
    let relay = home.start();
    let taps: Vec<_> = (0..4).map(|_| tap(relay.http, "")).collect();
    let refused = relay.ask(&["tap"]);
    assert!(refused.code != Some(0) && refused.stderr.contains("as many taps"), "{refused:?}");
    let reply = http::get(relay.http, "/api/v1/relay/tap").unwrap();
    assert_eq!((reply.status, reply.body.contains("as many taps")), (503, true), "{}", reply.body);
    drop(taps);
    let reply = http::get(relay.http, "/api/v1/relay/tap?rejected=perhaps").unwrap();
    assert_eq!((reply.status, reply.body.contains("perhaps")), (400, true), "{}", reply.body);
    relay.stop();
}

#[test]
fn refused_lines_are_kept_as_examples() {
    let home = Home::new("");
    let relay = home.start();
    for _ in 0..3 {
        relay.send("ok:1|c\nodd:x|c\nworse");
    }
    let rejected = wait_for("two examples", || {
        let found = data(&relay, "rejected")["rejected"].as_array().unwrap().clone();
        (found.len() == 2 && found.iter().all(|example| example["count"] == 3)).then_some(found)
    });
    let odd = rejected.iter().find(|example| example["reason"] == "bad_value").unwrap();
    assert_eq!(odd["sender"], "127.0.0.1");
    assert_eq!((&odd["line"], &odd["offset"]), (&"odd:x|c".into(), &4.into()));
    assert_eq!(odd["listener"], format!("udp:{}", relay.udp));
    // Not compared as texts: `07.5Z` stands before `07Z`.
    let seen = |key: &str| OffsetDateTime::parse(odd[key].as_str().unwrap(), &Rfc3339).unwrap();
    assert!(seen("firstSeen") <= seen("lastSeen"), "{odd}");
    relay.stop();
}

#[test]
fn the_biggest_metrics_and_tags_are_named() {
    let home = Home::new("");
    let relay = home.start();
    let top = wait_for("20 series and who sent them", || {
        for user in 0..20 {
            relay.send(format!("wide:1|c|#user:{user},env:a\nnarrow:1|g|#env:b"));
        }
        Some(data(&relay, "top?limit=5")).filter(|top| top["metrics"][0]["series"] == 20 && top["senders"] != serde_json::json!([]))
    });
    assert_eq!((&top["metrics"][0]["name"], &top["metrics"][0]["type"]), (&"wide".into(), &"counter".into()));
    assert_eq!(top["metrics"][1]["series"], 1);
    assert_eq!(top["tags"], serde_json::json!([{"key": "user", "values": 20}, {"key": "env", "values": 2}]));
    let sender = &top["senders"][0];
    assert_eq!((&sender["sender"], &sender["listener"]), (&"127.0.0.1".into(), &format!("udp:{}", relay.udp).into()));
    assert!(sender["linesPerSecond"].as_f64() > Some(0.0) && sender["bytesPerSecond"].as_f64() > sender["linesPerSecond"].as_f64());
    let shown = relay.ask(&["top", "--once"]);
    assert!(shown.code == Some(0) && shown.stdout.contains("wide") && shown.stdout.contains("user"), "{shown:?}");
    relay.stop();
}

#[test]
fn events_and_checks_are_told_and_checks_are_scraped_until_they_expire() {
    let home = Home::new("");
    home.configure_expiring("3s");
    let relay = home.start();
    let before = now();
    relay.send("_e{6,9}:deploy|version 2|h:web-1|p:low|t:success|k:roll|s:ci|#env:prod");
    relay.send("_sc|database|2|h:web-1|#env:prod|m:down");
    let events = wait_for("both", || {
        let events = data(&relay, "events")["events"].as_array().unwrap().clone();
        (events.len() == 2).then_some(events)
    });
    let event = events.iter().find(|event| event["kind"] == "event").unwrap();
    let expected = [
        ("title", "deploy"),
        ("text", "version 2"),
        ("alertType", "success"),
        ("priority", "low"),
        ("host", "web-1"),
        ("aggregationKey", "roll"),
        ("sourceType", "ci"),
    ];
    for (key, value) in expected {
        assert_eq!(event[key], value, "{key}: {event}");
    }
    assert_eq!(event["tags"], serde_json::json!(["env:prod"]));
    assert_eq!(data(&relay, "events?q=VERSION")["events"].as_array().unwrap().len(), 1);
    assert_eq!(data(&relay, &format!("events?start={}&end={}", before - 1, now() + 1))["events"].as_array().unwrap().len(), 2);
    assert_eq!(data(&relay, &format!("events?end={}", before - 100))["events"].as_array().unwrap().len(), 0);
    assert_eq!(data(&relay, "checks"), serde_json::json!({"checks": []}));

    let labels = [("check", "database"), ("host", "web-1"), ("env", "prod")];
    // Told again and again, so that it does not expire on a busy machine before it is seen.
    let wait_for_status = |status: u8| {
        wait_for(&format!("status {status}"), || {
            relay.send(format!("_sc|database|{status}|h:web-1|#env:prod"));
            let (page, queried) = (relay.page(), relay.query("statsd_relay_service_check_status"));
            let shown = [page.value("statsd_relay_service_check_status", &labels), queried.first().map(|sample| sample.value)];
            (shown == [Some(f64::from(status)); 2]).then_some(page)
        })
    };
    assert_eq!(wait_for_status(2).kind("statsd_relay_service_check_status"), Some("gauge"));
    wait_for_status(0);
    relay.wait_for_page(|page| {
        let left = page.select("statsd_relay_service_check_status", &[]).len();
        (left > 0).then(|| format!("{left} statuses")).into_iter().collect()
    });
    wait_for("no status in queries", || relay.query("statsd_relay_service_check_status").is_empty().then_some(()));
    relay.stop();
}

#[test]
fn the_last_status_of_a_check_stands_after_a_restart() {
    let home = Home::new("");
    let relay = home.start();
    let labels = [("check", "database"), ("host", "web-1")];
    relay.send("_sc|database|0|h:web-1\n_sc|database|2|h:web-1\n_sc|cache|1");
    relay.wait_for_sum("statsd_relay_service_check_status", &labels, 2.0);
    relay.kill();
    let relay = home.start();
    // The first page has it, and so have the windows that come.
    let page = wait_for("the first page", || relay.try_page());
    assert_eq!(page.value("statsd_relay_service_check_status", &labels), Some(2.0));
    assert_eq!(page.value("statsd_relay_service_check_status", &[("check", "cache")]), Some(1.0));
    let since = now();
    wait_for("both in a later window", || {
        let told = relay.query(&format!("timestamp(statsd_relay_service_check_status) > {since}"));
        (told.len() == 2).then_some(())
    });
    relay.send("_sc|database|0|h:web-1");
    relay.wait_for_sum("statsd_relay_service_check_status", &labels, 0.0);
    relay.stop();
}

#[test]
fn samples_with_a_time_of_their_own_stand_there_and_only_within_reach() {
    let datadog = Datadog::start();
    let home = Home::new(&datadog.sink());
    let relay = home.start();
    let at = now() - 120;
    let (old, new) = (now() - 49 * 3_600, now() + 700);
    relay.send(format!("own.heat:7|g|T{at}\nown.hits:2|c|T{at}\nown.hits:3|c|T{at}\nown.hits:1|c|T{old}\nown.heat:1|g|T{new}"));
    let page = relay.wait_for_page(|page| {
        let shed = |reason| page.sum("statsd_relay_lines_shed_total", &[("reason", reason)]);
        let found = (shed("stamped_too_old"), shed("stamped_too_new"));
        (found != (1.0, 1.0)).then(|| format!("{found:?}")).into_iter().collect()
    });
    assert_eq!((page.value("own_heat", &[]), page.value("own_hits", &[])), (None, None), "no live series");
    let query = |expression: &str| relay.query(&expression.replace("AT", &at.to_string())).first().map(|sample| sample.value);
    wait_for("the gauge at its second", || (query("own_heat @ AT") == Some(7.0)).then_some(()));
    assert_eq!(query(r#"sum_over_time(own_hits{stamped="true"}[10s] @ AT)"#), Some(5.0));
    wait_for("both at the intake", || {
        let series = datadog.intake.series();
        let point = |metric: &str| series.iter().find(|series| series.metric == metric)?.points.first().cloned();
        let (heat, hits) = (point("own.heat")?, point("own.hits")?);
        assert_eq!((heat.timestamp, heat.value, hits.timestamp), (at as i64, 7.0, at as i64));
        Some(())
    });
    assert_eq!(datadog.gained("own.hits"), 5.0);
    relay.assert_balanced(1);
    relay.stop();
}

#[test]
fn a_line_is_explained_with_and_without_a_server() {
    let datadog = Datadog::start();
    let home = Home::new(&datadog.sink());
    let explain = |line: &str, output: &str| {
        let mut command = relay();
        command.arg("explain").arg(line).arg("--config").arg(home.path("relay.yaml")).args(["--output", output]);
        outcome(command)
    };
    let text = explain("web.hits:1|c|@0.5|#env:prod", "text");
    assert_eq!(text.code, Some(0), "{text:?}");
    for word in ["dogstatsd", "weight     2.0", "prometheus: web_hits{env=\"prod\"}", "datadog: web.hits #env:prod host=story-host"] {
        assert!(text.stdout.contains(word), "no {word:?} in\n{}", text.stdout);
    }
    let stamped = explain(&format!("web.hits:1|c|T{}", now()), "text").stdout;
    assert!(stamped.contains("store: web_hits{stamped=\"true\"}") && !stamped.contains("prometheus:"), "{stamped}");
    let refused = explain("web.hits:one|c", "text");
    assert!(refused.code == Some(0) && refused.stdout.contains("refused    bad_value at byte 9"), "{refused:?}");
    let offline: Value = serde_json::from_str(&explain("web.hits:1|c", "json").stdout).unwrap();
    let relay = home.start();
    let online = data(&relay, &format!("explain?line={}", http::encoded("web.hits:1|c")));
    let mut online = online["samples"].clone();
    let live = (online[0]["listeners"].take(), online[0]["metric"]["becomes"].take());
    let mut offline = offline;
    let said = (offline[0]["listeners"].take(), offline[0]["metric"]["becomes"].take());
    assert_eq!(online, offline, "what the configuration tells is the same");
    assert_eq!((live.1, said.1), ("new".into(), "series".into()));
    assert_eq!((live.0, said.0), (serde_json::json!([format!("udp:{}", relay.udp)]), serde_json::json!(["udp:127.0.0.1:0"])));
    relay.send("web.hits:1|c");
    relay.wait_for_sum("web_hits", &[], 1.0);
    let of = |line: &str| data(&relay, &format!("explain?line={}", http::encoded(line)))["samples"][0]["metric"].clone();
    assert_eq!(of("web.hits:1|c")["becomes"], "known");
    let clash = of("web.hits:1|g");
    assert_eq!((&clash["clashes"], &clash["outputs"][0]["names"]), (&true.into(), &serde_json::json!(["web_hits_gauge"])));
    let sinks = wait_for("a sink that is well", || Some(data(&relay, "sinks")).filter(|sinks| sinks["sinks"][0]["state"] == "ok"));
    assert_eq!((&sinks["sinks"][0]["name"], &sinks["sinks"][0]["type"]), (&"datadog".into(), &"datadog".into()));
    relay.stop();
}
