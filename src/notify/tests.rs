use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::decision::{Notified, decide};
use super::group::{Ended, Outcome};
use super::*;
use crate::model::{Alert, AlertState, Labels};

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60_000;

fn config(yaml: &str) -> NotifyConfig {
    serde_yaml::from_str(yaml).unwrap()
}

fn alert(pairs: &[(&str, &str)], state: AlertState, fired_at: i64) -> Alert {
    Alert {
        labels: Labels::new(pairs.iter().copied()),
        annotations: Labels::new([("summary", "it broke")]),
        state,
        active_at: fired_at,
        fired_at: Some(fired_at),
        resolved_at: (state == AlertState::Resolved).then_some(fired_at + MINUTE),
        keep_since: None,
        value: 1.0,
    }
}

fn firing(name: &str, fired_at: i64) -> Alert {
    alert(&[("alertname", "down"), ("instance", name)], AlertState::Firing, fired_at)
}

fn resolved(name: &str, fired_at: i64) -> Alert {
    alert(&[("alertname", "down"), ("instance", name)], AlertState::Resolved, fired_at)
}

const ONE: &str = "
route: { receiver: ops, group_wait: 30s, group_interval: 5m, repeat_interval: 4h }
receivers: [{ name: ops, webhook: [{ url: 'http://127.0.0.1:1/' }] }]";

fn groups(yaml: &str) -> Groups {
    groups_after(yaml, &[], 0)
}

/// Of a process that begins at `now` and finds these rows.
fn groups_after(yaml: &str, rows: &[(LogKey, Vec<u8>)], now: i64) -> Groups {
    let config = config(yaml);
    let targets = config.receivers.iter().flat_map(|receiver| {
        receiver.webhook.iter().enumerate().map(|(index, webhook)| Target {
            receiver: receiver.name.clone(),
            key: log::target_key(&receiver.name, "webhook", index),
            send_resolved: webhook.send_resolved,
        })
    });
    let targets = targets.collect();
    Groups::new(Route::tree(&config).unwrap().unwrap(), Inhibitions::new(&config).unwrap(), targets, Log::new(rows, now))
}

/// The rows that stand after changes.
fn kept(mut rows: Vec<(LogKey, Vec<u8>)>, changes: LogChanges) -> Vec<(LogKey, Vec<u8>)> {
    for (key, row) in changes {
        rows.retain(|(other, _)| *other != key);
        rows.extend(row.map(|row| (key, row)));
    }
    rows
}

/// `at`: what is due, as `reason: instances`, with a mark on resolved ones; all of it answered with `outcome`.
fn look(groups: &mut Groups, at: i64, outcome: &Outcome) -> Vec<String> {
    let (due, ended) = groups.due(at);
    let mut seen: Vec<String> = ended.iter().map(|(_, end)| end.as_str().to_string()).collect();
    for due in due {
        let shown = due.notification.alerts.iter().map(|alert| {
            let mark = if alert.state == AlertState::Resolved { "-" } else { "" };
            format!("{mark}{}", alert.labels.get("instance"))
        });
        seen.push(format!("{}: {}", due.notification.reason.as_str(), shown.collect::<Vec<_>>().join(" ")));
        groups.attempted(&due.key, due.target, outcome, at);
    }
    seen
}

#[test]
fn the_decision_is_a_function_of_what_was_said_and_what_is_so() {
    let set = |text: &str| text.bytes().map(u64::from).collect::<BTreeSet<u64>>();
    let standing = |at, firing, resolved| Notified { at, firing: set(firing), resolved: set(resolved) };
    for (last, now, send_resolved, expected) in [
        (None, standing(0, "", ""), true, None),
        (None, standing(0, "", "a"), true, None),
        (None, standing(0, "a", ""), true, Some(Reason::First)),
        (Some(standing(0, "a", "")), standing(MINUTE, "a", ""), true, None),
        (Some(standing(0, "a", "")), standing(MINUTE, "ab", ""), true, Some(Reason::NewFiring)),
        (Some(standing(0, "ab", "")), standing(MINUTE, "a", "b"), true, Some(Reason::NewResolved)),
        (Some(standing(0, "ab", "")), standing(MINUTE, "a", "b"), false, None),
        (Some(standing(0, "a", "b")), standing(MINUTE, "a", "b"), true, None),
        (Some(standing(0, "a", "")), standing(MINUTE, "", "a"), true, Some(Reason::AllResolved)),
        (Some(standing(0, "a", "")), standing(MINUTE, "", "a"), false, None),
        (Some(standing(0, "", "a")), standing(MINUTE, "", "a"), true, None),
        (Some(standing(0, "", "a")), standing(300 * MINUTE, "", "a"), true, None),
        (Some(standing(0, "a", "")), standing(239 * MINUTE, "a", ""), true, None),
        (Some(standing(0, "a", "")), standing(240 * MINUTE, "a", ""), true, Some(Reason::Repeat)),
        (Some(standing(0, "a", "")), standing(MINUTE, "", ""), true, None),
    ] {
        let reason = decide(last.as_ref(), &now, send_resolved, Duration::from_secs(4 * 3_600));
        assert_eq!(reason, expected, "{last:?} {now:?} {send_resolved}");
    }
}

