//! Relative changes of gauges, until it is known which absolute value each of them follows.

use crate::aggregate::standing::{Body, Standings};
use crate::model::sketch::saturate;

/// Changes that are noted before earlier ones are added up.
pub(super) const DELTAS_MAX: usize = 1 << 18;

/// The changes that are not added up so far, in memory that is bounded: see [`Deltas::settle_earlier`].
pub(super) struct Deltas {
    pub(super) waiting: Vec<Delta>,
    /// How many there may be before earlier ones are added up.
    at_most: usize,
    /// Batches with smaller stamps had begun when lanes were last asked for all they have.
    pub(super) begun: u64,
}

pub(super) struct Delta {
    slot: u32,
    stamp: u64,
    value: f64,
}

impl Deltas {
    pub(super) fn new() -> Deltas {
        Deltas { waiting: Vec::new(), at_most: DELTAS_MAX, begun: 0 }
    }

    pub(super) fn push(&mut self, slot: u32, stamp: u64, value: f64) {
        self.waiting.push(Delta { slot, stamp, value });
    }

    /// Whether earlier ones should be added up.
    pub(super) fn are_many(&self) -> bool {
        self.waiting.len() > self.at_most
    }

    /// Adds up all: the window ends, and every set of it has come.
    pub(super) fn settle(&mut self, standings: &mut Standings) {
        self.settle_before(u64::MAX, standings);
        self.at_most = DELTAS_MAX;
    }

    /// Adds up those that no set can come between any more: of batches that had begun by the last call and are recorded
    /// by now. Lanes have just given every set they hold; batches with smaller stamps than `begun` had begun by then.
    pub(super) fn settle_earlier(&mut self, begun: u64, standings: &mut Standings) {
        self.settle_before(self.begun, standings);
        self.begun = begun;
        self.at_most = self.waiting.len() + DELTAS_MAX;
    }

    /// A gauge stands at its latest set of the window and every later change, of those with smaller stamps than `before`.
    fn settle_before(&mut self, before: u64, standings: &mut Standings) {
        self.waiting.sort_unstable_by_key(|delta| (delta.slot, delta.stamp));
        self.waiting.retain(|delta| {
            if delta.stamp >= before {
                return true;
            }
            if let Some(Body::Gauge { value, set }) = standings.get_mut(delta.slot).map(|standing| &mut standing.body)
                && delta.stamp > *set
            {
                *value = saturate(*value + delta.value);
            }
            false
        });
        self.waiting.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::cut::Base;
    use crate::aggregate::standing::{Place, Standing};
    use crate::model::series::Spelling;
    use crate::model::{Kind, Series};

    const SLOT: u32 = 3;

    /// One gauge, which was set to 100 by the line with this stamp.
    fn gauge_set_at(stamp: u64) -> Standings {
        let spelling = Spelling { name: b"g", tags: b"", kind: Kind::Gauge, style: Default::default() };
        let series = Series::new(SLOT, spelling, "g", &[]).unwrap();
        let place = Place { family: 0, row: 0 };
        let mut standings = Standings::default();
        standings.insert(Standing { body: Body::new(series.kind(), &Base::default()), series, last: 0, expire: 0, place });
        set(&mut standings, 100.0, stamp);
        standings
    }

    fn set(standings: &mut Standings, to: f64, stamp: u64) {
        let Body::Gauge { value, set } = &mut standings.get_mut(SLOT).unwrap().body else { panic!("a gauge") };
        (*value, *set) = (to, stamp);
    }

    fn value(standings: &Standings) -> f64 {
        let Body::Gauge { value, .. } = standings.get(SLOT).unwrap().body else { panic!("a gauge") };
        value
    }

    #[test]
    fn a_gauge_stands_at_its_latest_set_and_every_later_change() {
        let (mut standings, mut deltas) = (gauge_set_at(20), Deltas::new());
        for (stamp, change) in [(30, 1.0), (10, 2.0), (21, -4.0), (19, 8.0)] {
            deltas.push(SLOT, stamp, change);
        }
        deltas.push(SLOT + 1, 30, 16.0);
        deltas.settle(&mut standings);
        assert_eq!((value(&standings), deltas.waiting.capacity()), (97.0, 0));
    }

    #[test]
    fn changes_are_added_up_early_when_every_set_before_them_has_come() {
        let (mut standings, mut deltas) = (gauge_set_at(1), Deltas::new());
        deltas.push(SLOT, 10, 1.0);
        deltas.push(SLOT, 40, 2.0);
        deltas.settle_earlier(30, &mut standings);
        assert_eq!(value(&standings), 100.0, "a batch that had begun may still be recorded");
        // It brings a set from before the first change.
        set(&mut standings, 50.0, 5);
        deltas.settle_earlier(60, &mut standings);
        assert_eq!((value(&standings), deltas.waiting.len()), (51.0, 1));
        // A set from before the second one: nothing later was added to what it overwrites.
        set(&mut standings, 200.0, 35);
        deltas.settle(&mut standings);
        assert_eq!((value(&standings), deltas.waiting.len()), (202.0, 0));
    }

    #[test]
    fn it_is_told_when_there_are_many_and_again_after_as_many_more() {
        let (mut standings, mut deltas) = (gauge_set_at(1), Deltas::new());
        let add = |deltas: &mut Deltas, count: usize| (0..count).for_each(|_| deltas.push(SLOT, 100, 1.0));
        add(&mut deltas, DELTAS_MAX);
        assert!(!deltas.are_many());
        add(&mut deltas, 1);
        assert!(deltas.are_many());
        deltas.settle_earlier(50, &mut standings);
        assert!(!deltas.are_many(), "none of them could be added up, so as many more may come");
        deltas.settle(&mut standings);
        add(&mut deltas, DELTAS_MAX + 1);
        assert!(deltas.are_many());
    }
}
