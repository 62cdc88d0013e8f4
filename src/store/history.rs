//! One hour of one timer in memory: the sketch of each window, and what they add up from.

use std::sync::Arc;

use super::bytes::{Reader, put_float, put_varint};
use super::sketch::{put_sketch, read_sketch};
use super::strand::{Closed, Pile, Strand};
use crate::model::ExpHist;

/// `n` windows in which nothing came.
const IDLE: u8 = 0;
/// `n` slots without a sample.
const GAP: u8 = 1;
/// The series ended in this slot.
const STALE: u8 = 2;
/// A window's sketch.
const WINDOW: u8 = 3;
/// What the series stands at after the next slot, whatever came before.
const STANDING: u8 = 4;
/// Count and sum as they stand after the next slot, to the last bit.
const EXACT: u8 = 5;

/// A timer at one point in time.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Point {
    /// What the window received, if anything, and everything since birth.
    Sample {
        window: Option<Arc<ExpHist>>,
        ever: Arc<ExpHist>,
    },
    Stale,
}

/// One window of a timer on its way into a history.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry<'a> {
    /// What the series stands at after this window; given where the hour begins or the series began anew.
    pub(super) standing: Option<&'a ExpHist>,
    /// What the window received, spelled as a sketch; empty for nothing.
    pub(super) window: &'a [u8],
    /// Running count and sum, where adding the window up does not give them to the last bit.
    pub(super) exact: Option<(f64, f64)>,
}

/// Sketches by slot, on the way.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    strand: Strand,
    next: u16,
    idle: u16,
    /// Says what the next sample is added to.
    stands: bool,
}

impl History {
    /// Adds a slot; slots ascend, an older one is refused.
    pub(super) fn push(&mut self, pile: &mut Pile, slot: u16, entry: Entry<'_>) -> bool {
        if !self.reach(pile, slot) {
            return false;
        }
        self.next += 1;
        self.stands = true;
        if let Some(standing) = entry.standing {
            let mut spelled = vec![STANDING];
            put_sketch(&mut spelled, standing);
            self.put(pile, &spelled);
        }
        if let Some((count, sum)) = entry.exact {
            let mut spelled = vec![EXACT];
            put_float(&mut spelled, count);
            put_float(&mut spelled, sum);
            self.put(pile, &spelled);
        }
        if entry.window.is_empty() {
            self.idle += 1;
        } else {
            self.put(pile, &[WINDOW]);
            self.strand.extend(pile, entry.window);
        }
        true
    }

    /// Windows are missing from here on: the next sample is added to something else.
    pub(super) fn break_off(&mut self) {
        self.stands = false;
    }

    /// Marks the end of the series in a slot.
    pub(super) fn end(&mut self, pile: &mut Pile, slot: u16) -> bool {
        if !self.reach(pile, slot) {
            return false;
        }
        self.next += 1;
        self.put(pile, &[STALE]);
        true
    }

    fn reach(&mut self, pile: &mut Pile, slot: u16) -> bool {
        if slot < self.next {
            return false;
        }
        if slot > self.next {
            self.put(pile, &[GAP]);
            self.strand.put_varint(pile, u64::from(slot - self.next));
            self.next = slot;
        }
        true
    }

    /// Adds bytes behind the idle windows before them.
    fn put(&mut self, pile: &mut Pile, bytes: &[u8]) {
        if self.idle > 0 {
            self.strand.push(pile, IDLE);
            self.strand.put_varint(pile, u64::from(self.idle));
            self.idle = 0;
        }
        self.strand.extend(pile, bytes);
    }

    /// Whether it says what a further sample is added to; the end of a series does not.
    pub(super) fn stands(&self) -> bool {
        self.stands
    }

    /// What was added so far, for [`each`].
    pub(super) fn read(&self, pile: &Pile) -> Vec<u8> {
        let mut bytes = self.strand.read(pile);
        if self.idle > 0 {
            bytes.push(IDLE);
            put_varint(&mut bytes, u64::from(self.idle));
        }
        bytes
    }

