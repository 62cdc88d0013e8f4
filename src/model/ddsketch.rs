//! The sketch Datadog merges on its servers, with the agent's parameters (`upstreams.md` 4).

/// ln(1 + 2/128).
const GAMMA_LN: f64 = 0.015_504_186_535_965_254;
/// Added to a key so that the smallest value that is not zero gets key 1.
pub const BIAS: i32 = 1_338;
/// Magnitudes below this are zero.
const NORM_MIN: f64 = 9.941_854_089_121_45e-10;
/// Bins kept; beyond it the lowest fold into the lowest kept.
const MAX_BINS: usize = 4_096;

/// Weighted bins by key, with count, sum and extremes, in the unit of the wire.
#[derive(Clone, Debug, PartialEq)]
pub struct DdSketch {
    /// Bins ascending by key, none empty.
    pub bins: Vec<(i16, f64)>,
    /// Sum of weights.
    pub count: f64,
    /// Sum of value times weight.
    pub sum: f64,
    /// Smallest value.
    pub min: f64,
    /// Largest value.
    pub max: f64,
}

impl Default for DdSketch {
    fn default() -> Self {
        DdSketch { bins: Vec::new(), count: 0.0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY }
    }
}

impl DdSketch {
    /// Adds a finite value with a positive weight.
    pub fn record(&mut self, value: f64, weight: f64) {
        self.count += weight;
        self.sum = super::sketch::saturate(self.sum + value * weight);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        let key = key(value);
        match self.bins.binary_search_by_key(&key, |&(at, _)| at) {
            Ok(at) => self.bins[at].1 += weight,
            Err(at) => self.bins.insert(at, (key, weight)),
        }
        if self.bins.len() > MAX_BINS {
            let (_, folded) = self.bins.remove(0);
            self.bins[0].1 += folded;
        }
    }
}

/// The key of a finite value.
pub fn key(value: f64) -> i16 {
    if value < 0.0 {
        return -key(-value);
    }
    if value < NORM_MIN {
        return 0;
    }
    let key = (value.ln() / GAMMA_LN).round_ties_even() + f64::from(BIAS);
    // At most 32,767: the clamp is the agent's.
    key.clamp(1.0, 32_767.0) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_agents() {
        let table = [
            (1e-9, 1),
            (0.001, 892),
            (0.5, 1293),
            (1.0, 1338),
            (2.0, 1383),
            (10.0, 1487),
            (42.0, 1579),
            (100.0, 1635),
            (1000.0, 1784),
            (65535.0, 2053),
            (1e6, 2229),
            (1e9, 2675),
            (-1.0, -1338),
            (-42.0, -1579),
            (0.0, 0),
            (1e300, 32_767),
        ];
        for (value, expected) in table {
            assert_eq!(key(value), expected, "{value}");
        }
    }

    #[test]
    fn bins_are_sorted_and_counted() {
        let mut sketch = DdSketch::default();
        for value in [1.0, 2.0, 2.0, -1.0, 0.0] {
            sketch.record(value, 1.0);
        }
        assert_eq!(sketch.bins, [(-1338, 1.0), (0, 1.0), (1338, 1.0), (1383, 2.0)]);
        assert_eq!((sketch.count, sketch.sum), (5.0, 4.0));
    }
}
