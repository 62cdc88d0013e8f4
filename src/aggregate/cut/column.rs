//! A family's column of a window: what each row gained, and where it stands.

use std::sync::Arc;

use super::CutReport;
use super::families::Rows;
use crate::aggregate::standing::{Body, Fold, Standing, Standings};
use crate::model::sketch::saturate;
use crate::model::{Buckets, Column, Kind};

/// Closes the window that is being cut for every row of a family.
pub(super) fn close(rows: &mut Rows, standings: &mut Standings, window: u32, fold: Fold<'_>, report: &mut CutReport) -> Column {
    let mut column = empty(rows.family.kind, rows.slots.len());
    for (row, &slot) in rows.slots.iter().enumerate() {
        let Some(standing) = standings.get_mut(slot) else { continue };
        push(&mut column, standing, window, fold, rows.buckets.get_mut(row), report);
    }
    if let Column::Timer { buckets, .. } = &mut column {
        buckets.clone_from(&rows.buckets);
    }
    column
}

/// With room for so many rows.
fn empty(kind: Kind, size: usize) -> Column {
    let (values, age) = (|| Vec::with_capacity(size), Vec::with_capacity(size));
    match kind {
        Kind::Counter => Column::Counter { gain: values(), total: values(), age },
        Kind::Gauge => Column::Gauge { value: values(), age },
        Kind::Set => Column::Set { count: values(), age },
        Kind::Timer | Kind::Histogram | Kind::Distribution => {
            Column::Timer { count: values(), sum: values(), window: Vec::with_capacity(size), buckets: Vec::new(), age }
        }
    }
}

/// Adds the row of a series, whose next window begins.
fn push(
    column: &mut Column,
    standing: &mut Standing,
    window: u32,
    fold: Fold<'_>,
    buckets: Option<&mut Arc<Buckets>>,
    report: &mut CutReport,
) {
    let idle = window.saturating_sub(standing.last).min(u32::from(u16::MAX)) as u16;
    match (column, &mut standing.body) {
        (Column::Counter { gain: gains, total: totals, age }, Body::Counter { total, gain }) => {
            let gained = std::mem::take(gain);
            if gained >= 0.0 {
                *total = saturate(*total + gained);
            } else {
                report.went_back += 1;
            }
            gains.push(gained);
            totals.push(*total);
            age.push(idle);
        }
        (Column::Gauge { value: values, age }, Body::Gauge { value, set }) => {
            *set = 0;
            values.push(*value);
            age.push(idle);
        }
        (Column::Set { count, age }, Body::Set(distinct)) => {
            count.push(distinct.take().map_or(0.0, |distinct| distinct.count()));
            age.push(idle);
        }
        (Column::Timer { count: counts, sum: sums, window: windows, age, .. }, Body::Dist { count, sum, window }) => {
            let sketches = window.take().map(|dist| Arc::new(dist.close(fold)));
            if let Some(sketches) = &sketches {
                *count = saturate(*count + sketches.exp.count);
                *sum = saturate(*sum + sketches.exp.sum);
                if let (Some(running), Some(received)) = (buckets, &sketches.exp.buckets) {
                    Arc::make_mut(running).add(received);
                }
            }
            counts.push(*count);
            sums.push(*sum);
            windows.push(sketches);
            age.push(idle);
        }
        _ => {}
    }
}
