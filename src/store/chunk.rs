//! One hour of one series in memory: byte-coded steps, grown at the end only.
//!
//! A sample's time is a slot: its place in the hour's list of window ends.

use super::bytes::{RAW, Reader, exponent_of, put_varint, scaled, unscaled, unzigzag, zigzag};
use super::strand::{Closed, Pile, Strand};

/// The step before happens `n` more times.
const REPEAT: u64 = 0;
/// `n` slots without a sample.
const GAP: u64 = 1;
/// The series ended in this slot.
const STALE: u64 = 2;
/// Eight bytes.
const FLOAT: u64 = 3;
/// An exponent, and the value scaled by it.
const SCALE: u64 = 4;
/// From here on: the step before happens once more, twice, ...
const AGAIN: u64 = 5;
/// How often that can be.
const AGAIN_MOST: u64 = 16;
/// From here on: a difference to the scaled value before, zigzag.
const STEP: u64 = AGAIN + AGAIN_MOST;

/// Floats by slot, on the way. It fills one cache line, so that a sample touches no other.
#[derive(Clone, Debug, Default)]
#[repr(align(64))]
pub(super) struct Chunk {
    strand: Strand,
    /// The last value scaled, or its bits when `exponent` is [`RAW`].
    last: i64,
    step: i64,
    /// The slot after the last sample.
    next: u16,
    /// How often the last step was repeated since it was written.
    run: u16,
    exponent: u8,
    /// Whether there is a value before, so that a step can be one.
    started: bool,
}

impl Chunk {
    /// Adds the value of a slot; slots ascend, an older one is refused.
    pub(super) fn push(&mut self, pile: &mut Pile, slot: u16, value: f64) -> bool {
        if !self.reach(pile, slot) {
            return false;
        }
        self.next += 1;
        if self.started && self.exponent == RAW && self.last == value.to_bits() as i64 {
            self.run += 1;
            return true;
        }
        match scaled(value, if self.exponent == RAW { 0 } else { self.exponent }) {
            Some(integer) if self.started && self.exponent != RAW => self.advance(pile, integer),
            _ => self.restart(pile, value),
        }
        true
    }

    /// Marks the end of the series in a slot.
    pub(super) fn end(&mut self, pile: &mut Pile, slot: u16) -> bool {
        if !self.reach(pile, slot) {
            return false;
        }
        self.next += 1;
        self.started = false;
        self.flush(pile);
        self.strand.put_varint(pile, STALE);
        true
    }

    fn reach(&mut self, pile: &mut Pile, slot: u16) -> bool {
        if slot < self.next {
            return false;
        }
        if slot > self.next {
            self.flush(pile);
            self.strand.put_varint(pile, GAP);
            self.strand.put_varint(pile, u64::from(slot - self.next));
            self.next = slot;
        }
        true
    }

    fn advance(&mut self, pile: &mut Pile, integer: i64) {
        let step = integer - self.last;
        self.last = integer;
        if step == self.step {
            self.run += 1;
            return;
        }
        self.flush(pile);
        self.step = step;
        self.strand.put_varint(pile, STEP + zigzag(step));
    }

    /// Begins anew with a value that the last exponent cannot carry.
    fn restart(&mut self, pile: &mut Pile, value: f64) {
        self.flush(pile);
        self.started = true;
        self.step = 0;
        // A finer exponent is kept: the next value is likely as fine.
        let least = if self.exponent == RAW { 0 } else { self.exponent };
        let exponent = exponent_of(value).map(|exponent| exponent.max(least)).filter(|&exponent| scaled(value, exponent).is_some());
        if let Some((exponent, integer)) = exponent.and_then(|exponent| Some((exponent, scaled(value, exponent)?))) {
            (self.exponent, self.last) = (exponent, integer);
            self.strand.put_varint(pile, SCALE);
            self.strand.push(pile, exponent);
            self.strand.put_varint(pile, zigzag(integer));
        } else {
            (self.exponent, self.last) = (RAW, value.to_bits() as i64);
            self.strand.put_varint(pile, FLOAT);
            self.strand.extend(pile, &value.to_le_bytes());
        }
    }

    fn flush(&mut self, pile: &mut Pile) {
        repeated(self.run, |number| self.strand.put_varint(pile, number));
        self.run = 0;
    }

    /// What was added so far, for [`each`].
    pub(super) fn read(&self, pile: &Pile) -> Vec<u8> {
        let mut bytes = self.strand.read(pile);
        repeated(self.run, |number| put_varint(&mut bytes, number));
        bytes
    }

    /// Ends the hour and begins the next.
    pub(super) fn close(&mut self, pile: &mut Pile) -> Closed {
        self.flush(pile);
        let closed = self.strand.close(pile);
        *self = Chunk::default();
        closed
    }

    /// Gives back what it has on the pile.
    pub(super) fn release(&self, pile: &mut Pile) {
        self.strand.release(pile);
    }
}

/// Spells that the last step was repeated `run` times.
fn repeated(run: u16, mut put: impl FnMut(u64)) {
    match u64::from(run) {
        0 => {}
        run @ 1..=AGAIN_MOST => put(AGAIN + run - 1),
        run => {
            put(REPEAT);
            put(run);
        }
    }
}

