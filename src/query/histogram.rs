//! Arithmetic and estimates on native histograms.

use crate::model::ExpHist;
use crate::model::sketch::{ZERO_THRESHOLD, upper_bound};

/// A bucket's bounds and the weight in it.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    lower: f64,
    upper: f64,
    count: f64,
}

/// Every populated bucket, ascending.
fn buckets(histogram: &ExpHist) -> Vec<Bucket> {
    let bound = |index| upper_bound(index, histogram.schema);
    let below = histogram.negative.iter().rev().map(|&(index, count)| Bucket { lower: -bound(index), upper: -bound(index - 1), count });
    let zero = (histogram.zero != 0.0).then(|| zero_bucket(histogram));
    let above = histogram.positive.iter().map(|&(index, count)| Bucket { lower: bound(index - 1), upper: bound(index), count });
    below.chain(zero).chain(above).filter(|bucket| bucket.count != 0.0).collect()
}

/// Around zero, one-sided when all other buckets are on one side.
fn zero_bucket(histogram: &ExpHist) -> Bucket {
    let (below, above) = (!histogram.negative.is_empty(), !histogram.positive.is_empty());
    Bucket {
        lower: if above && !below { 0.0 } else { -ZERO_THRESHOLD },
        upper: if below && !above { 0.0 } else { ZERO_THRESHOLD },
        count: histogram.zero,
    }
}

pub(super) fn scaled(histogram: &ExpHist, factor: f64) -> ExpHist {
    let side =
        |side: &[(i32, f64)]| side.iter().map(|&(index, count)| (index, count * factor)).filter(|&(_, count)| count != 0.0).collect();
    ExpHist {
        count: histogram.count * factor,
        sum: histogram.sum * factor,
        zero: histogram.zero * factor,
        positive: side(&histogram.positive),
        negative: side(&histogram.negative),
        buckets: None,
        ..*histogram
    }
}

/// At the lower resolution of the two.
pub(super) fn added(a: &ExpHist, b: &ExpHist) -> ExpHist {
    let mut sum = a.clone();
    sum.merge(b);
    sum.positive.retain(|&(_, count)| count != 0.0);
    sum.negative.retain(|&(_, count)| count != 0.0);
    sum.buckets = None;
    sum
}

pub(super) fn subtracted(a: &ExpHist, b: &ExpHist) -> ExpHist {
    // What remains has extremes nobody knows.
    let unknown = ExpHist { min: f64::INFINITY, max: f64::NEG_INFINITY, ..scaled(b, -1.0) };
    added(a, &unknown)
}

/// Whether a cumulative histogram began anew: finer than before, or anything in it fell.
pub(super) fn is_reset(before: &ExpHist, after: &ExpHist) -> bool {
    if after.count < before.count || after.schema > before.schema {
        return true;
    }
    let gained = subtracted(after, before);
    gained.zero < 0.0 || gained.positive.iter().chain(&gained.negative).any(|&(_, count)| count < 0.0)
}

pub(super) fn average(histogram: &ExpHist) -> f64 {
    histogram.sum / histogram.count
}

/// Each bucket's observations stand at its geometric middle, those of the zero bucket at zero.
pub(super) fn variance(histogram: &ExpHist) -> f64 {
    let mean = average(histogram);
    let mut sum = super::sum::Sum::default();
    for bucket in buckets(histogram) {
        let middle =
            if bucket.lower <= 0.0 && bucket.upper >= 0.0 { 0.0 } else { (bucket.lower * bucket.upper).sqrt().copysign(bucket.upper) };
        sum.add(bucket.count * (middle - mean).powi(2));
    }
    sum.total() / histogram.count
}

/// Exponential interpolation within a bucket, linear in the zero bucket.
pub(super) fn quantile(q: f64, histogram: &ExpHist) -> f64 {
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let buckets = buckets(histogram);
    if histogram.count == 0.0 || q.is_nan() || buckets.is_empty() {
        return f64::NAN;
    }
    // Counting from the nearer end keeps more digits.
    let forward = histogram.sum.is_nan() || q < 0.5;
    let target = if forward { q } else { 1.0 - q } * histogram.count;
    let (mut seen, mut bucket) = (0.0, buckets[0]);
    for at in 0..buckets.len() {
        bucket = buckets[if forward { at } else { buckets.len() - 1 - at }];
        seen += bucket.count;
        if seen >= target {
            break;
        }
    }
    seen = f64::min(seen, histogram.count);
    if seen < target {
        return match (histogram.sum.is_nan(), forward) {
            (true, _) => f64::NAN,
            (false, true) => bucket.upper,
            (false, false) => bucket.lower,
        };
    }
    let rank = if forward { target - (seen - bucket.count) } else { seen - target };
    interpolated(bucket, rank / bucket.count)
}

fn interpolated(bucket: Bucket, share: f64) -> f64 {
    let Bucket { lower, upper, .. } = bucket;
    if lower <= 0.0 && upper >= 0.0 {
        return lower + (upper - lower) * share;
    }
    let (low, high) = (lower.abs().log2(), upper.abs().log2());
    if lower > 0.0 { (low + (high - low) * share).exp2() } else { -(high + (low - high) * (1.0 - share)).exp2() }
}

/// The share of observations between two values.
pub(super) fn fraction(lower: f64, upper: f64, histogram: &ExpHist) -> f64 {
    if histogram.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let buckets = buckets(histogram);
    let rank = |value: f64| -> f64 { buckets.iter().map(|bucket| bucket.count * share_below(bucket, value)).sum() };
    (rank(upper) - rank(lower)) / histogram.count
}

fn share_below(bucket: &Bucket, value: f64) -> f64 {
    if value >= bucket.upper {
        return 1.0;
    }
    if value <= bucket.lower {
        return 0.0;
    }
    if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
        return (value - bucket.lower) / (bucket.upper - bucket.lower);
    }
    let (low, high, at) = (bucket.lower.abs().log2(), bucket.upper.abs().log2(), value.abs().log2());
    if bucket.lower > 0.0 { (at - low) / (high - low) } else { 1.0 - (at - high) / (low - high) }
}

/// `{count:4, sum:5, (1,2]:4}`, as `count_values` names it.
pub(super) fn text(histogram: &ExpHist) -> String {
    let mut out = format!("{{count:{}, sum:{}", histogram.count, histogram.sum);
    for Bucket { lower, upper, count } in buckets(histogram) {
        let (open, close) = if upper <= 0.0 {
            ('[', ')')
        } else if lower < 0.0 {
            ('[', ']')
        } else {
            ('(', ']')
        };
        out.push_str(&format!(", {open}{lower},{upper}{close}:{count}"));
    }
    out.push('}');
    out
}

/// Whether two histograms count the same; extremes do not matter.
pub(super) fn equal(a: &ExpHist, b: &ExpHist) -> bool {
    let same = |a: f64, b: f64| a == b || a.is_nan() && b.is_nan();
    a.schema == b.schema
        && same(a.count, b.count)
        && same(a.sum, b.sum)
        && same(a.zero, b.zero)
        && a.positive == b.positive
        && a.negative == b.negative
}

/// Divided by zero, buckets say nothing any more and vanish.
pub(super) fn divided(histogram: &ExpHist, by: f64) -> ExpHist {
    let mut out =
        ExpHist { count: histogram.count / by, sum: histogram.sum / by, zero: histogram.zero / by, ..scaled(histogram, 1.0 / by) };
    if by == 0.0 {
        out.positive.clear();
        out.negative.clear();
    }
    out
}
