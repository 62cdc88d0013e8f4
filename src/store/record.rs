//! Samples that are no row of a window: with labels of their own, or with a time of their own.

use super::frame::{FrameWriter, What};
use super::head::Head;
use super::queue::{OwnTime, Pending};
use super::role::{Number, Role};
use super::shelf::{Known, LIVE, Track};
use crate::model::{Kind, Labels, Recorded, Stamped, Window};

impl Head {
    /// Takes samples with labels of their own; answers how many were too late for their series.
    pub(super) fn record(&mut self, at: i64, samples: &[Recorded]) -> (usize, bool) {
        let mut frame = FrameWriter::new(at, self.interval as u64);
        let late = self.record_into(&mut frame, at, samples);
        let queued = self.queue.push(Pending { at, parts: frame.finish(), ..Pending::default() });
        (late, queued)
    }

    pub(super) fn record_into(&mut self, frame: &mut FrameWriter, at: i64, samples: &[Recorded]) -> usize {
        self.turn_recorded(at);
        let Some(slot) = self.recorded.slot(at) else { return samples.len() };
        let (mut values, mut ends, mut late) = (Vec::new(), Vec::new(), 0);
        for sample in samples {
            let Some(place) = self.recorded_place(&sample.labels, at) else { continue };
            let shelf = self.shelf_mut(Role::Recorded);
            let sequence = shelf.numbers[place].sequence();
            let taken = match sample.value {
                Some(value) => {
                    let returned = shelf.revive(place);
                    shelf.known[place].touched = at;
                    let taken = shelf.known[place].push(slot, value);
                    values.push((sequence, value));
                    if returned {
                        self.moved.insert(Number::new(Role::Recorded, sequence));
                    }
                    taken
                }
                None => {
                    let taken = shelf.end(place, slot, at);
                    ends.push(sequence);
                    self.moved.insert(Number::new(Role::Recorded, sequence));
                    taken
                }
            };
            late += usize::from(!taken);
        }
        values.sort_unstable_by_key(|&(id, _)| id);
        values.dedup_by_key(|&mut (id, _)| id);
        ends.sort_unstable();
        ends.dedup();
        let (ids, values): (Vec<u32>, Vec<f64>) = values.into_iter().unzip();
        frame.ends(Role::Recorded, &ends);
        frame.floats(What::Sample, Role::Recorded, &ids, &values);
        late
    }

    fn recorded_place(&mut self, labels: &Labels, at: i64) -> Option<usize> {
        if let Some(number) = self.index.find_recorded(labels) {
            return self.shelf(Role::Recorded).find(number);
        }
        let number = self.shelf(Role::Recorded).next_number()?;
        // Its life is open on the left, as a window's is.
        self.admit_recorded(number, labels, at - 1, LIVE)
    }

    /// Puts a recorded series on its shelf and into the index.
    pub(super) fn admit_recorded(&mut self, number: Number, labels: &Labels, created: i64, left: i64) -> Option<usize> {
        let labels = self.index.insert_recorded(number, labels);
        let track = Track::new(Role::Recorded);
        let known = Known { series: None, labels, name: 0, created, touched: created, left, value: f64::NAN, track };
        self.shelf_mut(Role::Recorded).add(number, known)
    }

    pub(super) fn stamp(&mut self, stamped: &Stamped, window: &Window) -> Option<OwnTime> {
        let series = &stamped.series;
        let role = if series.kind() == Kind::Counter { Role::Stamped } else { Role::Gauge };
        let name = match self.names.get(series.kind(), series.name()) {
            Some(name) => name,
            None => {
                let family = window.roster.iter().find(|family| family.kind == series.kind() && *family.name == *series.name());
                let plain = crate::model::labels::metric_name(series.name());
                let prom_name = family.map_or(plain.as_str(), |family| &family.prom_name);
                self.names.add(series.kind(), series.name(), prom_name)
            }
        };
        let place = match self.find(role, name, series.tags()) {
            Some(place) => place,
            None => self.birth(role, name, series, window.start(), window.end) as usize,
        };
        let number = *self.shelf(role).numbers.get(place)?;
        Some(OwnTime { at: stamped.at, number, value: stamped.value })
    }
}