/// Calls `see` with every slot of an hour and its value; `None` is the end of the series.
pub(super) fn each(bytes: &[u8], mut see: impl FnMut(usize, Option<f64>)) {
    let mut cursor = Cursor { slot: 0, integer: 0, bits: 0, step: 0, exponent: RAW };
    let mut from = Reader(bytes);
    while !from.is_empty() {
        if cursor.next(&mut from, &mut see).is_none() {
            return;
        }
    }
}

/// Where the reading of a chunk stands.
struct Cursor {
    slot: usize,
    integer: i64,
    bits: u64,
    step: i64,
    exponent: u8,
}

impl Cursor {
    fn next(&mut self, from: &mut Reader<'_>, see: &mut impl FnMut(usize, Option<f64>)) -> Option<()> {
        match from.varint()? {
            REPEAT => {
                for _ in 0..from.varint()? {
                    self.repeat(see);
                }
                return Some(());
            }
            GAP => {
                self.slot += from.size()?;
                return Some(());
            }
            STALE => {
                see(self.slot, None);
                self.slot += 1;
                return Some(());
            }
            FLOAT => {
                self.exponent = RAW;
                self.bits = from.raw_float()?.to_bits();
            }
            SCALE => {
                self.exponent = from.byte()?;
                self.integer = from.signed()?;
                self.step = 0;
            }
            again @ AGAIN..STEP => {
                for _ in AGAIN..=again {
                    self.repeat(see);
                }
                return Some(());
            }
            step => {
                self.step = unzigzag(step - STEP);
                self.integer = self.integer.wrapping_add(self.step);
            }
        }
        self.emit(see);
        Some(())
    }

    fn repeat(&mut self, see: &mut impl FnMut(usize, Option<f64>)) {
        if self.exponent != RAW {
            self.integer = self.integer.wrapping_add(self.step);
        }
        self.emit(see);
    }

    fn emit(&mut self, see: &mut impl FnMut(usize, Option<f64>)) {
        let raw = f64::from_bits(self.bits);
        see(self.slot, Some(unscaled(self.integer, self.exponent).unwrap_or(raw)));
        self.slot += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(samples: &[(u16, Option<f64>)]) -> [Vec<(usize, Option<u64>)>; 2] {
        let (mut chunk, mut pile) = (Chunk::default(), Pile::default());
        for &(slot, value) in samples {
            assert!(match value {
                Some(value) => chunk.push(&mut pile, slot, value),
                None => chunk.end(&mut pile, slot),
            });
        }
        let read = |bytes: Vec<u8>| {
            let mut read = Vec::new();
            each(&bytes, |slot, value| read.push((slot, value.map(f64::to_bits))));
            read
        };
        let open = read(chunk.read(&pile));
        [open, read(chunk.close(&mut pile).read(&pile))]
    }

    fn value() -> impl Strategy<Value = Option<f64>> {
        prop_oneof![
            4 => (0..5i64).prop_map(|v| Some(v as f64)),
            2 => any::<i32>().prop_map(|v| Some(f64::from(v) / 100.0)),
            1 => any::<f64>().prop_map(Some),
            1 => Just(None),
        ]
    }

    proptest! {
        #[test]
        fn samples_come_back(steps in proptest::collection::vec((1u16..4, value()), 0..100)) {
            let mut slot = 0;
            let samples: Vec<(u16, Option<f64>)> = steps.into_iter().map(|(gap, value)| { slot += gap; (slot, value) }).collect();
            let expected: Vec<_> = samples.iter().map(|(slot, value)| (usize::from(*slot), value.map(f64::to_bits))).collect();
            prop_assert_eq!(round_trip(&samples), [expected.clone(), expected]);
        }
    }

    #[test]
    fn a_chunk_fills_a_cache_line() {
        assert_eq!(std::mem::size_of::<Chunk>(), 64);
    }

    #[test]
    fn repeats_of_any_length_come_back() {
        for run in [1, 2, 16, 17, 18, 400] {
            let samples: Vec<(u16, Option<f64>)> =
                (0..run).map(|slot| (slot, Some(f64::from(slot) * 2.5))).chain([(run, Some(0.0))]).collect();
            let expected: Vec<_> = samples.iter().map(|(slot, value)| (usize::from(*slot), value.map(f64::to_bits))).collect();
            assert_eq!(round_trip(&samples), [expected.clone(), expected], "{run}");
        }
    }

    #[test]
    fn a_constant_rate_costs_next_to_nothing() {
        let (mut chunk, mut pile) = (Chunk::default(), Pile::default());
        for slot in 0..360 {
            chunk.push(&mut pile, slot, f64::from(slot) * 7.0);
        }
        assert!(chunk.read(&pile).len() <= 16);
    }

    #[test]
    fn an_older_slot_is_refused() {
        let (mut chunk, mut pile) = (Chunk::default(), Pile::default());
        assert!(chunk.push(&mut pile, 3, 1.0));
        assert!(!chunk.push(&mut pile, 3, 2.0));
        assert!(!chunk.end(&mut pile, 2));
    }
}
