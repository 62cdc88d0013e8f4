//! Function calls: what a table's body is applied to, and the functions that need more than one value.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::ast::*;
use super::date::Date;
use super::element::{Element, Val};
use super::error::QueryError;
use super::eval::{DUPLICATE, Eval};
use super::functions::{Body, WindowFn};
use super::over_time::Over;
use crate::model::labels::NAME;
use crate::model::{ExpHist, Labels, MatchOp, SampleValue};

type Called<'e> = Result<Val<'e>, QueryError>;

impl Eval<'_> {
    pub(super) fn call<'e>(&'e self, call: &'e Call, at: i64) -> Called<'e> {
        match call.function.body {
            Body::Float(of) => self.floats(call, at, of),
            Body::Date(of) => match call.args.is_empty() {
                true => {
                    let value = Date::new(at as f64 / 1_000.0).map_or(f64::NAN, |date| of(&date));
                    Ok(Val::Vector(vec![Element::float(Labels::default(), value)]))
                }
                false => self.floats(call, at, |seconds| Date::new(seconds).map_or(f64::NAN, |date| of(&date))),
            },
            Body::Histogram(of) => self.histograms(call, at, of),
            Body::Window(of) => self.window(call, at, of, true),
            Body::Pick(of) => self.window(call, at, of, false),
            Body::Call(of) => of(self, call, at),
        }
    }

    fn floats<'e>(&'e self, call: &'e Call, at: i64, of: impl Fn(f64) -> f64) -> Called<'e> {
        let elements = self.vector(&call.args[0], at)?;
        let of = |element: &Element| element.as_float().map(|value| element.becomes(SampleValue::Float(of(value))));
        Ok(Val::Vector(elements.iter().filter_map(of).collect()))
    }

    fn histograms<'e>(&'e self, call: &'e Call, at: i64, of: fn(&ExpHist) -> f64) -> Called<'e> {
        let elements = self.vector(&call.args[0], at)?;
        let of = |element: &Element| match &element.value {
            SampleValue::Histogram(histogram) => Some(element.becomes(SampleValue::Float(of(histogram)))),
            _ => None,
        };
        Ok(Val::Vector(elements.iter().filter_map(of).collect()))
    }

    fn window<'e>(&'e self, call: &'e Call, at: i64, of: WindowFn, other_quantity: bool) -> Called<'e> {
        let mut over = Over { eval: self, byte: 0, params: Vec::new(), at };
        let mut spans = Vec::new();
        for arg in &call.args {
            match self.eval(arg, at)? {
                Val::Matrix(matrix) => {
                    over.byte = arg.span.start;
                    spans = matrix;
                }
                Val::Scalar(value) => over.params.push(value),
                Val::Text(_) | Val::Vector(_) => {}
            }
        }
        self.check_params(call, &over.params)?;
        let of =
            |span| of(&over, span).map(|value| Element { labels: span.labels.clone(), drop_name: other_quantity || span.drop_name, value });
        Ok(Val::Vector(spans.iter().filter_map(of).collect()))
    }

    fn check_params(&self, call: &Call, params: &[f64]) -> Result<(), QueryError> {
        match (call.function.name, params) {
            ("quantile_over_time", &[q]) if q.is_nan() || !(0.0..=1.0).contains(&q) => {
                let message = format_args!("quantile value should be between 0 and 1, got {}", super::print::number(q));
                self.warn(call.args[0].span.start, message);
            }
            ("double_exponential_smoothing", &[smoothing, trend]) => {
                for (what, factor) in [("smoothing", smoothing), ("trend", trend)] {
                    if factor <= 0.0 || factor >= 1.0 {
                        return Err(QueryError::execution(format!(
                            "invalid {what} factor. Expected: 0 < {} < 1, got: {factor}",
                            &what[..1]
                        )));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn text<'e>(&'e self, node: &'e Node, at: i64) -> Result<&'e str, QueryError> {
        Ok(if let Val::Text(text) = self.eval(node, at)? { text } else { "" })
    }
}

fn unwrapped(node: &Node) -> &Node {
    let mut node = node;
    while let NodeKind::Paren(inner) = &node.kind {
        node = inner;
    }
    node
}

pub(super) fn absent<'e>(eval: &'e Eval<'_>, call: &'e Call, at: i64) -> Called<'e> {
    let present = !eval.vector(&call.args[0], at)?.is_empty();
    Ok(Val::Vector(if present { Vec::new() } else { vec![Element::float(absent_labels(&call.args[0]), 1.0)] }))
}

pub(super) fn absent_over_time<'e>(eval: &'e Eval<'_>, call: &'e Call, at: i64) -> Called<'e> {
    let present = matches!(eval.eval(&call.args[0], at)?, Val::Matrix(spans) if !spans.is_empty());
    Ok(Val::Vector(if present { Vec::new() } else { vec![Element::float(absent_labels(&call.args[0]), 1.0)] }))
}

