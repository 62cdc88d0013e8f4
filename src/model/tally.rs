//! A sketch being filled: its buckets lie side by side, so that a value costs no search.

use super::ExpHist;
use super::sketch::{self, MAX_BUCKETS, ZERO_THRESHOLD, saturate};

/// Collects weighted values; [`Tally::close`] gives the sketch.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Everything but the buckets; the buckets too once values lie too far apart for a run of them.
    sketch: ExpHist,
    sparse: bool,
    positive: Side,
    negative: Side,
}

/// Weights of a run of neighbouring buckets; some may be empty.
#[derive(Clone, Debug, Default)]
struct Side {
    /// Index of the first bucket.
    first: i32,
    weights: Vec<f64>,
}

impl Tally {
    /// Adds a finite value with a positive weight.
    pub fn record(&mut self, value: f64, weight: f64) {
        if self.sparse {
            return self.sketch.record(value, weight);
        }
        let magnitude = value.abs();
        if magnitude > ZERO_THRESHOLD {
            let side = if value > 0.0 { &mut self.positive } else { &mut self.negative };
            if !side.add(sketch::finest_index(magnitude), weight) {
                self.settle();
                self.sparse = true;
                return self.sketch.record(value, weight);
            }
        } else {
            self.sketch.zero += weight;
        }
        self.sketch.count += weight;
        self.sketch.sum = saturate(self.sketch.sum + value * weight);
        self.sketch.min = self.sketch.min.min(value);
        self.sketch.max = self.sketch.max.max(value);
    }

    /// The sketch of everything recorded.
    pub fn close(mut self) -> ExpHist {
        self.settle();
        self.sketch
    }

    /// Moves the runs into the sketch.
    fn settle(&mut self) {
        if !self.sparse {
            self.sketch.positive = std::mem::take(&mut self.positive).close();
            self.sketch.negative = std::mem::take(&mut self.negative).close();
        }
    }
}

impl Side {
    /// False when the run would be longer than a sketch may be.
    fn add(&mut self, index: i32, weight: f64) -> bool {
        if self.weights.is_empty() {
            self.first = index;
        }
        let at = i64::from(index) - i64::from(self.first);
        if let Some(have) = usize::try_from(at).ok().and_then(|at| self.weights.get_mut(at)) {
            *have += weight;
            return true;
        }
        let span = if at < 0 { self.weights.len() as i64 - at } else { at + 1 };
        if span > MAX_BUCKETS as i64 {
            return false;
        }
        if at < 0 {
            self.weights.splice(0..0, std::iter::repeat_n(0.0, at.unsigned_abs() as usize));
            self.first = index;
        } else {
            self.weights.resize(span as usize, 0.0);
        }
        self.weights[(index - self.first) as usize] += weight;
        true
    }

    fn close(self) -> Vec<(i32, f64)> {
        let first = self.first;
        self.weights.into_iter().zip(first..).filter(|(weight, _)| *weight > 0.0).map(|(weight, index)| (index, weight)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_gives_what_the_sketch_itself_would() {
        let mut random = fastrand::Rng::with_seed(3);
        let (mut tally, mut sketch) = (Tally::default(), ExpHist::default());
        for _ in 0..5_000 {
            let sign = if random.bool() { 1.0 } else { -1.0 };
            let value = sign * random.f64() * 10_f64.powi(random.i32(-3..5));
            let weight = f64::from(random.u32(1..4));
            tally.record(value, weight);
            sketch.record(value, weight);
        }
        assert_eq!(tally.close(), sketch);
    }

    #[test]
    fn an_outlier_costs_the_others_nothing() {
        let (mut tally, mut sketch) = (Tally::default(), ExpHist::default());
        for value in (0..200).map(|at| 100.0 + f64::from(at % 7)).chain([1e300, -1e-8, 3.0]) {
            tally.record(value, 2.0);
            sketch.record(value, 2.0);
        }
        assert_eq!(tally.close(), sketch);
        assert_eq!(sketch.schema, super::sketch::START_SCHEMA);
    }
}
