//! The series of one role in the order of their numbers, with what they hold in memory.

use super::role::{Number, Role};
use super::symbols::Symbolic;
use super::tracks::Tracks;
use crate::model::Series;
use crate::model::sketch::saturate;

/// In place of the time a series left: it has not.
pub(super) const LIVE: i64 = i64::MAX;

/// A series the store knows. It fills one cache line.
#[derive(Debug)]
pub(super) struct Known {
    /// Name and tags as received; `None` for recorded series, which are their labels.
    pub(super) series: Option<Series>,
    pub(super) labels: Symbolic,
    /// Index of its name and kind; meaningless for recorded series.
    pub(super) name: u64,
    /// Start of the window of its birth.
    pub(super) created: i64,
    /// End of the last window it received something in.
    pub(super) touched: i64,
    /// When it left, or [`LIVE`].
    pub(super) left: i64,
    /// Running total of a counter, last value of a gauge, a set or a recorded series.
    pub(super) value: f64,
}

/// A counter's total after a window: it never falls.
pub(super) fn total_after(total: f64, gain: f64) -> f64 {
    if gain > 0.0 { saturate(total + gain) } else { total }
}

impl Known {
    pub(super) fn is_live(&self) -> bool {
        self.left == LIVE
    }
}

/// Series of one role, ascending by number.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) role: Role,
    /// The sequence the next birth gets.
    pub(super) next: u64,
    pub(super) numbers: Vec<Number>,
    /// One per number.
    pub(super) known: Vec<Known>,
    /// The samples of each.
    pub(super) tracks: Tracks,
}

impl Shelf {
    pub(super) fn new(role: Role) -> Shelf {
        Shelf { role, next: 0, numbers: Vec::new(), known: Vec::new(), tracks: Tracks::new(role) }
    }

    /// How many of them are live.
    pub(super) fn live(&self) -> usize {
        self.known.iter().filter(|known| known.is_live()).count()
    }

    /// Where the series with a number is.
    pub(super) fn find(&self, number: Number) -> Option<usize> {
        self.numbers.binary_search(&number).ok()
    }

    /// The same, where it is likely at `near`, which becomes the place after it.
    pub(super) fn find_near(&self, number: Number, near: &mut usize) -> Option<usize> {
        let place = if self.numbers.get(*near) == Some(&number) { *near } else { self.find(number)? };
        *near = place + 1;
        Some(place)
    }

    pub(super) fn get(&self, number: Number) -> Option<&Known> {
        self.find(number).map(|at| &self.known[at])
    }

    /// Adds a series behind all others; `None` when the role has no number left or it is not the last.
    pub(super) fn add(&mut self, number: Number, known: Known) -> Option<usize> {
        if self.numbers.last().is_some_and(|last| *last >= number) {
            return None;
        }
        self.next = number.sequence() + 1;
        self.numbers.push(number);
        self.known.push(known);
        self.tracks.add();
        Some(self.known.len() - 1)
    }

    /// The number a birth gets.
    pub(super) fn next_number(&self) -> Option<Number> {
        (self.next < Number::SEQUENCES).then(|| Number::new(self.role, self.next))
    }

    /// Notes that a series is here again; true when it had left.
    ///
    /// The answer must not also be counted here: rustc 1.95 drops a comparison that is used twice, as a number and by
    /// the branch it is inlined before (rust-lang/rust#158206).
    pub(super) fn revive(&mut self, at: usize) -> bool {
        std::mem::replace(&mut self.known[at].left, LIVE) != LIVE
    }

    /// Adds a float sample; false when the slot is taken.
    pub(super) fn push(&mut self, at: usize, slot: u16, value: f64) -> bool {
        self.known[at].value = value;
        self.tracks.push(at, slot, value)
    }

    /// Ends a live series; false when it had left or the slot is taken.
    pub(super) fn end(&mut self, at: usize, slot: u16, time: i64) -> bool {
        if !self.known[at].is_live() {
            return false;
        }
        self.known[at].left = time;
        self.tracks.end(at, slot)
    }

    /// Forgets the series whose number is not `kept`.
    pub(super) fn retain(&mut self, kept: impl Fn(Number) -> bool) {
        let kept: Vec<bool> = self.numbers.iter().map(|&number| kept(number)).collect();
        self.tracks.retain(&kept);
        let mut is_kept = kept.iter().copied();
        self.known.retain(|_| is_kept.next().unwrap_or(true));
        let mut is_kept = kept.iter().copied();
        self.numbers.retain(|_| is_kept.next().unwrap_or(true));
    }
}
