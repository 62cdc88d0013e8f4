//! How fast series grow: rate, increase, delta, and their instant forms.

use super::element::{Span, as_float};
use super::histogram;
use super::over_time::Over;
use crate::model::{ExpHist, Sample, SampleValue};

pub(super) fn rate(over: &Over<'_, '_>, span: &Span<'_>) -> Option<SampleValue> {
    extrapolated(over, span, true, true)
}

pub(super) fn increase(over: &Over<'_, '_>, span: &Span<'_>) -> Option<SampleValue> {
    extrapolated(over, span, true, false)
}

pub(super) fn delta(over: &Over<'_, '_>, span: &Span<'_>) -> Option<SampleValue> {
    extrapolated(over, span, false, false)
}

pub(super) fn irate(over: &Over<'_, '_>, span: &Span<'_>) -> Option<SampleValue> {
    last_two(over, span, true)
}

pub(super) fn idelta(over: &Over<'_, '_>, span: &Span<'_>) -> Option<SampleValue> {
    last_two(over, span, false)
}

/// The growth between first and last sample, extended to the borders of the range.
fn extrapolated(over: &Over<'_, '_>, span: &Span<'_>, counter: bool, per_second: bool) -> Option<SampleValue> {
    let (floats, histograms) = span.kinds();
    if floats && histograms {
        over.warn_mixed(span);
        return None;
    }
    // A counter born in the range stood at zero then; for one born before, zero was out of sight.
    let first = span.samples.first()?;
    let born = span.born.filter(|&born| counter && span.start <= born && born < first.at);
    let points = span.samples.len() + usize::from(born.is_some());
    if points < 2 {
        return None;
    }
    let last = span.samples.last()?;
    let begin = born.unwrap_or(first.at);
    if floats {
        let name = span.labels.name();
        let suffixes = ["_total", "_sum", "_count", "_bucket"];
        if counter && !name.is_empty() && !suffixes.iter().any(|suffix| name.ends_with(suffix)) {
            let message = format_args!("metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {name:?}");
            over.eval.inform(over.byte, message);
        }
        let growth = float_growth(span.samples, counter, born.is_some())?;
        let initial = if born.is_some() { 0.0 } else { as_float(&first.value)? };
        let factor =
            factor(span, (begin, last.at), points, (counter && growth > 0.0 && initial >= 0.0).then_some(initial / growth), per_second);
        return Some(SampleValue::Float(growth * factor));
    }
    let growth = histogram_growth(span.samples, counter, born.is_some())?;
    let initial = if born.is_some() { 0.0 } else { as_histogram(&first.value)?.count };
    let to_zero = (counter && growth.count > 0.0 && initial >= 0.0).then_some(initial / growth.count);
    let factor = factor(span, (begin, last.at), points, to_zero, per_second);
    Some(SampleValue::Histogram(histogram::scaled(&growth, factor).into()))
}

/// What the growth is multiplied with. `to_zero`: how many sampled intervals before the first sample a counter was zero.
fn factor(span: &Span<'_>, (begin, last): (i64, i64), points: usize, to_zero: Option<f64>, per_second: bool) -> f64 {
    let seconds = |ms: i64| ms as f64 / 1_000.0;
    let sampled = seconds(last - begin);
    let average = sampled / (points - 1) as f64;
    let near = |gap: f64| if gap >= average * 1.1 { average / 2.0 } else { gap };
    let mut before = near(seconds(begin - span.start));
    if let Some(intervals) = to_zero {
        before = before.min(sampled * intervals);
    }
    let after = near(seconds(span.end - last));
    let factor = (sampled + before + after) / sampled;
    if per_second { factor / seconds(span.end - span.start) } else { factor }
}

fn float_growth(samples: &[Sample], counter: bool, from_zero: bool) -> Option<f64> {
    let first = as_float(&samples.first()?.value)?;
    let mut growth = as_float(&samples.last()?.value)? - if from_zero { 0.0 } else { first };
    if counter {
        let mut before = first;
        for value in samples.iter().skip(1).filter_map(|sample| as_float(&sample.value)) {
            if value < before {
                growth += before;
            }
            before = value;
        }
    }
    Some(growth)
}

fn histogram_growth(samples: &[Sample], counter: bool, from_zero: bool) -> Option<ExpHist> {
    let first = as_histogram(&samples.first()?.value)?;
    let last = as_histogram(&samples.last()?.value)?;
    let mut growth = if from_zero { last.clone() } else { histogram::subtracted(last, first) };
    if counter {
        let mut before = first;
        for histogram in samples.iter().skip(1).filter_map(|sample| as_histogram(&sample.value)) {
            if histogram::is_reset(before, histogram) {
                growth = histogram::added(&growth, before);
            }
            before = histogram;
        }
    }
    Some(growth)
}

fn as_histogram(value: &SampleValue) -> Option<&ExpHist> {
    if let SampleValue::Histogram(histogram) = value { Some(histogram) } else { None }
}

fn last_two(over: &Over<'_, '_>, span: &Span<'_>, counter: bool) -> Option<SampleValue> {
    let [.., before, after] = span.samples else { return None };
    let factor = if counter { 1_000.0 / (after.at - before.at) as f64 } else { 1.0 };
    match (&before.value, &after.value) {
        (SampleValue::Float(before), SampleValue::Float(after)) => {
            let growth = if counter && after < before { *after } else { after - before };
            Some(SampleValue::Float(growth * factor))
        }
        (SampleValue::Histogram(before), SampleValue::Histogram(after)) => {
            let reset = counter && histogram::is_reset(before, after);
            let growth = if reset { after.as_ref().clone() } else { histogram::subtracted(after, before) };
            Some(SampleValue::Histogram(histogram::scaled(&growth, factor).into()))
        }
        _ => {
            over.warn_mixed(span);
            None
        }
    }
}
