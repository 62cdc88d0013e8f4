//! A sketch being filled: its buckets lie side by side, so that a value costs no search.

use super::ExpHist;
use super::sketch::{self, MAX_BUCKETS, START_SCHEMA, ZERO_THRESHOLD, saturate};

/// Collects weighted values; [`Tally::close`] gives the sketch.
#[derive(Clone, Debug)]
pub struct Tally {
    schema: i8,
    count: f64,
    sum: f64,
    min: f64,
    max: f64,
    zero: f64,
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

impl Default for Tally {
    fn default() -> Self {
        Tally {
            schema: START_SCHEMA,
            count: 0.0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            zero: 0.0,
            positive: Side::default(),
            negative: Side::default(),
        }
    }
}

impl Tally {
    /// Adds a finite value with a positive weight.
    pub fn record(&mut self, value: f64, weight: f64) {
        self.count += weight;
        self.sum = saturate(self.sum + value * weight);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        let magnitude = value.abs();
        if magnitude <= ZERO_THRESHOLD {
            self.zero += weight;
            return;
        }
        let finest = sketch::finest_index(magnitude);
        loop {
            let side = if value > 0.0 { &mut self.positive } else { &mut self.negative };
            if side.add(sketch::lowered(finest, START_SCHEMA - self.schema), weight) {
                return;
            }
            self.schema -= 1;
            self.positive.halve();
            self.negative.halve();
        }
    }

    /// The sketch of everything recorded.
    pub fn close(self) -> ExpHist {
        ExpHist {
            schema: self.schema,
            count: self.count,
            sum: self.sum,
            min: self.min,
            max: self.max,
            zero: self.zero,
            positive: self.positive.close(),
            negative: self.negative.close(),
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

    /// Buckets of twice the width.
    fn halve(&mut self) {
        let fine = std::mem::take(self);
        for (index, weight) in fine.close() {
            // Half of a span that fitted fits.
            self.add(sketch::lowered(index, 1), weight);
        }
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
            let value = sign * (0.01 + random.f64()) * 10_f64.powi(random.i32(-1..3));
            let weight = f64::from(random.u32(1..4));
            tally.record(value, weight);
            sketch.record(value, weight);
        }
        assert_eq!(tally.close(), sketch);
    }

    #[test]
    fn a_range_too_wide_lowers_the_schema_and_loses_no_weight() {
        let mut tally = Tally::default();
        for power in -29..1_000 {
            tally.record(f64::from(power).exp2(), 1.0);
            tally.record(-f64::from(power).exp2(), 2.0);
        }
        let sketch = tally.close();
        assert!(sketch.schema < START_SCHEMA && sketch.positive.len() <= MAX_BUCKETS);
        let weights = |side: &[(i32, f64)]| side.iter().map(|(_, weight)| weight).sum::<f64>();
        assert_eq!((weights(&sketch.positive), weights(&sketch.negative)), (1_029.0, 2_058.0));
    }
}
