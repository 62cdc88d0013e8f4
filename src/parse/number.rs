//! Decimal numbers and digits of the wire.

use nom::branch::alt;
use nom::bytes::complete::{take_while, take_while1};
use nom::character::complete::one_of;
use nom::combinator::{all_consuming, opt, recognize};
use nom::{IResult, Parser};

/// Reads a decimal number: digits with an optional sign, point and exponent. `None` when it is anything else.
///
/// `nan`, `inf` and `infinity` (any case, optional sign) and what overflows come back as not finite.
#[inline]
pub(super) fn number(text: &[u8]) -> Option<f64> {
    match short_decimal(text) {
        Some((value, [])) => Some(value),
        _ => long_number(text),
    }
}

/// Reads decimal digits and nothing else.
pub(super) fn digits(text: &[u8]) -> Option<u64> {
    // Without this check the standard parser would take a plus.
    text.first().filter(|byte| byte.is_ascii_digit())?;
    str::from_utf8(text).ok()?.parse().ok()
}

/// Reads unix seconds: digits up to `2^63 - 1`.
pub(super) fn seconds(text: &[u8]) -> Option<u64> {
    digits(text).filter(|&seconds| seconds <= i64::MAX as u64)
}

/// What nearly every client sends, and what follows it: at most 15 digits and a point. A significand below 2^53 divided
/// by a power of ten below 10^22 is one rounding of exact numbers, so the result is the nearest f64.
#[inline(always)]
pub(super) fn short_decimal(text: &[u8]) -> Option<(f64, &[u8])> {
    const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let mut significand = 0_u64;
    let whole = take_digits(text, &mut significand);
    let (fraction, rest) = match &text[whole..] {
        [b'.', rest @ ..] => {
            let fraction = take_digits(rest, &mut significand);
            (fraction, &rest[fraction..])
        }
        rest => (0, rest),
    };
    if whole + fraction == 0 || whole + fraction > 15 {
        return None;
    }
    // Below 2^63, where the signed conversion is one instruction.
    let value = significand as i64 as f64;
    let value = if fraction == 0 { value } else { value / POWERS[fraction] };
    Some((if negative { -value } else { value }, rest))
}

/// Appends the leading digits to `significand`, which is of no use when they are too many. Answers how many there are.
#[inline(always)]
fn take_digits(text: &[u8], significand: &mut u64) -> usize {
    let mut length = 0;
    for digit in text.iter().map(|byte| byte.wrapping_sub(b'0')).take_while(|&digit| digit < 10) {
        *significand = significand.wrapping_mul(10).wrapping_add(u64::from(digit));
        length += 1;
    }
    length
}

#[cold]
fn long_number(text: &[u8]) -> Option<f64> {
    let unsigned = text.strip_prefix(b"+").or_else(|| text.strip_prefix(b"-")).unwrap_or(text);
    if [&b"nan"[..], b"inf", b"infinity"].iter().any(|word| unsigned.eq_ignore_ascii_case(word)) {
        return Some(f64::NAN);
    }
    all_consuming(decimal).parse(text).ok()?;
    str::from_utf8(text).ok()?.parse().ok()
}

fn decimal(text: &[u8]) -> IResult<&[u8], &[u8], ()> {
    let digits1 = || take_while1(|byte: u8| byte.is_ascii_digit());
    let digits0 = || take_while(|byte: u8| byte.is_ascii_digit());
    let sign = || opt(one_of("+-"));
    let point = || one_of(".");
    let significand = alt((recognize((digits1(), opt((point(), digits0())))), recognize((point(), digits1()))));
    let exponent = (one_of("eE"), sign(), digits1());
    recognize((sign(), significand, opt(exponent))).parse(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_are_the_nearest_f64() {
        for text in ["0", "1", "-1", "+1", "1.", ".5", "-.5", "0.1", "123456789.12345", "999999999999999", "1e3", "25E-2", "+.25e1"] {
            assert_eq!(number(text.as_bytes()), text.parse().ok(), "{text}");
        }
        for text in ["9007199254740993", "123456789.123456789", "1e308", "1e-400", "0.1000000000000000055511151231257827"] {
            assert_eq!(number(text.as_bytes()), text.parse().ok(), "{text}");
        }
    }

    #[test]
    fn what_is_not_decimal_is_no_number() {
        for text in
            ["", "-", "+", ".", "1e", "1e+", "e5", "1.2.3", "--1", " 1", "1 ", "0x10", "1_000", "1,5", "1f", "\u{0663}", "nanx", "++inf"]
        {
            assert_eq!(number(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn not_finite_is_told_apart_from_malformed() {
        for text in ["nan", "-NaN", "inf", "+Inf", "-INFINITY", "1e309", "-1e999"] {
            assert!(number(text.as_bytes()).is_some_and(|value| !value.is_finite()), "{text}");
        }
    }

    #[test]
    fn seconds_stop_at_two_to_the_63() {
        assert_eq!(seconds(b"9223372036854775807"), Some(i64::MAX as u64));
        for text in ["9223372036854775808", "99999999999999999999", "", "+1", "-1", "1.0", " 1"] {
            assert_eq!(seconds(text.as_bytes()), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn short_and_long_readings_agree(text in "[+-]?[0-9]{0,17}\\.?[0-9]{0,17}") {
            prop_assert_eq!(number(text.as_bytes()), long_number(text.as_bytes()));
        }
    }
}
