//! Samples that are no row of a window: with labels of their own, or with a time of their own.

use super::frame::{FrameWriter, What};
use super::head::Head;
use super::queue::{OwnTime, Pending};
use super::role::{Number, Role};
use super::shelf::{Known, LIVE};
use crate::model::{Kind, Labels, Recorded, Stamped, Window, labels};

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
            let Some(place) = self.recorded_place(&sample.labels, at) else {
                self.homeless += 1;
                continue;
            };
            let shelf = self.shelf_mut(Role::Recorded);
            let sequence = shelf.numbers[place].sequence();
            let taken = match sample.value {
                Some(value) => {
                    let returned = shelf.revive(place);
                    shelf.known[place].touched = at;
                    let taken = shelf.push(place, slot, value);
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
        let (ids, values): (Vec<u64>, Vec<f64>) = values.into_iter().unzip();
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
        let known = Known { series: None, labels, name: 0, created, touched: created, left, value: f64::NAN };
        self.shelf_mut(Role::Recorded).add(number, known)
    }

    pub(super) fn stamp(&mut self, stamped: &Stamped, window: &Window) -> Option<OwnTime> {
        let series = &stamped.series;
        let role = if series.kind() == Kind::Counter { Role::Stamped } else { Role::Gauge };
        let name = match self.names.get(series.kind(), series.name()) {
            Some(name) => name,
            None => {
                let family = window.roster.iter().find(|family| family.kind == series.kind() && *family.name == *series.name());
                let prom_name =
                    family.map_or_else(|| self.page_name(series.kind(), series.name()).into(), |family| family.prom_name.clone());
                if !self.keeps(series.kind(), &prom_name) {
                    return None;
                }
                self.names.add(series.kind(), series.name(), &prom_name)
            }
        };
        let place = match self.find(role, name, series.tags()) {
            Some(place) => place,
            None => self.birth(role, name, series, window.start(), window.end) as usize,
        };
        let number = *self.shelf(role).numbers.get(place)?;
        Some(OwnTime { at: stamped.at, number, value: stamped.value })
    }

    /// The Prometheus name a family would have on the page, where it is not yet.
    fn page_name(&self, kind: Kind, name: &str) -> String {
        let mut base = labels::metric_name(name);
        if base.starts_with("statsd_relay_") {
            base.insert_str(0, "client_");
        }
        if kind == Kind::Counter && self.suffix_counters && !base.ends_with("_total") {
            base.push_str("_total");
        }
        while self.is_of_another_kind(&base, kind) {
            base.push('_');
            base.push_str(kind.as_str());
        }
        base
    }

    fn is_of_another_kind(&self, metric: &str, kind: Kind) -> bool {
        let first = |metric: &str| self.index.metrics.get(metric)?.first().copied();
        let kind_of = |number: Number| Some(self.names.at(self.get(number)?.name)?.kind).filter(|_| number.role() != Some(Role::Recorded));
        let of_timer =
            |suffix: &&str| metric.strip_suffix(*suffix).and_then(first).is_some_and(|number| number.role() == Some(Role::Sketch));
        first(metric).is_some_and(|number| kind_of(number) != Some(kind)) || ["_sum", "_count", "_bucket"].iter().any(of_timer)
    }
}
