//! The reference is complete and right, and says what is not built yet.

use std::path::Path;

use statsd_relay::config::{self, Config, REFERENCE};

use crate::{loaded, refused};

#[test]
fn every_key_that_is_not_built_yet_is_refused_and_its_default_is_not() {
    let table = [
        ("store: { tiers: [{ step: raw, keep: 1h }] }", "1:17: store.tiers[1]"),
        ("store: { tiers: [{ step: raw, keep: 48h }, { step: 1m, keep: 15d }, { step: 1h, keep: 400d }] }", "1:44: store.tiers[1]"),
        ("store: { tiers: [{ step: raw, keep: 48h }, { step: 1m, keep: 14d }, { step: 1h, keep: 401d }] }", "1:69: store.tiers[2]"),
        (
            "store: { tiers: [{ step: raw, keep: 48h }, { step: 1m, keep: 14d }, { step: 1h, keep: 400d }, { step: 1h, keep: 1d }] }",
            "1:95: store.tiers[3]",
        ),
        ("http: { web_config: a.yml }", "1:21: http.web_config"),
        ("http: { admin: token }", "1:16: http.admin"),
        ("sinks: [{ name: a, type: remote_write, url: 'http://h/' }]", "1:26: sinks[0].type"),
        ("sinks: [{ name: a, type: statsd, targets: ['h:1'] }]", "1:26: sinks[0].type"),
        ("sinks: [{ name: a, type: datadog, api_key: k, match: { name: ['a.*'] } }]", "1:54: sinks[0].match"),
        ("sinks: [{ name: a, type: datadog, api_key: k, match: { name: ['*'], tags: [a] } }]", "1:54: sinks[0].match"),
        ("sinks: [{ name: a, type: datadog, api_key: k, self_metrics: true }]", "1:61: sinks[0].self_metrics"),
        ("sinks: [{ name: a, type: datadog, api_key: k, queue: { disk: 2GiB } }]", "1:62: sinks[0].queue.disk"),
        (
            "sinks: [{ name: a, type: datadog, api_key: k, additional_endpoints: [{ url: 'http://h', api_key: k }] }]",
            "1:69: sinks[0].additional_endpoints",
        ),
        ("rules: { bundled: [self, web] }", "1:19: rules.bundled"),
        ("alertmanagers: ['http://h:9093']", "1:16: alertmanagers"),
        ("notify: { receivers: [{ name: a, slack: [{}] }] }", "1:41: notify.receivers[0].slack"),
        ("notify: { receivers: [{ name: a, pagerduty: [{ a: 1 }] }] }", "1:45: notify.receivers[0].pagerduty"),
        ("notify: { receivers: [{ name: a, datadog: [{ a: 1 }] }] }", "1:43: notify.receivers[0].datadog"),
        ("notify: { receivers: [{ name: a, sentry: [{ a: 1 }] }] }", "1:42: notify.receivers[0].sentry"),
        ("notify: { receivers: [{ name: a, email: [{ a: 1 }] }] }", "1:41: notify.receivers[0].email"),
        ("notify: { receivers: [{ name: a, exec: [{ a: 1 }] }] }", "1:40: notify.receivers[0].exec"),
        ("checks: [{ name: a, type: tcp, target: 'h:1' }]", "1:9: checks"),
    ];
    for (text, place) in table {
        let told = refused(text);
        let line = format!("relay.yaml:{place}: ");
        assert!(told.lines().any(|told| told.starts_with(&line) && told.contains("not built yet")), "{text}\n{told}");
    }
    for pattern in statsd_relay::config::not_built_yet() {
        let covered = table
            .iter()
            .any(|(_, place)| place.replace(char::is_numeric, "").ends_with(&pattern.replace(char::is_numeric, "").to_string()));
        assert!(covered, "no case for {pattern}");
    }
    for default in [
        "store: { tiers: [{ step: raw, keep: 12h }, { step: 1m, keep: 14d }, { step: 1h, keep: 400d }] }",
        "sinks: [{ name: a, type: datadog, api_key: k, match: { name: ['*'] }, additional_endpoints: [], queue: { disk: 1GiB } }]",
        "sinks: [{ name: a, type: datadog, api_key: k, match: {} }]",
        "rules: { bundled: [] }",
        "notify: { receivers: [{ name: a, slack: [] }] }",
    ] {
        loaded(default);
    }
}

