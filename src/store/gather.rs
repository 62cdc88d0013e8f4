//! The samples of the series chosen, as they come: from the file, then from memory.

use std::mem::size_of;
use std::sync::Arc;

use super::history::Point;
use super::pick::{Pick, View};
use super::role::Role;
use super::timeline::Timeline;
use super::tracks::Track;
use super::twins::{Found, Join};
use crate::model::{Buckets, ExpHist, Labels, Recent, Room, Sample, SampleValue, SeriesSlice, TimeRange};

/// What all gathering of one selection shares.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) range: TimeRange,
    /// Milliseconds.
    pub(super) interval: i64,
    pub(super) room: &'a Room,
}

impl Scope<'_> {
    fn holds(&self, at: i64) -> bool {
        self.range.start < at && at <= self.range.end
    }

    /// Adds a sample; of two at one time the first counts.
    fn put(&self, list: &mut Vec<Sample>, at: i64, value: SampleValue) {
        let last = list.last();
        if self.room.is_full() || last.is_some_and(|last| last.at >= at) {
            return;
        }
        if let SampleValue::Histogram(ever) = &value {
            // While nothing comes, samples share it.
            let shared = last.is_some_and(|last| matches!(&last.value, SampleValue::Histogram(have) if Arc::ptr_eq(have, ever)));
            self.room.take(if shared { 0 } else { ever.bytes() });
        }
        if list.len() == list.capacity() {
            let more = 4 + list.len() / 4;
            list.reserve_exact(more);
            self.room.take(more * size_of::<Sample>());
        }
        list.push(Sample { at, value });
    }
}

/// What of sketches a view shows, beside what windows received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Depth {
    Totals,
    Buckets,
    Whole,
}

impl Depth {
    /// Leaves of a sketch what is shown.
    pub(super) fn trim(self, mut sketch: ExpHist) -> ExpHist {
        if self < Depth::Whole {
            (sketch.positive, sketch.negative) = (Vec::new(), Vec::new());
        }
        if self < Depth::Buckets {
            sketch.buckets = None;
        }
        sketch
    }

    /// Adds to a sketch what is shown of a window.
    pub(super) fn merge(self, ever: &mut ExpHist, window: &ExpHist) {
        match self {
            Depth::Totals => ever.merge_totals(window),
            Depth::Buckets => {
                ever.merge_totals(window);
                ever.merge_buckets(window);
            }
            Depth::Whole => ever.merge(window),
        }
    }
}

/// What a timer received in a window, if anything, and since its birth.
pub(super) type Reached<'a> = (Option<&'a ExpHist>, &'a Arc<ExpHist>);

/// The samples of one pick.
pub(super) struct Gather {
    pub(super) pick: Pick,
    /// One for each series that the pick shows.
    lists: Vec<Vec<Sample>>,
    /// What quantiles are taken from, and the bytes taken for it.
    recent: Recent,
    held: usize,
}

impl Gather {
    pub(super) fn new(pick: Pick) -> Gather {
        let lists = vec![Vec::new(); pick.view.sets()];
        Gather { pick, lists, recent: Recent::default(), held: 0 }
    }

    pub(super) fn depth(&self) -> Depth {
        match self.pick.view {
            View::Histogram(_) => Depth::Whole,
            View::Buckets(_) => Depth::Buckets,
            View::Floats(_) | View::Count(_) | View::Sum(_) | View::Summary(_) => Depth::Totals,
        }
    }

    /// Adds a sample of a series of floats.
    pub(super) fn float(&mut self, scope: Scope<'_>, at: i64, value: f64) {
        self.same(scope, at, SampleValue::Float(value));
    }

    /// Adds the end of the series.
    pub(super) fn end(&mut self, scope: Scope<'_>, at: i64) {
        self.same(scope, at, SampleValue::Stale);
    }

    /// Adds the same to all lists.
    fn same(&mut self, scope: Scope<'_>, at: i64, value: SampleValue) {
        if scope.holds(at) {
            self.lists.iter_mut().for_each(|list| scope.put(list, at, value.clone()));
        }
    }

