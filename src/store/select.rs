//! What PromQL reads: head and file as one.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use redb::{ReadTransaction, ReadableDatabase};

use super::Store;
use super::at_work::AtWork;
use super::disk::last_window;
use super::head::Head;
use super::history::Point;
use super::pick::{AT_ONCE, Pick, Picker, View};
use super::recall::{Line, Recall, Span, stamped};
use super::role::{Number, Role};
use super::timeline::Timeline;
use super::tracks::Track;
use crate::model::labels::NAME;
use crate::model::{Labels, Matcher, Recent, Sample, SampleValue, Select, SelectError, Selected, SeriesSlice, TimeRange};

/// What one selection may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    pub(super) series: usize,
    pub(super) samples: usize,
}

/// As many series as a query may have; samples of about 500 MiB.
const BUDGET: Budget = Budget { series: 50_000, samples: 20_000_000 };
/// Times a selection begins again because an hour ended meanwhile.
const TRIES: usize = 3;
/// A time no sample has.
const FAR: i64 = i64::MAX / 2;
/// How far a summary looks back, and one block more.
const LOOK_BACK_MS: i64 = 12 * 60_000;

impl Select for Store {
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<Selected, SelectError> {
        let mut selected = self.select_within(BUDGET, matchers, range)?;
        let shown = self.glance(matchers, range, BUDGET.series)?;
        selected.series.extend(shown.into_iter().map(|(labels, sample)| SeriesSlice { labels, samples: vec![sample], start_time: None }));
        merge_twins(&mut selected.series);
        Ok(selected)
    }

    fn label_sets(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>, SelectError> {
        let own_times = |number: Number| number.role() == Some(Role::Stamped);
        let picks = self.pick(matchers, usize::MAX, |number, known| own_times(number) || known.lived_in(range))?;
        let mut sets: Vec<Labels> = Vec::with_capacity(picks.len());
        for pick in picks {
            match pick.view {
                View::Floats(labels) | View::Histogram(labels) | View::Count(labels) | View::Sum(labels) => sets.push(labels),
                View::Summary(parts) | View::Buckets(parts) => sets.extend(parts.into_iter().map(|(_, labels)| labels)),
            }
        }
        sets.extend(self.glance(matchers, range, usize::MAX)?.into_iter().map(|(labels, _)| labels));
        sets.sort_unstable();
        sets.dedup();
        Ok(sets)
    }
}

/// Head and file at one moment: between them nothing is missed or met twice.
pub(super) struct Moment {
    windows: Timeline,
    recorded: Timeline,
    disk: Option<Result<ReadTransaction, redb::TransactionError>>,
    waiting: Vec<(Number, i64, f64)>,
    /// Ends of damaged windows that should be in memory.
    damaged: BTreeSet<i64>,
}

impl Moment {
    /// What of the file is asked for; a summary looks back.
    fn span(&self, range: TimeRange, summary: bool) -> Span {
        Span {
            start: if summary { (range.start - LOOK_BACK_MS).max(0) } else { range.start },
            windows_end: range.end.min(self.windows.covered_from()),
            recorded_end: range.end.min(self.recorded.covered_from()),
        }
    }

    fn warnings(&self, span: Span) -> Vec<String> {
        match &self.disk {
            Some(Err(error)) => vec![format!("the store's file cannot be read: {error}; only the last hours were searched")],
            None if span.start < span.windows_end.max(span.recorded_end) => {
                vec!["the store's file is not open; only the last hours were searched".into()]
            }
            _ => Vec::new(),
        }
    }

    /// Whether the head still holds the hours it held then.
    fn is_covered_by(&self, head: &Head) -> bool {
        self.windows.covered_from() == head.windows.covered_from() && self.recorded.covered_from() == head.recorded.covered_from()
    }
}

impl Store {
    /// What is shown beside what is kept.
    fn glance(&self, matchers: &[Matcher], range: TimeRange, most: usize) -> Result<Vec<(Labels, Sample)>, SelectError> {
        let Some(glance) = self.0.head.read().glance.clone() else { return Ok(Vec::new()) };
        glance.select(&Picker::new(matchers, &self.0.percentiles), range, most)
    }

