//! Series that rewriting gave one label set are one series in answers, as they are one sample on the page.

use std::collections::HashMap;
use std::mem::size_of;
use std::sync::Arc;

use super::role::Role;
use crate::clock::Clock;
use crate::model::{Labels, Room, Sample, SampleValue, SelectError, Selected, SeriesSlice};

/// How series with the same labels become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    /// What was counted adds up. One that has left keeps its share, one that returns had it all along, and one that begins
    /// anew adds to it: none of these is a loss or a gain of what was counted. So over a range in which one is away the
    /// sum is more than the page shows meanwhile.
    Totals,
    /// The same of what also falls without beginning anew: sums of values, of which some are negative.
    Sums,
    /// What has a sample at a time adds up.
    Sizes,
    /// The one that a client changed last stands. What was set again to the same value long ago is not known as that.
    Latest,
    /// At a time, the first has the say: of quantiles, what rules recorded, and series of different kinds.
    First,
}

impl Join {
    /// Of a series of floats.
    pub(super) fn of(role: Option<Role>) -> Join {
        match role {
            Some(Role::Counter | Role::Sketch) => Join::Totals,
            Some(Role::Set | Role::Stamped) => Join::Sizes,
            Some(Role::Gauge) => Join::Latest,
            Some(Role::Recorded) | None => Join::First,
        }
    }
}

/// A series of an answer, before those with its labels are joined to it.
pub(super) struct Found {
    pub(super) join: Join,
    /// When a client last told its value: later than any other change of it that is known.
    pub(super) touched: i64,
    pub(super) slice: SeriesSlice,
}

/// What a selection found, before series with the same labels are joined.
#[derive(Default)]
pub(super) struct Unjoined {
    pub(super) series: Vec<Found>,
    pub(super) warnings: Vec<String>,
}

impl Unjoined {
    /// Joins what has the same labels.
    pub(super) fn join(self, room: &Room) -> Result<Selected, SelectError> {
        Ok(Selected { series: join(self.series, room)?, warnings: self.warnings })
    }
}

/// In the order of the first of each.
fn join(found: Vec<Found>, room: &Room) -> Result<Vec<SeriesSlice>, SelectError> {
    let mut places: HashMap<Labels, usize, foldhash::fast::RandomState> = HashMap::default();
    let (mut firsts, mut twins): (Vec<Found>, HashMap<usize, Vec<Found>>) = (Vec::with_capacity(found.len()), HashMap::new());
    for found in found {
        match places.get(&found.slice.labels) {
            Some(&at) => twins.entry(at).or_default().push(found),
            None => {
                places.insert(found.slice.labels.clone(), firsts.len());
                firsts.push(found);
            }
        }
    }
    for (at, others) in twins {
        let first = &mut firsts[at];
        let how = if others.iter().all(|other| other.join == first.join) { first.join } else { Join::First };
        let starts = others.iter().map(|other| other.slice.start_time).chain([first.slice.start_time]);
        let start_time = starts.min().flatten();
        let samples = std::mem::take(&mut first.slice.samples);
        let own = Found { slice: SeriesSlice { labels: first.slice.labels.clone(), samples, ..first.slice }, ..*first };
        let all = std::iter::once(own).chain(others).collect();
        (first.slice.samples, first.slice.start_time) = (joined(how, all, room)?, start_time);
    }
    Ok(firsts.into_iter().map(|found| found.slice).collect())
}

/// One of the series that become one, at the time that the walk has come to.
struct Twin {
    samples: std::iter::Peekable<std::vec::IntoIter<Sample>>,
    /// Its value at this very time.
    now: Option<SampleValue>,
    /// Its last value, also after it has left.
    last: Option<SampleValue>,
    lives: bool,
    /// What falls begins anew.
    begins_anew: bool,
    /// What it had counted whenever it began anew.
    before: f64,
    /// When its value last changed.
    since: i64,
    touched: i64,
}

impl Twin {
    fn new(how: Join, found: Found, first: i64) -> Twin {
        let was_there = matches!(how, Join::Totals | Join::Sums) && found.slice.start_time.is_some_and(|start| start < first);
        let value = found.slice.samples.first().filter(|_| was_there).map(|sample| sample.value.clone());
        Twin {
            last: value.filter(|value| *value != SampleValue::Stale),
            samples: found.slice.samples.into_iter().peekable(),
            now: None,
            lives: false,
            begins_anew: how == Join::Totals,
            before: 0.0,
            since: i64::MIN,
            touched: found.touched,
        }
    }

