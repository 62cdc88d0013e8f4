//! Events and service checks as bytes.

use super::bytes::{Reader, put_text, put_varint};
use crate::model::{AlertType, Check, CheckStatus, Event, Priority};

/// Something a client said in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    Event(Event),
    Check(Check),
}

const EVENT: u8 = 0;
const CHECK: u8 = 1;

const ALERT_TYPES: [AlertType; 4] = [AlertType::Info, AlertType::Success, AlertType::Warning, AlertType::Error];

/// An event: kind, alert type, priority, time, host, key, source, title, text, tags.
pub(super) fn put_event(out: &mut Vec<u8>, event: &Event) {
    out.extend_from_slice(&[EVENT, event.alert_type as u8, u8::from(event.priority == Priority::Low)]);
    put_time(out, event.timestamp);
    for text in [&event.hostname, &event.aggregation_key, &event.source_type] {
        put_text(out, text.as_deref().unwrap_or_default());
    }
    put_text(out, &event.title);
    put_text(out, &event.text);
    put_tags(out, &event.tags);
}

/// A check: kind, status, time, host, message, name, tags.
pub(super) fn put_check(out: &mut Vec<u8>, check: &Check) {
    out.extend_from_slice(&[CHECK, check.status as u8]);
    put_time(out, check.timestamp);
    put_text(out, check.hostname.as_deref().unwrap_or_default());
    put_text(out, check.message.as_deref().unwrap_or_default());
    put_text(out, &check.name);
    put_tags(out, &check.tags);
}

/// Reads what the two wrote.
pub(super) fn read_note(bytes: &[u8]) -> Option<Note> {
    let mut from = Reader(bytes);
    match from.byte()? {
        EVENT => {
            let alert_type = *ALERT_TYPES.get(usize::from(from.byte()?))?;
            let priority = if from.byte()? == 0 { Priority::Normal } else { Priority::Low };
            let timestamp = read_time(&mut from)?;
            let [hostname, aggregation_key, source_type] = [optional(&mut from)?, optional(&mut from)?, optional(&mut from)?];
            let (title, text) = (from.text()?.to_string(), from.text()?.to_string());
            let tags = read_tags(&mut from)?;
            Some(Note::Event(Event { title, text, timestamp, hostname, aggregation_key, priority, source_type, alert_type, tags }))
        }
        CHECK => {
            let status = CheckStatus::from_u8(from.byte()?)?;
            let timestamp = read_time(&mut from)?;
            let (hostname, message) = (optional(&mut from)?, optional(&mut from)?);
            let name = from.text()?.to_string();
            let tags = read_tags(&mut from)?;
            Some(Note::Check(Check { name, status, timestamp, hostname, message, tags }))
        }
        _ => None,
    }
}

/// Zero, or the time plus one.
fn put_time(out: &mut Vec<u8>, seconds: Option<u64>) {
    put_varint(out, seconds.map_or(0, |seconds| seconds.saturating_add(1)));
}

fn read_time(from: &mut Reader<'_>) -> Option<Option<u64>> {
    Some(from.varint()?.checked_sub(1))
}

fn optional(from: &mut Reader<'_>) -> Option<Option<String>> {
    Some(Some(from.text()?).filter(|text| !text.is_empty()).map(str::to_string))
}

/// Their number and each.
pub(super) fn put_tags<'a>(out: &mut Vec<u8>, tags: impl IntoIterator<Item = &'a String, IntoIter: ExactSizeIterator>) {
    let tags = tags.into_iter();
    put_varint(out, tags.len() as u64);
    tags.for_each(|tag| put_text(out, tag));
}

/// Reads what [`put_tags`] wrote.
pub(super) fn read_tags(from: &mut Reader<'_>) -> Option<Vec<String>> {
    let n = from.size()?;
    (0..n).map(|_| from.text().map(str::to_string)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_comes_back() {
        let event = Event {
            title: "deploy".into(),
            text: "line\nline".into(),
            timestamp: Some(0),
            priority: Priority::Low,
            source_type: Some("ci".into()),
            alert_type: AlertType::Error,
            tags: vec!["env:prod".into()],
            ..Event::default()
        };
        let check = Check {
            name: "db".into(),
            status: CheckStatus::Critical,
            timestamp: None,
            hostname: Some("a".into()),
            message: None,
            tags: Vec::new(),
        };
        let (mut first, mut second) = (Vec::new(), Vec::new());
        put_event(&mut first, &event);
        put_check(&mut second, &check);
        assert_eq!(read_note(&first), Some(Note::Event(event)));
        assert_eq!(read_note(&second), Some(Note::Check(check)));
        for cut in 0..first.len() {
            assert_eq!(read_note(&first[..cut]), None);
        }
    }
}
