//! A sketch as bytes: of one window, or of everything a series ever received.

use super::bytes::{Reader, put_float, put_varint, zigzag};
use crate::model::ExpHist;
use crate::model::sketch::MAX_BUCKETS;

/// Appends `schema, count, sum, min, max, zero`, then both sides as `n, n x (index gap, weight)`.
pub(super) fn put_sketch(out: &mut Vec<u8>, sketch: &ExpHist) {
    out.push(sketch.schema as u8);
    for value in [sketch.count, sketch.sum, sketch.min, sketch.max, sketch.zero] {
        put_float(out, value);
    }
    for side in [&sketch.positive, &sketch.negative] {
        put_varint(out, side.len() as u64);
        let mut last = 0;
        for &(index, weight) in side {
            put_varint(out, zigzag(i64::from(index) - last));
            put_float(out, weight);
            last = i64::from(index);
        }
    }
}

/// Reads what [`put_sketch`] wrote.
pub(super) fn read_sketch(from: &mut Reader<'_>) -> Option<ExpHist> {
    let mut sketch = ExpHist::default();
    read_sketch_into(&mut sketch, from).map(|()| sketch)
}

/// The same, in place of what is in `sketch`; after `None` that is nonsense.
pub(super) fn read_sketch_into(sketch: &mut ExpHist, from: &mut Reader<'_>) -> Option<()> {
    sketch.schema = from.byte()? as i8;
    for value in [&mut sketch.count, &mut sketch.sum, &mut sketch.min, &mut sketch.max, &mut sketch.zero] {
        *value = from.float()?;
    }
    read_side(&mut sketch.positive, from)?;
    read_side(&mut sketch.negative, from)
}

fn read_side(side: &mut Vec<(i32, f64)>, from: &mut Reader<'_>) -> Option<()> {
    let len = from.size().filter(|&len| len <= MAX_BUCKETS)?;
    side.clear();
    side.reserve_exact(len);
    let mut last = 0i64;
    for _ in 0..len {
        last = last.checked_add(from.signed()?)?;
        side.push((i32::try_from(last).ok()?, from.float()?));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_sketch_comes_back(values in proptest::collection::vec((-1e6..1e6f64, 0.1..50.0f64), 0..200)) {
            let mut sketch = ExpHist::default();
            for (value, weight) in values {
                sketch.record(value, weight);
            }
            let mut out = Vec::new();
            put_sketch(&mut out, &sketch);
            prop_assert_eq!(read_sketch(&mut Reader(&out)), Some(sketch));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_sketch(&mut Reader(&bytes));
        }
    }
}
