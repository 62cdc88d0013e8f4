//! Service checks, many in one array.

use serde::Serialize;

use super::Options;
use super::origin::Origin;
use crate::encode::{Budget, Payload, Place, Unfit};
use crate::model::{Check, Window};

#[derive(Serialize)]
struct Item<'a> {
    check: &'a str,
    host_name: &'a str,
    timestamp: u64,
    status: u8,
    message: &'a str,
    tags: Vec<&'a str>,
}

/// Writes the array that begins at `place.row`.
pub(super) fn encode(window: &Window, options: &Options, mut place: Place, budget: Budget, out: &mut Payload) -> Option<Place> {
    let mut body = vec![b'['];
    while let Some((arrived, check)) = window.checks.get(place.row) {
        // The item holds strings and numbers only: serialising it cannot fail.
        let item = serde_json::to_vec(&item(check, *arrived, options)).unwrap_or_default();
        let fits = out.points < budget.points && body.len() + item.len() + 2 <= budget.plain;
        if !fits && out.points > 0 {
            break;
        }
        if fits {
            if out.points > 0 {
                body.push(b',');
            }
            body.extend_from_slice(&item);
            out.points += 1;
        } else {
            out.pass_over(Unfit::Size);
        }
        place.row += 1;
    }
    body.push(b']');
    out.content_type = "application/json";
    out.body = body.into();
    (place.row < window.checks.len()).then_some(place)
}

fn item<'a>(check: &'a Check, arrived: i64, options: &'a Options) -> Item<'a> {
    let origin = Origin::read(check.tags.iter().map(String::as_str), &options.hostname);
    Item {
        check: &check.name,
        host_name: check.hostname.as_deref().unwrap_or(origin.host),
        timestamp: check.timestamp.unwrap_or(arrived.max(0) as u64),
        status: check.status as u8,
        message: check.message.as_deref().unwrap_or_default(),
        tags: origin.tags,
    }
}
