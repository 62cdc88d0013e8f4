//! Cuts a received unit into lines.

use memchr::{memchr, memrchr};

use super::check::check;
use super::common::{Common, common};
use super::event::event;
use super::metric::metric;
use super::{Options, ParseError, Parsed, Record};

/// Hands every record and every refusal of a received unit to `sink`, in order.
///
/// A unit is a datagram, the payload of a frame or some lines of a stream. A line gives one [`Parsed`]; a line with
/// several samples, or a gauge pack of both signs, gives several. Empty lines give none.
pub fn each<'a>(unit: &'a [u8], options: &Options, sink: &mut impl FnMut(Parsed<'a>)) {
    let mut rest = unit;
    while !rest.is_empty() {
        rest = match common(rest, options) {
            Some(Common { metric, line, rest }) => {
                sink(Parsed { line, record: Ok(Record::Metric(metric)) });
                rest
            }
            None => line(rest, options, sink),
        };
    }
}

/// The same for a datagram that the kernel has cut: its last line is not whole and is refused.
pub fn each_truncated<'a>(unit: &'a [u8], options: &Options, sink: &mut impl FnMut(Parsed<'a>)) {
    let (whole, cut) = unit.split_at(memrchr(b'\n', unit).map_or(0, |end| end + 1));
    each(whole, options, sink);
    sink(Parsed { line: cut, record: Err(ParseError::DatagramTruncated) });
}

/// The same for the first line of a unit. Gives what follows it.
#[inline(never)]
pub fn line<'a>(unit: &'a [u8], options: &Options, sink: &mut impl FnMut(Parsed<'a>)) -> &'a [u8] {
    let (line, rest, whole) = match memchr(b'\n', unit) {
        Some(end) => (&unit[..end], &unit[end + 1..], true),
        None => (unit, &[][..], !options.eol_required),
    };
    match without_cr(line) {
        [] => {}
        line if !whole => sink(Parsed { line, record: Err(ParseError::UnterminatedLine) }),
        line @ [b'_', b'e', b'{', event_of @ ..] => sink(Parsed { line, record: event(event_of, options.strict) }),
        line @ [b'_', b's', b'c', b'|', check_of @ ..] => sink(Parsed { line, record: check(check_of, options.strict) }),
        line => metric(line, options, sink),
    }
    rest
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}
