//! The relay's own endpoints: events, rejected lines, sinks, checks, and what becomes of a line.

use serde_json::{Value, json};

use super::{Call, Data};
use crate::model::units::rfc3339;
use crate::model::{CheckStatus, TimeRange};
use crate::store::Note;
use crate::web::reply::{ApiError, ErrorType};

/// Events in an answer, unless `limit` says otherwise, and at most.
const EVENTS: usize = 1_000;
const EVENTS_MAX: usize = 10_000;
/// Notes looked at for a `q`, so that a rare word does not read the whole store.
const LOOKED_AT: usize = 100_000;
/// Longest line that is explained: the longest a datagram can carry.
const LINE_MAX: usize = 65_507;

pub(super) fn events(call: &Call<'_>) -> Result<Data, ApiError> {
    let end = call.params.time("end")?.unwrap_or_else(|| call.app.clock.now_ms());
    let start = call.params.time("start")?.unwrap_or(0);
    if end < start {
        return Err(ApiError::parameter("end", "end timestamp must not be before start time"));
    }
    let limit = match call.params.limit("limit")? {
        0 => EVENTS,
        limit => limit.min(EVENTS_MAX),
    };
    let wanted = call.params.get("q").map(str::to_lowercase);
    let looked_at = if wanted.is_some() { LOOKED_AT } else { limit };
    // The range is open on the left, the parameter is not.
    let range = TimeRange { start: start - 1, end };
    let notes = (call.app.inside.notes)(range, looked_at).map_err(|why| ApiError::new(ErrorType::Execution, why))?;
    let events: Vec<Value> = notes
        .iter()
        .filter(|(_, note)| wanted.as_ref().is_none_or(|wanted| says(note, wanted)))
        .take(limit)
        .map(|(at, note)| event(*at, note))
        .collect();
    Ok(json!({ "events": events }).into())
}

/// Whether the lower-case text occurs in a note.
fn says(note: &Note, wanted: &str) -> bool {
    let (texts, tags) = match note {
        Note::Event(event) => ([Some(&event.title), Some(&event.text), event.hostname.as_ref(), event.source_type.as_ref()], &event.tags),
        Note::Check(check) => ([Some(&check.name), check.message.as_ref(), check.hostname.as_ref(), None], &check.tags),
    };
    texts.into_iter().flatten().chain(tags).any(|text| text.to_lowercase().contains(wanted))
}

/// An event as it is; of a check its name is the title and its message the text.
fn event(arrived: i64, note: &Note) -> Value {
    let at = |own: Option<u64>| rfc3339(Some(own.and_then(|seconds| i64::try_from(seconds).ok()?.checked_mul(1_000)).unwrap_or(arrived)));
    match note {
        Note::Event(event) => json!({
            "time": at(event.timestamp), "kind": "event", "title": event.title, "text": event.text, "alertType": event.alert_type,
            "priority": event.priority, "host": event.hostname, "aggregationKey": event.aggregation_key,
            "sourceType": event.source_type, "tags": event.tags,
        }),
        Note::Check(check) => json!({
            "time": at(check.timestamp), "kind": "service_check", "title": check.name, "text": check.message.as_deref().unwrap_or(""),
            "alertType": alert_type(check.status), "priority": "normal", "host": check.hostname, "aggregationKey": null,
            "sourceType": null, "tags": check.tags, "status": check.status,
        }),
    }
}

fn alert_type(status: CheckStatus) -> &'static str {
    match status {
        CheckStatus::Ok => "success",
        CheckStatus::Warning => "warning",
        CheckStatus::Critical => "error",
        CheckStatus::Unknown => "info",
    }
}

pub(super) fn rejected(call: &Call<'_>) -> Data {
    let examples = call.app.inside.views.rejected.examples();
    let lines: Vec<Value> = examples
        .iter()
        .map(|example| {
            json!({
                "reason": example.reason.as_str(), "line": example.line, "offset": example.offset, "listener": &*example.listener,
                "sender": example.sender, "count": example.count,
                "firstSeen": rfc3339(Some(example.first_seen)), "lastSeen": rfc3339(Some(example.last_seen)),
            })
        })
        .collect();
    json!({ "rejected": lines }).into()
}

pub(super) fn sinks(call: &Call<'_>) -> Data {
    let sinks: Vec<Value> = (call.app.inside.sinks)()
        .iter()
        .map(|sink| {
            let health = &sink.health;
            json!({
                "name": sink.name, "type": sink.r#type, "state": health.state, "reason": health.reason,
                "queuedPoints": health.queued_points, "lastError": health.last_error,
            })
        })
        .collect();
    json!({ "sinks": sinks }).into()
}

pub(super) fn checks() -> Data {
    json!({ "checks": [] }).into()
}

pub(super) fn explain(call: &Call<'_>) -> Result<Data, ApiError> {
    let line = call.params.get("line").ok_or_else(|| ApiError::parameter("line", "expected a line such as hits:1|c"))?;
    if line.len() > LINE_MAX {
        return Err(ApiError::parameter("line", format!("a line has at most {LINE_MAX} bytes")));
    }
    Ok(json!({ "samples": (call.app.inside.explain)(line) }).into())
}