#[test]
fn a_group_waits_tells_once_and_repeats() {
    let mut groups = groups(ONE);
    groups.offer(&[firing("a", 0)], 0);
    assert!(look(&mut groups, 29 * SECOND, &Outcome::Delivered).is_empty());
    groups.offer(&[firing("a", 0), firing("b", 10 * SECOND)], 20 * SECOND);
    assert_eq!(look(&mut groups, 30 * SECOND, &Outcome::Delivered), ["first notification: a b"]);
    groups.offer(&[firing("a", 0), firing("b", 0), firing("c", MINUTE)], MINUTE);
    assert!(look(&mut groups, 2 * MINUTE, &Outcome::Delivered).is_empty(), "group_interval is not over");
    assert_eq!(look(&mut groups, 6 * MINUTE, &Outcome::Delivered), ["new alerts in group: a b c"]);
    groups.offer(&[firing("a", 0), resolved("b", 0), firing("c", MINUTE)], 7 * MINUTE);
    assert_eq!(look(&mut groups, 12 * MINUTE, &Outcome::Delivered), ["new resolved alerts: a c -b"]);
    assert!(look(&mut groups, 200 * MINUTE, &Outcome::Delivered).is_empty());
    assert_eq!(look(&mut groups, 253 * MINUTE, &Outcome::Delivered), ["repeat interval elapsed: a c"]);
    groups.offer(&[resolved("a", 0)], 254 * MINUTE);
    assert_eq!(look(&mut groups, 259 * MINUTE, &Outcome::Delivered), ["all alerts resolved: -a -c"], "a missing alert has ended");
    groups.offer(&[resolved("a", 0)], 260 * MINUTE);
    assert!(look(&mut groups, 600 * MINUTE, &Outcome::Delivered).is_empty());
}

#[test]
fn what_is_over_before_anyone_heard_is_not_told() {
    let mut groups = groups(ONE);
    groups.offer(&[firing("a", 0)], 0);
    groups.offer(&[resolved("a", 0)], 10 * SECOND);
    assert!(look(&mut groups, 10 * MINUTE, &Outcome::Delivered).is_empty());
    groups.offer(&[resolved("z", 0)], 10 * SECOND);
    assert!(look(&mut groups, 20 * MINUTE, &Outcome::Delivered).is_empty());
}

#[test]
fn an_alert_that_waited_in_an_earlier_process_is_told_at_once() {
    let mut groups = groups(ONE);
    groups.offer(&[firing("a", 0)], 10 * MINUTE);
    assert_eq!(look(&mut groups, 10 * MINUTE, &Outcome::Delivered), ["first notification: a"]);
}