    /// Goes on to a time. Whether what it has counted is another value now.
    fn go_to(&mut self, at: i64) -> bool {
        let sample = self.samples.next_if(|sample| sample.at == at);
        self.lives = sample.as_ref().map_or(self.lives, |sample| sample.value != SampleValue::Stale);
        self.now = sample.map(|sample| sample.value).filter(|_| self.lives);
        let changes = self.now.is_some() && self.now != self.last;
        if changes {
            if let (Some(SampleValue::Float(last)), Some(SampleValue::Float(now))) = (&self.last, &self.now)
                && self.begins_anew
                && now < last
            {
                self.before += last;
            }
            self.since = if self.last.is_some() { at } else { self.since };
            self.last = self.now.clone();
        }
        if self.touched <= at {
            self.since = self.since.max(self.touched);
        }
        changes
    }

    /// What it has counted.
    fn total(&self) -> Option<SampleValue> {
        self.last.as_ref().map(|last| match last {
            SampleValue::Float(last) => SampleValue::Float(self.before + last),
            other => other.clone(),
        })
    }
}

fn joined(how: Join, found: Vec<Found>, room: &Room) -> Result<Vec<Sample>, SelectError> {
    let mut times: Vec<i64> = found.iter().flat_map(|found| &found.slice.samples).map(|sample| sample.at).collect();
    times.sort_unstable();
    times.dedup();
    room.take(times.len() * (size_of::<i64>() + size_of::<Sample>()));
    let first = times.first().copied().unwrap_or_default();
    let mut twins: Vec<Twin> = found.into_iter().map(|found| Twin::new(how, found, first)).collect();
    let (mut out, mut total) = (Vec::with_capacity(times.len()), None);
    for at in times {
        let changes = twins.iter_mut().fold(false, |changes, twin| twin.go_to(at) | changes);
        let lives = twins.iter().any(|twin| twin.lives);
        let now = || twins.iter().filter_map(|twin| twin.now.as_ref());
        let value = match how {
            Join::Totals | Join::Sums => {
                if changes || total.is_none() {
                    total = sum(twins.iter().filter_map(Twin::total));
                    if let Some(SampleValue::Histogram(sum)) = &total {
                        room.take(sum.bytes());
                    }
                }
                total.clone().filter(|_| lives)
            }
            Join::Sizes => sum(now().cloned()),
            Join::Latest => twins.iter().filter(|twin| twin.now.is_some()).max_by_key(|twin| twin.since).and_then(|twin| twin.now.clone()),
            Join::First => now().next().cloned(),
        };
        out.extend(value.or((!lives).then_some(SampleValue::Stale)).map(|value| Sample { at, value }));
        room.check(Clock::system().instant())?;
    }
    Ok(out)
}

