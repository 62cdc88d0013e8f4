//! A column's floats: groups of up to 64, each scaled to integers where that is exact, then bit-packed.

use super::bytes::{RAW, Reader, exponent_of, put_varint, scaled, unscaled, zigzag};

/// Values a group holds.
const GROUP: usize = 64;

/// Appends the values. Their number is not written.
pub(super) fn put_floats(out: &mut Vec<u8>, values: &[f64]) {
    for group in values.chunks(GROUP) {
        match integers(group) {
            Some((exponent, integers)) => {
                out.push(exponent);
                pack(out, &integers[..group.len()]);
            }
            None => {
                out.push(RAW);
                group.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
            }
        }
    }
}

/// Reads `n` values that [`put_floats`] wrote.
pub(super) fn read_floats(from: &mut Reader<'_>, n: usize) -> Option<Vec<f64>> {
    let mut values = Vec::with_capacity(n);
    while values.len() < n {
        let len = GROUP.min(n - values.len());
        match from.byte()? {
            RAW => {
                for _ in 0..len {
                    values.push(from.raw_float()?);
                }
            }
            exponent => unpack(from, len, |integer| unscaled(integer, exponent).map(|value| values.push(value)))?,
        }
    }
    Some(values)
}

/// The group scaled by the least exponent that suits all of it.
fn integers(group: &[f64]) -> Option<(u8, [i64; GROUP])> {
    let mut exponent = 0;
    for &value in group {
        if scaled(value, exponent).is_none() {
            exponent = exponent_of(value)?.max(exponent);
        }
    }
    let mut integers = [0; GROUP];
    for (integer, &value) in integers.iter_mut().zip(group) {
        *integer = scaled(value, exponent)?;
    }
    Some((exponent, integers))
}

/// The least value, the bits the rest needs above it, and those bits, low ones first.
fn pack(out: &mut Vec<u8>, integers: &[i64]) {
    let least = integers.iter().copied().min().unwrap_or(0);
    let spread = integers.iter().map(|&integer| (integer - least) as u64).max().unwrap_or(0);
    let width = u64::BITS - spread.leading_zeros();
    put_varint(out, zigzag(least));
    out.push(width as u8);
    let (mut waiting, mut bits) = (0u128, 0);
    for &integer in integers {
        waiting |= u128::from((integer - least) as u64) << bits;
        bits += width;
        while bits >= 8 {
            out.push(waiting as u8);
            waiting >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        out.push(waiting as u8);
    }
}

fn unpack(from: &mut Reader<'_>, n: usize, mut give: impl FnMut(i64) -> Option<()>) -> Option<()> {
    let least = from.signed()?;
    let width = u32::from(from.byte()?);
    if width > u64::BITS {
        return None;
    }
    let packed = from.take((n * width as usize).div_ceil(8))?;
    let mask = if width == u64::BITS { u64::MAX } else { (1 << width) - 1 };
    let (mut waiting, mut bits, mut bytes) = (0u128, 0, packed.iter());
    for _ in 0..n {
        while bits < width {
            waiting |= u128::from(*bytes.next()?) << bits;
            bits += 8;
        }
        give(least.wrapping_add((waiting as u64 & mask) as i64))?;
        waiting >>= width;
        bits -= width;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(values: &[f64]) -> Vec<u64> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    proptest! {
        #[test]
        fn values_come_back_bit_for_bit(
            whole in proptest::collection::vec(-1000i32..1000, 0..200),
            cents in proptest::collection::vec(any::<i32>(), 0..200),
            any in proptest::collection::vec(any::<f64>(), 0..100),
        ) {
            let cents: Vec<f64> = cents.into_iter().map(|cents| f64::from(cents) / 100.0).collect();
            let whole: Vec<f64> = whole.into_iter().map(f64::from).collect();
            for values in [&whole, &cents, &any, &[whole.clone(), cents.clone(), any.clone()].concat()] {
                let mut out = Vec::new();
                put_floats(&mut out, values);
                let mut from = Reader(&out);
                prop_assert_eq!(read_floats(&mut from, values.len()).map(|read| bits(&read)), Some(bits(values)));
                prop_assert!(from.is_empty());
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), n in 0usize..300) {
            let _ = read_floats(&mut Reader(&bytes), n);
        }
    }

    #[test]
    fn sixty_four_zeros_cost_three_bytes() {
        let mut out = Vec::new();
        put_floats(&mut out, &[0.0; 64]);
        assert_eq!(out.len(), 3);
    }
}
