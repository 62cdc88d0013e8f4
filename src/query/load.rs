//! Reads what a query needs, each selector once for all its steps; subqueries are read by evaluating them.

use std::collections::HashMap;

use super::ast::*;
use super::element::{Element, Source, Val};
use super::error::QueryError;
use super::eval::{DUPLICATE, Eval, steps};
use crate::model::{Labels, Sample, SampleValue, TimeRange};

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
                // The second argument of info() names labels, not data.
                let data = if call.function.name == "info" { &call.args[..1] } else { &call.args[..] };
                data.iter().try_for_each(|arg| self.load(arg, times))
            }
            NodeKind::Selector(selector) => {
                let lookback = self.options.lookback.as_millis() as i64;
                self.select(selector, times, lookback, true)
            }
            NodeKind::Range(range) => self.select(&range.selector, times, self.length(&range.range)?, false),
            NodeKind::Subquery(subquery) => self.subquery(subquery, times),
        }
    }

    fn select(&self, selector: &Selector, times: Times, back: i64, keep_stale: bool) -> Result<(), QueryError> {
        let range = TimeRange {
            start: self.shifted(&selector.shift, times.first)?.saturating_sub(back),
            end: self.shifted(&selector.shift, times.last)?,
        };
        let selected = self.data.select(&selector.matchers, range)?;
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
        self.fill(selector.source, sources);
        Ok(())
    }

    fn subquery(&self, subquery: &Subquery, times: Times) -> Result<(), QueryError> {
        let step = match &subquery.step {
            Some(step) => self.length(step)?,
            None => (self.options.default_step.as_millis() as i64).max(1),
        };
        let after = self.shifted(&subquery.shift, times.first)?.saturating_sub(self.length(&subquery.range)?);
        let last = self.shifted(&subquery.shift, times.last)?;
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
            self.count_samples(elements.len())?;
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
