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
    /// What was counted adds up. One that has left keeps its share: its end is no loss of what was counted.
    Totals,
    /// What has a sample at a time adds up.
    Sizes,
    /// The one that changed last stands.
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
        first.slice.start_time = starts.min().flatten();
        let mut all = vec![std::mem::take(&mut first.slice.samples)];
        all.extend(others.into_iter().map(|other| other.slice.samples));
        first.slice.samples = joined(how, all, room)?;
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
}

fn joined(how: Join, series: Vec<Vec<Sample>>, room: &Room) -> Result<Vec<Sample>, SelectError> {
    let mut times: Vec<i64> = series.iter().flatten().map(|sample| sample.at).collect();
    times.sort_unstable();
    times.dedup();
    room.take(times.len() * (size_of::<i64>() + size_of::<Sample>()));
    let twin = |samples: Vec<Sample>| Twin { samples: samples.into_iter().peekable(), now: None, last: None, lives: false };
    let mut twins: Vec<Twin> = series.into_iter().map(twin).collect();
    let (mut out, mut latest) = (Vec::with_capacity(times.len()), 0);
    for at in times {
        for (place, twin) in twins.iter_mut().enumerate() {
            let sample = twin.samples.next_if(|sample| sample.at == at);
            twin.lives = sample.as_ref().map_or(twin.lives, |sample| sample.value != SampleValue::Stale);
            twin.now = sample.map(|sample| sample.value).filter(|_| twin.lives);
            if twin.now.is_some() && twin.now != twin.last {
                (twin.last, latest) = (twin.now.clone(), place);
            }
        }
        let lives = twins.iter().any(|twin| twin.lives);
        let mut now = twins.iter().filter_map(|twin| twin.now.as_ref());
        let value = match how {
            Join::Totals => sum(twins.iter().filter(|_| lives).filter_map(|twin| twin.last.as_ref())),
            Join::Sizes => sum(now),
            Join::Latest => twins[latest].now.as_ref().or_else(|| now.next_back()).cloned(),
            Join::First => now.next().cloned(),
        };
        if let Some(SampleValue::Histogram(sum)) = &value {
            room.take(sum.bytes());
        }
        out.extend(value.or((!lives).then_some(SampleValue::Stale)).map(|value| Sample { at, value }));
        room.check(Clock::system().instant())?;
    }
    Ok(out)
}

/// Of floats, or of histograms; of both, what the first is.
fn sum<'a>(mut values: impl Iterator<Item = &'a SampleValue>) -> Option<SampleValue> {
    let first = values.next()?.clone();
    Some(values.fold(first, |sum, value| match (sum, value) {
        (SampleValue::Float(sum), SampleValue::Float(more)) => SampleValue::Float(sum + more),
        (SampleValue::Histogram(mut sum), SampleValue::Histogram(more)) => {
            Arc::make_mut(&mut sum).merge(more);
            SampleValue::Histogram(sum)
        }
        (sum, _) => sum,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALE: f64 = f64::NAN;

    /// Samples at 1, 2, …; `None`: none then.
    fn series(join: Join, values: &[Option<f64>]) -> Found {
        let value = |value: f64| if value.is_nan() { SampleValue::Stale } else { SampleValue::Float(value) };
        let samples = (1..).zip(values).filter_map(|(at, v)| v.map(|v| Sample { at, value: value(v) })).collect();
        Found { join, slice: SeriesSlice { labels: Labels::new([("__name__", "x")]), samples, start_time: Some(0) } }
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
            (Join::Latest, "1:1 2:10 3:20 4:20 5:Stale 6:3 7:Stale"),
            (Join::First, "1:1 2:2 3:2 4:20 5:Stale 6:3 7:Stale"),
        ] {
            assert_eq!(text(vec![series(how, &one), series(how, &two)]), expected, "{how:?}");
        }
        assert_eq!(text(vec![series(Join::Totals, &one), series(Join::Latest, &two)]), "1:1 2:2 3:2 4:20 5:Stale 6:3 7:Stale");
    }

    #[test]
    fn of_gauges_the_one_that_changed_last_stands_while_it_lives() {
        let one = [Some(1.0), Some(1.0), Some(5.0), Some(5.0), Some(STALE)];
        let two = [Some(2.0), Some(3.0), Some(3.0), Some(3.0), Some(3.0)];
        assert_eq!(text(vec![series(Join::Latest, &one), series(Join::Latest, &two)]), "1:2 2:3 3:5 4:5 5:3");
    }

    #[test]
    fn only_totals_reach_beyond_the_times_of_their_samples() {
        let one = [Some(3.0), None, Some(1.0)];
        let two = [None, Some(4.0), Some(2.0)];
        for (how, expected) in
            [(Join::Totals, "1:3 2:7 3:3"), (Join::Sizes, "1:3 2:4 3:3"), (Join::Latest, "1:3 2:4 3:2"), (Join::First, "1:3 2:4 3:1")]
        {
            assert_eq!(text(vec![series(how, &one), series(how, &two)]), expected, "{how:?}");
        }
    }

    #[test]
    fn what_is_joined_is_within_the_room_of_the_query() {
        let both = || vec![series(Join::Totals, &[Some(1.0); 9]), series(Join::Totals, &[Some(1.0); 9])];
        assert!(matches!(join(both(), &Room::new(100, None)), Err(SelectError::TooManyBytes(_))));
        assert!(join(both(), &Room::new(1_000, None)).is_ok());
    }
}
