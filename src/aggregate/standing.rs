//! What one series stands at: owned by the cut thread, touched by nothing else.

use std::sync::Arc;

use super::cut::Base;
use super::distinct::Distinct;
use crate::model::sketch::saturate;
use crate::model::{Buckets, DdSketch, Kind, Series, Sketches, Tally};

/// Values kept as they came, so that rare series have exact percentiles.
const RAW_MAX: usize = 64;

/// A live series and its values.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) series: Series,
    /// The last window it received something in.
    pub(super) last: u32,
    /// Idle windows after which it leaves; 0 = never.
    pub(super) expire: u32,
    pub(super) place: Place,
    pub(super) body: Body,
}

/// Where a series lies in a window: its family in the roster, its row in the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) family: u32,
    pub(super) row: u32,
}

/// All of them, by slot.
#[derive(Default)]
pub(super) struct Standings(Vec<Option<Standing>>);

#[derive(Debug)]
pub(super) enum Body {
    Counter {
        total: f64,
        gain: f64,
    },
    Gauge {
        value: f64,
        /// Of the latest sample that set it in this window; 0 = none.
        set: u64,
    },
    Set(Option<Box<Distinct>>),
    Dist {
        /// Running, in the unit of outputs.
        count: f64,
        sum: f64,
        window: Option<Box<Dist>>,
    },
}

impl Standings {
    pub(super) fn get(&self, slot: u32) -> Option<&Standing> {
        self.0.get(slot as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Standing> {
        self.0.get_mut(slot as usize)?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Standing> {
        self.0.iter().flatten()
    }

    pub(super) fn insert(&mut self, standing: Standing) {
        let slot = standing.series.slot() as usize;
        if self.0.len() <= slot {
            self.0.resize_with(slot + 1, || None);
        }
        self.0[slot] = Some(standing);
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Standing> {
        self.0.get_mut(slot as usize)?.take()
    }

    /// Lets go of room that stood for series which have left.
    pub(super) fn give_back(&mut self) {
        let used = self.0.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        self.0.truncate(used);
        self.0.shrink_to(used * 2);
    }
}

impl Standing {
    /// Leaves at the end of `window` when it was idle for too long and no lane has met it since; answers whether it has.
    pub(super) fn leave(&self, window: u32) -> bool {
        if self.expire == 0 || window.saturating_sub(self.last) < self.expire {
            return false;
        }
        let seen = self.series.last_met();
        seen <= window && self.series.leave(seen)
    }
}

impl Body {
    pub(super) fn new(kind: Kind, base: &Base) -> Body {
        match kind {
            Kind::Counter => Body::Counter { total: base.total, gain: 0.0 },
            Kind::Gauge => Body::Gauge { value: base.gauge, set: 0 },
            Kind::Set => Body::Set(None),
            Kind::Timer | Kind::Histogram | Kind::Distribution => Body::Dist { count: base.count, sum: base.sum, window: None },
        }
    }
}

/// What a timer, histogram or distribution received in the open window: everything, while it is little, then
/// what it comes to.
#[derive(Debug)]
pub(super) enum Dist {
    Raw(Vec<(f64, f64)>),
    Folded(Box<Folded>),
}

/// Sketches being filled, with extremes and sum in the unit of the wire.
#[derive(Debug)]
pub(super) struct Folded {
    sum: f64,
    min: f64,
    max: f64,
    exp: Tally,
    dd: Option<DdSketch>,
    buckets: Option<Box<Buckets>>,
}

/// How samples are folded into sketches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fold<'a> {
    /// Divides wire values to give the unit of outputs: 1,000 for timers shown in seconds.
    pub(super) divisor: f64,
    /// Whether Datadog's sketch is wanted too.
    pub(super) dd: bool,
    /// Bounds of buckets, where these are shown; in the unit of outputs. They count when it is folded and closed.
    pub(super) bounds: Option<&'a Arc<[f64]>>,
}

impl Default for Dist {
    fn default() -> Self {
        Dist::Raw(Vec::new())
    }
}

impl Dist {
    pub(super) fn record(&mut self, value: f64, weight: f64, fold: Fold<'_>) {
        match self {
            Dist::Folded(folded) => folded.add(value, weight, fold),
            Dist::Raw(raw) => raw.push((value, weight)),
        }
    }

    /// Whether it is time to fold.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Dist::Raw(raw) if raw.len() > RAW_MAX)
    }

    pub(super) fn fold(&mut self, fold: Fold<'_>) {
        if let Dist::Raw(raw) = self {
            *self = Dist::Folded(Box::new(Folded::new(raw, fold)));
        }
    }

    pub(super) fn close(self, fold: Fold<'_>) -> Sketches {
        match self {
            Dist::Folded(folded) => folded.close(None, fold),
            Dist::Raw(mut raw) => {
                raw.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
                raw.shrink_to_fit();
                Folded::new(&raw, fold).close(Some(raw), fold)
            }
        }
    }
}

impl Folded {
    fn new(raw: &[(f64, f64)], fold: Fold<'_>) -> Folded {
        let dd = fold.dd.then(DdSketch::default);
        let buckets = fold.bounds.map(|bounds| Box::new(Buckets::new(bounds)));
        let mut folded = Folded { sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY, exp: Tally::default(), dd, buckets };
        for &(value, weight) in raw {
            folded.add(value, weight, fold);
        }
        folded
    }

    fn add(&mut self, value: f64, weight: f64, fold: Fold<'_>) {
        self.sum = saturate(self.sum + value * weight);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        let shown = value / fold.divisor;
        self.exp.record(shown, weight);
        if let Some(buckets) = &mut self.buckets {
            buckets.record(shown, weight);
        }
        if let Some(dd) = &mut self.dd {
            dd.record(value, weight);
        }
    }

    fn close(self, raw: Option<Vec<(f64, f64)>>, fold: Fold<'_>) -> Sketches {
        let mut exp = self.exp.close();
        // The bounds may have changed since the first sample.
        let within = |bounds| Box::new(self.buckets.map_or_else(|| Buckets::new(bounds), |buckets| buckets.within(bounds)));
        exp.buckets = fold.bounds.map(within);
        Sketches { count: exp.count, sum: self.sum, min: self.min, max: self.max, raw, exp, dd: self.dd }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::series::Spelling;

    #[test]
    fn room_that_stood_for_series_which_have_left_is_given_back() {
        let mut standings = Standings::default();
        let spelling = Spelling { name: b"g", tags: b"", kind: Kind::Gauge, style: Default::default() };
        for slot in 0..1_000 {
            let series = Series::new(slot, spelling, "g", &[]).unwrap();
            let (place, body) = (Place { family: 0, row: slot }, Body::new(Kind::Gauge, &Base::default()));
            standings.insert(Standing { series, last: 0, expire: 0, place, body });
        }
        for slot in (0..1_000).filter(|slot| *slot != 3) {
            assert!(standings.remove(slot).is_some() && standings.remove(slot).is_none());
        }
        standings.give_back();
        assert_eq!(standings.iter().map(|standing| standing.place.row).collect::<Vec<_>>(), [3]);
        assert!(standings.0.capacity() <= 8, "{}", standings.0.capacity());
        assert!(standings.get(3).is_some() && standings.get(999).is_none() && standings.get_mut(999).is_none());
    }
}
