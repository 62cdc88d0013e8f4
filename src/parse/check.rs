//! Service checks: `_sc|redis.up|0|#env:prod|m:all well`.

use crate::model::{Check, CheckStatus};

use super::event::read_time;
use super::identity::owned_tags;
use super::scrutiny::{Field, Scrutiny};
use super::text::{optional, with_newlines};
use super::{Origin, ParseError, Record};

/// Reads a service check from what follows its `_sc|`.
pub(super) fn check(rest: &[u8], strict: bool) -> Result<Record<'_>, ParseError> {
    let mut sections = rest.split(|&byte| byte == b'|');
    let (Some(name), Some(status)) = (sections.next(), sections.next()) else { return Err(ParseError::ScMalformed) };
    if name.is_empty() {
        return Err(ParseError::ScEmptyName);
    }
    let name = str::from_utf8(name).map_err(|_| ParseError::BadUtf8)?.to_string();
    let status = status_of(status).ok_or(ParseError::ScBadStatus)?;
    let mut scrutiny = Scrutiny::new(strict);
    let mut check = Check { name, status, timestamp: None, hostname: None, message: None, tags: Vec::new() };
    let mut origin = Origin::default();
    for field in sections {
        read_field(&mut check, &mut origin, field, &mut scrutiny)?;
    }
    Ok(Record::Check(Box::new(check), origin, scrutiny.tolerated))
}

fn status_of(text: &[u8]) -> Option<CheckStatus> {
    match text {
        &[digit] => CheckStatus::from_u8(digit.wrapping_sub(b'0')),
        _ => None,
    }
}

fn read_field<'a>(check: &mut Check, origin: &mut Origin<'a>, field: &'a [u8], scrutiny: &mut Scrutiny) -> Result<(), ParseError> {
    match field {
        [b'd', b':', time @ ..] => {
            scrutiny.note(Field::Timestamp)?;
            return read_time(&mut check.timestamp, time, scrutiny);
        }
        [b'h', b':', host @ ..] => {
            scrutiny.note(Field::Host)?;
            check.hostname = optional(host);
        }
        [b'm', b':', message @ ..] => {
            scrutiny.note(Field::Message)?;
            // Clients escape `m:` as well, since the first form of the protocol ended at it.
            check.message = (!message.is_empty()).then(|| with_newlines(message).replace("m\\:", "m:"));
        }
        [b'#', tags @ ..] => {
            scrutiny.tags(tags)?;
            check.tags = owned_tags(tags, &mut scrutiny.tolerated);
        }
        _ => origin.read(field, scrutiny)?,
    }
    Ok(())
}
