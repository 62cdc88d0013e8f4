//! One hour of one series in memory: byte-coded steps, grown at the end only.
//!
//! A sample's time is a slot: its place in the hour's list of window ends.

use super::bytes::{RAW, Reader, exponent_of, put_varint, scaled, unscaled, unzigzag, zigzag};

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
/// From here on: a difference to the scaled value before, zigzag.
const STEP: u64 = 5;
/// Bytes a chunk grows by: doubling would leave a third of it empty.
const GROWTH: usize = 32;

/// Floats by slot.
#[derive(Clone, Debug, Default)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
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
    pub(super) fn push(&mut self, slot: u16, value: f64) -> bool {
        if !self.reach(slot) {
            return false;
        }
        self.next += 1;
        if self.started && self.exponent == RAW && self.last == value.to_bits() as i64 {
            self.run += 1;
            return true;
        }
        match scaled(value, if self.exponent == RAW { 0 } else { self.exponent }) {
            Some(integer) if self.started && self.exponent != RAW => self.advance(integer),
            _ => self.restart(value),
        }
        true
    }

    /// Marks the end of the series in a slot.
    pub(super) fn end(&mut self, slot: u16) -> bool {
        if !self.reach(slot) {
            return false;
        }
        self.next += 1;
        self.started = false;
        self.flush();
        self.put(STALE);
        true
    }

    fn reach(&mut self, slot: u16) -> bool {
        if slot < self.next {
            return false;
        }
        if slot > self.next {
            self.flush();
            self.put(GAP);
            self.put(u64::from(slot - self.next));
            self.next = slot;
        }
        true
    }

    fn advance(&mut self, integer: i64) {
        let step = integer - self.last;
        self.last = integer;
        if step == self.step {
            self.run += 1;
            return;
        }
        self.flush();
        self.step = step;
        self.put(STEP + zigzag(step));
    }

    /// Begins anew with a value that the last exponent cannot carry.
    fn restart(&mut self, value: f64) {
        self.flush();
        self.started = true;
        self.step = 0;
        // A finer exponent is kept: the next value is likely as fine.
        let least = if self.exponent == RAW { 0 } else { self.exponent };
        let exponent = exponent_of(value).map(|exponent| exponent.max(least)).filter(|&exponent| scaled(value, exponent).is_some());
        if let Some((exponent, integer)) = exponent.and_then(|exponent| Some((exponent, scaled(value, exponent)?))) {
            (self.exponent, self.last) = (exponent, integer);
            self.put(SCALE);
            self.bytes.push(exponent);
            self.put(zigzag(integer));
        } else {
            (self.exponent, self.last) = (RAW, value.to_bits() as i64);
            self.put(FLOAT);
            self.bytes.extend_from_slice(&value.to_le_bytes());
        }
    }

    fn flush(&mut self) {
        if self.run > 0 {
            self.put(REPEAT);
            self.put(u64::from(self.run));
            self.run = 0;
        }
    }

    fn put(&mut self, number: u64) {
        if self.bytes.capacity() - self.bytes.len() < 20 {
            self.bytes.reserve_exact(GROWTH);
        }
        put_varint(&mut self.bytes, number);
    }

    /// Gives back what was reserved for growth.
    pub(super) fn settle(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// Calls `see` with every slot and its value; `None` is the end of the series.
    pub(super) fn each(&self, mut see: impl FnMut(usize, Option<f64>)) {
        let mut cursor = Cursor { slot: 0, integer: 0, bits: 0, step: 0, exponent: RAW };
        let mut from = Reader(&self.bytes);
        while !from.is_empty() {
            if cursor.next(&mut from, &mut see).is_none() {
                return;
            }
        }
        for _ in 0..self.run {
            cursor.repeat(&mut see);
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

    fn round_trip(samples: &[(u16, Option<f64>)]) -> Vec<(usize, Option<u64>)> {
        let mut chunk = Chunk::default();
        for &(slot, value) in samples {
            assert!(match value {
                Some(value) => chunk.push(slot, value),
                None => chunk.end(slot),
            });
        }
        let mut read = Vec::new();
        chunk.each(|slot, value| read.push((slot, value.map(f64::to_bits))));
        read
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
            prop_assert_eq!(round_trip(&samples), expected);
        }
    }

    #[test]
    fn a_constant_rate_costs_next_to_nothing() {
        let mut chunk = Chunk::default();
        for slot in 0..360 {
            chunk.push(slot, f64::from(slot) * 7.0);
        }
        assert!(chunk.bytes.len() <= 16, "{}", chunk.bytes.len());
    }

    #[test]
    fn an_older_slot_is_refused() {
        let mut chunk = Chunk::default();
        assert!(chunk.push(3, 1.0));
        assert!(!chunk.push(3, 2.0));
        assert!(!chunk.end(2));
    }
}
