//! What PromQL reads: head and file as one.

use std::collections::HashMap;
use std::sync::Arc;

use redb::{ReadTransaction, ReadableDatabase};

use super::disk::last_window;
use super::head::Head;
use super::history::Point;
use super::recall::{Line, Recall, Span, stamped};
use super::role::{Number, Role};
use super::shelf::{Known, Track};
use super::timeline::Timeline;
use super::{Shared, Store};
use crate::model::labels::NAME;
use crate::model::{Labels, Matcher, Recent, Sample, SampleValue, Select, SelectError, Selected, SeriesSlice, TimeRange};

/// Samples one selection may hold: about 500 MiB.
const MAX_SAMPLES: usize = 20_000_000;
/// A time no sample has.
const FAR: i64 = i64::MAX / 2;
/// How far a summary looks back, and one block more.
const LOOK_BACK_MS: i64 = 12 * 60_000;

/// How a series is shown.
#[derive(Clone, Debug)]
enum View {
    Floats(Labels),
    Histogram(Labels),
    Count(Labels),
    Sum(Labels),
    /// One series per quantile.
    Summary(Vec<(f64, Labels)>),
}

/// A series that was chosen, with all that is needed once the head is let go.
struct Pick {
    number: Number,
    view: View,
    created: i64,
    track: Track,
}

impl Select for Store {
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<Selected, SelectError> {
        let shared: &Shared = &self.0;
        // No sample lies outside, and sums of times stay in bounds.
        let range = TimeRange { start: range.start.clamp(0, FAR), end: range.end.clamp(0, FAR) };
        let head = shared.head.read();
        // Samples with times of their own may lie outside of a life.
        let own_times = |number: Number| matches!(number.role(), Some(Role::Gauge | Role::Stamped));
        let picks = head.pick(matchers, &shared.percentiles, |number, known| own_times(number) || known.lived_in(range));
        if picks.is_empty() {
            return Ok(Selected::default());
        }
        let summary = picks.iter().any(|pick| matches!(pick.view, View::Summary(_)));
        let start = if summary { (range.start - LOOK_BACK_MS).max(0) } else { range.start };
        let span = Span {
            start,
            windows_end: range.end.min(head.windows.covered_from()),
            recorded_end: range.end.min(head.recorded.covered_from()),
        };
        let (windows, recorded) = (head.windows.clone(), head.recorded.clone());
        // The view of the file is taken while the head is held: between them nothing is missed or met twice.
        let disk = shared.database.read().as_ref().map(|database| database.begin_read());
        let mut wanted: Vec<Number> = picks.iter().map(|pick| pick.number).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let waiting = waiting(&head, &disk, &wanted);
        drop(head);
        let mut selected = Selected::default();
        let mut old = Old::default();
        match disk {
            Some(Ok(read)) => {
                let failed = |error: redb::Error| SelectError::Store(error.to_string());
                old = Old::read(&read, &wanted, span, range).map_err(failed)?;
                selected.warnings.extend(old.warning(matchers));
            }
            Some(Err(error)) => {
                selected.warnings.push(format!("the store's file cannot be read: {error}; only the last hours were searched"))
            }
            None if start < span.windows_end.max(span.recorded_end) => {
                selected.warnings.push("the store's file is not open; only the last hours were searched".into());
            }
            None => {}
        }
        old.add_stamped(waiting);
        let mut held = 0;
        for pick in picks {
            let line = if pick.number.role() == Some(Role::Recorded) { &recorded } else { &windows };
            pick.show(line, &old, range, shared.interval, &mut selected.series);
            held += selected.series.last().map_or(0, |slice| slice.samples.len());
            if held > MAX_SAMPLES {
                return Err(SelectError::TooManySamples(MAX_SAMPLES));
            }
        }
        merge_twins(&mut selected.series);
        Ok(selected)
    }

