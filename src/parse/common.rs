//! The shape that nearly every metric line has, read in one pass over the unit. Whatever is not quite of that shape is
//! left to [`super::line`], which has the say: both read a line alike.

use memchr::memchr2;

use super::metric::{is_signed, sample_rate};
use super::number::short_decimal;
use super::scrutiny::Scrutiny;
use super::{Metric, Options, Origin, Values};
use crate::model::Kind;
use crate::model::series::{NameStyle, Spelling};

/// A metric line of the common shape.
pub struct Common<'a> {
    pub metric: Metric<'a>,
    /// The line without its newline.
    pub line: &'a [u8],
    /// What follows it in the unit.
    pub rest: &'a [u8],
}

/// Reads the first line of a unit, if it is of the common shape.
///
/// ```text
/// page.views:3|ms|@0.1|#env:prod,host:a|c:ci-0123
/// ^^^^^^^^^^ ^ ^^ ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
/// name       | type  fields: rate, tags, origin
///            one short decimal
/// ```
#[inline(always)]
pub fn common<'a>(unit: &'a [u8], options: &Options) -> Option<Common<'a>> {
    let style = options.dialect.name_style();
    if options.strict || style != NameStyle::Plain || unit.starts_with(b"_") {
        return None;
    }
    let (name, rest) = name(unit)?;
    let (value, after) = short_decimal(rest)?;
    let text = &rest[..rest.len() - after.len()];
    let (kind, mut rest) = kind(after)?;
    let mut spelling = Spelling { name, tags: &[], kind, style };
    let (mut rate, mut origin, mut scrutiny) = (1.0, Origin::default(), Scrutiny::new(false));
    while let [b'|', fields @ ..] = rest {
        let field;
        (field, rest) = fields.split_at(memchr2(b'|', b'\n', fields).unwrap_or(fields.len()));
        match field {
            [.., b'\r'] => return None,
            [b'#', tags @ ..] => spelling.tags = tags,
            [b'@', text @ ..] => rate = sample_rate(text, &mut scrutiny).ok()?,
            [b'c' | b'e', b':', ..] => origin.read(field, &mut scrutiny).ok()?,
            _ => return None,
        }
    }
    let line = &unit[..unit.len() - rest.len()];
    let rest = match rest {
        [b'\n', rest @ ..] => rest,
        [] if !options.eol_required => rest,
        _ => return None,
    };
    let relative = options.dialect.is_classic() && kind == Kind::Gauge && is_signed(text);
    let values = if kind == Kind::Set { Values::Member(text) } else { Values::One(value) };
    let metric = Metric { spelling, values, rate, timestamp: None, relative, origin, tolerated: scrutiny.tolerated };
    Some(Common { metric, line, rest })
}

/// A name of ASCII from the blank to below `|`, and what follows its colon. Looks at eight bytes at once.
#[inline(always)]
fn name(unit: &[u8]) -> Option<(&[u8], &[u8])> {
    let (words, tail) = unit.as_chunks::<8>();
    let in_words = words.iter().enumerate().map(|(at, &word)| (8 * at, name_ends(word))).find(|&(_, ends)| ends != 0);
    let (at, ends) = in_words.unwrap_or_else(|| {
        let mut word = [0; 8];
        word[..tail.len()].copy_from_slice(tail);
        (8 * words.len(), name_ends(word))
    });
    match unit.split_at_checked(at + ends.trailing_zeros() as usize / 8)? {
        (name, [b':', rest @ ..]) if !name.is_empty() => Some((name, rest)),
        _ => None,
    }
}

/// Sets the high bit of the first byte that is a colon or no part of such a name; of later ones perhaps, of earlier ones
/// never.
#[inline(always)]
fn name_ends(word: [u8; 8]) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    let word = u64::from_le_bytes(word);
    // Carries and borrows begin at bytes that end the name, and go to later ones.
    let not_of_a_name = word | word.wrapping_add(ONES * (0x80 - b'|' as u64)) | word.wrapping_sub(ONES * b' ' as u64);
    let colons = word ^ (ONES * b':' as u64);
    (not_of_a_name | (colons.wrapping_sub(ONES) & !colons)) & (ONES << 7)
}

/// The type after its pipe, and the fields or the end behind it.
#[inline(always)]
fn kind(text: &[u8]) -> Option<(Kind, &[u8])> {
    let (kind, rest) = match text {
        [b'|', b'c', rest @ ..] => (Kind::Counter, rest),
        [b'|', b'g', rest @ ..] => (Kind::Gauge, rest),
        [b'|', b'm', b's', rest @ ..] => (Kind::Timer, rest),
        [b'|', b'h', rest @ ..] => (Kind::Histogram, rest),
        [b'|', b'd', rest @ ..] => (Kind::Distribution, rest),
        [b'|', b's', rest @ ..] => (Kind::Set, rest),
        _ => return None,
    };
    matches!(rest, [] | [b'|' | b'\n', ..]).then_some((kind, rest))
}