/// Of floats, or of histograms; of both, what the first is.
fn sum(mut values: impl Iterator<Item = SampleValue>) -> Option<SampleValue> {
    let first = values.next()?;
    Some(values.fold(first, |sum, value| match (sum, value) {
        (SampleValue::Float(sum), SampleValue::Float(more)) => SampleValue::Float(sum + more),
        (SampleValue::Histogram(mut sum), SampleValue::Histogram(more)) => {
            Arc::make_mut(&mut sum).merge(&more);
            SampleValue::Histogram(sum)
        }
        (sum, _) => sum,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALE: f64 = f64::NAN;

    /// Samples at 1, 2, …; `None`: none then. Born at 0 and never touched since.
    fn series(join: Join, values: &[Option<f64>]) -> Found {
        born(join, 0, values)
    }

    fn born(join: Join, start: i64, values: &[Option<f64>]) -> Found {
        let value = |value: f64| if value.is_nan() { SampleValue::Stale } else { SampleValue::Float(value) };
        let samples = (1..).zip(values).filter_map(|(at, v)| v.map(|v| Sample { at, value: value(v) })).collect();
        Found { join, touched: 0, slice: SeriesSlice { labels: Labels::new([("__name__", "x")]), samples, start_time: Some(start) } }
    }

    fn text(found: Vec<Found>) -> String {
        let joined = join(found, &Room::default()).unwrap();
        assert_eq!(joined.len(), 1);
        let value = |sample: &Sample| match &sample.value {
            SampleValue::Float(value) => format!("{}:{value}", sample.at),
            other => format!("{}:{other:?}", sample.at),
        };
        joined[0].samples.iter().map(value).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_kind_is_joined_as_on_the_page() {
        let one = [Some(1.0), Some(2.0), Some(2.0), Some(STALE), None, Some(3.0), Some(STALE)];
        let two = [None, Some(10.0), Some(20.0), Some(20.0), Some(STALE), None, None];
        for (how, expected) in [
            (Join::Totals, "1:1 2:12 3:22 4:22 5:Stale 6:23 7:Stale"),
            (Join::Sizes, "1:1 2:12 3:22 4:20 5:Stale 6:3 7:Stale"),
            (Join::Latest, "1:1 2:2 3:20 4:20 5:Stale 6:3 7:Stale"),
            (Join::First, "1:1 2:2 3:2 4:20 5:Stale 6:3 7:Stale"),
        ] {
            assert_eq!(text(vec![born(how, 0, &one), born(how, 1, &two)]), expected, "{how:?}");
        }
        assert_eq!(text(vec![series(Join::Totals, &one), series(Join::Latest, &two)]), "1:1 2:2 3:2 4:20 5:Stale 6:3 7:Stale");
    }

    #[test]
    fn who_is_away_for_a_while_or_begins_anew_takes_nothing_and_adds_only_what_it_counts() {
        let stays = [Some(50.0), Some(50.0), Some(51.0)];
        for (other, expected) in [
            (born(Join::Totals, 0, &[None, None, Some(1_001.0)]), "1:1051 2:1051 3:1052"),
            (born(Join::Totals, 2, &[None, None, Some(7.0)]), "1:50 2:50 3:58"),
            (born(Join::Totals, 0, &[Some(1_000.0), Some(STALE), Some(1.0)]), "1:1050 2:1050 3:1052"),
        ] {
            assert_eq!(text(vec![series(Join::Totals, &stays), other]), expected);
        }
    }

    #[test]
    fn a_sum_that_falls_does_not_begin_anew() {
        let falls = born(Join::Sums, 0, &[Some(5.0), Some(3.0), Some(-1.0)]);
        assert_eq!(text(vec![series(Join::Sums, &[Some(10.0), Some(STALE), None]), falls]), "1:15 2:13 3:9");
    }

    #[test]
    fn of_gauges_the_one_that_changed_last_stands_while_it_lives() {
        let one = [Some(1.0), Some(1.0), Some(5.0), Some(5.0), Some(STALE)];
        let two = [Some(2.0), Some(3.0), Some(3.0), Some(3.0), Some(3.0)];
        assert_eq!(text(vec![series(Join::Latest, &one), series(Join::Latest, &two)]), "1:2 2:3 3:5 4:5 5:3");
        // The first was told the same value again, which the second was not.
        let told = Found { touched: 2, ..series(Join::Latest, &[Some(0.0); 3]) };
        assert_eq!(text(vec![told, series(Join::Latest, &[Some(1.0); 3])]), "1:1 2:0 3:0");
    }

    #[test]
    fn only_totals_reach_beyond_the_times_of_their_samples() {
        let one = [Some(1.0), None, Some(3.0)];
        let two = [None, Some(2.0), Some(4.0)];
        for (how, expected) in
            [(Join::Totals, "1:1 2:3 3:7"), (Join::Sizes, "1:1 2:2 3:7"), (Join::Latest, "1:1 2:2 3:4"), (Join::First, "1:1 2:2 3:3")]
        {
            assert_eq!(text(vec![series(how, &one), born(how, 1, &two)]), expected, "{how:?}");
        }
    }

    #[test]
    fn what_is_joined_is_within_the_room_of_the_query() {
        let both = || vec![series(Join::Totals, &[Some(1.0); 9]), series(Join::Totals, &[Some(1.0); 9])];
        assert!(matches!(join(both(), &Room::new(100, None)), Err(SelectError::TooManyBytes(_))));
        assert!(join(both(), &Room::new(1_000, None)).is_ok());
    }
}