/// The labels a selector fixes to one value.
fn absent_labels(node: &Node) -> Labels {
    let matchers = match &unwrapped(node).kind {
        NodeKind::Selector(selector) => &selector.matchers,
        NodeKind::Range(range) => &range.selector.matchers,
        _ => return Labels::default(),
    };
    let alone = |name: &str| matchers.iter().filter(|other| other.name == name).count() == 1;
    let fixed = matchers.iter().filter(|matcher| matches!(matcher.op, MatchOp::Equal) && matcher.name != NAME && alone(&matcher.name));
    Labels::new(fixed.map(|matcher| (matcher.name.as_str(), matcher.value.as_str())))
}

pub(super) fn clamp<'e>(eval: &'e Eval<'_>, call: &'e Call, at: i64) -> Called<'e> {
    clamped(eval, call, at, eval.scalar(&call.args[1], at)?, eval.scalar(&call.args[2], at)?)
}

pub(super) fn clamp_min<'e>(eval: &'e Eval<'_>, call: &'e Call, at: i64) -> Called<'e> {
    clamped(eval, call, at, eval.scalar(&call.args[1], at)?, f64::INFINITY)
}

pub(super) fn clamp_max<'e>(eval: &'e Eval<'_>, call: &'e Call, at: i64) -> Called<'e> {
    clamped(eval, call, at, f64::NEG_INFINITY, eval.scalar(&call.args[1], at)?)
}

fn clamped<'e>(eval: &'e Eval<'_>, call: &'e Call, at: i64, low: f64, high: f64) -> Called<'e> {
    if low > high {
        return Ok(Val::Vector(Vec::new()));
    }
    eval.floats(call, at, |value| greater(low, lesser(high, value)))
}

/// Unlike `f64::max`, NaN wins.
fn greater(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

fn lesser(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

pub(super) fn max_of<'e>(eval: &'e Eval<'_>, call: &'e Call, at: i64) -> Called<'e> {
    Ok(Val::Scalar(greater(eval.scalar(&call.args[0], at)?, eval.scalar(&call.args[1], at)?)))
}

pub(super) fn min_of<'e>(eval: &'e Eval<'_>, call: &'e Call, at: i64) -> Called<'e> {
    Ok(Val::Scalar(lesser(eval.scalar(&call.args[0], at)?, eval.scalar(&call.args[1], at)?)))
}

pub(super) fn round<'e>(eval: &'e Eval<'_>, call: &'e Call, at: i64) -> Called<'e> {
    let nearest = call.args.get(1).map_or(Ok(1.0), |arg| eval.scalar(arg, at))?;
    // Dividing by the inverse loses less than multiplying by the step.
    let inverse = 1.0 / nearest;
    eval.floats(call, at, |value| (value * inverse + 0.5).floor() / inverse)
}

