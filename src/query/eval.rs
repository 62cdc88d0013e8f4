//! Evaluates a tree, one step at a time, over sources that were read once.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use regex::Regex;

use super::ast::*;
use super::element::{Element, Source, Span, Val, final_labels};
use super::error::{QueryError, position};
use super::load::Times;
use super::selector::{MAX_REGEXES, anchored};
use super::{Answer, Options, Value, VectorSample};
use crate::clock::Clock;
use crate::model::{Labels, Room, Sample, SampleValue, Select, SeriesSlice};

pub(super) const DUPLICATE: &str = "vector cannot contain metrics with the same labelset";

/// One evaluation of one expression.
pub(super) struct Eval<'a> {
    text: &'a str,
    pub(super) data: &'a dyn Select,
    pub(super) options: &'a Options,
    /// The query's own bounds: unix milliseconds, and a step that is 0 for an instant query.
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) step: i64,
    sources: Vec<OnceCell<Vec<Source>>>,
    /// What its samples may take.
    pub(super) room: Room,
    samples: Cell<usize>,
    series: Cell<usize>,
    warnings: RefCell<BTreeSet<String>>,
    infos: RefCell<BTreeSet<String>>,
    /// Those of `label_replace`, compiled once.
    regexes: RefCell<HashMap<String, Regex>>,
}

pub(super) fn instant(expr: &Expr, at: i64, data: &dyn Select, options: &Options) -> Result<Answer, QueryError> {
    let eval = Eval::new(expr, (at, at, 0), data, options)?;
    let value = match eval.eval(&expr.root, at)? {
        Val::Scalar(value) => Value::Scalar(value),
        Val::Text(text) => Value::String(text.to_string()),
        Val::Vector(elements) => Value::Vector(distinct(elements, at)?),
        Val::Matrix(spans) => Value::Matrix(matrix(spans)?),
    };
    Ok(eval.answer(value))
}

pub(super) fn range(expr: &Expr, start: i64, end: i64, step: i64, data: &dyn Select, options: &Options) -> Result<Answer, QueryError> {
    if step <= 0 {
        return Err(QueryError::execution("zero or negative query resolution step widths are not accepted"));
    }
    if !matches!(expr.root.value_type(), Type::Scalar | Type::Vector) {
        let have = expr.root.value_type().as_str();
        let message = format!("invalid expression type {have:?} for range query, must be Scalar or instant Vector");
        return Err(QueryError { kind: super::ErrorKind::BadData, message, span: Some(expr.root.span.clone()) });
    }
    let eval = Eval::new(expr, (start, end, step), data, options)?;
    let mut rows: HashMap<Labels, usize> = HashMap::new();
    let mut series: Vec<SeriesSlice> = Vec::new();
    for at in steps(start, end, step) {
        let elements = match eval.eval(&expr.root, at)? {
            Val::Scalar(value) => vec![Element::float(Labels::default(), value)],
            Val::Vector(elements) => elements,
            Val::Text(_) | Val::Matrix(_) => Vec::new(),
        };
        eval.check_deadline()?;
        eval.keep(&elements)?;
        for element in elements {
            let labels = element.final_labels();
            let row = *rows.entry(labels.clone()).or_insert_with(|| {
                series.push(SeriesSlice { labels, samples: Vec::new(), start_time: None });
                series.len() - 1
            });
            let samples = &mut series[row].samples;
            if samples.last().is_some_and(|sample| sample.at == at) {
                return Err(QueryError::execution(DUPLICATE));
            }
            samples.push(Sample { at, value: element.value });
        }
    }
    series.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
    Ok(eval.answer(Value::Matrix(series)))
}

/// `start`, `start + step`, ... up to `end`.
pub(super) fn steps(start: i64, end: i64, step: i64) -> impl Iterator<Item = i64> {
    std::iter::successors(Some(start), move |at| at.checked_add(step)).take_while(move |at| *at <= end)
}

fn distinct(elements: Vec<Element>, at: i64) -> Result<Vec<VectorSample>, QueryError> {
    let mut seen = std::collections::HashSet::new();
    let mut out = Vec::with_capacity(elements.len());
    for element in elements {
        let labels = element.final_labels();
        if !seen.insert(labels.clone()) {
            return Err(QueryError::execution(DUPLICATE));
        }
        out.push(VectorSample { labels, at, value: element.value });
    }
    Ok(out)
}

