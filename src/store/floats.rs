//! A column's floats: groups of up to 64, each scaled to integers where that is exact, then bit-packed.

use super::bytes::{RAW, Reader, SCALES, exponent_of, put_varint, scaled, zigzag};

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
            0 => unpack(from, len, |integer| values.push(integer as f64))?,
            exponent => {
                let scale = SCALES.get(usize::from(exponent))?;
                unpack(from, len, |integer| values.push(integer as f64 / scale))?;
            }
        }
    }
    Some(values)
}

/// The group scaled by the least exponent that suits all of it.
fn integers(group: &[f64]) -> Option<(u8, [i64; GROUP])> {
    let (mut exponent, mut integers) = (0, [0; GROUP]);
    let mut fill = |exponent| {
        let misfit = |(integer, &value): (&mut i64, &f64)| scaled(value, exponent).map(|scaled| *integer = scaled).is_none();
        integers.iter_mut().zip(group).position(misfit)
    };
    while let Some(misfit) = fill(exponent) {
        exponent = exponent_of(group[misfit]).filter(|&finer| finer > exponent)?;
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

fn unpack(from: &mut Reader<'_>, n: usize, mut give: impl FnMut(i64)) -> Option<()> {
    let least = from.signed()?;
    let width = u32::from(from.byte()?);
    if width > u64::BITS {
        return None;
    }
    let packed = from.take((n * width as usize).div_ceil(8))?;
    let mask = if width == u64::BITS { u64::MAX } else { (1 << width) - 1 };
    // Room behind the last value for the sixteen bytes that are read at once.
    let mut bytes = [0u8; GROUP * 8 + 16];
    bytes[..packed.len()].copy_from_slice(packed);
    for bit in (0..n).map(|row| row * width as usize) {
        let mut word = [0; 16];
        word.copy_from_slice(&bytes[bit / 8..bit / 8 + 16]);
        let integer = (u128::from_le_bytes(word) >> (bit % 8)) as u64 & mask;
        give(least.wrapping_add(integer as i64));
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
