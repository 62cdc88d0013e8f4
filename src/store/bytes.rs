//! Varints, floats and text as the file spells them, and a reader that never panics.

/// Powers of ten a value may be scaled by to become an integer.
pub(super) const SCALES: [f64; 7] = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6];
/// In place of an exponent: the value is eight raw bytes.
pub(super) const RAW: u8 = 255;
/// Integers from here on are not all floats.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The value times `10^exponent` when that is an integer that gives the very same float back.
pub(super) fn scaled(value: f64, exponent: u8) -> Option<i64> {
    let scale = SCALES[usize::from(exponent)];
    let product = value * scale;
    let integer = product as i64;
    let back = if exponent == 0 { integer as f64 } else { integer as f64 / scale };
    // Not so for fractions, infinities, NaN and the negative zero.
    (product.abs() < EXACT && back.to_bits() == value.to_bits()).then_some(integer)
}

/// The other way round; `None` for an exponent that no writer uses.
pub(super) fn unscaled(integer: i64, exponent: u8) -> Option<f64> {
    SCALES.get(usize::from(exponent)).map(|scale| integer as f64 / scale)
}

/// The smallest exponent that makes the value an integer.
pub(super) fn exponent_of(value: f64) -> Option<u8> {
    (0..SCALES.len() as u8).find(|&exponent| scaled(value, exponent).is_some())
}

pub(super) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(super) const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// LEB128.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// An exponent and a zigzag varint, or [`RAW`] and eight bytes.
pub(super) fn put_float(out: &mut Vec<u8>, value: f64) {
    match exponent_of(value).and_then(|exponent| Some((exponent, scaled(value, exponent)?))) {
        Some((exponent, integer)) => {
            out.push(exponent);
            put_varint(out, zigzag(integer));
        }
        None => {
            out.push(RAW);
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}

/// Length and bytes.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Reads what the `put_` functions wrote; `None` wherever the bytes end early or make no sense.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    pub(super) fn signed(&mut self) -> Option<i64> {
        self.varint().map(unzigzag)
    }

    /// A varint that counts or measures something in memory.
    pub(super) fn size(&mut self) -> Option<usize> {
        usize::try_from(self.varint()?).ok()
    }

    pub(super) fn raw_float(&mut self) -> Option<f64> {
        Some(f64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    pub(super) fn float(&mut self) -> Option<f64> {
        match self.byte()? {
            RAW => self.raw_float(),
            exponent => unscaled(self.signed()?, exponent),
        }
    }

    pub(super) fn text(&mut self) -> Option<&'a str> {
        let len = self.size()?;
        std::str::from_utf8(self.take(len)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_float_comes_back_bit_for_bit(value in any::<f64>(), cents in -1_000_000_000i64..1_000_000_000) {
            for value in [value, cents as f64 / 100.0, cents as f64] {
                let mut out = Vec::new();
                put_float(&mut out, value);
                prop_assert_eq!(Reader(&out).float().map(f64::to_bits), Some(value.to_bits()));
            }
        }

        #[test]
        fn every_integer_comes_back(value in any::<i64>()) {
            let mut out = Vec::new();
            put_varint(&mut out, zigzag(value));
            prop_assert_eq!(Reader(&out).signed(), Some(value));
        }
    }

    #[test]
    fn signed_zero_and_the_edges_come_back() {
        for value in [0.0, -0.0, f64::MAX, f64::MIN_POSITIVE, EXACT, -EXACT, f64::INFINITY, 0.1, 1e-6] {
            let mut out = Vec::new();
            put_float(&mut out, value);
            assert_eq!(Reader(&out).float().map(f64::to_bits), Some(value.to_bits()), "{value}");
        }
    }
}
