//! The figures a timer or histogram is sent as.

use serde::{Deserialize, Serialize};

use crate::model::Sketches;

/// One figure of a timer or histogram, in the names of the Datadog agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HistogramAggregate {
    Max,
    Min,
    Median,
    Avg,
    Sum,
    Count,
}

impl HistogramAggregate {
    /// What is appended to the metric's name.
    pub const fn suffix(self) -> &'static str {
        match self {
            HistogramAggregate::Max => ".max",
            HistogramAggregate::Min => ".min",
            HistogramAggregate::Median => ".median",
            HistogramAggregate::Avg => ".avg",
            HistogramAggregate::Sum => ".sum",
            HistogramAggregate::Count => ".count",
        }
    }

    /// The figure, in the unit of the wire.
    pub(super) fn of(self, sketches: &Sketches) -> f64 {
        match self {
            HistogramAggregate::Max => sketches.max,
            HistogramAggregate::Min => sketches.min,
            HistogramAggregate::Median => ranked(sketches, ((sketches.count - 1.0) / 2.0).floor(), 0.5),
            HistogramAggregate::Avg => sketches.sum / sketches.count,
            HistogramAggregate::Sum => sketches.sum,
            HistogramAggregate::Count => sketches.count,
        }
    }
}

/// The percentile `percent`, in the unit of the wire.
pub(super) fn percentile(sketches: &Sketches, percent: u8) -> f64 {
    let percent = f64::from(percent);
    ranked(sketches, ((percent * sketches.count - 1.0) / 100.0).floor(), percent / 100.0)
}

/// The first sample whose cumulative weight exceeds `rank`, as the agent counts; from the sketch at `q` when
/// the samples are not at hand.
fn ranked(sketches: &Sketches, rank: f64, q: f64) -> f64 {
    let Some(raw) = &sketches.raw else {
        return (sketches.exp.quantile(q) * wire_scale(sketches)).clamp(sketches.min, sketches.max);
    };
    let mut seen = 0.0;
    for &(value, weight) in raw {
        seen += weight;
        if seen > rank {
            return value;
        }
    }
    sketches.max
}

/// What turns the sketch's unit into the wire's: 1, or 1000 where timers are folded in seconds.
fn wire_scale(sketches: &Sketches) -> f64 {
    let (wire, folded) =
        if sketches.max.abs() >= sketches.min.abs() { (sketches.max, sketches.exp.max) } else { (sketches.min, sketches.exp.min) };
    let scale = (wire / folded).round();
    if scale.is_finite() && scale >= 1.0 { scale } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ExpHist;

    fn sketches(samples: &[(f64, f64)], unit: f64, keep: bool) -> Sketches {
        let mut exp = ExpHist::default();
        for &(value, weight) in samples {
            exp.record(value * unit, weight);
        }
        Sketches {
            count: samples.iter().map(|(_, weight)| weight).sum(),
            sum: samples.iter().map(|(value, weight)| value * weight).sum(),
            min: samples.first().map_or(0.0, |sample| sample.0),
            max: samples.last().map_or(0.0, |sample| sample.0),
            raw: keep.then(|| samples.to_vec()),
            exp,
            dd: None,
        }
    }

    #[test]
    fn the_documented_example_gives_the_documented_figures() {
        let samples: Vec<(f64, f64)> = [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0, 3.0].map(|value| (value, 1.0)).to_vec();
        let sketches = sketches(&samples, 1.0, true);
        assert_eq!(HistogramAggregate::Median.of(&sketches), 2.0);
        assert_eq!(HistogramAggregate::Avg.of(&sketches), 1.875);
        assert_eq!(HistogramAggregate::Max.of(&sketches), 3.0);
        assert_eq!(percentile(&sketches, 95), 3.0);
        assert_eq!(percentile(&sketches, 37), 1.0);
        assert_eq!(percentile(&sketches, 38), 2.0);
    }

    #[test]
    fn weights_count_as_samples() {
        let sketches = sketches(&[(1.0, 10.0), (5.0, 2.0)], 1.0, true);
        assert_eq!(HistogramAggregate::Median.of(&sketches), 1.0);
        assert_eq!(percentile(&sketches, 95), 5.0);
        assert_eq!(percentile(&sketches, 83), 1.0);
    }

    #[test]
    fn sketches_in_seconds_answer_in_the_unit_of_the_wire() {
        for unit in [0.001, 1.0] {
            let samples: Vec<(f64, f64)> = (1..=200).map(|value| (f64::from(value), 1.0)).collect();
            let sketches = sketches(&samples, unit, false);
            let median = HistogramAggregate::Median.of(&sketches);
            assert!((median - 100.0).abs() < 1.2, "{median}");
            assert!((percentile(&sketches, 95) - 190.0).abs() < 2.2);
        }
    }
}
