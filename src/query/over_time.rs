//! Functions over the samples of one series in a range.

use super::element::{Span, as_float};
use super::eval::Eval;
use super::histogram;
use super::sum::{self, Mean, Sum, Variance};
use crate::model::{ExpHist, SampleValue};

/// What a function over a range is called with, beside the samples.
pub(super) struct Over<'e, 'a> {
    pub(super) eval: &'e Eval<'a>,
    /// Where the range vector stands in the text.
    pub(super) byte: usize,
    /// The scalar arguments, in order.
    pub(super) params: Vec<f64>,
    /// Unix milliseconds of the evaluation.
    pub(super) at: i64,
}

type Found = Option<SampleValue>;

impl Over<'_, '_> {
    fn param(&self, number: usize) -> f64 {
        self.params.get(number).copied().unwrap_or(f64::NAN)
    }

    /// The floats; histograms among them are named in an info.
    fn only_floats(&self, span: &Span<'_>) -> Vec<(i64, f64)> {
        if span.kinds() == (true, true) {
            let name = span.labels.name();
            self.eval.inform(
                self.byte,
                format_args!("ignored histograms in a range containing both floats and histograms for metric name {name:?}"),
            );
        }
        span.floats().collect()
    }

    pub(super) fn warn_mixed(&self, span: &Span<'_>) {
        let name = span.labels.name();
        self.eval.warn(self.byte, format_args!("encountered a mix of histograms and floats for metric name {name:?}"));
    }
}

fn float(value: f64) -> Found {
    Some(SampleValue::Float(value))
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1_000.0
}

pub(super) fn count(_: &Over<'_, '_>, span: &Span<'_>) -> Found {
    float(span.samples.len() as f64)
}

pub(super) fn present(_: &Over<'_, '_>, _: &Span<'_>) -> Found {
    float(1.0)
}

pub(super) fn first(_: &Over<'_, '_>, span: &Span<'_>) -> Found {
    span.samples.first().map(|sample| sample.value.clone())
}

pub(super) fn last(_: &Over<'_, '_>, span: &Span<'_>) -> Found {
    span.samples.last().map(|sample| sample.value.clone())
}

pub(super) fn ts_of_first(_: &Over<'_, '_>, span: &Span<'_>) -> Found {
    span.samples.first().and_then(|sample| float(seconds(sample.at)))
}

pub(super) fn ts_of_last(_: &Over<'_, '_>, span: &Span<'_>) -> Found {
    span.samples.last().and_then(|sample| float(seconds(sample.at)))
}

pub(super) fn min(over: &Over<'_, '_>, span: &Span<'_>) -> Found {
    extreme(over, span, |value, best| value < best).and_then(|(_, value)| float(value))
}

pub(super) fn max(over: &Over<'_, '_>, span: &Span<'_>) -> Found {
    extreme(over, span, |value, best| value > best).and_then(|(_, value)| float(value))
}

pub(super) fn ts_of_min(over: &Over<'_, '_>, span: &Span<'_>) -> Found {
    extreme(over, span, |value, best| value <= best).and_then(|(at, _)| float(seconds(at)))
}

pub(super) fn ts_of_max(over: &Over<'_, '_>, span: &Span<'_>) -> Found {
    extreme(over, span, |value, best| value >= best).and_then(|(at, _)| float(seconds(at)))
}

/// NaN loses against every number.
fn extreme(over: &Over<'_, '_>, span: &Span<'_>, better: fn(f64, f64) -> bool) -> Option<(i64, f64)> {
    let floats = over.only_floats(span);
    floats.into_iter().reduce(|best, next| if better(next.1, best.1) || best.1.is_nan() { next } else { best })
}

pub(super) fn sum(over: &Over<'_, '_>, span: &Span<'_>) -> Found {
    match span.kinds() {
        (true, true) => {
            over.warn_mixed(span);
            None
        }
        (true, false) => {
            let mut sum = Sum::default();
            span.floats().for_each(|(_, value)| sum.add(value));
            float(sum.total())
        }
        (false, _) => Some(SampleValue::Histogram(histogram_sum(span).into())),
    }
}

pub(super) fn avg(over: &Over<'_, '_>, span: &Span<'_>) -> Found {
    match span.kinds() {
        (true, true) => {
            over.warn_mixed(span);
            None
        }
        (true, false) => {
            let mut mean = Mean::default();
            span.floats().for_each(|(_, value)| mean.add(value));
            float(mean.mean())
        }
        (false, _) => {
            let sum = histogram_sum(span);
            Some(SampleValue::Histogram(histogram::scaled(&sum, 1.0 / span.samples.len() as f64).into()))
        }
    }
}

fn histogram_sum(span: &Span<'_>) -> ExpHist {
    let histograms = span.samples.iter().filter_map(|sample| match &sample.value {
        SampleValue::Histogram(histogram) => Some(histogram),
        _ => None,
    });
    let mut sum: Option<ExpHist> = None;
    for histogram in histograms {
        sum = Some(match sum {
            None => histogram.as_ref().clone(),
            Some(sum) => histogram::added(&sum, histogram),
        });
    }
    sum.unwrap_or_default()
}

