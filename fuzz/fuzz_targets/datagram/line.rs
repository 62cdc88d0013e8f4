//! The line that says what a record says.

use statsd_relay::model::{AlertType, Check, Event, Priority};
use statsd_relay::parse::{Metric, Origin, Record, Values};

pub fn of(record: &Record<'_>) -> Vec<u8> {
    let mut line = match record {
        Record::Metric(metric) => of_metric(metric),
        Record::Event(event, origin, _) => [of_event(event), origin_fields(origin)].concat(),
        Record::Check(check, origin, _) => [of_check(check), origin_fields(origin)].concat(),
    };
    // A carriage return at the end of a text is not the one of the line.
    line.extend(b"\r\n");
    line
}

fn of_metric(metric: &Metric<'_>) -> Vec<u8> {
    let values = match metric.values {
        Values::Member(member) => member.to_vec(),
        numbers if metric.relative => joined(numbers.iter().map(|value| format!("{value:+}")), ":"),
        numbers => joined(numbers.iter().map(|value| value.to_string()), ":"),
    };
    let token = ["c", "g", "ms", "h", "d", "s"][metric.spelling.kind as usize];
    let mut line = [metric.spelling.name, b":", &values, b"|", token.as_bytes()].concat();
    if metric.rate < 1.0 {
        line.extend(format!("|@{}", metric.rate).as_bytes());
    }
    if !metric.spelling.tags.is_empty() {
        line.extend([&b"|#"[..], metric.spelling.tags].concat());
    }
    line.extend(metric.timestamp.map(|at| format!("|T{at}")).unwrap_or_default().as_bytes());
    line.extend(origin_fields(&metric.origin));
    line
}

fn of_event(event: &Event) -> Vec<u8> {
    let (title, text) = (escaped(&event.title), escaped(&event.text));
    let mut line = format!("_e{{{},{}}}:{title}|{text}", title.len(), text.len()).into_bytes();
    field(&mut line, "d:", event.timestamp);
    field(&mut line, "h:", event.hostname.as_ref());
    field(&mut line, "k:", event.aggregation_key.as_ref());
    field(&mut line, "s:", event.source_type.as_ref());
    field(&mut line, "p:", (event.priority == Priority::Low).then_some("low"));
    let alert_type = match event.alert_type {
        AlertType::Info => "info",
        AlertType::Success => "success",
        AlertType::Warning => "warning",
        AlertType::Error => "error",
    };
    field(&mut line, "t:", Some(alert_type));
    tags(&mut line, &event.tags);
    line
}

fn of_check(check: &Check) -> Vec<u8> {
    let mut line = format!("_sc|{}|{}", check.name, check.status as u8).into_bytes();
    field(&mut line, "d:", check.timestamp);
    field(&mut line, "h:", check.hostname.as_ref());
    tags(&mut line, &check.tags);
    field(&mut line, "m:", check.message.as_deref().map(escaped));
    line
}

fn origin_fields(origin: &Origin<'_>) -> Vec<u8> {
    let mut line = Vec::new();
    let container = origin.container_id.map(|id| [&b"ci-"[..], id].concat());
    let inode = origin.inode.map(|inode| format!("in-{inode}").into_bytes());
    if container.is_some() || inode.is_some() {
        line.extend(b"|c:");
        line.extend(container.into_iter().chain(inode).collect::<Vec<_>>().join(&b','));
    }
    if let Some(data) = origin.external_data {
        line.extend([&b"|e:"[..], data].concat());
    }
    field(&mut line, "card:", origin.cardinality.map(|cardinality| cardinality.as_str()));
    line
}

fn field(line: &mut Vec<u8>, prefix: &str, value: Option<impl ToString>) {
    if let Some(value) = value {
        line.extend(format!("|{prefix}{}", value.to_string()).as_bytes());
    }
}

/// Each behind the `#` that is taken off a tag once.
fn tags(line: &mut Vec<u8>, tags: &[String]) {
    if !tags.is_empty() {
        line.extend(b"|#");
        line.extend(joined(tags.iter().map(|tag| format!("#{tag}")), ","));
    }
}

fn escaped(text: &str) -> String {
    text.replace('\n', "\\n")
}

fn joined(parts: impl Iterator<Item = String>, separator: &str) -> Vec<u8> {
    parts.collect::<Vec<_>>().join(separator).into_bytes()
}
