//! Cuts a received unit into lines.

use memchr::{memchr_iter, memrchr};

use super::check::check;
use super::event::event;
use super::metric::metric;
use super::{Options, ParseError, Parsed};

/// Hands every record and every refusal of a received unit to `sink`, in order.
///
/// A unit is a datagram, the payload of a frame or some lines of a stream. A line gives one [`Parsed`]; a line with
/// several samples, or a gauge pack of both signs, gives several. Empty lines give none.
#[inline]
pub fn each<'a>(unit: &'a [u8], options: &Options, sink: &mut impl FnMut(Parsed<'a>)) {
    let mut start = 0;
    for end in memchr_iter(b'\n', unit) {
        line(without_cr(&unit[start..end]), options, sink);
        start = end + 1;
    }
    let last = without_cr(&unit[start..]);
    if options.eol_required && !last.is_empty() {
        sink(Parsed { line: last, record: Err(ParseError::UnterminatedLine) });
    } else {
        line(last, options, sink);
    }
}

/// The same for a datagram that the kernel has cut: its last line is not whole and is refused.
pub fn each_truncated<'a>(unit: &'a [u8], options: &Options, sink: &mut impl FnMut(Parsed<'a>)) {
    let (whole, cut) = unit.split_at(memrchr(b'\n', unit).map_or(0, |end| end + 1));
    each(whole, options, sink);
    sink(Parsed { line: cut, record: Err(ParseError::DatagramTruncated) });
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[inline(always)]
fn line<'a>(line: &'a [u8], options: &Options, sink: &mut impl FnMut(Parsed<'a>)) {
    match line {
        [] => {}
        [b'_', b'e', b'{', rest @ ..] => sink(Parsed { line, record: event(rest, options.strict) }),
        [b'_', b's', b'c', b'|', rest @ ..] => sink(Parsed { line, record: check(rest, options.strict) }),
        _ => metric(line, options, sink),
    }
}
