//! Classic buckets: how much was at most as much as each of some bounds, counted value by value.

use std::sync::Arc;

use super::labels::{LE, QUANTILE};

/// How the samples of a timer, histogram or distribution are shown, beside their sum and count.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// Quantiles of the last minutes: these shares, or those of `aggregate.percentiles`.
    Summary(Option<Arc<[f64]>>),
    /// Buckets with these upper bounds, ascending and finite; one without a bound is always there.
    Histogram(Arc<[f64]>),
}

impl Form {
    /// The type that Prometheus knows it by.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Form::Summary(_) => "summary",
            Form::Histogram(_) => "histogram",
        }
    }

    /// The label that tells its quantiles or buckets apart.
    pub const fn label(&self) -> &'static str {
        match self {
            Form::Summary(_) => QUANTILE,
            Form::Histogram(_) => LE,
        }
    }
}

impl Default for Form {
    fn default() -> Form {
        Form::Summary(None)
    }
}

/// Weights by the smallest bound that a value does not exceed. What exceeds every bound is not in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Buckets {
    /// Upper bounds, ascending and finite.
    bounds: Arc<[f64]>,
    /// One per bound, of the values above the bound before.
    weights: Vec<f64>,
}

impl Buckets {
    /// Bounds there are, at most: each is a line of the page for every series.
    pub const MAX: usize = 200;

    /// Empty buckets.
    pub fn new(bounds: &Arc<[f64]>) -> Buckets {
        Buckets { bounds: bounds.clone(), weights: vec![0.0; bounds.len()] }
    }

    /// Buckets of so many weights as bounds; further weights are left out, missing ones are 0.
    pub fn with_weights(bounds: &Arc<[f64]>, mut weights: Vec<f64>) -> Buckets {
        weights.resize(bounds.len(), 0.0);
        Buckets { bounds: bounds.clone(), weights }
    }

    /// Upper bounds, ascending and finite.
    pub fn bounds(&self) -> &Arc<[f64]> {
        &self.bounds
    }

    /// One per bound: the weight of the values above the bound before and not above this one.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// Adds a value.
    pub fn record(&mut self, value: f64, weight: f64) {
        let at = self.bounds.partition_point(|&bound| bound < value);
        if let Some(have) = self.weights.get_mut(at) {
            *have += weight;
        }
    }

    /// Adds what others hold, within the bounds of these.
    pub fn add(&mut self, other: &Buckets) {
        let same = Arc::ptr_eq(&self.bounds, &other.bounds) || self.bounds == other.bounds;
        for (at, (&bound, &weight)) in other.bounds.iter().zip(&other.weights).enumerate() {
            // Within other bounds a value counts where it is known to be: below the first one that is not less.
            let at = if same { at } else { self.bounds.partition_point(|&own| own < bound) };
            if let Some(have) = self.weights.get_mut(at) {
                *have += weight;
            }
        }
    }

    /// The same within other bounds: each counts what is known not to exceed it.
    #[must_use]
    pub fn within(&self, bounds: &Arc<[f64]>) -> Buckets {
        let mut moved = Buckets::new(bounds);
        moved.add(self);
        moved
    }

    /// Each bound, and last of all infinity, with the weight of what does not exceed it, of `count` in all.
    pub fn cumulative(&self, count: f64) -> impl Iterator<Item = (f64, f64)> + '_ {
        let mut below = 0.0;
        let finite = self.bounds.iter().zip(&self.weights).map(move |(&bound, &weight)| {
            below += weight;
            // Weights that are no whole numbers add up to a little more in one order than in another.
            (bound, f64::min(below, count))
        });
        finite.chain(std::iter::once((f64::INFINITY, count)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(bounds: &[f64], values: &[f64]) -> Buckets {
        let mut buckets = Buckets::new(&bounds.into());
        values.iter().for_each(|&value| buckets.record(value, 2.0));
        buckets
    }

    #[test]
    fn a_value_counts_from_the_bound_that_it_equals_on() {
        let buckets = buckets(&[-1.0, 0.25, 0.5, 10.0], &[0.25, 0.25_f64.next_up(), -1.0, -5.0, 0.0, 11.0, 10.0]);
        let shown: Vec<(f64, f64)> = buckets.cumulative(14.0).collect();
        assert_eq!(shown, [(-1.0, 4.0), (0.25, 8.0), (0.5, 10.0), (10.0, 12.0), (f64::INFINITY, 14.0)]);
    }

    #[test]
    fn within_other_bounds_only_what_is_known_counts() {
        let cases: [(&[f64], &[f64]); 5] =
            [(&[1.0, 2.0, 4.0], &[2.0, 2.0, 2.0]), (&[2.0], &[4.0]), (&[0.5, 1.5, 3.0], &[0.0, 2.0, 2.0]), (&[5.0], &[6.0]), (&[], &[])];
        for (bounds, weights) in cases {
            let moved = buckets(&[1.0, 2.0, 4.0], &[0.7, 1.7, 3.5, 9.0]).within(&bounds.into());
            assert_eq!(moved.weights(), weights, "{bounds:?}");
        }
    }

    #[test]
    fn no_bucket_holds_more_than_there_is() {
        let mut buckets = Buckets::new(&[1.0, 2.0].as_slice().into());
        (0..10).for_each(|_| buckets.record(0.5, 0.1));
        buckets.record(1.5, 0.1);
        let shown: Vec<f64> = buckets.cumulative(1.0).map(|(_, weight)| weight).collect();
        assert!(shown[0] <= 1.0 && shown[1] == 1.0 && shown[2] == 1.0, "{shown:?}");
    }
}
