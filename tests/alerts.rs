//! Rules over a literal store: what they write, whom they wake, what they refuse.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use proptest::prelude::*;
use statsd_relay::alert::{Bundle, Engine, Evaluation, RuleHealth, RuleKind, RuleSet, RulesConfig, SavedAlert, Settings};
use statsd_relay::config::load_rules;
use statsd_relay::model::{
    Alert, AlertState, Labels, Matcher, Recorded, Sample, SampleValue, Select, SelectError, Selected, SeriesSlice, TimeRange,
};

const WINDOW: i64 = 10_000;

/// Samples by series, as a store would show them.
#[derive(Default)]
struct Literal(Mutex<BTreeMap<Labels, Vec<Sample>>>);

impl Literal {
    fn put(&self, at: i64, labels: Labels, value: Option<f64>) {
        let value = value.map_or(SampleValue::Stale, SampleValue::Float);
        self.0.lock().unwrap().entry(labels).or_default().push(Sample { at, value });
    }

    fn series(&self, name: &str) -> Vec<String> {
        let series = self.0.lock().unwrap();
        let last = series.iter().filter(|(labels, _)| labels.name() == name).map(|(labels, samples)| {
            let last = samples.last().unwrap();
            match last.value {
                SampleValue::Float(value) => format!("{labels} {value} @{}", last.at / 1_000),
                _ => format!("{labels} ended @{}", last.at / 1_000),
            }
        });
        last.collect()
    }
}

impl Select for Literal {
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<Selected, SelectError> {
        let series = self.0.lock().unwrap();
        let found = series.iter().filter(|(labels, _)| matchers.iter().all(|matcher| matcher.matches(labels.get(&matcher.name))));
        let slices = found.map(|(labels, samples)| SeriesSlice {
            labels: labels.clone(),
            samples: samples.iter().filter(|sample| range.start < sample.at && sample.at <= range.end).cloned().collect(),
            start_time: None,
        });
        Ok(Selected { series: slices.filter(|slice| !slice.samples.is_empty()).collect(), warnings: Vec::new() })
    }
}

fn labels(text: &str) -> Labels {
    Labels::new(text.split(',').map(|pair| pair.split_once('=').unwrap()))
}

