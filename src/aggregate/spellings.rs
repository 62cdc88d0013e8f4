//! What names which series: the first spelling of each, and others as they came.

use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use foldhash::quality::RandomState;

use super::keys::{First, Known, Spelled};
use super::{Resolved, Route};
use crate::model::Series;
use crate::model::series::Spelling;
use crate::parse::ToleratedSet;

/// Series by the bytes on the wire. Whoever puts a spelling in waits for its turn; the rest is free.
#[derive(Default)]
pub(super) struct Spellings {
    /// The first spelling of each series, if its lines are taken as they come: nearly all there are.
    first: DashMap<First, (), RandomState>,
    /// What else is known; no spelling is in both.
    known: DashMap<Known, (), RandomState>,
    /// How many of them are not the first of their series. It follows what enters and what leaves the map, never
    /// what should be there.
    further: AtomicUsize,
}

impl Spellings {
    /// Where a spelling leads, if its series has not left.
    pub(super) fn find(&self, spelling: &Spelling<'_>) -> Option<Route> {
        let (series, tolerated, scale) = match self.first.get(spelling as &dyn Spelled) {
            Some(first) => (first.key().0.clone(), ToleratedSet::default(), 1.0),
            None => {
                let known = self.known.get(spelling as &dyn Spelled)?;
                (known.key().series.clone(), known.key().tolerated, known.key().scale)
            }
        };
        (!series.is_gone()).then_some(Route { resolved: Resolved::Series(series), tolerated, scale })
    }

    /// Puts a spelling in the place of what it named before. Answers how many bytes more further spellings take.
    pub(super) fn put(&self, known: Known) -> i64 {
        self.first.remove(&known as &dyn Spelled);
        let left = self.known.remove(&known as &dyn Spelled).map_or(0, |(before, ())| self.left(&before));
        let entered = known.further_bytes();
        self.further.fetch_add(usize::from(known.other.is_some()), Ordering::Relaxed);
        if known.is_plain() {
            self.first.insert(First(known.series), ());
        } else {
            self.known.insert(known, ());
        }
        entered - left
    }

    /// Forgets the first spelling of a series. Answers how many bytes fewer further spellings take.
    pub(super) fn forget_first_of(&self, series: &Series) -> i64 {
        let spelling = series.spelling();
        self.first.remove_if(&spelling as &dyn Spelled, |first, ()| first.0.same(series));
        let first = self.known.remove_if(&spelling as &dyn Spelled, |known, ()| known.series.same(series));
        first.map_or(0, |(known, ())| self.left(&known))
    }

    /// Forgets all further spellings of series that have left. Answers how many bytes fewer they take.
    pub(super) fn forget_further_of_the_gone(&self) -> i64 {
        let mut bytes = 0;
        if self.further() > 0 {
            self.known.retain(|known, ()| {
                let keep = known.other.is_none() || !known.series.is_gone();
                if !keep {
                    bytes += self.left(known);
                }
                keep
            });
        }
        bytes
    }

    /// Lets go of room that nothing is in.
    pub(super) fn shrink_to_fit(&self) {
        self.first.shrink_to_fit();
        self.known.shrink_to_fit();
    }

    /// Spellings that are not the first of their series.
    pub(super) fn further(&self) -> usize {
        self.further.load(Ordering::Relaxed)
    }

    fn left(&self, known: &Known) -> i64 {
        self.further.fetch_sub(usize::from(known.other.is_some()), Ordering::Relaxed);
        known.further_bytes()
    }
}
