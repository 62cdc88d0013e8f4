//! Distributions as the sketches that Datadog merges on its servers.

use std::sync::Arc;

use super::Options;
use super::filling::{Filled, Filling};
use super::origin::{Origin, check_name};
use super::proto::{Dogsketch, Sketch};
use crate::encode::{Budget, Payload, Place, Unfit};
use crate::model::{Column, DdSketch, Kind, Series, Sketches, Window};

/// The agent's bins hold u16: a heavier one is written as several entries with its key.
const BIN_LIMIT: u64 = 65_535;
/// Entries of one sketch, four times the bins it can have. Beyond it lie weights no client sends in earnest.
const MAX_ENTRIES: u64 = 16_384;

/// Points that the window has for this route: one for each distribution that received something.
pub(super) fn points(window: &Window) -> u64 {
    (0..window.roster.len()).flat_map(|section| received(window, section)).flatten().count() as u64
}

/// Writes the payload that begins at `place`.
pub(super) fn encode(window: &Window, options: &Options, mut place: Place, budget: Budget, out: &mut Payload) -> Option<Place> {
    let mut filling = Filling::new(options.compression, budget, out);
    while let Some(family) = window.roster.get(place.section) {
        let rows = family.series.iter().zip(received(window, place.section));
        for (row, (series, sketches)) in rows.enumerate().skip(place.row) {
            place.row = row;
            let Some(sketches) = sketches else { continue };
            match message(window, options, series, sketches) {
                Ok(message) if filling.push(&message) == Filled::Full => {
                    filling.finish();
                    return Some(place);
                }
                Ok(_) => {}
                Err(reason) => filling.pass_over(reason),
            }
        }
        place = Place { section: place.section + 1, ..Place::default() };
    }
    filling.finish();
    None
}

/// What each row of a family of distributions received; no rows for other families.
fn received(window: &Window, section: usize) -> &[Option<Arc<Sketches>>] {
    match (&window.columns[section], window.roster[section].kind) {
        (Column::Timer { window, .. }, Kind::Distribution) => window,
        _ => &[],
    }
}

fn message(window: &Window, options: &Options, series: &Series, sketches: &Sketches) -> Result<Sketch, Unfit> {
    let origin = Origin::read(series.tags(), &options.hostname);
    origin.check()?;
    check_name(series.name())?;
    let mut tags: Vec<String> = origin.tags.iter().map(ToString::to_string).collect();
    // A sketch has no resources: the device stays a tag.
    tags.extend(origin.device.map(|device| format!("device:{device}")));
    let dogsketch = dogsketch(sketches.dd.as_ref().ok_or(Unfit::Sketch)?, window.start().div_euclid(1_000))?;
    Ok(Sketch { metric: series.name().to_string(), host: origin.host.to_string(), tags, dogsketches: vec![dogsketch], metadata: None })
}

/// The sketch with whole counts that add up to its rounded weight.
fn dogsketch(sketch: &DdSketch, ts: i64) -> Result<Dogsketch, Unfit> {
    if ![sketch.sum, sketch.min, sketch.max, sketch.count].iter().all(|figure| figure.is_finite()) {
        return Err(Unfit::Value);
    }
    let bins = whole(&sketch.bins);
    let entries: u64 = bins.iter().map(|(_, count)| count.div_ceil(BIN_LIMIT)).sum();
    if entries == 0 || entries > MAX_ENTRIES {
        return Err(Unfit::Sketch);
    }
    let (mut k, mut n) = (Vec::new(), Vec::new());
    for &(key, count) in &bins {
        let remainder = count % BIN_LIMIT;
        let counts = (remainder > 0).then_some(remainder).into_iter();
        for part in counts.chain((0..count / BIN_LIMIT).map(|_| BIN_LIMIT)) {
            k.push(i32::from(key));
            n.push(part as u32);
        }
    }
    let cnt = bins.iter().map(|(_, count)| count).sum::<u64>();
    // Rounding the count must not move the average: the sum follows it.
    let sum = sketch.sum * (cnt as f64 / sketch.count);
    Ok(Dogsketch { ts, cnt: cnt as i64, min: sketch.min, max: sketch.max, avg: sum / cnt as f64, sum, k, n })
}

/// Weights as whole numbers: what one bin is rounded by is carried into the next, so that the sum stays.
fn whole(bins: &[(i16, f64)]) -> Vec<(i16, u64)> {
    let mut carry = 0.0;
    let rounded = bins.iter().map(|&(key, weight)| {
        let exact = weight + carry;
        let count = exact.round().max(0.0);
        carry = exact - count;
        (key, count as u64)
    });
    rounded.filter(|(_, count)| *count > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sketch(samples: &[(f64, f64)]) -> Dogsketch {
        let mut sketch = DdSketch::default();
        for &(value, weight) in samples {
            sketch.record(value, weight);
        }
        dogsketch(&sketch, 1_700_000_000).unwrap()
    }

    #[test]
    fn a_heavy_bin_is_written_remainder_first() {
        let sketch = sketch(&[(1.0, 131_075.0), (2.0, 65_535.0)]);
        assert_eq!(sketch.k, [1338, 1338, 1338, 1383]);
        assert_eq!(sketch.n, [5, 65_535, 65_535, 65_535]);
        assert_eq!(sketch.cnt, 196_610);
    }

    #[test]
    fn fractional_weights_become_whole_and_add_up() {
        let samples: Vec<(f64, f64)> = (1..=30).map(|value| (f64::from(value), 10.0 / 3.0)).collect();
        let sketch = sketch(&samples);
        assert_eq!(sketch.cnt, 100);
        assert_eq!(sketch.n.iter().sum::<u32>(), 100);
        assert!(sketch.n.iter().all(|count| *count > 0) && sketch.k.is_sorted());
        assert_eq!(sketch.avg, sketch.sum / 100.0);
    }

    #[test]
    fn rounding_the_count_does_not_move_the_average() {
        let sketch = sketch(&[(6.0, 10.0 / 3.0)]);
        assert_eq!((sketch.cnt, sketch.n.as_slice()), (3, &[3][..]));
        assert!((sketch.avg - 6.0).abs() < 1e-12 && (sketch.sum - 18.0).abs() < 1e-12);
    }

    #[test]
    fn a_weight_beyond_reason_is_passed_over() {
        let mut heavy = DdSketch::default();
        heavy.record(1.0, 1e300);
        assert_eq!(dogsketch(&heavy, 0), Err(Unfit::Sketch));
        assert_eq!(dogsketch(&DdSketch::default(), 0), Err(Unfit::Value));
    }
}