    fn label_sets(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>, SelectError> {
        let own_times = |number: Number| number.role() == Some(Role::Stamped);
        let picks = self.0.head.read().pick(matchers, &self.0.percentiles, |number, known| own_times(number) || known.lived_in(range));
        let mut sets: Vec<Labels> = Vec::with_capacity(picks.len());
        for pick in picks {
            match pick.view {
                View::Floats(labels) | View::Histogram(labels) | View::Count(labels) | View::Sum(labels) => sets.push(labels),
                View::Summary(quantiles) => sets.extend(quantiles.into_iter().map(|(_, labels)| labels)),
            }
        }
        sets.sort_unstable();
        sets.dedup();
        Ok(sets)
    }
}

/// Stamped samples that are not in this view of the file.
fn waiting(head: &Head, disk: &Option<Result<ReadTransaction, redb::TransactionError>>, wanted: &[Number]) -> Vec<(Number, i64, f64)> {
    let committed = match disk {
        Some(Ok(read)) => last_window(read),
        _ => None,
    };
    let pending = head.queue.iter().filter(|pending| committed.is_none_or(|committed| pending.at > committed));
    let all = pending.flat_map(|pending| &pending.stamped);
    let asked = |number: Number| wanted.binary_search(&number).is_ok();
    all.filter(|own| asked(own.number)).map(|own| (own.number, own.at as i64 * 1_000, own.value)).collect()
}

impl Head {
    /// The series the matchers name that `may` have samples.
    fn pick(&self, matchers: &[Matcher], percentiles: &[f64], may: impl Fn(Number, &Known) -> bool) -> Vec<Pick> {
        let (names, labels): (Vec<&Matcher>, Vec<&Matcher>) = matchers.iter().partition(|matcher| matcher.name == NAME);
        let by_quantile = labels.iter().any(|matcher| matcher.name == "quantile");
        let named = |name: &str| names.iter().all(|matcher| matcher.matches(name));
        let mut picks = Vec::new();
        for (metric, numbers) in self.metrics(&names) {
            let [own, count, sum] = [named(metric), named(&format!("{metric}_count")), named(&format!("{metric}_sum"))];
            if !(own || count || sum) {
                continue;
            }
            for &number in numbers {
                let Some(known) = self.get(number).filter(|known| may(number, known)) else { continue };
                let mut pick = |view: View| picks.push(Pick { number, view, created: known.created, track: known.track.clone() });
                let fits = |labels_of: &Labels| labels.iter().all(|matcher| matcher.matches(labels_of.get(&matcher.name)));
                if number.role() != Some(Role::Sketch) {
                    if own && fits(&known.labels) {
                        pick(View::Floats(known.labels.clone()));
                    }
                    continue;
                }
                if own && by_quantile {
                    let of = |&q: &f64| (q, known.labels.with("quantile", &q.to_string()));
                    let quantiles: Vec<(f64, Labels)> = percentiles.iter().map(of).filter(|(_, labels)| fits(labels)).collect();
                    if !quantiles.is_empty() {
                        pick(View::Summary(quantiles));
                    }
                }
                if !fits(&known.labels) {
                    continue;
                }
                if own && !by_quantile {
                    pick(View::Histogram(known.labels.clone()));
                }
                if count {
                    pick(View::Count(known.labels.with(NAME, &format!("{metric}_count"))));
                }
                if sum {
                    pick(View::Sum(known.labels.with(NAME, &format!("{metric}_sum"))));
                }
            }
        }
        picks
    }

    /// Metric names that can pass: those an equality names, or all.
    fn metrics<'a>(&'a self, names: &[&'a Matcher]) -> Vec<(&'a str, &'a [Number])> {
        let exact = names.iter().find(|matcher| matches!(matcher.op, crate::model::MatchOp::Equal) && !matcher.value.is_empty());
        let Some(exact) = exact else {
            return self.index.metrics.iter().map(|(name, numbers)| (name.as_ref(), numbers.as_slice())).collect();
        };
        let name = exact.value.as_str();
        let parts = [Some(name), name.strip_suffix("_count"), name.strip_suffix("_sum")];
        let known = parts.into_iter().flatten().filter_map(|part| Some((part, self.index.metrics.get(part)?.as_slice())));
        known.collect()
    }
}

impl Known {
    fn lived_in(&self, range: TimeRange) -> bool {
        self.created < range.end && self.left > range.start
    }
}

/// What the file has of the series asked for.
#[derive(Default)]
struct Old {
    lines: HashMap<Number, Line, foldhash::fast::RandomState>,
    stamped: HashMap<Number, Vec<(i64, f64)>, foldhash::fast::RandomState>,
    damaged: Option<(i64, i64)>,
}

impl Old {
    fn read(read: &ReadTransaction, wanted: &[Number], span: Span, range: TimeRange) -> Result<Old, redb::Error> {
        let mut recall = Recall::new(wanted, span);
        let lines = recall.read(read)?;
        let damaged = recall.damaged.first().copied().zip(recall.damaged.last().copied());
        let mut old = Old { lines: wanted.iter().copied().zip(lines).collect(), stamped: HashMap::default(), damaged };
        old.add_stamped(stamped(read, wanted, range.start, range.end)?);
        Ok(old)
    }

    fn add_stamped(&mut self, samples: Vec<(Number, i64, f64)>) {
        for (number, at, value) in samples {
            let line = self.stamped.entry(number).or_default();
            match line.binary_search_by_key(&at, |&(at, _)| at) {
                Ok(same) if number.role() == Some(Role::Stamped) => line[same].1 += value,
                Ok(same) => line[same].1 = value,
                Err(place) => line.insert(place, (at, value)),
            }
        }
    }

