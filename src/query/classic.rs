//! Quantiles and fractions of histograms: classic ones, spread over `le` series, and native ones.

use std::collections::HashMap;

use super::ast::Call;
use super::element::{Element, Val, as_float};
use super::error::QueryError;
use super::eval::Eval;
use super::histogram;
use super::print::number;
use crate::model::{ExpHist, Labels, SampleValue};

const LE: &str = "le";

/// One classic histogram: upper bounds with cumulative counts, ascending.
type Cumulative = Vec<(f64, f64)>;

pub(super) fn quantile<'e>(eval: &'e Eval<'_>, call: &'e Call, at: i64) -> Result<Val<'e>, QueryError> {
    Ok(Val::Vector(one_quantile(eval, call, 0, 1, at)?))
}

/// Several quantiles at once, told apart by a label.
pub(super) fn quantiles<'e>(eval: &'e Eval<'_>, call: &'e Call, at: i64) -> Result<Val<'e>, QueryError> {
    let label = eval.text(&call.args[1], at)?;
    let mut out = Vec::new();
    for arg in 2..call.args.len() {
        let q = number(eval.scalar(&call.args[arg], at)?);
        let estimates = one_quantile(eval, call, arg, 0, at)?;
        out.extend(estimates.into_iter().map(|element| Element { labels: element.labels.with(label, &q), ..element }));
    }
    Ok(Val::Vector(out))
}

fn one_quantile(eval: &Eval<'_>, call: &Call, q_arg: usize, arg: usize, at: i64) -> Result<Vec<Element>, QueryError> {
    let q = eval.scalar(&call.args[q_arg], at)?;
    if q.is_nan() || !(0.0..=1.0).contains(&q) {
        eval.warn(call.args[q_arg].span.start, format_args!("quantile value should be between 0 and 1, got {}", number(q)));
    }
    estimate(eval, call, arg, at, |histogram| histogram::quantile(q, histogram), |buckets| classic_quantile(q, buckets))
}

pub(super) fn fraction<'e>(eval: &'e Eval<'_>, call: &'e Call, at: i64) -> Result<Val<'e>, QueryError> {
    let (lower, upper) = (eval.scalar(&call.args[0], at)?, eval.scalar(&call.args[1], at)?);
    let native = |histogram: &ExpHist| histogram::fraction(lower, upper, histogram);
    Ok(Val::Vector(estimate(eval, call, 2, at, native, |buckets| classic_fraction(lower, upper, buckets))?))
}

/// Estimates of the histograms in argument `arg`.
fn estimate(
    eval: &Eval<'_>,
    call: &Call,
    arg: usize,
    at: i64,
    native: impl Fn(&ExpHist) -> f64,
    classic: impl Fn(&[(f64, f64)]) -> f64,
) -> Result<Vec<Element>, QueryError> {
    let byte = call.args[arg].span.start;
    let mut out = Vec::new();
    let mut order: Vec<Labels> = Vec::new();
    let mut groups: HashMap<Labels, Cumulative> = HashMap::new();
    for element in eval.vector(&call.args[arg], at)? {
        match &element.value {
            SampleValue::Histogram(histogram) => out.push(element.becomes(SampleValue::Float(native(histogram)))),
            value => {
                let (Ok(bound), Some(count)) = (bound(element.labels.get(LE)), as_float(value)) else {
                    let (le, name) = (element.labels.get(LE), element.labels.name());
                    eval.warn(
                        byte,
                        format_args!("bucket label {LE:?} is missing or has a malformed value of {le:?} for metric name {name:?}"),
                    );
                    continue;
                };
                let labels = element.labels.without(|label| label == LE);
                groups
                    .entry(labels)
                    .or_insert_with_key(|labels| {
                        order.push(labels.clone());
                        Vec::new()
                    })
                    .push((bound, count));
            }
        }
    }
    for labels in order {
        let Some(mut buckets) = groups.remove(&labels) else { continue };
        let name = labels.name().to_string();
        if out.iter().any(|native: &Element| native.labels == labels) {
            eval.warn(byte, format_args!("vector contains a mix of classic and native histograms for metric name {name:?}"));
            out.retain(|native| native.labels != labels);
            continue;
        }
        if prepare(&mut buckets) {
            let message = format_args!(
                "input to {} needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile) for metric name {name:?}",
                call.function.name
            );
            eval.inform(byte, message);
        }
        let value = SampleValue::Float(classic(&buckets));
        out.push(Element { labels, drop_name: true, value });
    }
    Ok(out)
}

fn bound(le: &str) -> Result<f64, std::num::ParseFloatError> {
    le.parse()
}

/// Sorts, merges equal bounds and makes counts monotonic; whether the last changed more than rounding would.
fn prepare(buckets: &mut Cumulative) -> bool {
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    buckets.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    let mut forced = false;
    let mut highest = buckets.first().map_or(0.0, |&(_, count)| count);
    for (_, count) in buckets.iter_mut() {
        if *count < highest {
            // Differences this small come from adding floats in different orders.
            forced |= (highest - *count).abs() > 1e-12 * highest.abs().max(count.abs());
            *count = highest;
        }
        highest = highest.max(*count);
    }
    forced
}

fn classic_quantile(q: f64, buckets: &[(f64, f64)]) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let Some(&(last, total)) = buckets.last() else { return f64::NAN };
    if last != f64::INFINITY || buckets.len() < 2 || total == 0.0 || total.is_nan() {
        return f64::NAN;
    }
    let mut rank = q * total;
    let at = buckets[..buckets.len() - 1].partition_point(|&(_, count)| count < rank);
    if at == buckets.len() - 1 {
        return buckets[at - 1].0;
    }
    let (upper, mut count) = buckets[at];
    if at == 0 && upper <= 0.0 {
        return upper;
    }
    let mut lower = 0.0;
    if at > 0 {
        lower = buckets[at - 1].0;
        count -= buckets[at - 1].1;
        rank -= buckets[at - 1].1;
    }
    lower + (upper - lower) * (rank / count)
}

fn classic_fraction(lower: f64, upper: f64, buckets: &[(f64, f64)]) -> f64 {
    let Some(&(last, total)) = buckets.last() else { return f64::NAN };
    if last != f64::INFINITY || buckets.len() < 2 || total == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let rank = |value: f64| {
        let mut before = (if buckets[0].0 > 0.0 { 0.0 } else { f64::NEG_INFINITY }, 0.0);
        for &(bound, count) in buckets.iter() {
            if value <= before.0 {
                return before.1;
            }
            if value < bound {
                let linear = bound.is_finite() && before.0.is_finite();
                return if linear { before.1 + (count - before.1) * (value - before.0) / (bound - before.0) } else { before.1 };
            }
            before = (bound, count);
        }
        before.1
    };
    (rank(upper) - rank(lower)) / total
}