pub(super) fn label_replace<'e>(eval: &'e Eval<'_>, call: &'e Call, at: i64) -> Called<'e> {
    let mut elements = eval.vector(&call.args[0], at)?;
    let text = |number: usize| eval.text(&call.args[number], at);
    let (target, replacement, source, pattern) = (text(1)?, text(2)?, text(3)?, text(4)?);
    let regex =
        eval.regex(pattern).map_err(|_| QueryError::execution(format!("invalid regular expression in label_replace(): {pattern}")))?;
    if target.is_empty() {
        return Err(QueryError::execution(format!("invalid destination label name in label_replace(): {target}")));
    }
    for element in &mut elements {
        if let Some(captures) = regex.captures(element.labels.get(source)) {
            let mut value = String::new();
            captures.expand(replacement, &mut value);
            relabel(element, target, &value);
        }
    }
    distinct(elements)
}

pub(super) fn label_join<'e>(eval: &'e Eval<'_>, call: &'e Call, at: i64) -> Called<'e> {
    let mut elements = eval.vector(&call.args[0], at)?;
    let target = eval.text(&call.args[1], at)?;
    let separator = eval.text(&call.args[2], at)?;
    let sources = call.args[3..].iter().map(|arg| eval.text(arg, at)).collect::<Result<Vec<_>, _>>()?;
    if target.is_empty() {
        return Err(QueryError::execution(format!("invalid destination label name in label_join(): {target}")));
    }
    for element in &mut elements {
        let values: Vec<&str> = sources.iter().map(|source| element.labels.get(source)).collect();
        relabel(element, target, &values.join(separator));
    }
    distinct(elements)
}

fn relabel(element: &mut Element, target: &str, value: &str) {
    element.labels = element.labels.with(target, value);
    if target == NAME {
        element.drop_name = false;
    }
}

fn distinct<'e>(elements: Vec<Element>) -> Called<'e> {
    let mut seen = HashSet::new();
    match elements.iter().all(|element| seen.insert(&element.labels)) {
        true => Ok(Val::Vector(elements)),
        false => Err(QueryError::execution(DUPLICATE)),
    }
}

pub(super) fn sort<'e>(eval: &'e Eval<'_>, call: &'e Call, at: i64) -> Called<'e> {
    sorted(eval, call, at, f64::total_cmp)
}

pub(super) fn sort_desc<'e>(eval: &'e Eval<'_>, call: &'e Call, at: i64) -> Called<'e> {
    sorted(eval, call, at, |a, b| b.total_cmp(a))
}

/// NaN stands last in either direction.
fn sorted<'e>(eval: &'e Eval<'_>, call: &'e Call, at: i64, order: fn(&f64, &f64) -> Ordering) -> Called<'e> {
    warn_range_sort(eval, call);
    let mut elements = eval.vector(&call.args[0], at)?;
    elements.retain(|element| element.as_float().is_some());
    elements.sort_by(|a, b| {
        let (a, b) = (a.as_float().unwrap_or(f64::NAN), b.as_float().unwrap_or(f64::NAN));
        if a.is_nan() || b.is_nan() { a.is_nan().cmp(&b.is_nan()) } else { order(&a, &b) }
    });
    Ok(Val::Vector(elements))
}

fn warn_range_sort(eval: &Eval<'_>, call: &Call) {
    if eval.step > 0 {
        eval.warn(
            call.args[0].span.start,
            format_args!("{} is ineffective for range queries since results are always ordered by labels", call.function.name),
        );
    }
}

pub(super) fn sort_by_label<'e>(eval: &'e Eval<'_>, call: &'e Call, at: i64) -> Called<'e> {
    Ok(Val::Vector(sorted_by_label(eval, call, at)?))
}

pub(super) fn sort_by_label_desc<'e>(eval: &'e Eval<'_>, call: &'e Call, at: i64) -> Called<'e> {
    let mut elements = sorted_by_label(eval, call, at)?;
    elements.reverse();
    Ok(Val::Vector(elements))
}

