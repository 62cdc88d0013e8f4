//! What one series stands at: owned by the cut thread, touched by nothing else.

use super::cut::Base;
use super::distinct::Distinct;
use crate::model::sketch::saturate;
use crate::model::{DdSketch, ExpHist, Kind, Series, Sketches};

/// Values kept as they came, so that rare series have exact percentiles.
const RAW_MAX: usize = 64;

/// A live series and its values.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) series: Series,
    /// The last window it received something in.
    pub(super) last: u32,
    pub(super) family: u32,
    pub(super) row: u32,
    pub(super) body: Body,
}

#[derive(Debug)]
pub(super) enum Body {
    Counter {
        total: f64,
        gain: f64,
    },
    Gauge {
        value: f64,
        /// The latest absolute value of this window, with its stamp.
        set: Option<(u64, f64)>,
    },
    Set(Option<Box<Distinct>>),
    Dist {
        /// Running, in the unit of outputs.
        count: f64,
        sum: f64,
        window: Option<Box<Dist>>,
    },
}

impl Body {
    pub(super) fn new(kind: Kind, base: &Base) -> Body {
        match kind {
            Kind::Counter => Body::Counter { total: base.total, gain: 0.0 },
            Kind::Gauge => Body::Gauge { value: base.gauge, set: None },
            Kind::Set => Body::Set(None),
            Kind::Timer | Kind::Histogram | Kind::Distribution => Body::Dist { count: base.count, sum: base.sum, window: None },
        }
    }
}

/// What a timer, histogram or distribution received in the open window.
#[derive(Debug, Default)]
pub(super) struct Dist {
    /// Everything, while it is little; else the sketches hold it.
    raw: Vec<(f64, f64)>,
    sketches: Option<Box<Sketches>>,
}

/// How samples are folded into sketches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fold {
    /// Divides wire values to give the unit of outputs: 1,000 for timers shown in seconds.
    pub(super) divisor: f64,
    /// Whether Datadog's sketch is wanted too.
    pub(super) dd: bool,
}

impl Dist {
    pub(super) fn record(&mut self, value: f64, weight: f64, fold: Fold) {
        if let Some(sketches) = &mut self.sketches {
            return fold.add(sketches, value, weight);
        }
        self.raw.push((value, weight));
        if self.raw.len() > RAW_MAX {
            self.sketches = Some(Box::new(fold.fold(&self.raw)));
            self.raw = Vec::new();
        }
    }

    pub(super) fn close(mut self, fold: Fold) -> Sketches {
        match self.sketches {
            Some(sketches) => *sketches,
            None => {
                self.raw.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
                let mut sketches = fold.fold(&self.raw);
                sketches.raw = Some(self.raw);
                sketches
            }
        }
    }
}

impl Fold {
    fn fold(self, raw: &[(f64, f64)]) -> Sketches {
        let mut sketches = Sketches {
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            exp: ExpHist::default(),
            dd: self.dd.then(DdSketch::default),
            ..Sketches::default()
        };
        for &(value, weight) in raw {
            self.add(&mut sketches, value, weight);
        }
        sketches
    }

    fn add(self, sketches: &mut Sketches, value: f64, weight: f64) {
        sketches.count += weight;
        sketches.sum = saturate(sketches.sum + value * weight);
        sketches.min = sketches.min.min(value);
        sketches.max = sketches.max.max(value);
        sketches.exp.record(value / self.divisor, weight);
        if let Some(dd) = &mut sketches.dd {
            dd.record(value, weight);
        }
    }
}
