//! Metric lines.

use memchr::{memchr, memchr2};
use nom::bytes::complete::take_till;
use nom::{IResult, Parser};

use crate::model::Kind;
use crate::model::series::{NameStyle, Spelling};

use super::identity::NameParts;
use super::number::{number, seconds};
use super::scrutiny::{Field, Scrutiny};
use super::text::trim_blanks;
use super::{Metric, Options, Origin, ParseError, Parsed, Record, Tolerated, ToleratedSet, Values};

/// Lowest effective sample rate: no sample weighs more than a million.
const RATE_FLOOR: f64 = 1e-6;

/// Hands over what a metric line says.
///
/// ```text
/// page.views:1:3|c|@0.1|#env:prod,host:a
/// ^^^^^^^^^^ ^^^ ^ ^^^^ ^^^^^^^^^^^^^^^^
/// name    values | fields (tags are kept raw; looked at when the spelling is new)
///                type
/// ```
#[inline(always)]
pub(super) fn metric<'a>(line: &'a [u8], options: &Options, sink: &mut impl FnMut(Parsed<'a>)) {
    let (name, rest) = match name(line, options) {
        Ok(parts) => parts,
        Err(reason) => return sink(Parsed { line, record: Err(reason) }),
    };
    let several = options.dialect.is_classic() && may_hold_samples(rest);
    let mut next = Some(rest);
    while let Some(rest) = next {
        let (first, following) = if several { first_sample(rest) } else { (rest, None) };
        sample(line, name, first, options, sink);
        next = following;
    }
}

/// The name, and what follows its colon.
#[inline(always)]
fn name<'a>(line: &'a [u8], options: &Options) -> Result<(&'a [u8], &'a [u8]), ParseError> {
    let (name, rest) = line.split_at(memchr2(b':', b'|', line).unwrap_or(line.len()));
    let [b':', rest @ ..] = rest else { return Err(ParseError::MissingColon) };
    if name.is_empty() {
        return Err(ParseError::EmptyName);
    }
    if !name.is_ascii() && str::from_utf8(name).is_err() {
        return Err(ParseError::BadUtf8);
    }
    if options.strict || options.dialect.name_style() != NameStyle::Plain {
        check_name(name, options)?;
    }
    Ok((name, rest))
}

/// What strict mode, and tags in a name, ask of it.
fn check_name(name: &[u8], options: &Options) -> Result<(), ParseError> {
    let parts = NameParts::of(name, options.dialect.name_style());
    if options.strict && !parts.is_well_formed() {
        return Err(ParseError::BadTag);
    }
    if parts.is_nameless() {
        return Err(ParseError::EmptyName);
    }
    if options.strict && !is_strict_name(parts.name_bytes()) {
        return Err(ParseError::BadName);
    }
    Ok(())
}

/// A letter, then at most 199 letters, digits, `_`, `.` and `-`.
pub(super) fn is_strict_name(mut bytes: impl Iterator<Item = u8>) -> bool {
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.enumerate().all(|(at, byte)| at < 199 && (byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)))
}

/// Whether `values|type|...` may go on with further samples: no packing, no tag field, and a colon somewhere.
fn may_hold_samples(rest: &[u8]) -> bool {
    let Some(end) = memchr(b'|', rest) else { return false };
    let (values, fields) = rest.split_at(end);
    memchr(b':', fields).is_some() && memchr(b':', values).is_none() && !fields.windows(2).any(|pair| pair == b"|#")
}

/// Cuts at the first colon inside a type or a sample rate.
fn first_sample(rest: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut start = 0;
    for (at, section) in rest.split(|&byte| byte == b'|').enumerate() {
        if (at == 1 || (at > 1 && section.starts_with(b"@")))
            && let Some(colon) = memchr(b':', section)
        {
            return (&rest[..start + colon], Some(&rest[start + colon + 1..]));
        }
        start += section.len() + 1;
    }
    (rest, None)
}

#[inline(always)]
fn sample<'a>(line: &'a [u8], name: &'a [u8], rest: &'a [u8], options: &Options, sink: &mut impl FnMut(Parsed<'a>)) {
    match read_sample(name, rest, options) {
        Ok(metric) => match metric.values {
            Values::Packed(pack) if options.dialect.is_classic() && metric.spelling.kind == Kind::Gauge => {
                runs(line, metric.clone(), pack, sink)
            }
            _ => sink(Parsed { line, record: Ok(Record::Metric(metric)) }),
        },
        Err(reason) => sink(Parsed { line, record: Err(reason) }),
    }
}

/// `values|type|field|field...`
#[inline(always)]
fn read_sample<'a>(name: &'a [u8], rest: &'a [u8], options: &Options) -> Result<Metric<'a>, ParseError> {
    let (rest, text) = section(rest);
    if rest.is_empty() {
        return Err(ParseError::MissingType);
    }
    if text.is_empty() {
        return Err(ParseError::EmptyValue);
    }
    let (mut rest, token) = section(&rest[1..]);
    let (strict, classic) = (options.strict, options.dialect.is_classic());
    let kind = kind(if classic { trim_blanks(token) } else { token }, strict)?;
    let mut scrutiny = Scrutiny::new(strict);
    let values = values(text, kind, &mut scrutiny)?;
    let mut spelling = Spelling { name, tags: &[], kind, style: options.dialect.name_style() };
    let (mut rate, mut timestamp, mut origin) = (1.0, None, Origin::default());
    while let [_, fields @ ..] = rest {
        let field;
        (rest, field) = long_section(fields);
        match field {
            [b'#', tags @ ..] => {
                check_tags(tags, spelling, &mut scrutiny)?;
                spelling.tags = tags;
            }
            [b'@', text @ ..] => rate = sample_rate(text, &mut scrutiny)?,
            [b'T', text @ ..] => timestamp = Some(unix_seconds(text, kind, &mut scrutiny)?),
            _ => origin.read(field, &mut scrutiny)?,
        }
    }
    let relative = classic && kind == Kind::Gauge && is_signed(text);
    Ok(Metric { spelling, values, rate, timestamp, relative, origin, tolerated: scrutiny.tolerated })
}

