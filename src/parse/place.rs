//! Where a refused line went wrong, for whoever looks at it. Never asked on the way of a line into a window.

use memchr::{memchr, memchr2};

use super::ParseError;
use super::metric::is_strict_name;
use super::number::number;

/// The byte at which a line stops being what it should be. `None` where that is not one place.
pub fn place(line: &[u8], reason: ParseError) -> Option<usize> {
    begins(line, reason).map(|at| at.min(line.len()))
}

fn begins(line: &[u8], reason: ParseError) -> Option<usize> {
    let name = memchr2(b':', b'|', line).unwrap_or(line.len());
    let fields = || sections(line, name + 1);
    match reason {
        ParseError::MissingColon => Some(name),
        ParseError::EmptyName => Some(0),
        ParseError::BadUtf8 => str::from_utf8(line).err().map(|error| error.valid_up_to()),
        ParseError::BadName => (1..=name).find(|&end| !is_strict_name(line[..end].iter().copied())).map(|end| end - 1),
        ParseError::EmptyValue => Some(name + 1),
        ParseError::BadValue => member(line, name + 1, |value| number(value).is_none()),
        ParseError::NonFiniteValue => member(line, name + 1, |value| number(value).is_some_and(|value| !value.is_finite())),
        ParseError::MissingType => Some(memchr(b'|', line).map_or(line.len(), |pipe| pipe + 1)),
        ParseError::UnknownType => memchr(b'|', line).map(|pipe| pipe + 1),
        ParseError::BadSampleRate => fields().find(|(_, field)| field.starts_with(b"@")).map(|(at, _)| at + 1),
        ParseError::BadTimestamp | ParseError::TimestampUnsupportedType => {
            fields().skip(2).find(|(_, field)| field.starts_with(b"T")).map(|(at, _)| at + 1)
        }
        ParseError::EventBadHeader => Some(3),
        ParseError::EventEmptyTitle => memchr(b'}', line).map(|brace| brace + 2),
        ParseError::ScEmptyName => Some(4),
        ParseError::ScBadStatus => sections(line, 0).nth(2).map(|(at, _)| at),
        ParseError::ScMalformed
        | ParseError::EventTruncated
        | ParseError::UnterminatedLine
        | ParseError::DatagramTruncated
        | ParseError::LineTooLong
        | ParseError::FrameTruncated => Some(line.len()),
        ParseError::FrameTooLarge => Some(0),
        ParseError::EventLengthMismatch
        | ParseError::BadTag
        | ParseError::MixedTagStyles
        | ParseError::DuplicateField
        | ParseError::UnknownField
        | ParseError::BadMetadata => None,
    }
}

/// What stands between pipes from `start` on, each with its place.
fn sections(line: &[u8], start: usize) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = start;
    line.get(start..).unwrap_or_default().split(|&byte| byte == b'|').map(move |section| {
        let place = at;
        at += section.len() + 1;
        (place, section)
    })
}

/// The first packed value that `is_wrong`.
fn member(line: &[u8], start: usize, is_wrong: impl Fn(&[u8]) -> bool) -> Option<usize> {
    let (_, values) = sections(line, start).next()?;
    let mut at = start;
    values.split(|&byte| byte == b':').find_map(|value| {
        let place = at;
        at += value.len() + 1;
        (!value.is_empty() && is_wrong(value)).then_some(place)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{Dialect, Options, each};

    #[test]
    fn a_refusal_points_at_the_byte() {
        let lenient: [(&[u8], usize); 17] = [
            (b"no colon", 8),
            (b"a|c", 1),
            (b":1|c", 0),
            (b"a\xff:1|c", 1),
            (b"hits:|c", 5),
            (b"hits:1:2x:3|c", 7),
            (b"hits:nan|c", 5),
            (b"hits:1", 6),
            (b"hits:1|", 7),
            (b"hits:1|zz|#a", 7),
            (b"hits:1|c|#a|@x", 13),
            (b"hits:1|c|T0x", 10),
            (b"_e{a,b}:x|y", 3),
            (b"_e{0,1}:|y", 8),
            (b"_sc||0", 4),
            (b"_sc|db|9", 7),
            (b"_sc|db", 6),
        ];
        for (line, expected) in lenient {
            each(line, &Options::default(), &mut |parsed| {
                let reason = parsed.record.unwrap_err();
                assert_eq!(place(line, reason), Some(expected), "{} {reason:?}", line.escape_ascii());
            });
        }
        let strict = Options { dialect: Dialect::DogStatsd, strict: true, ..Options::default() };
        each(b"web hits:1|c", &strict, &mut |parsed| assert_eq!(place(parsed.line, parsed.record.unwrap_err()), Some(3)));
    }

    #[test]
    fn no_line_and_no_reason_is_too_odd() {
        for line in [&b""[..], b":", b"|", b"a:", b"_e{", b"_sc|", b"_", b"a:1|@", b"\xff"] {
            for reason in ParseError::ALL {
                assert!(place(line, reason).is_none_or(|at| at <= line.len()), "{line:?} {reason:?}");
            }
        }
    }
}
