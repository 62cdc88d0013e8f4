//! A store without a file: it keeps what rules read, and shows of everything else the last window alone.

use std::sync::Arc;

use parking_lot::RwLock;

use super::pick::Picker;
use super::role::Role;
use super::twins::{Found, Join};
use crate::model::labels;
use crate::model::{Column, Kind, Matcher, Sample, SampleValue, SelectError, SeriesSlice, TimeRange, Window};

/// What is kept, and the last window.
#[derive(Debug)]
pub(super) struct Glance {
    /// What each selector of a rule asks of the name.
    reads: Vec<Vec<Matcher>>,
    window: RwLock<Option<Arc<Window>>>,
}

impl Glance {
    pub(super) fn new(reads: Vec<Vec<Matcher>>) -> Glance {
        Glance { reads, window: RwLock::new(None) }
    }

    /// Whether some rule may read the family of this name.
    pub(super) fn keeps(&self, kind: Kind, prom_name: &str) -> bool {
        let forms: &[&str] = if kind.is_sketch() { &["", "_count", "_sum", "_bucket"] } else { &[""] };
        let names: Vec<String> = forms.iter().map(|form| format!("{prom_name}{form}")).collect();
        self.reads.iter().any(|read| names.iter().any(|name| read.iter().all(|matcher| matcher.matches(name))))
    }

    /// Has queries see this window from now on.
    pub(super) fn show(&self, window: Arc<Window>) {
        *self.window.write() = Some(window);
    }

    /// What the last window has of series that are not kept: values of counters, gauges and sets, count and sum of
    /// the others. At most `most` series.
    pub(super) fn select(&self, picker: &Picker<'_>, range: TimeRange, most: usize) -> Result<Vec<Found>, SelectError> {
        let mut found = Vec::new();
        let Some(window) = self.window.read().clone().filter(|window| range.start < window.end && window.end <= range.end) else {
            return Ok(found);
        };
        for (family, column) in window.families().filter(|(family, _)| !self.keeps(family.kind, &family.prom_name)) {
            for (form, values) in shown(column) {
                let name = format!("{}{form}", family.prom_name);
                if !picker.names(&name) {
                    continue;
                }
                for ((series, &value), &age) in family.series.iter().zip(values).zip(column.ages()) {
                    let mut labels = labels::derive(&name, series.tags());
                    if family.kind.is_sketch() {
                        labels = labels::moved_aside(labels, family.form.label());
                    }
                    if picker.fits(&labels) {
                        let samples = vec![Sample { at: window.end, value: SampleValue::Float(value) }];
                        let slice = SeriesSlice { labels, samples, start_time: None };
                        let touched = window.end - i64::from(age);
                        found.push(Found { join: Join::of(Some(Role::of(family.kind))), touched, slice });
                    }
                    if found.len() > most {
                        return Err(SelectError::TooManySeries(most));
                    }
                }
            }
        }
        Ok(found)
    }
}

/// The forms in which a column is shown, and their values.
fn shown(column: &Column) -> Vec<(&'static str, &[f64])> {
    match column {
        Column::Counter { total, .. } => vec![("", total)],
        Column::Gauge { value, .. } | Column::Set { count: value, .. } => vec![("", value)],
        Column::Timer { count, sum, .. } => vec![("_count", count), ("_sum", sum)],
    }
}
