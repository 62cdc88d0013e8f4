//! When a result equals what a case expects.

use statsd_relay::model::{ExpHist, SampleValue};

use crate::series::Point;

/// Relative 1e-6; NaN equals NaN.
pub(crate) fn same_float(a: f64, b: f64) -> bool {
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan();
    }
    if a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < 1e-6 * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < 1e-6
}

pub(crate) fn same(expected: &Point, found: &SampleValue) -> bool {
    match (expected, found) {
        (Point::Value(SampleValue::Float(a)), SampleValue::Float(b)) => same_float(*a, *b),
        (Point::Value(SampleValue::Histogram(a)), SampleValue::Histogram(b)) => same_histogram(a, b),
        (Point::Value(SampleValue::Stale), SampleValue::Stale) => true,
        _ => false,
    }
}

fn same_histogram(a: &ExpHist, b: &ExpHist) -> bool {
    let populated = |side: &[(i32, f64)]| side.iter().copied().filter(|&(_, count)| count != 0.0).collect::<Vec<_>>();
    let same_side = |a: &[(i32, f64)], b: &[(i32, f64)]| {
        let (a, b) = (populated(a), populated(b));
        a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.0 == b.0 && same_float(a.1, b.1))
    };
    a.schema == b.schema
        && same_float(a.count, b.count)
        && same_float(a.sum, b.sum)
        && same_float(a.zero, b.zero)
        && same_side(&a.positive, &b.positive)
        && same_side(&a.negative, &b.negative)
}