fn sorted_by_label(eval: &Eval<'_>, call: &Call, at: i64) -> Result<Vec<Element>, QueryError> {
    warn_range_sort(eval, call);
    let names = call.args[1..].iter().map(|arg| eval.text(arg, at)).collect::<Result<Vec<_>, _>>()?;
    let mut elements = eval.vector(&call.args[0], at)?;
    elements.sort_by(|a, b| {
        let by_label = names.iter().map(|name| natural(a.labels.get(name), b.labels.get(name)));
        by_label.fold(Ordering::Equal, Ordering::then).then_with(|| a.labels.cmp(&b.labels))
    });
    Ok(elements)
}

/// Runs of digits compare as numbers, so that `cpu9` comes before `cpu10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        if a.is_empty() || b.is_empty() {
            return a.len().cmp(&b.len());
        }
        let ((x, rest_a), (y, rest_b)) = (chunk(a), chunk(b));
        let digits = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
        let order = if digits(x) && digits(y) {
            let (x, y) = (x.trim_start_matches('0'), y.trim_start_matches('0'));
            x.len().cmp(&y.len()).then_with(|| x.cmp(y))
        } else {
            x.cmp(y)
        };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// The leading run of digits or of other characters.
fn chunk(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    text.split_at(text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len()))
}

pub(super) fn timestamp<'e>(eval: &'e Eval<'_>, call: &'e Call, at: i64) -> Called<'e> {
    let seconds = |ms: i64| SampleValue::Float(ms as f64 / 1_000.0);
    if let NodeKind::Selector(selector) = &unwrapped(&call.args[0]).kind {
        let current = eval.current(selector, at)?;
        let stamped = current.map(|(labels, sample)| Element { labels: labels.clone(), drop_name: true, value: seconds(sample.at) });
        return Ok(Val::Vector(stamped.collect()));
    }
    let elements = eval.vector(&call.args[0], at)?;
    Ok(Val::Vector(elements.iter().map(|element| element.becomes(seconds(at))).collect()))
}

/// The value of the only float; NaN without one, or with several.
pub(super) fn scalar<'e>(eval: &'e Eval<'_>, call: &'e Call, at: i64) -> Called<'e> {
    let elements = eval.vector(&call.args[0], at)?;
    let floats: Vec<f64> = elements.iter().filter_map(Element::as_float).collect();
    Ok(Val::Scalar(if let [only] = floats[..] { only } else { f64::NAN }))
}

pub(super) fn vector<'e>(eval: &'e Eval<'_>, call: &'e Call, at: i64) -> Called<'e> {
    Ok(Val::Vector(vec![Element::float(Labels::default(), eval.scalar(&call.args[0], at)?)]))
}

pub(super) fn time<'e>(_: &'e Eval<'_>, _: &'e Call, at: i64) -> Called<'e> {
    Ok(Val::Scalar(at as f64 / 1_000.0))
}

pub(super) fn pi<'e>(_: &'e Eval<'_>, _: &'e Call, _: i64) -> Called<'e> {
    Ok(Val::Scalar(std::f64::consts::PI))
}

pub(super) fn start<'e>(eval: &'e Eval<'_>, _: &'e Call, _: i64) -> Called<'e> {
    Ok(Val::Scalar(eval.start as f64 / 1_000.0))
}

pub(super) fn end<'e>(eval: &'e Eval<'_>, _: &'e Call, _: i64) -> Called<'e> {
    Ok(Val::Scalar(eval.end as f64 / 1_000.0))
}

pub(super) fn step<'e>(eval: &'e Eval<'_>, _: &'e Call, _: i64) -> Called<'e> {
    Ok(Val::Scalar(eval.step as f64 / 1_000.0))
}

pub(super) fn range<'e>(eval: &'e Eval<'_>, _: &'e Call, _: i64) -> Called<'e> {
    Ok(Val::Scalar(eval.width() as f64 / 1_000.0))
}
