//! Numbers as Prometheus writes them.

use std::fmt::Write as _;

const NEGATIVE_ZERO: u64 = 1 << 63;

/// Appends the shortest decimal that reads back as `value`; exponent form only below 1e-6 and from 1e21.
pub fn write(out: &mut String, value: f64) {
    let magnitude = value.abs();
    // Writing to a String cannot fail.
    let _ = if value.is_nan() {
        out.write_str("NaN")
    } else if value.is_infinite() {
        out.write_str(if value > 0.0 { "+Inf" } else { "-Inf" })
    } else if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        return write_exponent(out, value);
    } else if magnitude < 1e15 && value.fract() == 0.0 && value.to_bits() != NEGATIVE_ZERO {
        // Most values are whole, and this is several times as fast.
        write!(out, "{}", value as i64)
    } else {
        write!(out, "{value}")
    };
}

/// Appends a finite number with a signed exponent of at least two digits: `1e+00`, `2.5e-07`.
pub fn write_exponent(out: &mut String, value: f64) {
    if !value.is_finite() {
        return write(out, value);
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    let _ = write!(out, "{mantissa}e{sign}{digits:0>2}");
}

/// [`write()`] into a string of its own.
pub fn text(value: f64) -> String {
    let mut out = String::new();
    write(&mut out, value);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelled_as_prometheus_does() {
        let table = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1e14, "-100000000000000"),
            (-2.5, "-2.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1_000_000.0, "1000000"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (1e21, "1e+21"),
            (1e-6, "0.000001"),
            (2.5e-7, "2.5e-07"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ];
        for (value, expected) in table {
            assert_eq!(text(value), expected);
        }
    }

    #[test]
    fn exponents_have_a_sign_and_two_digits() {
        for (value, expected) in [(1.0, "1e+00"), (1234.5, "1.2345e+03"), (-1e-9, "-1e-09"), (0.0, "0e+00"), (f64::NAN, "NaN")] {
            let mut out = String::new();
            write_exponent(&mut out, value);
            assert_eq!(out, expected);
        }
    }
}
