//! Records as JSON: what `parse` prints and the golden files hold. Every key is always present.

use std::borrow::Cow;

use serde::Serialize;

use crate::model::{AlertType, Check, Event, Kind, Priority};

use super::text::repaired;
use super::{Metric, Origin, ParseError, Record, Values};

/// The JSON object of a record or a refusal. Text that is not UTF-8 is repaired.
pub fn object<'r>(record: &'r Result<Record<'_>, ParseError>) -> impl Serialize + 'r {
    match record {
        Ok(Record::Metric(metric)) => Object::metric(metric),
        Ok(Record::Event(event, origin, _)) => Object::event(event, origin),
        Ok(Record::Check(check, origin, _)) => Object::check(check, origin),
        Err(reason) => Object::Error { reason: reason.as_str() },
    }
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Object<'r> {
    Metric {
        name: Cow<'r, str>,
        r#type: Kind,
        values: Shown<'r>,
        sample_rate: f64,
        tags: Vec<Cow<'r, str>>,
        timestamp: Option<u64>,
        relative: bool,
        #[serde(flatten)]
        origin: ShownOrigin<'r>,
    },
    Event {
        title: &'r str,
        text: &'r str,
        timestamp: Option<u64>,
        hostname: Option<&'r str>,
        aggregation_key: Option<&'r str>,
        priority: Priority,
        source_type: Option<&'r str>,
        alert_type: AlertType,
        tags: &'r [String],
        #[serde(flatten)]
        origin: ShownOrigin<'r>,
    },
    ServiceCheck {
        name: &'r str,
        status: u8,
        timestamp: Option<u64>,
        hostname: Option<&'r str>,
        message: Option<&'r str>,
        tags: &'r [String],
        #[serde(flatten)]
        origin: ShownOrigin<'r>,
    },
    Error {
        reason: &'static str,
    },
}

#[derive(Serialize)]
#[serde(untagged)]
enum Shown<'r> {
    Numbers(Vec<f64>),
    Member([Cow<'r, str>; 1]),
}

#[derive(Serialize)]
struct ShownOrigin<'r> {
    container_id: Option<Cow<'r, str>>,
    inode: Option<u64>,
    external_data: Option<Cow<'r, str>>,
    cardinality: Option<&'static str>,
}

impl<'r> Object<'r> {
    fn metric(metric: &Metric<'r>) -> Object<'r> {
        let identity = metric.identity();
        Object::Metric {
            name: identity.name,
            r#type: metric.spelling.kind,
            values: match metric.values {
                Values::Member(member) => Shown::Member([repaired(member)]),
                numbers => Shown::Numbers(numbers.iter().collect()),
            },
            sample_rate: metric.rate,
            tags: identity.tags,
            timestamp: metric.timestamp,
            relative: metric.relative,
            origin: ShownOrigin::of(&metric.origin),
        }
    }

    fn event(event: &'r Event, origin: &Origin<'r>) -> Object<'r> {
        Object::Event {
            title: &event.title,
            text: &event.text,
            timestamp: event.timestamp,
            hostname: event.hostname.as_deref(),
            aggregation_key: event.aggregation_key.as_deref(),
            priority: event.priority,
            source_type: event.source_type.as_deref(),
            alert_type: event.alert_type,
            tags: &event.tags,
            origin: ShownOrigin::of(origin),
        }
    }

    fn check(check: &'r Check, origin: &Origin<'r>) -> Object<'r> {
        Object::ServiceCheck {
            name: &check.name,
            status: check.status as u8,
            timestamp: check.timestamp,
            hostname: check.hostname.as_deref(),
            message: check.message.as_deref(),
            tags: &check.tags,
            origin: ShownOrigin::of(origin),
        }
    }
}

impl<'r> ShownOrigin<'r> {
    fn of(origin: &Origin<'r>) -> ShownOrigin<'r> {
        ShownOrigin {
            container_id: origin.container_id.map(repaired),
            inode: origin.inode,
            external_data: origin.external_data.map(repaired),
            cardinality: origin.cardinality.map(super::Cardinality::as_str),
        }
    }
}
