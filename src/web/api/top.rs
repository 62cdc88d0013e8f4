//! Which metrics have the most series, which tags the most values, and who sends the most.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher as _;

use serde_json::{Value, json};

use super::{Call, Data};
use crate::aggregate::Sending;
use crate::model::units::rfc3339;
use crate::model::{Column, Family, Window};
use crate::web::reply::ApiError;

/// Rows of each list, unless `limit` says otherwise, and at most.
const ROWS: usize = 50;
const ROWS_MAX: usize = 10_000;
/// Tags looked at, and distinct values and keys told apart. Beyond it counts are lower bounds, and the answer says so.
const TAGS_MAX: usize = 10_000_000;
const VALUES_MAX: usize = 1_000_000;
const KEYS_MAX: usize = 10_000;

pub(super) fn top(call: &Call<'_>) -> Result<Data, ApiError> {
    let limit = match call.params.limit("limit")? {
        0 => ROWS,
        limit => limit.min(ROWS_MAX),
    };
    let window = call.app.page.window();
    let metrics = window.as_deref().map(|window| metrics(window, limit)).unwrap_or_default();
    let (tags, complete) = window.as_deref().map_or((Vec::new(), true), |window| tags(window, limit));
    let (senders, all) = window.as_deref().map_or((Vec::new(), true), |window| senders(call, window, limit));
    let mut data = Data::from(json!({ "metrics": metrics, "tags": tags, "senders": senders }));
    if !all {
        data.warnings.push("there are too many senders to tell all of them apart; those shown are lower bounds".into());
    }
    if !complete {
        data.warnings.push("there are too many tags to count all of their values; those shown are lower bounds".into());
    }
    Ok(data)
}

fn metrics(window: &Window, limit: usize) -> Vec<Value> {
    let seconds = window.length.as_secs_f64();
    let mut rows: Vec<(usize, f64, &Family, i64)> = window
        .families()
        .map(|(family, column)| {
            let age = column.ages().iter().copied().min().unwrap_or(0);
            let seen = window.end - i64::from(age) * window.length.as_millis() as i64;
            // An empty sum is minus zero.
            (family.series.len(), (samples(column) + 0.0) / seconds, family, seen)
        })
        .collect();
    rows.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.total_cmp(&a.1)).then(a.2.name.cmp(&b.2.name)));
    let shown = |(series, rate, family, seen): (usize, f64, &Family, i64)| {
        json!({
            "name": family.name, "type": family.kind, "series": series, "samplesPerSecond": rate, "lastSeen": rfc3339(Some(seen)),
        })
    };
    rows.into_iter().take(limit).map(shown).collect()
}

/// Who sent in the last window, the most lines first, and whether all were told apart.
fn senders(call: &Call<'_>, window: &Window, limit: usize) -> (Vec<Value>, bool) {
    let seconds = window.length.as_secs_f64();
    let (mut senders, all) = (call.app.inside.senders)();
    senders.sort_by_key(|sending| std::cmp::Reverse((sending.sent.lines, sending.sent.bytes)));
    let shown = |sending: Sending| {
        json!({
            "sender": sending.sender, "listener": sending.listener,
            "linesPerSecond": sending.sent.lines as f64 / seconds, "bytesPerSecond": sending.sent.bytes as f64 / seconds,
        })
    };
    (senders.into_iter().take(limit).map(shown).collect(), all)
}

/// What `samplesPerSecond` counts, which is what the window tells: exact for a timer, a histogram and a distribution,
/// whose samples count by their weight; of a counter the sum of its increments' sizes, of a set its distinct members,
/// of a gauge its series that were set. For the last three a line's own samples are not told.
fn samples(column: &Column) -> f64 {
    match column {
        Column::Counter { gain, .. } => gain.iter().map(|gain| gain.abs()).sum(),
        Column::Gauge { age, .. } => age.iter().filter(|age| **age == 0).count() as f64,
        Column::Set { count, .. } => count.iter().sum(),
        Column::Timer { window, .. } => window.iter().flatten().map(|sketches| sketches.count).sum(),
    }
}

/// Tag keys by their distinct values, and whether all were counted.
fn tags(window: &Window, limit: usize) -> (Vec<Value>, bool) {
    let hasher = std::hash::RandomState::new();
    let mut keys: HashMap<&str, HashSet<u64>> = HashMap::new();
    let (mut looked_at, mut values, mut complete) = (0, 0, true);
    for tag in window.roster.iter().flat_map(|family| &family.series).flat_map(|series| series.tags()) {
        looked_at += 1;
        if looked_at > TAGS_MAX {
            complete = false;
            break;
        }
        let (key, value) = tag.split_once(':').unwrap_or((tag, ""));
        if keys.len() >= KEYS_MAX && !keys.contains_key(key) {
            complete = false;
            continue;
        }
        let of_key = keys.entry(key).or_default();
        let value = hasher.hash_one(value);
        if values < VALUES_MAX {
            values += usize::from(of_key.insert(value));
        } else {
            complete &= of_key.contains(&value);
        }
    }
    let mut rows: Vec<(usize, &str)> = keys.into_iter().map(|(key, values)| (values.len(), key)).collect();
    rows.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    (rows.into_iter().take(limit).map(|(values, key)| json!({ "key": key, "values": values })).collect(), complete)
}
