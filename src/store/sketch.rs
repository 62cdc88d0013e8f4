//! A sketch as bytes: of one window, or of everything a series ever received.

use super::bytes::{Reader, put_float, put_varint, zigzag};
use crate::model::sketch::MAX_BUCKETS;
use crate::model::{Buckets, ExpHist};

/// Added to the schema, which is at most 5, where buckets follow.
const WITH_BUCKETS: i8 = 64;

/// Appends `schema, count, sum, min, max, zero`, then both sides as `n, n x (index gap, weight)`, then the buckets.
pub(super) fn put_sketch(out: &mut Vec<u8>, sketch: &ExpHist) {
    let marked = if sketch.buckets.is_some() { WITH_BUCKETS } else { 0 };
    out.push((sketch.schema + marked) as u8);
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
    if let Some(buckets) = &sketch.buckets {
        put_buckets(out, buckets);
    }
}

/// Bounds, then the weights that are not 0, each behind the number of those between it and the one before.
fn put_buckets(out: &mut Vec<u8>, buckets: &Buckets) {
    put_varint(out, buckets.bounds().len() as u64);
    buckets.bounds().iter().for_each(|&bound| put_float(out, bound));
    let filled = || buckets.weights().iter().enumerate().filter(|(_, weight)| **weight != 0.0);
    put_varint(out, filled().count() as u64);
    let mut next = 0;
    for (at, &weight) in filled() {
        put_varint(out, (at - next) as u64);
        put_float(out, weight);
        next = at + 1;
    }
}

/// Reads what [`put_sketch`] wrote.
pub(super) fn read_sketch(from: &mut Reader<'_>) -> Option<ExpHist> {
    let mut sketch = ExpHist::default();
    read_sketch_into(&mut sketch, from).map(|()| sketch)
}

/// The same, in place of what is in `sketch`; after `None` that is nonsense.
pub(super) fn read_sketch_into(sketch: &mut ExpHist, from: &mut Reader<'_>) -> Option<()> {
    let marked = from.byte()? as i8;
    let with_buckets = marked >= WITH_BUCKETS / 2;
    sketch.schema = if with_buckets { marked - WITH_BUCKETS } else { marked };
    for value in [&mut sketch.count, &mut sketch.sum, &mut sketch.min, &mut sketch.max, &mut sketch.zero] {
        *value = from.float()?;
    }
    read_side(&mut sketch.positive, from)?;
    read_side(&mut sketch.negative, from)?;
    sketch.buckets = if with_buckets { Some(Box::new(read_buckets(from)?)) } else { None };
    Some(())
}

fn read_buckets(from: &mut Reader<'_>) -> Option<Buckets> {
    let len = from.size().filter(|&len| len <= Buckets::MAX)?;
    let bounds: Option<Vec<f64>> = (0..len).map(|_| from.float()).collect();
    let mut weights = vec![0.0; len];
    let mut next = 0usize;
    for _ in 0..from.size().filter(|&filled| filled <= len)? {
        let at = next.checked_add(from.size()?)?;
        *weights.get_mut(at)? = from.float()?;
        next = at + 1;
    }
    Some(Buckets::with_weights(&bounds?.into(), weights))
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
        fn a_sketch_comes_back(
            values in proptest::collection::vec((-1e6..1e6f64, 0.1..50.0f64), 0..200),
            bounds in proptest::option::of(proptest::collection::vec(-1e6..1e6f64, 0..40)),
        ) {
            let buckets = bounds.map(|mut bounds| {
                bounds.sort_unstable_by(f64::total_cmp);
                Box::new(Buckets::new(&bounds.into()))
            });
            let mut sketch = ExpHist { buckets, ..ExpHist::default() };
            for (value, weight) in values {
                sketch.record(value, weight);
                if let Some(buckets) = &mut sketch.buckets {
                    buckets.record(value, weight);
                }
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