/// What is left at the next pipe or the end, and what stands before it.
#[inline(always)]
fn section(text: &[u8]) -> (&[u8], &[u8]) {
    let cut: IResult<_, _, ()> = take_till(|byte| byte == b'|').parse(text);
    cut.unwrap_or((&[], text))
}

/// The same, faster for tags and slower for what is a few bytes long.
#[inline(always)]
fn long_section(text: &[u8]) -> (&[u8], &[u8]) {
    let (section, rest) = text.split_at(memchr(b'|', text).unwrap_or(text.len()));
    (rest, section)
}

fn kind(token: &[u8], strict: bool) -> Result<Kind, ParseError> {
    Ok(match token {
        b"c" => Kind::Counter,
        b"g" => Kind::Gauge,
        b"ms" => Kind::Timer,
        b"h" => Kind::Histogram,
        b"d" => Kind::Distribution,
        b"s" => Kind::Set,
        // Meters of cadence and netdata, counters of brubeck, key-values of statsite.
        b"m" | b"C" if !strict => Kind::Counter,
        b"kv" if !strict => Kind::Gauge,
        b"" => return Err(ParseError::MissingType),
        _ => return Err(ParseError::UnknownType),
    })
}

#[inline(always)]
fn values<'a>(text: &'a [u8], kind: Kind, scrutiny: &mut Scrutiny) -> Result<Values<'a>, ParseError> {
    if kind == Kind::Set {
        return Ok(Values::Member(text));
    }
    match number(text) {
        Some(value) if value.is_finite() => Ok(Values::One(value)),
        Some(_) => Err(ParseError::NonFiniteValue),
        None => check_pack(text, scrutiny).map(|()| Values::Packed(text)),
    }
}

fn check_pack(pack: &[u8], scrutiny: &mut Scrutiny) -> Result<(), ParseError> {
    let (mut finite, mut dropped) = (false, false);
    for member in pack.split(|&byte| byte == b':').filter(|member| !member.is_empty()) {
        let is_finite = number(member).ok_or(ParseError::BadValue)?.is_finite();
        finite |= is_finite;
        dropped |= !is_finite;
    }
    match (finite, dropped) {
        (false, false) => Err(ParseError::EmptyValue),
        (false, true) => Err(ParseError::NonFiniteValue),
        (true, true) => scrutiny.forgive(Tolerated::NonFiniteDropped, ParseError::NonFiniteValue),
        (true, false) => Ok(()),
    }
}

#[inline(always)]
fn check_tags(tags: &[u8], spelling: Spelling<'_>, scrutiny: &mut Scrutiny) -> Result<(), ParseError> {
    scrutiny.tags(tags)?;
    if scrutiny.strict && NameParts::of(spelling.name, spelling.style).has_tags() {
        return Err(ParseError::MixedTagStyles);
    }
    Ok(())
}

pub(super) fn sample_rate(text: &[u8], scrutiny: &mut Scrutiny) -> Result<f64, ParseError> {
    scrutiny.note(Field::Rate)?;
    let rate = number(text).filter(|rate| rate.is_finite() && *rate >= 0.0).ok_or(ParseError::BadSampleRate)?;
    if rate == 0.0 || rate > 1.0 {
        scrutiny.forgive(Tolerated::RateClamped, ParseError::BadSampleRate)?;
        return Ok(1.0);
    }
    if rate < RATE_FLOOR {
        scrutiny.tolerated.insert(Tolerated::RateClamped);
    }
    Ok(rate.max(RATE_FLOOR))
}

fn unix_seconds(text: &[u8], kind: Kind, scrutiny: &mut Scrutiny) -> Result<u64, ParseError> {
    scrutiny.note(Field::Timestamp)?;
    let seconds = seconds(text).filter(|&seconds| seconds > 0).ok_or(ParseError::BadTimestamp)?;
    if !matches!(kind, Kind::Counter | Kind::Gauge) {
        scrutiny.forgive(Tolerated::TimestampIgnored, ParseError::TimestampUnsupportedType)?;
    }
    Ok(seconds)
}

pub(super) fn is_signed(member: &[u8]) -> bool {
    matches!(member, [b'+' | b'-', ..])
}

/// Hands over a gauge pack as consecutive metrics, each all absolute or all relative. Members that are skipped have
/// no say; blemishes go with the first.
#[cold]
fn runs<'a>(line: &'a [u8], mut run: Metric<'a>, pack: &'a [u8], sink: &mut impl FnMut(Parsed<'a>)) {
    let (mut start, mut at, mut current) = (0, 0, None);
    for member in pack.split(|&byte| byte == b':') {
        let signed = is_signed(member);
        if current != Some(signed)
            && number(member).is_some_and(f64::is_finite)
            && let Some(relative) = current.replace(signed)
        {
            let values = Values::Packed(&pack[start..at - 1]);
            sink(Parsed { line, record: Ok(Record::Metric(Metric { values, relative, ..run.clone() })) });
            run.tolerated = ToleratedSet::default();
            start = at;
        }
        at += member.len() + 1;
    }
    let (values, relative) = (Values::Packed(&pack[start..]), current.unwrap_or(false));
    sink(Parsed { line, record: Ok(Record::Metric(Metric { values, relative, ..run })) });
}
