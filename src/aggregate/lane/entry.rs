//! A series in a lane's table, and what lines add to it in place.

use super::Line;
use super::line::weight_of;
use crate::aggregate::{Counts, Limit};
use crate::model::sketch::saturate;
use crate::model::{Kind, Series};
use crate::parse::{ToleratedSet, Values};

/// A series this lane has met.
pub(super) struct Entry {
    pub(super) series: Series,
    /// A counter's gain, or a gauge's last absolute value (NaN: none in this window).
    pub(super) value: f64,
    /// Of the last sample; 0 = untouched in this window.
    pub(super) stamp: u64,
    pub(super) hash: u32,
    /// Index into the scales: what values in this spelling are multiplied by.
    pub(super) scale: u16,
    /// Blemishes of this spelling's tags, which every line has.
    pub(super) tags: ToleratedSet,
    /// The series stands in for one that this limit refused, until the next window.
    pub(super) limited: Option<Limit>,
}

impl Entry {
    #[inline(always)]
    pub(super) fn is_of(&self, line: &Line<'_>) -> bool {
        self.hash == line.hash as u32 && self.series.spelling() == line.spelling
    }

    /// Adds a line up in place, if that can be done: false for what has to be logged.
    #[inline(always)]
    pub(super) fn gain(&mut self, line: &Line<'_>, scale: f64, counts: &mut Counts) -> bool {
        counts.accepted += 1;
        counts.tolerate(line.tolerated);
        // A gauge's set keeps its own stamp: a change after it is told by a later one.
        if self.stamp == 0 || !line.relative {
            self.stamp = line.stamp;
        }
        let samples = &mut counts.samples[line.spelling.kind as usize];
        match (line.spelling.kind, line.values) {
            (Kind::Counter, Values::One(value)) => {
                *samples += 1;
                add(&mut self.value, value * scale * weight_of(line.rate), &mut counts.saturated);
            }
            (Kind::Counter, values) => {
                for value in values.iter() {
                    *samples += 1;
                    add(&mut self.value, value * scale * weight_of(line.rate), &mut counts.saturated);
                }
            }
            (Kind::Gauge, values) if !line.relative => {
                for value in values.iter() {
                    *samples += 1;
                    self.value = saturate(value * scale);
                }
            }
            _ => return false,
        }
        true
    }
}

/// What stands in an entry without a sample in this window.
pub(super) fn idle_value(kind: Kind) -> f64 {
    if kind == Kind::Gauge { f64::NAN } else { 0.0 }
}

fn add(sum: &mut f64, value: f64, saturated: &mut u64) {
    *sum += value;
    if !sum.is_finite() {
        *sum = if sum.is_nan() { 0.0 } else { saturate(*sum) };
        *saturated += 1;
    }
}
