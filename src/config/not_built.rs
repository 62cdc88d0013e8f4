//! Keys that the reference lists and this version does not act on yet. Setting one is refused, never ignored.

use serde_json::Value;

use super::{Config, yaml};

/// A path (`[]` is every item) and the values, as YAML, that it may have; none listed means the default.
type Row = (&'static str, &'static [&'static str]);

/// Whoever builds one deletes its row.
const NOT_BUILT: &[Row] = &[
    // Only how long raw windows are kept may change.
    ("store.tiers[1]", &[]),
    ("store.tiers[2]", &[]),
    ("store.tiers[3]", &[]),
    ("http.web_config", &[]),
    ("http.admin", &[]),
    ("sinks[].type", &["datadog"]),
    ("sinks[].match", &["null", "{ name: ['*'] }"]),
    ("sinks[].self_metrics", &["null", "false"]),
    ("sinks[].queue.disk", &["1GiB"]),
    ("sinks[].additional_endpoints", &["null"]),
    ("rules.bundled", &["[self]", "[]"]),
    ("alertmanagers", &[]),
    ("notify.receivers[].slack", &["null"]),
    ("notify.receivers[].pagerduty", &["null"]),
    ("notify.receivers[].datadog", &["null"]),
    ("notify.receivers[].sentry", &["null"]),
    ("notify.receivers[].email", &["null"]),
    ("notify.receivers[].exec", &["null"]),
    ("checks", &[]),
];

/// The paths that are refused while they differ from their default; `[]` is every item of a list.
pub fn not_built_yet() -> impl Iterator<Item = &'static str> {
    NOT_BUILT.iter().map(|(path, _)| *path)
}

/// Every key set to what is not built yet, as (path, message).
pub(super) fn refused(config: &Config) -> Vec<(String, String)> {
    let (config, default) = (value(config), value(&Config::default()));
    let mut refused = Vec::new();
    for (pattern, allowed) in NOT_BUILT {
        let allowed: Vec<Value> = if allowed.is_empty() {
            at(&default, pattern).into_iter().map(|(_, value)| value).collect()
        } else {
            allowed.iter().map(|text| essence(&yaml::literal(text))).collect()
        };
        for (path, value) in at(&config, pattern) {
            if !allowed.contains(&value) {
                refused.push((path, remedy(pattern, &value, &allowed)));
            }
        }
    }
    refused
}

fn value(config: &Config) -> Value {
    serde_json::to_value(config).unwrap_or(Value::Null)
}

/// The values a pattern names, each with its path. A value that is not there is null.
fn at(root: &Value, pattern: &str) -> Vec<(String, Value)> {
    let mut found = vec![(String::new(), root)];
    for part in pattern.split('.') {
        let (key, item) = part.split_once('[').map_or((part, None), |(key, item)| (key, Some(item.trim_end_matches(']'))));
        let mut next = Vec::new();
        for (path, value) in found {
            let path = if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
            let value = &value[key];
            match item {
                None => next.push((path, value)),
                Some("") => {
                    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
                    next.extend(items.iter().enumerate().map(|(index, item)| (format!("{path}[{index}]"), item)));
                }
                Some(index) => {
                    let item = index.parse::<usize>().ok().and_then(|index| value.get(index)).unwrap_or(&Value::Null);
                    next.push((format!("{path}[{index}]"), item));
                }
            }
        }
        found = next;
    }
    found.into_iter().map(|(path, value)| (path, essence(value))).collect()
}

/// A value without the nulls and empty lists that absent keys serialize to; all of these are null.
fn essence(value: &Value) -> Value {
    match value {
        Value::Array(items) if items.is_empty() => Value::Null,
        Value::Array(items) => Value::Array(items.iter().map(essence).collect()),
        Value::Object(keys) => {
            let kept: serde_json::Map<_, _> =
                keys.iter().map(|(key, value)| (key.clone(), essence(value))).filter(|(_, value)| !value.is_null()).collect();
            if kept.is_empty() { Value::Null } else { Value::Object(kept) }
        }
        Value::String(text) if text.is_empty() => Value::Null,
        value => value.clone(),
    }
}

/// What to write instead. An item that has its own row cannot be left out alone, its list can.
fn remedy(pattern: &str, value: &Value, allowed: &[Value]) -> String {
    let values: Vec<String> = allowed.iter().filter(|value| !value.is_null()).map(flow).collect();
    let values = values.join(" or ");
    match pattern.split_once('[') {
        _ if values.is_empty() => "not built yet; leave it out".to_string(),
        Some((list, item)) if !item.starts_with(']') => {
            let state = if value.is_null() { "a list without it is not built yet" } else { "not built yet" };
            format!("{state}; write {values}, or leave {list} out")
        }
        _ => format!("not built yet; leave it out or write {values}"),
    }
}

/// A value as one writes it on one line of YAML.
fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(keys) => {
            format!("{{ {} }}", keys.iter().map(|(key, value)| format!("{key}: {}", flow(value))).collect::<Vec<_>>().join(", "))
        }
        value => value.to_string(),
    }
}
