//! What PromQL reads: head and file as one.

use std::collections::{BTreeSet, HashMap};

use redb::{ReadTransaction, ReadableDatabase};

use super::Store;
use super::at_work::AtWork;
use super::disk::last_window;
use super::gather::{Gather, Scope};
use super::head::Head;
use super::pick::{AT_ONCE, Picker, View};
use super::recall::{Recall, Span, stamped};
use super::role::{Number, Role};
use super::timeline::Timeline;
use super::tracks::Track;
use super::twins::{Found, Unjoined};
use crate::clock::Clock;
use crate::model::labels::NAME;
use crate::model::{Labels, Matcher, Room, Select, SelectError, Selected, TimeRange};

/// As many series as a query may have.
const SERIES: usize = 50_000;
/// Bytes of the hours in memory that are looked at together, and one series more.
const TRACKS_BYTES: usize = 16 << 20;
/// Times a selection begins again because an hour ended meanwhile.
const TRIES: usize = 3;
/// A time no sample has.
const FAR: i64 = i64::MAX / 2;
/// How far a summary looks back, and one block more.
const LOOK_BACK_MS: i64 = 12 * 60_000;

impl Select for Store {
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<Selected, SelectError> {
        self.select_within(matchers, range, &Room::default())
    }

    fn select_within(&self, matchers: &[Matcher], range: TimeRange, room: &Room) -> Result<Selected, SelectError> {
        let mut found = self.select_of(SERIES, matchers, range, room)?;
        found.series.extend(self.glance(matchers, range, SERIES)?);
        found.join(room)
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
        sets.extend(self.glance(matchers, range, usize::MAX)?.into_iter().map(|found| found.slice.labels));
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
    fn glance(&self, matchers: &[Matcher], range: TimeRange, most: usize) -> Result<Vec<Found>, SelectError> {
        let Some(glance) = self.0.head.read().glance.clone() else { return Ok(Vec::new()) };
        glance.select(&Picker::new(matchers, &self.0.percentiles), range, most)
    }

    /// Within so many series.
    pub(super) fn select_of(&self, most: usize, matchers: &[Matcher], range: TimeRange, room: &Room) -> Result<Unjoined, SelectError> {
        let _at_work = AtWork::on(&self.0.disk.mark);
        // No sample lies outside, and sums of times stay in bounds.
        let range = TimeRange { start: range.start.clamp(0, FAR), end: range.end.clamp(0, FAR) };
        let taken = room.taken();
        for _ in 0..TRIES {
            if let Some(selected) = self.try_select(most, matchers, Scope { range, interval: self.0.interval, room })? {
                return Ok(selected);
            }
            room.give(room.taken().saturating_sub(taken));
        }
        Err(SelectError::Store("hours ended while it was read; try again".into()))
    }

    /// `None` when the head let go of an hour meanwhile.
    fn try_select(&self, most: usize, matchers: &[Matcher], scope: Scope<'_>) -> Result<Option<Unjoined>, SelectError> {
        // Samples with times of their own may lie outside of a life.
        let own_times = |number: Number| matches!(number.role(), Some(Role::Gauge | Role::Stamped));
        let picks = self.pick(matchers, most, |number, known| own_times(number) || known.lived_in(scope.range))?;
        if picks.is_empty() {
            return Ok(Some(Default::default()));
        }
        let mut gathers: Vec<Gather> = picks.into_iter().map(Gather::new).collect();
        gathers.sort_by_key(|gather| gather.pick.number);
        let numbers: Vec<Number> = gathers.iter().map(|gather| gather.pick.number).collect();
        let moment = self.moment(&numbers);
        let span = moment.span(scope.range, gathers.iter().any(|gather| matches!(gather.pick.view, View::Summary(_))));
        let mut found = Unjoined { warnings: moment.warnings(span), ..Unjoined::default() };
        let old = Old::read(&moment, &mut gathers, &numbers, span, scope)?;
        found.warnings.extend(old.warning(matchers));
        let (mut gathers, mut left) = (gathers.into_iter(), &numbers[..]);
        while !left.is_empty() {
            let Some(tracks) = self.tracks(&moment, left) else { return Ok(None) };
            left = &left[tracks.len()..];
            for (track, mut gather) in tracks.into_iter().zip(gathers.by_ref()) {
                let number = gather.pick.number;
                gather.track(scope, &track, if number.role() == Some(Role::Recorded) { &moment.recorded } else { &moment.windows });
                if let Some(stamped) = old.stamped.get(&number) {
                    gather.stamped(scope, stamped);
                }
                gather.finish(scope, &mut found.series);
            }
            scope.room.check(Clock::system().instant())?;
        }
        Ok(Some(found))
    }

    pub(super) fn moment(&self, wanted: &[Number]) -> Moment {
        let head = self.0.head.read();
        let disk = self.0.database.read().as_ref().map(|database| database.begin_read());
        let waiting = waiting(&head, &disk, wanted);
        Moment { windows: head.windows.clone(), recorded: head.recorded.clone(), disk, waiting, damaged: head.damaged.clone() }
    }

    /// What is in memory of the first of these series, at least one; `None` when that is no longer what it was at
    /// `moment`.
    pub(super) fn tracks(&self, moment: &Moment, numbers: &[Number]) -> Option<Vec<Track>> {
        let head = self.0.head.read();
        if !moment.is_covered_by(&head) {
            return None;
        }
        let (mut tracks, mut bytes) = (Vec::new(), 0);
        for &number in numbers.iter().take(AT_ONCE) {
            let track = head.track(number).unwrap_or_default();
            bytes += track.bytes();
            tracks.push(track);
            if bytes > TRACKS_BYTES {
                break;
            }
        }
        Some(tracks)
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

/// What there is beside the samples of windows.
#[derive(Default)]
struct Old {
    stamped: HashMap<Number, Vec<(i64, f64)>, foldhash::fast::RandomState>,
    damaged: BTreeSet<i64>,
}

impl Old {
    /// Gathers what the file has, and what waits for it.
    fn read(moment: &Moment, gathers: &mut [Gather], numbers: &[Number], span: Span, scope: Scope<'_>) -> Result<Old, SelectError> {
        let (mut old, range) = (Old::default(), scope.range);
        if let Some(Ok(read)) = &moment.disk {
            let mut recall = Recall::new(gathers, span, scope);
            recall.read(read, moment.damaged.is_empty())?;
            old.damaged = recall.damaged;
            stamped(read, (range.start, range.end), |number, at, value| {
                if numbers.binary_search(&number).is_ok() {
                    scope.room.take(size_of::<(i64, f64)>() * 2);
                    old.add_stamped(number, at, value);
                }
                scope.room.check(Clock::system().instant())
            })?;
        }
        moment.waiting.iter().for_each(|&(number, at, value)| old.add_stamped(number, at, value));
        old.damaged.extend(moment.damaged.iter().filter(|&&end| range.start < end && end <= range.end));
        Ok(old)
    }

    fn add_stamped(&mut self, number: Number, at: i64, value: f64) {
        let line = self.stamped.entry(number).or_default();
        match line.binary_search_by_key(&at, |&(at, _)| at) {
            Ok(same) if number.role() == Some(Role::Stamped) => line[same].1 += value,
            Ok(same) => line[same].1 = value,
            Err(place) => line.insert(place, (at, value)),
        }
    }

    fn warning(&self, matchers: &[Matcher]) -> Option<String> {
        let (first, last) = (self.damaged.first()?, self.damaged.last()?);
        let name = matchers.iter().find(|matcher| matcher.name == NAME).map_or("the selection", |matcher| matcher.value.as_str());
        Some(format!("damaged: {name} is not complete between the windows that end at {first} and {last} (unix milliseconds)"))
    }
}