    pub(super) fn select_within(&self, budget: Budget, matchers: &[Matcher], range: TimeRange) -> Result<Selected, SelectError> {
        let _at_work = AtWork::on(&self.0.disk.mark);
        // No sample lies outside, and sums of times stay in bounds.
        let range = TimeRange { start: range.start.clamp(0, FAR), end: range.end.clamp(0, FAR) };
        for _ in 0..TRIES {
            if let Some(selected) = self.try_select(budget, matchers, range)? {
                return Ok(selected);
            }
        }
        Err(SelectError::Store("hours ended while it was read; try again".into()))
    }

    /// `None` when the head let go of an hour meanwhile.
    fn try_select(&self, budget: Budget, matchers: &[Matcher], range: TimeRange) -> Result<Option<Selected>, SelectError> {
        // Samples with times of their own may lie outside of a life.
        let own_times = |number: Number| matches!(number.role(), Some(Role::Gauge | Role::Stamped));
        let picks = self.pick(matchers, budget.series, |number, known| own_times(number) || known.lived_in(range))?;
        if picks.is_empty() {
            return Ok(Some(Selected::default()));
        }
        let mut wanted: Vec<Number> = picks.iter().map(|pick| pick.number).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let moment = self.moment(&wanted);
        let span = moment.span(range, picks.iter().any(|pick| matches!(pick.view, View::Summary(_))));
        let mut selected = Selected { warnings: moment.warnings(span), ..Selected::default() };
        let old = self.old(&moment, &wanted, span, range, budget)?;
        selected.warnings.extend(old.warning(matchers));
        let mut held = 0;
        let mut picks = picks.into_iter().peekable();
        while picks.peek().is_some() {
            let slice: Vec<Pick> = picks.by_ref().take(AT_ONCE).collect();
            let Some(tracks) = self.tracks(&moment, &slice) else { return Ok(None) };
            for (pick, track) in slice.into_iter().zip(tracks) {
                let line = if pick.number.role() == Some(Role::Recorded) { &moment.recorded } else { &moment.windows };
                let shown = selected.series.len();
                pick.show(&track, line, &old, range, self.0.interval, &mut selected.series);
                held += selected.series[shown..].iter().map(|slice| slice.samples.len()).sum::<usize>();
                if held > budget.samples {
                    return Err(SelectError::TooManySamples(budget.samples));
                }
            }
        }
        Ok(Some(selected))
    }

    /// What the file has, and what waits for it.
    fn old(&self, moment: &Moment, wanted: &[Number], span: Span, range: TimeRange, budget: Budget) -> Result<Old, SelectError> {
        let mut old = match &moment.disk {
            Some(Ok(read)) => Old::read(read, wanted, span, range, budget.samples)
                .map_err(|error| SelectError::Store(error.to_string()))?
                .ok_or(SelectError::TooManySamples(budget.samples))?,
            _ => Old::default(),
        };
        old.add_stamped(&moment.waiting);
        old.damaged.extend(moment.damaged.iter().filter(|&&end| range.start < end && end <= range.end));
        Ok(old)
    }

    pub(super) fn moment(&self, wanted: &[Number]) -> Moment {
        let head = self.0.head.read();
        let disk = self.0.database.read().as_ref().map(|database| database.begin_read());
        let waiting = waiting(&head, &disk, wanted);
        Moment { windows: head.windows.clone(), recorded: head.recorded.clone(), disk, waiting, damaged: head.damaged.clone() }
    }

