//! Which series a selection is about.

use std::sync::Arc;

use super::Store;
use super::head::Head;
use super::role::{Number, Role};
use super::shelf::Known;
use crate::model::labels::NAME;
use crate::model::{Labels, MatchOp, Matcher, SelectError, TimeRange};

/// Series looked at while windows wait for the head.
pub(super) const AT_ONCE: usize = 1_024;

/// How a series is shown.
#[derive(Clone, Debug)]
pub(super) enum View {
    Floats(Labels),
    Histogram(Labels),
    Count(Labels),
    Sum(Labels),
    /// One series per quantile.
    Summary(Vec<(f64, Labels)>),
}

/// A series that was chosen.
pub(super) struct Pick {
    pub(super) number: Number,
    pub(super) view: View,
    pub(super) created: i64,
}

impl Store {
    /// The series the matchers name that `may` have samples, within `most` label sets.
    pub(super) fn pick(&self, matchers: &[Matcher], most: usize, may: impl Fn(Number, &Known) -> bool) -> Result<Vec<Pick>, SelectError> {
        let picker = Picker::new(matchers, &self.0.percentiles);
        let metrics: Vec<(Arc<str>, Vec<Number>)> = self.0.head.read().metrics(&picker);
        let (mut picks, mut sets) = (Vec::new(), 0);
        for (metric, numbers) in metrics {
            let named = picker.named(&metric);
            for numbers in numbers.chunks(AT_ONCE) {
                // Let go of in between: a window that waits for the head comes first.
                let head = self.0.head.read();
                for &number in numbers {
                    let Some(known) = head.get(number).filter(|known| may(number, known)) else { continue };
                    picker.views(&metric, named, number, known, |view| {
                        sets += view.sets();
                        picks.push(Pick { number, view, created: known.created });
                    });
                    if sets > most {
                        return Err(SelectError::TooManySeries(most));
                    }
                }
            }
        }
        Ok(picks)
    }
}

impl View {
    /// How many series it is.
    fn sets(&self) -> usize {
        match self {
            View::Summary(quantiles) => quantiles.len(),
            _ => 1,
        }
    }
}

/// Matchers, sorted by what they are about.
pub(super) struct Picker<'a> {
    names: Vec<&'a Matcher>,
    labels: Vec<&'a Matcher>,
    by_quantile: bool,
    percentiles: &'a [f64],
}

/// Which of a metric's names were asked for: its own, that of its count, that of its sum.
type Named = [bool; 3];

impl<'a> Picker<'a> {
    pub(super) fn new(matchers: &'a [Matcher], percentiles: &'a [f64]) -> Picker<'a> {
        let (names, labels): (Vec<&Matcher>, Vec<&Matcher>) = matchers.iter().partition(|matcher| matcher.name == NAME);
        let by_quantile = labels.iter().any(|matcher| matcher.name == "quantile");
        Picker { names, labels, by_quantile, percentiles }
    }

    /// Whether a name as it is shown was asked for.
    pub(super) fn names(&self, name: &str) -> bool {
        self.names.iter().all(|matcher| matcher.matches(name))
    }

    fn named(&self, metric: &str) -> Named {
        [self.names(metric), self.names(&format!("{metric}_count")), self.names(&format!("{metric}_sum"))]
    }

    pub(super) fn fits(&self, labels: &Labels) -> bool {
        self.labels.iter().all(|matcher| matcher.matches(labels.get(&matcher.name)))
    }

    fn views(&self, metric: &str, [own, count, sum]: Named, number: Number, known: &Known, mut pick: impl FnMut(View)) {
        if number.role() != Some(Role::Sketch) {
            if own && self.fits(&known.labels) {
                pick(View::Floats(known.labels.clone()));
            }
            return;
        }
        if own && self.by_quantile {
            let of = |&q: &f64| (q, known.labels.with("quantile", &q.to_string()));
            let quantiles: Vec<(f64, Labels)> = self.percentiles.iter().map(of).filter(|(_, labels)| self.fits(labels)).collect();
            if !quantiles.is_empty() {
                pick(View::Summary(quantiles));
            }
        }
        if !self.fits(&known.labels) {
            return;
        }
        if own && !self.by_quantile {
            pick(View::Histogram(known.labels.clone()));
        }
        if count {
            pick(View::Count(known.labels.with(NAME, &format!("{metric}_count"))));
        }
        if sum {
            pick(View::Sum(known.labels.with(NAME, &format!("{metric}_sum"))));
        }
    }
}

impl Head {
    /// Metrics whose names can pass, those an equality names or all, and their series.
    fn metrics(&self, picker: &Picker<'_>) -> Vec<(Arc<str>, Vec<Number>)> {
        let exact = picker.names.iter().find(|matcher| matches!(matcher.op, MatchOp::Equal) && !matcher.value.is_empty());
        let own = |(name, numbers): (&Arc<str>, &Vec<Number>)| (name.clone(), numbers.clone());
        let Some(exact) = exact else {
            return self.index.metrics.iter().filter(|(metric, _)| picker.named(metric).contains(&true)).map(own).collect();
        };
        let name = exact.value.as_str();
        let parts = [Some(name), name.strip_suffix("_count"), name.strip_suffix("_sum")];
        parts.into_iter().flatten().filter_map(|part| self.index.metrics.get_key_value(part).map(own)).collect()
    }
}

impl Known {
    pub(super) fn lived_in(&self, range: TimeRange) -> bool {
        self.created < range.end && self.left > range.start
    }
}
