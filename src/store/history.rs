//! One hour of one timer in memory: the sketch of each window, and what they add up from.

use std::sync::Arc;

use super::bytes::{Reader, put_float, put_varint};
use super::sketch::{put_sketch, read_sketch};
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
    /// What the window received.
    pub(super) window: Option<&'a ExpHist>,
    /// Running count and sum, where adding the window up does not give them to the last bit.
    pub(super) exact: Option<(f64, f64)>,
}

/// Sketches by slot.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    bytes: Vec<u8>,
    next: u16,
    idle: u16,
}

impl History {
    /// Adds a slot; slots ascend, an older one is refused.
    pub(super) fn push(&mut self, slot: u16, entry: Entry<'_>) -> bool {
        if !self.reach(slot) {
            return false;
        }
        self.next += 1;
        if let Some(standing) = entry.standing {
            self.flush();
            self.bytes.push(STANDING);
            put_sketch(&mut self.bytes, standing);
        }
        if let Some((count, sum)) = entry.exact {
            self.flush();
            self.bytes.push(EXACT);
            put_float(&mut self.bytes, count);
            put_float(&mut self.bytes, sum);
        }
        match entry.window {
            None => self.idle += 1,
            Some(window) => {
                self.flush();
                self.bytes.push(WINDOW);
                put_sketch(&mut self.bytes, window);
            }
        }
        true
    }

    /// Marks the end of the series in a slot.
    pub(super) fn end(&mut self, slot: u16) -> bool {
        if !self.reach(slot) {
            return false;
        }
        self.next += 1;
        self.flush();
        self.bytes.push(STALE);
        true
    }

    fn reach(&mut self, slot: u16) -> bool {
        if slot < self.next {
            return false;
        }
        if slot > self.next {
            self.flush();
            self.bytes.push(GAP);
            put_varint(&mut self.bytes, u64::from(slot - self.next));
            self.next = slot;
        }
        true
    }

    fn flush(&mut self) {
        if self.idle > 0 {
            self.bytes.push(IDLE);
            put_varint(&mut self.bytes, u64::from(self.idle));
            self.idle = 0;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.next == 0
    }

    /// Gives back what was reserved for growth.
    pub(super) fn settle(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// Calls `see` with every slot.
    pub(super) fn each(&self, mut see: impl FnMut(usize, Point)) {
        let mut cursor = Cursor::default();
        let mut from = Reader(&self.bytes);
        while !from.is_empty() {
            if cursor.next(&mut from, &mut see).is_none() {
                return;
            }
        }
        cursor.idle(u64::from(self.idle), &mut see);
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
            IDLE => self.idle(from.varint()?, see),
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

    fn idle(&mut self, times: u64, see: &mut impl FnMut(usize, Point)) {
        for _ in 0..times {
            self.emit(None, see);
        }
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
        let mut history = History::default();
        assert!(history.push(1, Entry { standing: Some(&standing), window: Some(&first), exact: None }));
        assert!(history.push(2, Entry::default()));
        assert!(history.push(3, Entry { window: Some(&second), exact: Some((4.5, 10.5)), ..Entry::default() }));
        assert!(history.end(4));
        assert!(!history.push(4, Entry::default()));
        let mut seen = Vec::new();
        history.each(|slot, point| match point {
            Point::Sample { window, ever } => seen.push((slot, window.map(|window| window.count), ever.count, ever.sum)),
            Point::Stale => seen.push((slot, None, 0.0, 0.0)),
        });
        assert_eq!(seen, [(1, Some(2.0), 3.0, 6.0), (2, None, 3.0, 6.0), (3, Some(1.0), 4.5, 10.5), (4, None, 0.0, 0.0)]);
    }
}
