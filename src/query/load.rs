//! Reads what a query needs, each selector once for all its steps; subqueries are read by evaluating them.

use std::collections::HashMap;

use super::ast::*;
use super::element::{Element, Source, Val};
use super::error::QueryError;
use super::eval::{DUPLICATE, Eval, steps};
use crate::model::{Labels, Matcher, Sample, SampleValue, TimeRange};

/// Evaluation times from `first` to `last`, unix milliseconds.
#[derive(Clone, Copy)]
pub(super) struct Times {
    pub(super) first: i64,
    pub(super) last: i64,
}

impl Eval<'_> {
    /// Fills every source below `node` for evaluations within `times`.
    pub(super) fn load(&self, node: &Node, times: Times) -> Result<(), QueryError> {
        match &node.kind {
            NodeKind::Number(_) | NodeKind::Text(_) => Ok(()),
            NodeKind::Paren(inner) | NodeKind::Unary(_, inner) => self.load(inner, times),
            NodeKind::Binary(binary) => {
                self.load(&binary.left, times)?;
                self.load(&binary.right, times)
            }
            NodeKind::Aggregate(aggregate) => {
                if let Some(param) = &aggregate.param {
                    self.load(param, times)?;
                }
                self.load(&aggregate.inner, times)
            }
            NodeKind::Call(call) => {
                if let Some(source) = call.info {
                    // The second argument names labels, not data.
                    self.load_info(call, source, times)?;
                    return self.load(&call.args[0], times);
                }
                call.args.iter().try_for_each(|arg| self.load(arg, times))
            }
            NodeKind::Selector(selector) => {
                let lookback = self.options.lookback.as_millis() as i64;
                self.select(selector.source, &selector.matchers, self.shift(&selector.shift, times)?, lookback, true)
            }
            NodeKind::Range(range) => {
                let (selector, back) = (&range.selector, self.length(&range.range)?);
                self.select(selector.source, &selector.matchers, self.shift(&selector.shift, times)?, back, false)
            }
            NodeKind::Subquery(subquery) => self.subquery(subquery, times),
        }
    }

    fn shift(&self, shift: &Shift, times: Times) -> Result<Times, QueryError> {
        Ok(Times { first: self.shifted(shift, times.first)?, last: self.shifted(shift, times.last)? })
    }

    /// Reads samples from `back` milliseconds before the first time up to the last.
    pub(super) fn select(&self, source: usize, matchers: &[Matcher], times: Times, back: i64, keep_stale: bool) -> Result<(), QueryError> {
        let range = TimeRange { start: times.first.saturating_sub(back), end: times.last };
        let selected = self.data.select_within(matchers, range, &self.room)?;
        self.note_damage(selected.warnings);
        self.count_series(selected.series.len())?;
        let mut sources: Vec<Source> = Vec::with_capacity(selected.series.len());
        for mut slice in selected.series {
            if !keep_stale {
                slice.samples.retain(|sample| sample.value != SampleValue::Stale);
            }
            self.count_samples(slice.samples.len())?;
            sources.push(Source { labels: slice.labels, drop_name: false, samples: slice.samples, born: slice.start_time });
        }
        sources.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        self.fill(source, sources);
        Ok(())
    }

    fn subquery(&self, subquery: &Subquery, times: Times) -> Result<(), QueryError> {
        let step = match &subquery.step {
            Some(step) => self.length(step)?,
            None => (self.options.default_step.as_millis() as i64).max(1),
        };
        let Times { first, last } = self.shift(&subquery.shift, times)?;
        let after = first.saturating_sub(self.length(&subquery.range)?);
        let first = after.div_euclid(step).saturating_add(1).saturating_mul(step);
        if first > last {
            self.fill(subquery.source, Vec::new());
            return Ok(());
        }
        self.check_steps(last.saturating_sub(first) / step)?;
        self.load(&subquery.inner, Times { first, last })?;
        let mut rows: HashMap<(Labels, bool), usize> = HashMap::new();
        let mut sources: Vec<Source> = Vec::new();
        for at in steps(first, last, step) {
            self.check_deadline()?;
            let Val::Vector(elements) = self.eval(&subquery.inner, at)? else { break };
            self.keep(&elements)?;
            for Element { labels, drop_name, value } in elements {
                let row = *rows.entry((labels.clone(), drop_name)).or_insert_with(|| {
                    sources.push(Source { labels, drop_name, samples: Vec::new(), born: None });
                    sources.len() - 1
                });
                let samples = &mut sources[row].samples;
                if samples.last().is_some_and(|sample| sample.at == at) {
                    return Err(QueryError::execution(DUPLICATE));
                }
                samples.push(Sample { at, value });
            }
        }
        self.fill(subquery.source, sources);
        Ok(())
    }
}
