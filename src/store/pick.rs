//! Which series a selection is about.

use std::sync::Arc;

use super::Store;
use super::head::Head;
use super::role::Number;
use super::shelf::Known;
use super::symbols::Symbols;
use crate::encode::number;
use crate::model::labels::{LE, NAME, QUANTILE, moved_aside};
use crate::model::{ExpHist, Form, Labels, MatchOp, Matcher, SelectError, TimeRange};

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
    /// One series per upper bound, the infinite one too.
    Buckets(Vec<(f64, Labels)>),
}

/// A series that was chosen.
pub(super) struct Pick {
    pub(super) number: Number,
    pub(super) view: View,
    pub(super) created: i64,
    pub(super) touched: i64,
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
                    let form = head.names.at(known.name).and_then(|name| name.form.as_ref());
                    picker.views(&metric, named, (known, &head.index.symbols), head.ever(number), form, |view| {
                        sets += view.sets();
                        picks.push(Pick { number, view, created: known.created, touched: known.touched });
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
    pub(super) fn sets(&self) -> usize {
        match self {
            View::Summary(parts) | View::Buckets(parts) => parts.len(),
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

/// Which of a metric's names were asked for: its own, that of its count, that of its sum, that of its buckets.
type Named = [bool; 4];

impl<'a> Picker<'a> {
    pub(super) fn new(matchers: &'a [Matcher], percentiles: &'a [f64]) -> Picker<'a> {
        let (names, labels): (Vec<&Matcher>, Vec<&Matcher>) = matchers.iter().partition(|matcher| matcher.name == NAME);
        let by_quantile = labels.iter().any(|matcher| matcher.name == QUANTILE);
        Picker { names, labels, by_quantile, percentiles }
    }

    /// Whether a name as it is shown was asked for.
    pub(super) fn names(&self, name: &str) -> bool {
        self.names.iter().all(|matcher| matcher.matches(name))
    }

    fn named(&self, metric: &str) -> Named {
        let shown = |of: &str| self.names(&format!("{metric}{of}"));
        [self.names(metric), shown("_count"), shown("_sum"), shown("_bucket")]
    }

    pub(super) fn fits(&self, labels: &Labels) -> bool {
        self.fit(|name| labels.get(name))
    }

    fn fit<'b>(&self, get: impl Fn(&str) -> &'b str) -> bool {
        self.labels.iter().all(|matcher| matcher.matches(get(&matcher.name)))
    }

    /// The labels of each part, told apart by a label, that were asked for.
    fn parts(&self, labels: &Labels, label: &str, parts: impl Iterator<Item = f64>) -> Vec<(f64, Labels)> {
        parts.map(|part| (part, labels.with(label, &number::text(part)))).filter(|(_, labels)| self.fits(labels)).collect()
    }

    fn views(
        &self,
        metric: &str,
        [own, count, sum, bucket]: Named,
        (known, symbols): (&Known, &Symbols),
        ever: Option<&ExpHist>,
        form: Option<&Form>,
        mut pick: impl FnMut(View),
    ) {
        let Some(ever) = ever else {
            if own && self.fit(|name| symbols.get(&known.labels, name)) {
                pick(View::Floats(symbols.labels(&known.labels)));
            }
            return;
        };
        // Until it is told how its family is shown, it is as it was.
        let form = form
            .cloned()
            .unwrap_or_else(|| ever.buckets.as_ref().map_or_else(Form::default, |buckets| Form::Histogram(buckets.bounds().clone())));
        let labels = moved_aside(symbols.labels(&known.labels), form.label());
        let of = |suffix: &str| labels.with(NAME, &format!("{metric}{suffix}"));
        let in_parts = match &form {
            Form::Histogram(bounds) if bucket => {
                let bounds = bounds.iter().copied().chain([f64::INFINITY]);
                Some(View::Buckets(self.parts(&of("_bucket"), LE, bounds)))
            }
            Form::Summary(own_shares) if own && self.by_quantile => {
                let shares = own_shares.as_deref().unwrap_or(self.percentiles).iter().copied();
                Some(View::Summary(self.parts(&labels, QUANTILE, shares)))
            }
            _ => None,
        };
        in_parts.filter(|view| view.sets() > 0).into_iter().for_each(&mut pick);
        if !self.fits(&labels) {
            return;
        }
        if count {
            pick(View::Count(of("_count")));
        }
        if sum {
            pick(View::Sum(of("_sum")));
        }
        if own && !self.by_quantile {
            pick(View::Histogram(labels));
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
        let parts = [Some(name), name.strip_suffix("_count"), name.strip_suffix("_sum"), name.strip_suffix("_bucket")];
        parts.into_iter().flatten().filter_map(|part| self.index.metrics.get_key_value(part).map(own)).collect()
    }
}

impl Known {
    pub(super) fn lived_in(&self, range: TimeRange) -> bool {
        self.created < range.end && self.left > range.start
    }
}