#[test]
fn the_reference_loads_and_equals_the_defaults() {
    assert_eq!(config::parse(Path::new("relay.yaml"), REFERENCE).unwrap(), Config::default());
    assert_eq!(loaded(&config::to_yaml(&Config::default())), Config::default());
}

#[test]
fn the_reference_names_every_key() {
    let reference: serde_yaml::Value = serde_yaml::from_str(REFERENCE).unwrap();
    let default: serde_yaml::Value = serde_yaml::to_value(Config::default()).unwrap();
    every_key_of(&default, &reference, "");
}

/// Fails where `reference` lacks a mapping key that `default` has.
fn every_key_of(default: &serde_yaml::Value, reference: &serde_yaml::Value, path: &str) {
    for (key, value) in default.as_mapping().into_iter().flatten() {
        let path = format!("{path}.{}", key.as_str().unwrap());
        let there = reference.get(key).unwrap_or_else(|| panic!("{path} is missing from relay.yaml"));
        every_key_of(value, there, &path);
    }
}

#[test]
fn every_commented_example_of_the_reference_is_right_or_not_built_yet() {
    let examples = examples(REFERENCE);
    assert_eq!(examples.len(), 9, "{examples:#?}");
    let mut loads = 0;
    for text in &examples {
        match config::parse(Path::new("relay.yaml"), text) {
            Ok(_) => loads += 1,
            Err(error) => {
                let others: Vec<_> = error.errors.iter().filter(|finding| !finding.message.starts_with("not built yet")).collect();
                assert!(others.is_empty(), "{others:#?}\n{text}");
            }
        }
    }
    assert!(loads >= 3, "{loads}");
}

/// Each commented-out block in a document of its own: `# key:` and what is indented under it, inside its section.
fn examples(reference: &str) -> Vec<String> {
    let keys: Vec<&str> = "sinks checks filters route inhibit_rules receivers heartbeat".split(' ').collect();
    let mut examples: Vec<String> = Vec::new();
    let mut section = "";
    let mut open: Option<usize> = None;
    for line in reference.lines() {
        if let Some(name) = line.strip_suffix(':').filter(|name| !name.contains([' ', '#'])) {
            section = name;
        }
        let indent = line.len() - line.trim_start().len();
        let Some(text) = line.trim_start().strip_prefix("# ") else {
            open = None;
            continue;
        };
        let key = text.split(':').next().unwrap_or_default();
        let inside = " ".repeat(indent);
        if keys.contains(&key) && text.contains(':') {
            let section = if indent == 0 { String::new() } else { format!("{section}:\n") };
            // A route needs its receiver.
            let more = if key == "route" { "  receivers: [{ name: ops }]\n" } else { "" };
            examples.push(format!("{section}{more}{inside}{text}\n"));
            open = Some(indent);
        } else if open == Some(indent) && text.starts_with(' ') {
            examples.last_mut().unwrap().push_str(&format!("{inside}{text}\n"));
        } else {
            open = None;
        }
    }
    examples
}

proptest::proptest! {
    #[test]
    fn a_damaged_reference_is_refused_or_reads_back_as_it_is_written(
        at in 0..REFERENCE.len(),
        gone in 0..40_usize,
        put in r#"[\[\]{}:,'"&*!|>#?\-\\ \n\ta-z0-9~%@.é]{0,12}"#,
    ) {
        let (at, until) = (REFERENCE.floor_char_boundary(at), REFERENCE.ceil_char_boundary((at + gone).min(REFERENCE.len())));
        let name = Path::new("relay.yaml");
        match config::parse(name, &format!("{}{put}{}", &REFERENCE[..at], &REFERENCE[until..])) {
            Ok(config) => proptest::prop_assert_eq!(config::parse(name, &config::to_yaml(&config)), Ok(config)),
            Err(error) => proptest::prop_assert!(!error.errors.is_empty()),
        }
    }
}