#[test]
fn a_restart_repeats_nothing_and_goes_on_where_it_was() {
    let mut before = groups(ONE);
    before.offer(&[firing("a", 0), firing("b", 0)], 0);
    assert_eq!(look(&mut before, 30 * SECOND, &Outcome::Delivered), ["first notification: a b"]);
    let rows = kept(Vec::new(), before.log_changes());
    assert_eq!(rows.len(), 1);
    let both = [firing("a", 0), firing("b", 0)];

    let mut after = groups_after(ONE, &rows, 10 * MINUTE);
    after.offer(&both, 10 * MINUTE);
    assert!(look(&mut after, 200 * MINUTE, &Outcome::Delivered).is_empty());
    assert_eq!(look(&mut after, 241 * MINUTE, &Outcome::Delivered), ["repeat interval elapsed: a b"], "four hours after the first");

    let mut after = groups_after(ONE, &rows, MINUTE);
    after.offer(&[firing("a", 0), firing("b", 0), firing("c", MINUTE)], MINUTE);
    assert!(look(&mut after, 5 * MINUTE, &Outcome::Delivered).is_empty(), "group_interval is not over");
    assert_eq!(look(&mut after, 6 * MINUTE, &Outcome::Delivered), ["new alerts in group: a b c"]);

    let mut after = groups_after(ONE, &rows, 10 * MINUTE);
    after.offer(&[resolved("b", 0), firing("a", 0)], 10 * MINUTE);
    assert_eq!(look(&mut after, 10 * MINUTE, &Outcome::Delivered), ["new resolved alerts: a -b"], "b ended meanwhile");

    let mut after = groups_after(ONE, &rows, 10 * MINUTE);
    after.offer(&[resolved("a", 0), resolved("b", 0), resolved("z", 0)], 10 * MINUTE);
    assert_eq!(look(&mut after, 10 * MINUTE, &Outcome::Delivered), ["all alerts resolved: -a -b"]);
    let rows = kept(rows, after.log_changes());
    assert!(rows.is_empty(), "the group is over");
    let mut after = groups_after(ONE, &rows, 20 * MINUTE);
    after.offer(&[resolved("a", 0), resolved("b", 0)], 20 * MINUTE);
    assert!(look(&mut after, 30 * MINUTE, &Outcome::Delivered).is_empty());
    after.offer(&both, 40 * MINUTE);
    assert_eq!(look(&mut after, 41 * MINUTE, &Outcome::Delivered), ["first notification: a b"]);
}

#[test]
fn a_clock_that_was_set_back_delays_neither_a_repetition_nor_an_attempt() {
    for (outcome, expected) in [(Outcome::Delivered, "repeat interval elapsed: a"), (Outcome::Retry(None), "first notification: a")] {
        let mut groups = groups(ONE);
        groups.offer(&[firing("a", 999 * MINUTE)], 1_000 * MINUTE);
        assert_eq!(look(&mut groups, 1_001 * MINUTE, &outcome), ["first notification: a"]);
        let rest: Vec<String> = (0..=250).flat_map(|minute| look(&mut groups, minute * MINUTE, &Outcome::Delivered)).collect();
        assert_eq!(rest.first().map(String::as_str), Some(expected));
    }
}

#[test]
fn what_no_receiver_took_is_told_after_a_restart() {
    let mut before = groups(ONE);
    before.offer(&[firing("a", 0)], 0);
    assert_eq!(look(&mut before, MINUTE, &Outcome::Retry(None)).len(), 1);
    let rows = kept(Vec::new(), before.log_changes());
    let mut after = groups_after(ONE, &rows, 2 * MINUTE);
    after.offer(&[firing("a", 0)], 2 * MINUTE);
    assert_eq!(look(&mut after, 2 * MINUTE, &Outcome::Delivered), ["first notification: a"]);
}

#[test]
fn over_a_restart_a_second_outbreak_is_news_without_send_resolved() {
    let quiet = ONE.replace("127.0.0.1:1/'", "127.0.0.1:1/', send_resolved: false");
    let mut before = groups(&quiet);
    before.offer(&[firing("a", 0), firing("b", 0)], 0);
    assert_eq!(look(&mut before, MINUTE, &Outcome::Delivered).len(), 1);
    before.offer(&[firing("a", 0), resolved("b", 0)], 2 * MINUTE);
    assert!(look(&mut before, 7 * MINUTE, &Outcome::Delivered).is_empty());
    let mut after = groups_after(&quiet, &kept(Vec::new(), before.log_changes()), 8 * MINUTE);
    after.offer(&[firing("a", 0), firing("b", 8 * MINUTE)], 8 * MINUTE);
    assert_eq!(look(&mut after, 13 * MINUTE, &Outcome::Delivered), ["new alerts in group: a b"]);
}

#[test]
fn failures_are_tried_again_until_the_repeat_interval_is_over() {
    let mut groups = groups(ONE);
    groups.offer(&[firing("a", 0)], 0);
    assert_eq!(look(&mut groups, MINUTE, &Outcome::Retry(None)).len(), 1);
    assert!(look(&mut groups, MINUTE + SECOND, &Outcome::Delivered).is_empty(), "back-off");
    assert_eq!(groups.open(), 1);
    assert_eq!(look(&mut groups, MINUTE + 5 * SECOND, &Outcome::Retry(Some(Duration::from_secs(120)))).len(), 1);
    assert!(look(&mut groups, 3 * MINUTE, &Outcome::Delivered).is_empty(), "the receiver asked for two minutes");
    assert_eq!(look(&mut groups, 4 * MINUTE, &Outcome::Retry(None)).len(), 1);
    assert_eq!(look(&mut groups, 300 * MINUTE, &Outcome::Delivered), ["failed"]);
    assert_eq!(look(&mut groups, 306 * MINUTE, &Outcome::Refused), ["first notification: a"], "the next look begins anew");
    assert_eq!(groups.open(), 0);
}

