//! Events, one request each.

use serde::Serialize;

use super::Options;
use super::origin::Origin;
use crate::encode::{Payload, Place};
use crate::model::{AlertType, Event, Priority, Window};

/// Characters the public API documents as its limits.
const TEXT_CHARS: usize = 4_000;
const KEY_CHARS: usize = 100;

#[derive(Serialize)]
struct Body<'a> {
    title: &'a str,
    text: &'a str,
    date_happened: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    host: &'a str,
    tags: Vec<&'a str>,
    priority: Priority,
    alert_type: AlertType,
    #[serde(skip_serializing_if = "Option::is_none")]
    aggregation_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_type_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_name: Option<&'a str>,
}

/// Writes the event at `place.row`.
pub(super) fn encode(window: &Window, options: &Options, place: Place, out: &mut Payload) -> Option<Place> {
    let (arrived, event) = window.events.get(place.row)?;
    out.content_type = "application/json";
    // The body holds strings and numbers only: serialising it cannot fail.
    out.body = serde_json::to_vec(&body(event, *arrived, options)).unwrap_or_default().into();
    out.points = 1;
    (place.row + 1 < window.events.len()).then_some(Place { row: place.row + 1, ..place })
}

fn body<'a>(event: &'a Event, arrived: i64, options: &'a Options) -> Body<'a> {
    let origin = Origin::read(event.tags.iter().map(String::as_str), &options.hostname);
    // The API wants a text; an event without one repeats its title.
    let text = if event.text.is_empty() { &event.title } else { &event.text };
    Body {
        title: &event.title,
        text: shortened(text, TEXT_CHARS),
        date_happened: event.timestamp.unwrap_or(arrived.max(0) as u64),
        host: event.hostname.as_deref().unwrap_or(origin.host),
        tags: origin.tags,
        priority: event.priority,
        alert_type: event.alert_type,
        aggregation_key: event.aggregation_key.as_deref().map(|key| shortened(key, KEY_CHARS)),
        source_type_name: event.source_type.as_deref(),
        device_name: origin.device,
    }
}

/// The first `chars` characters.
fn shortened(text: &str, chars: usize) -> &str {
    text.char_indices().nth(chars).map_or(text, |(at, _)| &text[..at])
}