    /// What is in memory of some picks; `None` when that is no longer what it was at `moment`.
    pub(super) fn tracks(&self, moment: &Moment, picks: &[Pick]) -> Option<Vec<Track>> {
        let head = self.0.head.read();
        let track = |pick: &Pick| head.track(pick.number).unwrap_or_default();
        moment.is_covered_by(&head).then(|| picks.iter().map(track).collect())
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

/// What the file has of the series asked for.
#[derive(Default)]
struct Old {
    lines: HashMap<Number, Line, foldhash::fast::RandomState>,
    stamped: HashMap<Number, Vec<(i64, f64)>, foldhash::fast::RandomState>,
    damaged: BTreeSet<i64>,
}

impl Old {
    fn read(read: &ReadTransaction, wanted: &[Number], span: Span, range: TimeRange, room: usize) -> Result<Option<Old>, redb::Error> {
        let mut recall = Recall::new(wanted, span, room);
        let lines = recall.read(read)?;
        if recall.full {
            return Ok(None);
        }
        let damaged = recall.damaged;
        let mut old = Old { lines: wanted.iter().copied().zip(lines).collect(), stamped: HashMap::default(), damaged };
        old.add_stamped(&stamped(read, wanted, range.start, range.end)?);
        Ok(Some(old))
    }

    fn add_stamped(&mut self, samples: &[(Number, i64, f64)]) {
        for &(number, at, value) in samples {
            let line = self.stamped.entry(number).or_default();
            match line.binary_search_by_key(&at, |&(at, _)| at) {
                Ok(same) if number.role() == Some(Role::Stamped) => line[same].1 += value,
                Ok(same) => line[same].1 = value,
                Err(place) => line.insert(place, (at, value)),
            }
        }
    }

    fn warning(&self, matchers: &[Matcher]) -> Option<String> {
        let (first, last) = (self.damaged.first()?, self.damaged.last()?);
        let name = matchers.iter().find(|matcher| matcher.name == NAME).map_or("the selection", |matcher| matcher.value.as_str());
        Some(format!("damaged: {name} is not complete between the windows that end at {first} and {last} (unix milliseconds)"))
    }
}

impl Pick {
    /// Adds the series this pick shows, unless they have no sample in the range.
    fn show(self, track: &Track, line: &Timeline, old: &Old, range: TimeRange, interval: i64, out: &mut Vec<SeriesSlice>) {
        let inside = |at: i64| range.start < at && at <= range.end;
        let mut give = |labels: Labels, start_time: Option<i64>, samples: Vec<Sample>| {
            if !samples.is_empty() {
                out.push(SeriesSlice { labels, samples, start_time });
            }
        };
        let created = Some(self.created);
        match self.view {
            View::Floats(labels) => {
                let samples = floats(self.number, track, line, old, inside);
                let start_time = created.filter(|_| self.number.role() == Some(Role::Counter));
                give(labels, start_time, samples);
            }
            View::Histogram(labels) => {
                let points = points(self.number, track, line, old);
                give(labels, created, shown(points, inside, |ever| SampleValue::Histogram(ever.clone())));
            }
            View::Count(labels) => {
                let points = points(self.number, track, line, old);
                give(labels, created, shown(points, inside, |ever| SampleValue::Float(ever.count)));
            }
            View::Sum(labels) => {
                let points = points(self.number, track, line, old);
                give(labels, created, shown(points, inside, |ever| SampleValue::Float(ever.sum)));
            }
            View::Buckets(bounds) => {
                let points = points(self.number, track, line, old);
                for (samples, (_, labels)) in below(&points, inside, &bounds).into_iter().zip(bounds) {
                    give(labels, created, samples);
                }
            }
            View::Summary(quantiles) => {
                let points = points(self.number, track, line, old);
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
    // What is before is in memory for summaries of the page alone.
    let from = line.covered_from();
    track.points(line, |at, point| {
        if at > from {
            points.push((at, point));
        }
    });
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

/// One list of samples per upper bound: what did not exceed it. Windows that had no such bound have no sample.
fn below(points: &[(i64, Point)], inside: impl Fn(i64) -> bool, bounds: &[(f64, Labels)]) -> Vec<Vec<Sample>> {
    let mut below = vec![Vec::new(); bounds.len()];
    for (at, point) in points.iter().filter(|(at, _)| inside(*at)) {
        for (samples, (bound, _)) in below.iter_mut().zip(bounds) {
            match point {
                Point::Stale => samples.push(sample(*at, None)),
                Point::Sample { ever, .. } => samples.extend(ever.at_most(*bound).map(|weight| sample(*at, Some(weight)))),
            }
        }
    }
    below
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
