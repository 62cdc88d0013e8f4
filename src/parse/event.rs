//! Events: `_e{6,11}:Deploy|v2 is live.|#env:prod`.

use nom::bytes::complete::{tag, take_while1};
use nom::combinator::map_opt;
use nom::sequence::{separated_pair, terminated};
use nom::{IResult, Parser};

use crate::model::{AlertType, Event, Priority};

use super::identity::owned_tags;
use super::number::{digits, seconds};
use super::scrutiny::{Field, Scrutiny};
use super::text::{optional, with_newlines};
use super::{Origin, ParseError, Record, Tolerated};

/// Reads an event from what follows its `_e{`.
pub(super) fn event(rest: &[u8], strict: bool) -> Result<Record<'_>, ParseError> {
    let (body, (title, text)) = header(rest).map_err(|_| ParseError::EventBadHeader)?;
    let mut scrutiny = Scrutiny::new(strict);
    let cut = cut(body, title, text, &mut scrutiny)?;
    let mut event = Event { title: with_newlines(cut.title), text: with_newlines(cut.text), ..Event::default() };
    let mut origin = Origin::default();
    for field in cut.fields.split(|&byte| byte == b'|').skip(1) {
        read_field(&mut event, &mut origin, field, &mut scrutiny)?;
    }
    Ok(Record::Event(Box::new(event), origin, scrutiny.tolerated))
}

/// `6,11}:`
fn header(rest: &[u8]) -> IResult<&[u8], (u32, u32), ()> {
    let length = || map_opt(take_while1(|byte: u8| byte.is_ascii_digit()), |text| digits(text)?.try_into().ok());
    terminated(separated_pair(length(), tag(","), length()), tag("}:")).parse(rest)
}

/// The parts of an event's body. `fields` is empty or begins with a pipe.
struct Cut<'a> {
    title: &'a [u8],
    text: &'a [u8],
    fields: &'a [u8],
}

/// Cuts the body by its lengths: bytes by the protocol, but some clients count UTF-16 units, and shells characters.
fn cut<'a>(body: &'a [u8], title: u32, text: u32, scrutiny: &mut Scrutiny) -> Result<Cut<'a>, ParseError> {
    if title == 0 {
        return Err(ParseError::EventEmptyTitle);
    }
    if u64::from(title) + 1 + u64::from(text) > body.len() as u64 {
        return Err(ParseError::EventTruncated);
    }
    let (title, text) = (title as usize, text as usize);
    if let Some(cut) = cut_at(body, Some(title), |_| Some(text)) {
        return Ok(cut);
    }
    let readable = str::from_utf8(body).map_err(|_| ParseError::EventLengthMismatch)?;
    let counted = |width: fn(char) -> usize| {
        let prefix = |text: &str, units: usize| bytes_of(text, units, width);
        cut_at(body, prefix(readable, title), |from| prefix(readable.get(from..)?, text))
    };
    let cut = counted(char::len_utf16).or_else(|| counted(|_| 1)).ok_or(ParseError::EventLengthMismatch)?;
    scrutiny.forgive(Tolerated::EventLengthRepaired, ParseError::EventLengthMismatch)?;
    Ok(cut)
}

/// Cuts when the title ends at a pipe, and the text at another or at the end.
fn cut_at(body: &[u8], title: Option<usize>, text: impl Fn(usize) -> Option<usize>) -> Option<Cut<'_>> {
    let title = title.filter(|&end| body.get(end) == Some(&b'|'))?;
    let start = title + 1;
    let end = start + text(start)?;
    let fields = body.get(end..)?;
    matches!(fields, [] | [b'|', ..]).then(|| Cut { title: &body[..title], text: &body[start..end], fields })
}

/// How many bytes the first `units` of `text` take, when they end between two characters.
fn bytes_of(text: &str, units: usize, width: fn(char) -> usize) -> Option<usize> {
    let mut left = units;
    for (at, character) in text.char_indices() {
        if left == 0 {
            return Some(at);
        }
        left = left.checked_sub(width(character))?;
    }
    (left == 0).then_some(text.len())
}

fn read_field<'a>(event: &mut Event, origin: &mut Origin<'a>, field: &'a [u8], scrutiny: &mut Scrutiny) -> Result<(), ParseError> {
    match field {
        [b'd', b':', time @ ..] => {
            scrutiny.note(Field::Timestamp)?;
            return read_time(&mut event.timestamp, time, scrutiny);
        }
        [b'h', b':', host @ ..] => {
            scrutiny.note(Field::Host)?;
            event.hostname = optional(host);
        }
        [b'k', b':', key @ ..] => {
            scrutiny.note(Field::AggregationKey)?;
            event.aggregation_key = optional(key);
        }
        [b's', b':', source @ ..] => {
            scrutiny.note(Field::SourceType)?;
            event.source_type = optional(source);
        }
        [b'p', b':', word @ ..] => {
            scrutiny.note(Field::Priority)?;
            match word {
                b"normal" => event.priority = Priority::Normal,
                b"low" => event.priority = Priority::Low,
                _ => scrutiny.bad_metadata()?,
            }
        }
        [b't', b':', word @ ..] => {
            scrutiny.note(Field::AlertType)?;
            match word {
                b"info" => event.alert_type = AlertType::Info,
                b"success" => event.alert_type = AlertType::Success,
                b"warning" => event.alert_type = AlertType::Warning,
                b"error" => event.alert_type = AlertType::Error,
                _ => scrutiny.bad_metadata()?,
            }
        }
        [b'#', tags @ ..] => {
            scrutiny.tags(tags)?;
            event.tags = owned_tags(tags, &mut scrutiny.tolerated);
        }
        _ => origin.read(field, scrutiny)?,
    }
    Ok(())
}

/// Reads `d:`; 0 is absent.
pub(super) fn read_time(timestamp: &mut Option<u64>, text: &[u8], scrutiny: &mut Scrutiny) -> Result<(), ParseError> {
    match seconds(text) {
        Some(seconds) => *timestamp = (seconds > 0).then_some(seconds),
        None => scrutiny.bad_metadata()?,
    }
    Ok(())
}