fn rules(text: &str) -> RuleSet {
    RuleSet::parse("rules.yml", text).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn engine(text: &str) -> Engine {
    Engine::new(rules(text), Settings::default(), Vec::new())
}

/// Evaluates at second `at`, which is the end of a window.
fn evaluate(engine: &mut Engine, store: &Literal, at: i64) -> Evaluation {
    engine.evaluate(at * 1_000, store, &mut |at, samples| {
        for Recorded { labels, value } in samples {
            store.put(at, labels, value);
        }
    })
}

fn states(evaluation: &Evaluation) -> Vec<String> {
    evaluation.alerts.iter().map(|alert| format!("{} {}", alert.labels, alert.state.as_str())).collect()
}

const HOT: &str = r#"
groups:
  - name: g
    labels: { team: web, tier: "1" }
    rules:
      - alert: Hot
        expr: temperature > 30
        for: 20s
        labels: { tier: "{{ $labels.room }}-{{ if gt $value 50 }}bad{{ else }}warm{{ end }}" }
        annotations: { summary: "{{ $labels.room }} has {{ $value }}", broken: "{{ humanize $labels.room }}" }
"#;

#[test]
fn an_alert_is_pending_fires_and_resolves_with_its_series() {
    let (store, mut engine) = (Literal::default(), engine(HOT));
    let series = labels("__name__=temperature,room=attic");
    let mut seen = Vec::new();
    for (at, value) in [(10, 31.0), (20, 32.0), (30, 33.0), (40, 20.0), (50, 20.0)] {
        store.put(at * 1_000, series.clone(), Some(value));
        let evaluation = evaluate(&mut engine, &store, at);
        seen.push((states(&evaluation).join(" "), store.series("ALERTS").join(" "), store.series("ALERTS_FOR_STATE").join(" ")));
    }
    let base = r#"alertname="Hot""#;
    let rest = r#"room="attic", team="web", tier="attic-warm"}"#;
    let (pending, firing) =
        (format!(r#"ALERTS{{{base}, alertstate="pending", {rest}"#), format!(r#"ALERTS{{{base}, alertstate="firing", {rest}"#));
    let since = format!("ALERTS_FOR_STATE{{{base}, {rest}");
    let alert = format!("{{{base}, {rest}");
    let expected = [
        (String::new(), format!("{pending} 1 @10"), format!("{since} 10 @10")),
        (String::new(), format!("{pending} 1 @20"), format!("{since} 10 @20")),
        (format!("{alert} firing"), format!("{firing} 1 @30 {pending} ended @30"), format!("{since} 10 @30")),
        (format!("{alert} resolved"), format!("{firing} ended @40 {pending} ended @30"), format!("{since} ended @40")),
        (format!("{alert} resolved"), format!("{firing} ended @40 {pending} ended @30"), format!("{since} ended @40")),
    ];
    assert_eq!(seen, expected);
    let alert = &evaluate(&mut engine, &store, 60).alerts[0];
    assert_eq!((alert.active_at, alert.fired_at, alert.resolved_at), (10_000, Some(30_000), Some(40_000)));
    assert_eq!(alert.annotations.get("summary"), "attic has 33");
    assert_eq!(alert.annotations.get("broken"), "<error expanding template: humanize: \"attic\" is not a number>");
}

#[test]
fn a_rule_sees_what_the_rule_before_it_recorded() {
    let store = Literal::default();
    let mut engine = engine(
        "groups:\n- name: g\n  rules:\n  - { record: 'room:max', expr: 'max by (house) (temperature)', labels: { kind: max, house: '' } }\n  \
         - { alert: Any, expr: 'room:max > 1' }",
    );
    store.put(10_000, labels("__name__=temperature,room=a,house=h"), Some(5.0));
    let evaluation = evaluate(&mut engine, &store, 10);
    assert_eq!(states(&evaluation), [r#"{alertname="Any", kind="max"} firing"#]);
    assert_eq!(store.series("room:max"), [r#"room:max{kind="max"} 5 @10"#]);
    store.put(20_000, labels("__name__=temperature,room=a,house=h"), None);
    assert_eq!(states(&evaluate(&mut engine, &store, 20)), [r#"{alertname="Any", kind="max"} resolved"#]);
    assert_eq!(store.series("room:max"), [r#"room:max{kind="max"} ended @20"#]);
}

#[test]
fn a_rule_that_fails_keeps_its_state_and_fails_alone() {
    let store = Literal::default();
    let mut engine = engine(
        r#"
groups:
  - name: g
    limit: 2
    rules:
      - { alert: Same, expr: x > 0, labels: { room: one } }
      - { record: same, expr: x, labels: { room: one } }
      - { alert: Many, expr: x > 0 }
      - { alert: Matrix, expr: "x * on (nothing) x" }
      - { alert: Fine, expr: sum(x) > 0 }
"#,
    );
    store.put(10_000, labels("__name__=x,room=a"), Some(1.0));
    let evaluation = evaluate(&mut engine, &store, 10);
    assert_eq!((evaluation.failures.len(), evaluation.alerts.len()), (0, 4), "{:?}", evaluation.failures);
    for room in ["b", "c"] {
        store.put(20_000, labels(&format!("__name__=x,room={room}")), Some(1.0));
    }
    let evaluation = evaluate(&mut engine, &store, 20);
    let failures: Vec<String> = evaluation.failures.iter().map(|failure| format!("{}: {}", failure.rule, failure.error)).collect();
    assert_eq!(failures.len(), 4, "{failures:?}");
    assert!(failures[0].starts_with(r#"Same: two results have the same labels {alertname="Same", room="one"}"#), "{failures:?}");
    assert!(failures[1].starts_with(r#"same: two results have the same labels same{room="one"}"#), "{failures:?}");
    assert_eq!(failures[2], "Many: it has 3 instances; its group's limit is 2");
    let expected = [r#"{alertname="Same", room="one"} firing"#, r#"{alertname="Matrix"} firing"#, r#"{alertname="Fine"} firing"#];
    assert_eq!(states(&evaluation), expected, "Many is forgotten, the others stay");
    let status = engine.status();
    assert_eq!(status[0].rules[0].health, RuleHealth::Err);
    assert_eq!(status[0].rules[4].health, RuleHealth::Ok);
    assert!(store.series("ALERTS").iter().any(|series| series.contains("Many") && series.contains("ended @20")));
}

#[test]
fn groups_are_evaluated_when_their_turn_comes_and_never_twice() {
    let text = |extra: &str| format!("groups:\n- {{ name: g, {extra} rules: [{{ record: turn, expr: time() }}] }}");
    for (extra, ends, expected) in [
        ("", vec![10, 20, 30], "10 20 30"),
        ("interval: 30s,", vec![20, 30, 40, 50, 60, 70], "30 60"),
        ("interval: 15s,", vec![10, 20, 30, 40, 50], "15 30 45"),
        ("interval: 1s,", vec![10, 20], "10 20"),
        ("interval: 30s, eval_alignment: false,", vec![20, 30, 40, 50, 60, 80], "20 50 80"),
        ("query_offset: 20s,", vec![30, 40], "10 20"),
        // A long sleep gives one turn, and so does a clock that is set back.
        ("", vec![10, 3_610, 3_620, 50, 60], "10 3610 3620 50 60"),
        // The short last window of a process is no turn.
        ("", vec![10, 13, 20], "10 20"),
    ] {
        let (mut engine, mut turns) = (engine(&text(extra)), Vec::new());
        for end in ends {
            engine.evaluate(end * 1_000, &Literal::default(), &mut |_, samples| {
                turns.extend(samples.iter().map(|sample| sample.value.unwrap().to_string()));
            });
        }
        assert_eq!(turns.join(" "), expected, "{extra}");
    }
}

#[test]
fn a_restart_and_a_reload_go_on_where_they_were() {
    let store = Literal::default();
    let series = labels("__name__=temperature,room=attic");
    let mut before = engine(HOT);
    for at in [10, 20] {
        store.put(at * 1_000, series.clone(), Some(31.0));
        evaluate(&mut before, &store, at);
    }
    let mut after = Engine::new(rules(HOT), Settings::default(), before.saved());
    assert_eq!(after.saved(), before.saved());
    store.put(30_000, series.clone(), Some(31.0));
    let evaluation = evaluate(&mut after, &store, 30);
    assert_eq!((evaluation.alerts[0].active_at, evaluation.alerts[0].state), (10_000, AlertState::Firing));
    assert!(store.series("ALERTS").iter().any(|series| series.contains("pending") && series.contains("ended @30")));

    after.reload(rules(&HOT.replace("for: 20s", "for: 1m")), Settings::default());
    assert!(evaluate(&mut after, &store, 40).alerts.is_empty(), "a longer for takes it back to pending");
    after.reload(rules("groups: []"), Settings::default());
    assert!(evaluate(&mut after, &store, 50).alerts.is_empty());
    assert!(store.series("ALERTS").iter().all(|series| series.contains("ended")), "{:?}", store.series("ALERTS"));
    let strange = SavedAlert { rule: 1, labels: 2, bytes: vec![9, 9] };
    assert!(Engine::new(rules(HOT), Settings::default(), vec![strange]).saved().is_empty());
}

#[test]
fn a_rule_over_its_budget_fails_alone() {
    let store = Literal::default();
    for room in 0..200 {
        store.put(10_000, labels(&format!("__name__=x,room=r{room}")), Some(1.0));
    }
    let text = "groups:\n- { name: g, rules: [{ record: all, expr: sum(x) }, { record: one, expr: 'sum(x{room=\"r1\"})' }] }";
    let settings = Settings { max_series: 100, ..Settings::default() };
    let evaluation = evaluate(&mut Engine::new(rules(text), settings, Vec::new()), &store, 10);
    assert_eq!(evaluation.failures.len(), 1);
    assert!(evaluation.failures[0].error.contains("100"), "{:?}", evaluation.failures);
    assert_eq!(store.series("one"), ["one 1 @10"]);
    let settings = Settings { rule_timeout: Duration::ZERO, ..Settings::default() };
    let evaluation = evaluate(&mut Engine::new(rules(text), settings, Vec::new()), &store, 20);
    assert_eq!(evaluation.failures.len(), 2, "{:?}", evaluation.failures);
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (text, expected) in [
        ("groups:\n- nam: g", "r.yml:2:3: unknown key \"nam\"; did you mean name?"),
        ("groups:\n- name: g\n  rules:\n  - {}", "r.yml:4:5: group \"g\": a rule needs record or alert"),
        ("groups:\n- name: g\n  rules:\n  - alert: A", "r.yml:4:5: group \"g\": rule \"A\": a rule needs expr"),
        (
            "groups:\n- name: g\n  rules:\n  - alert: A\n    record: b\n    expr: 1",
            "r.yml:4:12: group \"g\": a rule has record or alert, not both",
        ),
        (
            "groups:\n- name: g\n  rules:\n  - record: a\n    expr: 1\n    for: 1m",
            "r.yml:6:5: group \"g\": rule \"a\": for is for alerting rules",
        ),
        (
            "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: sum(\n    for: 1m",
            "r.yml:5:11: group \"g\": rule \"A\": expr: 1:5: parse error: ",
        ),
        (
            "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: 1\n    for: soon",
            "r.yml:6:10: group \"g\": rule \"A\": for: invalid duration \"soon\"",
        ),
        (
            "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: 1\n    labels: { 9a: x }",
            "r.yml:6:15: group \"g\": rule \"A\": labels: \"9a\" is not a label name",
        ),
        (
            "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: 1\n    annotations:\n      s: '{{ $nope }}'",
            "r.yml:7:10: group \"g\": rule \"A\": s: template: undefined variable $nope",
        ),
        ("groups:\n- name: g\n- name: g", "r.yml:3:3: group \"g\": a second group of this name"),
        ("groups:\n- name: g\n  limit: many", "r.yml:3:10: group \"g\": limit: \"many\" is not a count"),
        (
            "groups:\n- name: g\n  rules:\n  - record: 'a b'\n    expr: 1",
            "r.yml:4:13: group \"g\": rule \"a b\": \"a b\" is not a metric name",
        ),
        ("groups: 7", "r.yml:1:9: groups: expected a list, not a scalar"),
        ("- a", "r.yml:1:1: expected a mapping, not a list"),
        ("groups: [", "r.yml:2:1: not YAML"),
    ] {
        let errors = RuleSet::parse("r.yml", text).err().unwrap_or_else(|| panic!("accepted: {text}"));
        let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(shown.iter().any(|error| error.starts_with(expected)), "{text}\nexpected {expected}\ngot {shown:?}");
    }
}

#[test]
fn every_error_of_a_file_is_reported_at_once() {
    let text = "groups:\n- name: g\n  rules:\n  - { alert: A, expr: '(' }\n  - { alert: B, expr: 1, fro: 1m }\n- interval: 5";
    let errors = RuleSet::parse("r.yml", text).unwrap_err();
    assert_eq!(errors.iter().map(|error| error.line).collect::<Vec<_>>(), [4, 5, 6, 6], "{errors:?}");
}

#[test]
fn files_are_found_by_pattern_and_missing_ones_named() {
    let base = tempfile::tempdir().unwrap();
    for name in ["b.yml", "a.yml"] {
        std::fs::write(base.path().join(name), format!("groups: [{{ name: {name} }}]")).unwrap();
    }
    let load = |files: &[&str]| {
        let files = files.iter().map(ToString::to_string).collect();
        load_rules(&RulesConfig { files, bundled: Vec::new() }, base.path())
    };
    let set = load(&["*.yml", "a.yml", "none/*.yml"]).unwrap();
    assert_eq!(set.groups.iter().map(|group| group.name.as_str()).collect::<Vec<_>>(), ["a.yml", "b.yml"], "each file once");
    let errors = load(&["missing.yml"]).unwrap_err();
    assert!(errors[0].to_string().ends_with("missing.yml: cannot read it: No such file or directory (os error 2)"), "{}", errors[0]);
    std::fs::write(base.path().join("big.yml"), vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(load(&["big.yml"]).unwrap_err()[0].message.contains("larger than 1 MiB"));
}

#[test]
fn the_bundled_rules_load_and_fire() {
    let set = load_rules(&RulesConfig::default(), Path::new("/")).unwrap();
    let names: Vec<String> = set.groups[0].rules.iter().map(|rule| rule.name.clone()).collect();
    assert_eq!((set.groups[0].file.as_str(), names.len()), ("bundled:self", 9));
    let known: Vec<&str> = statsd_relay::telemetry::ALL.iter().map(|metric| metric.name).collect();
    for rule in &set.groups[0].rules {
        let expr = rule.expr.to_string();
        let mut words =
            expr.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| word.starts_with("statsd_relay_")).peekable();
        assert!(words.peek().is_some(), "{expr}");
        words.for_each(|word| assert!(known.contains(&word), "{}: {word} is no metric of the relay", rule.name));
    }
    let (store, mut engine) = (Literal::default(), Engine::new(set, Settings::default(), Vec::new()));
    let mut fired = Vec::new();
    for at in (10..=900).step_by(10) {
        let grows = |text: &str, by: f64| store.put(at * 1_000, labels(text), Some(by * at as f64));
        let stands = |text: &str, value: f64| store.put(at * 1_000, labels(text), Some(value));
        grows("__name__=statsd_relay_datagrams_kernel_dropped_total,listener=udp:1", 1.0);
        grows("__name__=statsd_relay_lines_rejected_total,reason=value,listener=udp:1", 1.0);
        grows("__name__=statsd_relay_lines_accepted_total", 50.0);
        grows("__name__=statsd_relay_series_limited_total,limit=series", 1.0);
        stands("__name__=statsd_relay_degraded,part=store", 1.0);
        grows("__name__=statsd_relay_store_errors_total,reason=full", 1.0);
        grows("__name__=statsd_relay_sink_points_total,sink=dd,result=dropped", 1.0);
        grows("__name__=statsd_relay_sink_points_total,sink=dd,result=delivered", 0.0);
        stands("__name__=statsd_relay_sink_queue_points,sink=dd", 9.0);
        grows("__name__=statsd_relay_rule_failures_total,group=g", 1.0);
        grows("__name__=statsd_relay_notifications_total,receiver=ops,result=failed", 1.0);
        let evaluation = evaluate(&mut engine, &store, at);
        assert_eq!(evaluation.failures, []);
        fired = evaluation.alerts.iter().map(|alert| alert.labels.get("alertname").to_string()).collect();
        for alert in &evaluation.alerts {
            assert!(alert.annotations.iter().all(|(_, text)| !text.contains("error expanding")), "{:?}", alert.annotations);
        }
    }
    fired.sort();
    let mut names = names;
    names.sort();
    assert_eq!(fired, names);
    for bundle in [Bundle::Sentry, Bundle::Web, Bundle::Anomaly] {
        assert!(load_rules(&RulesConfig { files: Vec::new(), bundled: vec![bundle] }, Path::new("/")).is_err());
    }
}

#[test]
fn the_demo_fires_with_the_first_window_and_resolves() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/rules/demo.yml")).unwrap();
    let (store, mut engine) = (Literal::default(), engine(&text));
    store.put(10_000, labels("__name__=demo_temperature"), Some(42.0));
    let evaluation = evaluate(&mut engine, &store, 10);
    assert_eq!(states(&evaluation), [r#"{alertname="DemoTooHot", severity="warning"} firing"#]);
    assert_eq!(evaluation.alerts[0].annotations.get("summary"), "It is 42 degrees");
    store.put(20_000, labels("__name__=demo_temperature"), Some(20.0));
    assert_eq!(states(&evaluate(&mut engine, &store, 20)), [r#"{alertname="DemoTooHot", severity="warning"} resolved"#]);
}

#[test]
fn status_shows_rules_as_they_are() {
    let (store, mut engine) = (Literal::default(), engine(HOT));
    store.put(10_000, labels("__name__=temperature,room=attic"), Some(31.0));
    assert_eq!(engine.status()[0].rules[0].health, RuleHealth::Unknown);
    evaluate(&mut engine, &store, 10);
    let status = engine.status();
    let rule = &status[0].rules[0];
    assert_eq!((status[0].interval, status[0].last_evaluation), (Duration::from_secs(10), Some(10_000)));
    assert_eq!((rule.query.as_str(), rule.labels.get("team"), rule.health), ("temperature > 30", "web", RuleHealth::Ok));
    let RuleKind::Alerting { state, hold, alerts, .. } = &rule.kind else { panic!("{rule:?}") };
    assert_eq!((*state, *hold, alerts.len()), (AlertState::Pending, Duration::from_secs(20), 1));
}

/// Everything a run gives, for values of three rooms window by window.
fn run(values: &[[Option<f64>; 3]], restart_at: usize) -> (Vec<Vec<Alert>>, Vec<SavedAlert>, Vec<String>) {
    let store = Literal::default();
    let mut engine = engine(HOT);
    let mut given = Vec::new();
    for (window, rooms) in values.iter().enumerate() {
        if window == restart_at {
            engine = Engine::new(rules(HOT), Settings::default(), engine.saved());
        }
        let at = (window as i64 + 1) * WINDOW;
        for (room, value) in rooms.iter().enumerate() {
            store.put(at, labels(&format!("__name__=temperature,room=r{room}")), *value);
        }
        given.push(evaluate(&mut engine, &store, at / 1_000).alerts);
    }
    (given, engine.saved(), store.series("ALERTS"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn evaluation_is_a_function_of_its_inputs_over_any_restart(
        values in prop::collection::vec(prop::array::uniform3(prop::option::of(20.0..60.0_f64)), 1..12),
        restart in 0..12_usize,
    ) {
        prop_assert_eq!(run(&values, usize::MAX), run(&values, restart));
    }
}