    fn warning(&self, matchers: &[Matcher]) -> Option<String> {
        let (first, last) = self.damaged?;
        let name = matchers.iter().find(|matcher| matcher.name == NAME).map_or("the selection", |matcher| matcher.value.as_str());
        Some(format!("damaged: {name} is not complete between the windows that end at {first} and {last} (unix milliseconds)"))
    }
}

impl Pick {
    /// Adds the series this pick shows, unless they have no sample in the range.
    fn show(self, line: &Timeline, old: &Old, range: TimeRange, interval: i64, out: &mut Vec<SeriesSlice>) {
        let inside = |at: i64| range.start < at && at <= range.end;
        let mut give = |labels: Labels, start_time: Option<i64>, samples: Vec<Sample>| {
            if !samples.is_empty() {
                out.push(SeriesSlice { labels, samples, start_time });
            }
        };
        let created = Some(self.created);
        match self.view {
            View::Floats(labels) => {
                let samples = floats(self.number, &self.track, line, old, inside);
                let start_time = created.filter(|_| self.number.role() == Some(Role::Counter));
                give(labels, start_time, samples);
            }
            View::Histogram(labels) => {
                let points = points(self.number, &self.track, line, old);
                give(labels, created, shown(points, inside, |ever| SampleValue::Histogram(ever.clone())));
            }
            View::Count(labels) => {
                let points = points(self.number, &self.track, line, old);
                give(labels, created, shown(points, inside, |ever| SampleValue::Float(ever.count)));
            }
            View::Sum(labels) => {
                let points = points(self.number, &self.track, line, old);
                give(labels, created, shown(points, inside, |ever| SampleValue::Float(ever.sum)));
            }
            View::Summary(quantiles) => {
                let points = points(self.number, &self.track, line, old);
                for (samples, (_, labels)) in summary(points, inside, interval, &quantiles).into_iter().zip(quantiles) {
                    give(labels, None, samples);
                }
            }
        }
    }
}

fn sample(at: i64, value: Option<f64>) -> Sample {
    Sample { at, value: value.map_or(SampleValue::Stale, SampleValue::Float) }
}

fn floats(number: Number, track: &Track, line: &Timeline, old: &Old, inside: impl Fn(i64) -> bool) -> Vec<Sample> {
    let mut samples = Vec::new();
    if let Some(Line::Floats(read)) = old.lines.get(&number) {
        samples.extend(read.iter().filter(|(at, _)| inside(*at)).map(|&(at, value)| sample(at, value)));
    }
    track.floats(line, |at, value| {
        if inside(at) {
            samples.push(sample(at, value));
        }
    });
    if let Some(stamped) = old.stamped.get(&number) {
        samples.extend(stamped.iter().filter(|(at, _)| inside(*at)).map(|&(at, value)| sample(at, Some(value))));
        samples.sort_by_key(|sample| sample.at);
        samples.dedup_by_key(|sample| sample.at);
    }
    samples
}

fn points(number: Number, track: &Track, line: &Timeline, old: &Old) -> Vec<(i64, Point)> {
    let mut points = match old.lines.get(&number) {
        Some(Line::Points(read)) => read.clone(),
        _ => Vec::new(),
    };
    track.points(line, |at, point| points.push((at, point)));
    points
}

fn shown(
    points: Vec<(i64, Point)>,
    inside: impl Fn(i64) -> bool,
    value: impl Fn(&Arc<crate::model::ExpHist>) -> SampleValue,
) -> Vec<Sample> {
    let kept = points.into_iter().filter(|(at, _)| inside(*at));
    kept.map(|(at, point)| match point {
        Point::Sample { ever, .. } => Sample { at, value: value(&ever) },
        Point::Stale => Sample { at, value: SampleValue::Stale },
    })
    .collect()
}

/// One list of samples per quantile.
fn summary(points: Vec<(i64, Point)>, inside: impl Fn(i64) -> bool, interval: i64, quantiles: &[(f64, Labels)]) -> Vec<Vec<Sample>> {
    let mut recent = Recent::default();
    let mut shown = vec![Vec::new(); quantiles.len()];
    for (at, point) in points {
        let window_start = (at - 1).div_euclid(interval) * interval;
        if let Point::Sample { window: Some(window), .. } = &point {
            recent.add(window_start, window);
        }
        if !inside(at) {
            continue;
        }
        let merged = (point != Point::Stale).then(|| recent.merged(window_start));
        for (samples, (q, _)) in shown.iter_mut().zip(quantiles) {
            samples.push(sample(at, merged.as_ref().map(|merged| merged.quantile(*q))));
        }
    }
    shown
}

/// Joins series that rewriting gave one label set: at a time, the first has the say.
fn merge_twins(series: &mut Vec<SeriesSlice>) {
    let mut seen: HashMap<Labels, usize, foldhash::fast::RandomState> = HashMap::default();
    let mut kept: Vec<SeriesSlice> = Vec::with_capacity(series.len());
    for slice in series.drain(..) {
        match seen.get(&slice.labels) {
            Some(&at) => {
                let twin = &mut kept[at];
                twin.samples.extend(slice.samples);
                twin.samples.sort_by_key(|sample| sample.at);
                twin.samples.dedup_by_key(|sample| sample.at);
            }
            None => {
                seen.insert(slice.labels.clone(), kept.len());
                kept.push(slice);
            }
        }
    }
    *series = kept;
}