fn matrix(spans: Vec<Span<'_>>) -> Result<Vec<SeriesSlice>, QueryError> {
    let slice = |span: Span<'_>| SeriesSlice {
        labels: final_labels(span.labels, span.drop_name),
        samples: span.samples.to_vec(),
        start_time: span.born,
    };
    let mut series: Vec<SeriesSlice> = spans.into_iter().map(slice).collect();
    series.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
    match series.windows(2).any(|pair| pair[0].labels == pair[1].labels) {
        true => Err(QueryError::execution(DUPLICATE)),
        false => Ok(series),
    }
}

impl<'a> Eval<'a> {
    fn new(
        expr: &'a Expr,
        (start, end, step): (i64, i64, i64),
        data: &'a dyn Select,
        options: &'a Options,
    ) -> Result<Eval<'a>, QueryError> {
        let eval = Eval {
            text: &expr.text,
            data,
            options,
            start,
            end,
            step,
            sources: (0..expr.sources).map(|_| OnceCell::new()).collect(),
            room: Room::new(Room::OF_A_QUERY, options.deadline),
            samples: Cell::new(0),
            series: Cell::new(0),
            warnings: RefCell::default(),
            infos: RefCell::default(),
            regexes: RefCell::default(),
        };
        eval.check_deadline()?;
        if start <= end {
            let last = if step == 0 { start } else { start + eval.width() / step * step };
            eval.check_steps(eval.width() / step.max(1))?;
            eval.load(&expr.root, Times { first: start, last })?;
        }
        Ok(eval)
    }

    fn answer(self, value: Value) -> Answer {
        Answer { value, warnings: self.warnings.into_inner().into_iter().collect(), infos: self.infos.into_inner().into_iter().collect() }
    }

    /// The value of `node` at `at`.
    pub(super) fn eval<'e>(&'e self, node: &'e Node, at: i64) -> Result<Val<'e>, QueryError> {
        Ok(match &node.kind {
            NodeKind::Number(value) => Val::Scalar(*value),
            NodeKind::Text(text) => Val::Text(text),
            NodeKind::Paren(inner) => self.eval(inner, at)?,
            NodeKind::Unary(negative, inner) => self.unary(*negative, inner, at)?,
            NodeKind::Binary(binary) => self.binary(binary, node, at)?,
            NodeKind::Aggregate(aggregate) => Val::Vector(self.aggregate(aggregate, at)?),
            NodeKind::Call(call) => self.call(call, at)?,
            NodeKind::Selector(selector) => {
                let current = self.current(selector, at)?;
                let element = |(labels, sample): (&Labels, &Sample)| Element {
                    labels: labels.clone(),
                    drop_name: false,
                    value: sample.value.clone(),
                };
                Val::Vector(current.map(element).collect())
            }
            NodeKind::Range(range) => Val::Matrix(self.spans(range.selector.source, &range.selector.shift, &range.range, at)?),
            NodeKind::Subquery(subquery) => Val::Matrix(self.spans(subquery.source, &subquery.shift, &subquery.range, at)?),
        })
    }

    /// The elements of a vector; none when it is another type.
    pub(super) fn vector(&self, node: &Node, at: i64) -> Result<Vec<Element>, QueryError> {
        Ok(if let Val::Vector(elements) = self.eval(node, at)? { elements } else { Vec::new() })
    }

    pub(super) fn scalar(&self, node: &Node, at: i64) -> Result<f64, QueryError> {
        Ok(if let Val::Scalar(value) = self.eval(node, at)? { value } else { f64::NAN })
    }

    pub(super) fn current(&self, selector: &Selector, at: i64) -> Result<impl Iterator<Item = (&Labels, &Sample)>, QueryError> {
        Ok(self.current_of(selector.source, self.shifted(&selector.shift, at)?))
    }

    /// The latest sample of each series that is not too old and not a stale mark.
    pub(super) fn current_of(&self, source: usize, at: i64) -> impl Iterator<Item = (&Labels, &Sample)> {
        let oldest = at.saturating_sub(self.options.lookback.as_millis() as i64);
        self.source(source).iter().filter_map(move |source| {
            let until = source.samples.partition_point(|sample| sample.at <= at);
            let last = &source.samples[until.checked_sub(1)?];
            (last.at > oldest && last.value != SampleValue::Stale).then_some((&source.labels, last))
        })
    }

    fn spans(&self, source: usize, shift: &Shift, range: &Length, at: i64) -> Result<Vec<Span<'_>>, QueryError> {
        let end = self.shifted(shift, at)?;
        let start = end.saturating_sub(self.length(range)?);
        let mut spans = Vec::new();
        for source in self.source(source) {
            let samples = source.between(start, end);
            if !samples.is_empty() {
                spans.push(Span { labels: &source.labels, drop_name: source.drop_name, samples, start, end, born: source.born });
            }
        }
        Ok(spans)
    }

    fn source(&self, number: usize) -> &[Source] {
        self.sources[number].get().map_or(&[], Vec::as_slice)
    }

    pub(super) fn fill(&self, number: usize, sources: Vec<Source>) {
        // Each source is loaded by its one node, once.
        let _ = self.sources[number].set(sources);
    }

    /// The time a selector looks at when the query is at `at`.
    pub(super) fn shifted(&self, shift: &Shift, at: i64) -> Result<i64, QueryError> {
        let base = match shift.at {
            None => at,
            Some(At::Time(time)) => time,
            Some(At::Start) => self.start,
            Some(At::End) => self.end,
        };
        let offset = shift.offset.as_ref().map_or(Ok(0), |offset| self.any_length(offset))?;
        Ok(base.saturating_sub(offset))
    }

    /// A length that must be positive, milliseconds.
    pub(super) fn length(&self, length: &Length) -> Result<i64, QueryError> {
        match self.any_length(length)? {
            ms if ms > 0 => Ok(ms),
            _ => Err(QueryError::execution("duration must be greater than 0")),
        }
    }

    fn any_length(&self, length: &Length) -> Result<i64, QueryError> {
        length.ms(self.step, self.width()).ok_or_else(|| QueryError::execution("duration out of range"))
    }

    /// From the first to the last step of the query, milliseconds.
    pub(super) fn width(&self) -> i64 {
        self.end.saturating_sub(self.start)
    }

    /// Steps cost time even where they find nothing, so they share the bound of samples.
    pub(super) fn check_steps(&self, steps: i64) -> Result<(), QueryError> {
        match usize::try_from(steps) {
            Ok(steps) if steps <= self.options.max_samples => Ok(()),
            _ => Err(crate::model::SelectError::TooManySamples(self.options.max_samples).into()),
        }
    }

    pub(super) fn warn(&self, byte: usize, message: impl std::fmt::Display) {
        self.warnings.borrow_mut().insert(format!("PromQL warning: {message} ({})", position(self.text, byte)));
    }

    pub(super) fn inform(&self, byte: usize, message: impl std::fmt::Display) {
        self.infos.borrow_mut().insert(format!("PromQL info: {message} ({})", position(self.text, byte)));
    }

    /// A regex anchored at both ends; the error says why there is none.
    pub(super) fn regex(&self, pattern: &str) -> Result<Regex, String> {
        if let Some(regex) = self.regexes.borrow().get(pattern) {
            return Ok(regex.clone());
        }
        if self.regexes.borrow().len() >= MAX_REGEXES {
            return Err(format!("more than {MAX_REGEXES} in one query"));
        }
        let regex = anchored(pattern).map_err(|_| pattern.to_string())?;
        self.regexes.borrow_mut().insert(pattern.to_string(), regex.clone());
        Ok(regex)
    }

    pub(super) fn note_damage(&self, warnings: Vec<String>) {
        self.warnings.borrow_mut().extend(warnings);
    }

    pub(super) fn count_samples(&self, more: usize) -> Result<(), QueryError> {
        self.samples.set(self.samples.get() + more);
        match self.samples.get() > self.options.max_samples {
            true => Err(crate::model::SelectError::TooManySamples(self.options.max_samples).into()),
            false => Ok(()),
        }
    }

    /// Counts what a step gave; histograms that a source has too are there already.
    pub(super) fn keep(&self, elements: &[Element]) -> Result<(), QueryError> {
        self.count_samples(elements.len())?;
        self.room.take(elements.len() * size_of::<Sample>());
        for element in elements {
            if let SampleValue::Histogram(own) = &element.value
                && Arc::strong_count(own) == 1
            {
                self.room.take(own.bytes());
            }
        }
        Ok(self.room.check(Clock::system().instant())?)
    }

    pub(super) fn count_series(&self, more: usize) -> Result<(), QueryError> {
        self.series.set(self.series.get() + more);
        match self.series.get() > self.options.max_series {
            true => Err(crate::model::SelectError::TooManySeries(self.options.max_series).into()),
            false => Ok(()),
        }
    }

    pub(super) fn check_deadline(&self) -> Result<(), QueryError> {
        match self.options.deadline {
            Some(deadline) if Clock::system().instant() >= deadline => Err(QueryError::timeout()),
            _ => Ok(()),
        }
    }
}