#[test]
fn a_notification_whose_reason_is_gone_is_withdrawn() {
    let mut groups = groups(ONE);
    groups.offer(&[firing("a", 0)], 0);
    assert_eq!(look(&mut groups, MINUTE, &Outcome::Retry(None)).len(), 1);
    groups.offer(&[resolved("a", 0)], 2 * MINUTE);
    assert_eq!(look(&mut groups, 3 * MINUTE, &Outcome::Delivered), [Ended::Withdrawn.as_str()]);
    assert_eq!(groups.open(), 0);
}

#[test]
fn without_send_resolved_a_second_outbreak_is_news() {
    let mut groups = groups(&ONE.replace("127.0.0.1:1/'", "127.0.0.1:1/', send_resolved: false"));
    groups.offer(&[firing("a", 0), firing("b", 0)], 0);
    assert_eq!(look(&mut groups, MINUTE, &Outcome::Delivered), ["first notification: a b"]);
    groups.offer(&[firing("a", 0), resolved("b", 0)], 2 * MINUTE);
    assert!(look(&mut groups, 7 * MINUTE, &Outcome::Delivered).is_empty());
    groups.offer(&[firing("a", 0), firing("b", 8 * MINUTE)], 8 * MINUTE);
    assert_eq!(look(&mut groups, 13 * MINUTE, &Outcome::Delivered), ["new alerts in group: a b"]);
}

#[test]
fn alerts_find_their_routes() {
    let tree = Route::tree(&config(
        r#"
route:
  receiver: all
  group_by: [alertname, cluster]
  routes:
    - { receiver: db, matchers: ['service=~"my.*|pg"'], group_wait: 10s, routes: [{ matchers: ['severity="page"'], receiver: pager, group_by: ['...'] }] }
    - { receiver: log, matchers: [severity!=none], continue: true }
    - { receiver: web, matchers: ['service!~"a.*"', service = web] }
receivers: [{ name: all }, { name: db }, { name: pager }, { name: log }, { name: web }]"#,
    ))
    .unwrap()
    .unwrap();
    for (labels, expected) in [
        (vec![("service", "x"), ("severity", "none")], "all"),
        (vec![("service", "mysql")], "db"),
        (vec![("service", "amysql"), ("severity", "none")], "all"),
        (vec![("service", "pg"), ("severity", "page")], "pager"),
        (vec![("service", "web")], "log web"),
        (vec![("service", "zzz")], "log"),
    ] {
        let found: Vec<&str> = tree.taking(&Labels::new(labels.clone())).iter().map(|route| route.receiver.as_str()).collect();
        assert_eq!(found.join(" "), expected, "{labels:?}");
    }
    let labels = Labels::new([("alertname", "a"), ("cluster", "c"), ("service", "pg"), ("severity", "page")]);
    assert_eq!(tree.group_labels(&labels), Labels::new([("alertname", "a"), ("cluster", "c")]));
    let pager = tree.taking(&labels)[0];
    assert_eq!(pager.group_labels(&labels), labels);
    assert_eq!((pager.key.as_str(), pager.group_wait), (r#"{}/{service=~"my.*|pg"}/{severity="page"}"#, Duration::from_secs(10)));
}

#[test]
fn a_wrong_configuration_names_its_key() {
    let receivers = "receivers: [{ name: ops }]";
    for (yaml, expected) in [
        (format!("route: {{}}\n{receivers}"), "notify.route: the top route needs a receiver"),
        (format!("route: {{ receiver: oops }}\n{receivers}"), "notify.route.receiver: there is no receiver \"oops\"; known: ops"),
        (format!("route: {{ receiver: ops, matchers: ['a=b'] }}\n{receivers}"), "notify.route: the top route takes every alert"),
        (
            format!("route: {{ receiver: ops, routes: [{{ matchers: ['a=~\"(\"'] }}] }}\n{receivers}"),
            "notify.route.routes[0].matchers[0]: ",
        ),
        (format!("route: {{ receiver: ops, routes: [{{ matchers: [a] }}] }}\n{receivers}"), "matchers[0]: invalid matcher \"a\": expected"),
        (format!("route: {{ receiver: ops, group_interval: 0s }}\n{receivers}"), "notify.route.group_interval: it must be more"),
        ("receivers: [{ name: ops, slack: [{}] }]".into(), "notify.receivers[0].slack: this version has no slack"),
        ("heartbeat: { url: 'http://h/', every: 500ms }".into(), "notify.heartbeat.every: it must be at least 1s"),
        ("inhibit_rules: [{ source_matchers: ['='] }]".into(), "notify.inhibit_rules[0].source_matchers[0]: "),
    ] {
        let error = check(&config(&yaml)).unwrap_err();
        assert!(error.contains(expected), "{yaml}: {error}");
    }
    assert_eq!(check(&config(receivers)), Ok(()));
}

#[test]
fn a_greater_alert_silences_a_smaller_one_and_ends_nothing() {
    let mut groups = groups(&format!(
        "{ONE}\ninhibit_rules: [{{ source_matchers: ['severity=critical'], target_matchers: ['severity=~warning|critical'], equal: [host] }}]"
    ));
    let of = |instance: &str, severity: &str, host: &str, state| {
        alert(&[("alertname", "x"), ("instance", instance), ("severity", severity), ("host", host)], state, 0)
    };
    let (warning, other) = (of("w", "warning", "h", AlertState::Firing), of("o", "warning", "elsewhere", AlertState::Firing));
    groups.offer(&[warning.clone(), other.clone(), of("c", "critical", "h", AlertState::Firing)], 0);
    assert_eq!(look(&mut groups, MINUTE, &Outcome::Delivered), ["first notification: o c"]);
    groups.offer(&[warning.clone(), other.clone(), of("c", "critical", "h", AlertState::Resolved)], 2 * MINUTE);
    assert_eq!(look(&mut groups, 7 * MINUTE, &Outcome::Delivered), ["new alerts in group: o w -c"]);
    groups.offer(&[warning, other, of("c", "critical", "h", AlertState::Firing)], 8 * MINUTE);
    assert_eq!(look(&mut groups, 13 * MINUTE, &Outcome::Delivered), ["new alerts in group: o c"], "w is silent, not resolved");
}

/// Answers one connection's requests with these statuses, and keeps the requests.
async fn receiver(statuses: &'static [&'static str]) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&requests);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        for status in statuses {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            let request = loop {
                stream.read_buf(&mut bytes).await.unwrap();
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_string));
                if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                    break text;
                }
            };
            kept.lock().push(request);
            let answer = format!("HTTP/1.1 {status}\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    tasks.detach_all();
    (port, requests)
}