    /// Ends the hour and begins the next.
    pub(super) fn close(&mut self, pile: &mut Pile) -> Closed {
        self.put(pile, &[]);
        let closed = self.strand.close(pile);
        *self = History::default();
        closed
    }

    /// Gives back what it has on the pile.
    pub(super) fn release(&self, pile: &mut Pile) {
        self.strand.release(pile);
    }
}

/// Calls `see` with every slot of an hour.
pub(super) fn each(bytes: &[u8], mut see: impl FnMut(usize, Point)) {
    let mut cursor = Cursor::default();
    let mut from = Reader(bytes);
    while !from.is_empty() {
        if cursor.next(&mut from, &mut see).is_none() {
            return;
        }
    }
}

/// Where the reading of a history stands.
#[derive(Default)]
struct Cursor {
    slot: usize,
    ever: Arc<ExpHist>,
    standing: Option<ExpHist>,
    exact: Option<(f64, f64)>,
}

impl Cursor {
    fn next(&mut self, from: &mut Reader<'_>, see: &mut impl FnMut(usize, Point)) -> Option<()> {
        match from.byte()? {
            IDLE => {
                for _ in 0..from.varint()? {
                    self.emit(None, see);
                }
            }
            GAP => self.slot += from.size()?,
            STALE => {
                see(self.slot, Point::Stale);
                self.slot += 1;
            }
            WINDOW => {
                let window = read_sketch(from)?;
                self.emit(Some(Arc::new(window)), see);
            }
            EXACT => self.exact = Some((from.float()?, from.float()?)),
            _ => self.standing = Some(read_sketch(from)?),
        }
        Some(())
    }

    fn emit(&mut self, window: Option<Arc<ExpHist>>, see: &mut impl FnMut(usize, Point)) {
        match (self.standing.take(), &window) {
            (Some(standing), _) => self.ever = Arc::new(standing),
            (None, Some(window)) => Arc::make_mut(&mut self.ever).merge(window),
            (None, None) => {}
        }
        if let Some((count, sum)) = self.exact.take() {
            let ever = Arc::make_mut(&mut self.ever);
            (ever.count, ever.sum) = (count, sum);
        }
        see(self.slot, Point::Sample { window, ever: self.ever.clone() });
        self.slot += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(values: &[f64]) -> ExpHist {
        let mut sketch = ExpHist::default();
        values.iter().for_each(|&value| sketch.record(value, 1.0));
        sketch
    }

    #[test]
    fn windows_add_up_from_the_standing() {
        let (standing, first, second) = (sketch(&[1.0, 2.0, 3.0]), sketch(&[2.0, 3.0]), sketch(&[4.0]));
        let spelled = |sketch: &ExpHist| {
            let mut spelled = Vec::new();
            put_sketch(&mut spelled, sketch);
            spelled
        };
        let (mut history, mut pile) = (History::default(), Pile::default());
        assert!(history.push(&mut pile, 1, Entry { standing: Some(&standing), window: &spelled(&first), exact: None }));
        assert!(history.push(&mut pile, 2, Entry::default()));
        assert!(history.push(&mut pile, 3, Entry { window: &spelled(&second), exact: Some((4.5, 10.5)), ..Entry::default() }));
        assert!(history.end(&mut pile, 4));
        assert!(!history.push(&mut pile, 4, Entry::default()));
        assert!(history.push(&mut pile, 5, Entry::default()));
        let open = history.read(&pile);
        assert_eq!(open, history.close(&mut pile).read(&pile));
        let mut seen = Vec::new();
        each(&open, |slot, point| match point {
            Point::Sample { window, ever } => seen.push((slot, window.map(|window| window.count), ever.count, ever.sum)),
            Point::Stale => seen.push((slot, None, 0.0, 0.0)),
        });
        assert_eq!(
            seen,
            [(1, Some(2.0), 3.0, 6.0), (2, None, 3.0, 6.0), (3, Some(1.0), 4.5, 10.5), (4, None, 0.0, 0.0), (5, None, 4.5, 10.5)]
        );
    }
}