    /// Adds a point of a timer.
    pub(super) fn point(&mut self, scope: Scope<'_>, at: i64, (window, ever): Reached<'_>) {
        match &self.pick.view {
            View::Floats(_) => {}
            View::Histogram(_) => self.same(scope, at, SampleValue::Histogram(ever.clone())),
            View::Count(_) => self.same(scope, at, SampleValue::Float(ever.count)),
            View::Sum(_) => self.same(scope, at, SampleValue::Float(ever.sum)),
            View::Buckets(_) if scope.holds(at) => self.below(scope, at, ever),
            View::Buckets(_) => {}
            View::Summary(_) => self.summary(scope, at, window),
        }
    }

    /// What did not exceed each bound. Windows that had no such bound have no sample; all have the infinite one.
    fn below(&mut self, scope: Scope<'_>, at: i64, ever: &ExpHist) {
        let View::Buckets(bounds) = &self.pick.view else { return };
        let none = Buckets::new(&Arc::default());
        let buckets = ever.buckets.as_deref().unwrap_or(&none);
        let mut have = buckets.cumulative(ever.count).peekable();
        for (list, (bound, _)) in self.lists.iter_mut().zip(bounds) {
            while have.next_if(|(below, _)| below < bound).is_some() {}
            if let Some((_, weight)) = have.next_if(|(below, _)| below == bound) {
                scope.put(list, at, SampleValue::Float(weight));
            }
        }
    }

    fn summary(&mut self, scope: Scope<'_>, at: i64, window: Option<&ExpHist>) {
        let View::Summary(quantiles) = &self.pick.view else { return };
        let window_start = (at - 1).div_euclid(scope.interval) * scope.interval;
        if let Some(window) = window {
            self.recent.add(window_start, window);
            let bytes = self.recent.bytes();
            scope.room.give(std::mem::replace(&mut self.held, bytes));
            scope.room.take(bytes);
        }
        if scope.holds(at) {
            let merged = self.recent.merged(window_start);
            for (list, (q, _)) in self.lists.iter_mut().zip(quantiles) {
                scope.put(list, at, SampleValue::Float(merged.quantile(*q)));
            }
        }
    }

    /// Adds what is in memory.
    pub(super) fn track(&mut self, scope: Scope<'_>, track: &Track, line: &Timeline) {
        track.floats(line, |at, value| match value {
            Some(value) => self.float(scope, at, value),
            None => self.end(scope, at),
        });
        // What is before is in memory for summaries of the page alone.
        let from = line.covered_from();
        track.points(line, |at, point| match point {
            _ if at <= from => {}
            Point::Sample { window, ever } => self.point(scope, at, (window.as_deref(), &ever)),
            Point::Stale => self.end(scope, at),
        });
    }

    /// Adds samples with times of their own: at a time, what is there has the say.
    pub(super) fn stamped(&mut self, scope: Scope<'_>, stamped: &[(i64, f64)]) {
        for list in &mut self.lists {
            let own = stamped.iter().filter(|(at, _)| scope.holds(*at));
            let own: Vec<Sample> = own.map(|&(at, value)| Sample { at, value: SampleValue::Float(value) }).collect();
            scope.room.take(own.len() * size_of::<Sample>());
            list.extend(own);
            list.sort_by_key(|sample| sample.at);
            list.dedup_by_key(|sample| sample.at);
        }
    }

    /// The series that have a sample.
    pub(super) fn finish(self, scope: Scope<'_>, out: &mut Vec<Found>) {
        scope.room.give(self.held);
        let (mut lists, created, touched) = (self.lists.into_iter(), Some(self.pick.created), self.pick.touched);
        let mut give = |join: Join, labels: Labels, start_time: Option<i64>| {
            if let Some(samples) = lists.next().filter(|samples| !samples.is_empty()) {
                out.push(Found { join, touched, slice: SeriesSlice { labels, samples, start_time } });
            }
        };
        match self.pick.view {
            View::Floats(labels) => {
                let role = self.pick.number.role();
                give(Join::of(role), labels, created.filter(|_| role == Some(Role::Counter)));
            }
            View::Histogram(labels) | View::Count(labels) => give(Join::Totals, labels, created),
            View::Sum(labels) => give(Join::Sums, labels, created),
            View::Buckets(bounds) => bounds.into_iter().for_each(|(_, labels)| give(Join::Totals, labels, created)),
            View::Summary(quantiles) => quantiles.into_iter().for_each(|(_, labels)| give(Join::First, labels, None)),
        }
    }
}