#[tokio::test]
async fn the_webhook_body_is_alertmanagers() {
    let (port, requests) = receiver(&["200 OK"]).await;
    let config = config(&format!("receivers: [{{ name: ops, webhook: [{{ url: 'http://127.0.0.1:{port}/t0ken', max_alerts: 2 }}] }}]"));
    let webhook = Webhook::new(&config.receivers[0].webhook[0], "http://relay:9102").unwrap();
    let notification = Notification {
        receiver: "ops".into(),
        group_key: "{}:{alertname=\"down\"}".into(),
        group_labels: Labels::new([("alertname", "down")]),
        reason: Reason::First,
        alerts: vec![firing("a", 1_500), resolved("b", 0), resolved("c", 0)],
    };
    webhook.deliver(&notification).await.unwrap();
    let request = requests.lock()[0].clone();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /t0ken HTTP/1.1") && head.contains("content-type: application/json"), "{head}");
    let expected = serde_json::json!({
        "version": "4", "groupKey": "{}:{alertname=\"down\"}", "truncatedAlerts": 1, "status": "firing", "receiver": "ops",
        "groupLabels": { "alertname": "down" }, "commonLabels": { "alertname": "down" }, "commonAnnotations": { "summary": "it broke" },
        "externalURL": "http://relay:9102", "notification_reason": "first notification",
        "alerts": [
            { "status": "firing", "labels": { "alertname": "down", "instance": "a" }, "annotations": { "summary": "it broke" },
              "startsAt": "1970-01-01T00:00:01.5Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://relay:9102",
              "fingerprint": format!("{:016x}", crate::alert::labels_fingerprint(&firing("a", 0).labels)) },
            { "status": "resolved", "labels": { "alertname": "down", "instance": "b" }, "annotations": { "summary": "it broke" },
              "startsAt": "1970-01-01T00:00:00Z", "endsAt": "1970-01-01T00:01:00Z", "generatorURL": "http://relay:9102",
              "fingerprint": format!("{:016x}", crate::alert::labels_fingerprint(&firing("b", 0).labels)) },
        ],
    });
    assert_eq!(serde_json::from_str::<serde_json::Value>(body).unwrap(), expected);
}