pub(super) fn stdvar(over: &Over<'_, '_>, span: &Span<'_>) -> Found {
    let floats = over.only_floats(span);
    let mut variance = Variance::default();
    floats.iter().for_each(|(_, value)| variance.add(*value));
    if floats.is_empty() { None } else { float(variance.variance()) }
}

pub(super) fn stddev(over: &Over<'_, '_>, span: &Span<'_>) -> Found {
    match stdvar(over, span) {
        Some(SampleValue::Float(variance)) => float(variance.sqrt()),
        _ => None,
    }
}

pub(super) fn quantile(over: &Over<'_, '_>, span: &Span<'_>) -> Found {
    let q = over.param(0);
    let mut values: Vec<f64> = over.only_floats(span).into_iter().map(|(_, value)| value).collect();
    if values.is_empty() { None } else { float(sum::quantile(q, &mut values)) }
}

/// The median distance from the median.
pub(super) fn mad(over: &Over<'_, '_>, span: &Span<'_>) -> Found {
    let mut values: Vec<f64> = over.only_floats(span).into_iter().map(|(_, value)| value).collect();
    if values.is_empty() {
        return None;
    }
    if values.iter().any(|value| value.is_nan()) {
        return float(f64::NAN);
    }
    let median = sum::quantile(0.5, &mut values);
    let mut distances: Vec<f64> = values.iter().map(|value| (value - median).abs()).collect();
    float(sum::quantile(0.5, &mut distances))
}

pub(super) fn changes(_: &Over<'_, '_>, span: &Span<'_>) -> Found {
    let same = |a: &SampleValue, b: &SampleValue| match (as_float(a), as_float(b)) {
        (Some(a), Some(b)) => a == b || a.is_nan() && b.is_nan(),
        _ => a == b,
    };
    let changed = span.samples.windows(2).filter(|pair| !same(&pair[0].value, &pair[1].value)).count();
    float(changed as f64)
}

pub(super) fn resets(_: &Over<'_, '_>, span: &Span<'_>) -> Found {
    let reset = |before: &SampleValue, after: &SampleValue| match (before, after) {
        (SampleValue::Float(before), SampleValue::Float(after)) => after < before,
        (SampleValue::Histogram(before), SampleValue::Histogram(after)) => histogram::is_reset(before, after),
        // A change of kind starts anew.
        _ => true,
    };
    let resets = span.samples.windows(2).filter(|pair| reset(&pair[0].value, &pair[1].value)).count();
    float(resets as f64)
}

pub(super) fn deriv(over: &Over<'_, '_>, span: &Span<'_>) -> Found {
    let floats = span.floats().collect::<Vec<_>>();
    let (slope, _) = regression(&over.regressable(span, floats)?, |floats| floats[0].0)?;
    float(slope)
}

pub(super) fn predict_linear(over: &Over<'_, '_>, span: &Span<'_>) -> Found {
    let floats = span.floats().collect::<Vec<_>>();
    let (slope, intercept) = regression(&over.regressable(span, floats)?, |_| over.at)?;
    float(slope * over.param(0) + intercept)
}

impl Over<'_, '_> {
    /// At least two floats; histograms among them are named in an info.
    fn regressable(&self, span: &Span<'_>, floats: Vec<(i64, f64)>) -> Option<Vec<(i64, f64)>> {
        if floats.len() < 2 {
            if span.kinds() == (true, true) {
                self.only_floats(span);
            }
            return None;
        }
        Some(self.only_floats(span))
    }
}

/// Slope per second and value at the origin, by least squares.
fn regression(samples: &[(i64, f64)], origin: impl Fn(&[(i64, f64)]) -> i64) -> Option<(f64, f64)> {
    let &(_, first) = samples.first()?;
    if samples.iter().all(|&(_, y)| y == first) {
        return Some(if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) });
    }
    let origin = origin(samples);
    let [mut sx, mut sy, mut sxy, mut sxx] = [Sum::default(); 4];
    for &(at, y) in samples {
        let x = seconds(at - origin);
        sx.add(x);
        sy.add(y);
        sxy.add(x * y);
        sxx.add(x * x);
    }
    let n = samples.len() as f64;
    let (sx, sy, sxy, sxx) = (sx.total(), sy.total(), sxy.total(), sxx.total());
    let slope = (sxy - sx * sy / n) / (sxx - sx * sx / n);
    Some((slope, sy / n - slope * sx / n))
}

/// Holt's linear method: `params` are the smoothing and the trend factor.
pub(super) fn double_exponential_smoothing(over: &Over<'_, '_>, span: &Span<'_>) -> Found {
    let (smoothing, trending) = (over.param(0), over.param(1));
    let floats = over.only_floats(span);
    if floats.len() < 2 {
        return None;
    }
    let mut level = floats[0].1;
    let mut trend = floats[1].1 - floats[0].1;
    for &(_, value) in &floats[1..] {
        let before = level;
        level = smoothing * value + (1.0 - smoothing) * (before + trend);
        trend = trending * (level - before) + (1.0 - trending) * trend;
    }
    float(level)
}