#[tokio::test]
async fn answers_decide_whether_it_is_tried_again() {
    let (port, requests) = receiver(&["503 Busy", "429 Slow", "404 Not Found", "302 Found", "204 No Content"]).await;
    let config = config(&format!("receivers: [{{ name: ops, webhook: [{{ url: 'http://127.0.0.1:{port}/t0ken' }}] }}]"));
    let webhook = Webhook::new(&config.receivers[0].webhook[0], "").unwrap();
    let alerts = vec![firing("a", 0)];
    let notification =
        Notification { receiver: "ops".into(), group_key: String::new(), group_labels: Labels::default(), reason: Reason::First, alerts };
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(match webhook.deliver(&notification).await {
            Ok(()) => "delivered".to_string(),
            Err(NotifyError::Retry { why, .. }) => format!("retry: {why}"),
            Err(NotifyError::Refused(why)) => format!("refused: {why}"),
        });
    }
    let url = format!("http://127.0.0.1:{port}");
    let expected = ["retry: U answered 503", "retry: U answered 429", "refused: U answered 404", "refused: U answered 302", "delivered"];
    assert_eq!(seen, expected.map(|text| text.replace('U', &url)));
    assert_eq!(requests.lock().len(), 5);
    let unreachable = webhook.deliver(&notification).await;
    assert!(matches!(unreachable, Err(NotifyError::Retry { .. })), "{unreachable:?}");
}

/// Fails as often as it is told, then keeps what it gets.
#[derive(Clone)]
struct Literal {
    failures: Arc<Mutex<usize>>,
    got: Arc<Mutex<Vec<Notification>>>,
}

impl Notify for Literal {
    const KIND: &'static str = "literal";
    async fn deliver(&self, notification: &Notification) -> Result<(), NotifyError> {
        let mut failures = self.failures.lock();
        if *failures > 0 {
            *failures -= 1;
            return Err(NotifyError::Retry { after: None, why: "told to".into() });
        }
        self.got.lock().push(notification.clone());
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn the_driver_delivers_what_is_offered_and_drains() {
    let clock = Clock::manual(0);
    let literal = Literal { failures: Arc::new(Mutex::new(1)), got: Arc::default() };
    let mut tasks = JoinSet::new();
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Box::new({
        let kept = kept.clone();
        move |changes: LogChanges| kept.lock().push(changes.iter().map(|(_, row)| row.is_some()).collect::<Vec<_>>())
    });
    let handle = driver::start(groups(&ONE.replace("30s", "0s")), vec![literal.clone()], keep, clock.clone(), &mut tasks);
    handle.offer(vec![firing("a", 0)]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(literal.got.lock().is_empty());
    clock.set(10 * SECOND);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(literal.got.lock().len(), 1, "tried again after its back-off");
    handle.offer(vec![resolved("a", 0)]);
    clock.set(20 * MINUTE);
    assert!(handle.drain(Duration::from_secs(5)).await);
    assert_eq!(literal.got.lock()[1].reason, Reason::AllResolved);
    assert_eq!(*kept.lock(), [[true], [false]], "the log is written with each success, and cleared with the end");
    assert!(tasks.join_next().await.unwrap().is_ok());
    assert!(NotifyHandle::default().drain(Duration::ZERO).await);
}

#[tokio::test]
async fn the_heartbeat_calls_only_while_rules_are_evaluated() {
    let (port, requests) = receiver(&["200 OK"]).await;
    let config =
        HeartbeatConfig { url: crate::net::Secret::Literal(format!("http://127.0.0.1:{port}/ping")), every: Duration::from_millis(1) };
    let pulse = Arc::new(Pulse::default());
    let mut tasks = JoinSet::new();
    tasks.spawn(Heartbeat::new(&config).unwrap().run(Arc::clone(&pulse)));
    let handle = NotifyHandle { pulse: Some(pulse), ..NotifyHandle::default() };
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(requests.lock().is_empty());
    handle.offer(Vec::new());
    while requests.lock().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(requests.lock()[0].starts_with("POST /ping HTTP/1.1"));
    assert!(handle.drain(Duration::from_secs(1)).await);
    assert!(tasks.join_next().await.unwrap().is_ok());
}
