//! Counters, gauges, sets, timers and histograms as v2 series; samples with a time of their own too.

use std::collections::HashMap;

use super::filling::{Filled, Filling};
use super::origin::{Origin, check_name};
use super::proto::{MetricPoint, MetricSeries, MetricType, Resource};
use super::{CounterForm, HistogramAggregate, Options, summary};
use crate::encode::{Budget, Payload, Place, Unfit};
use crate::model::sketch::saturate;
use crate::model::{Column, Family, Kind, Series, Sketches, Stamped, Window};

/// How long a silent counter is still sent as zero, as the agent does.
const ZERO_FILL_SECONDS: f64 = 300.0;
/// The intake drops points further ahead of its clock.
const FUTURE_SECONDS: i64 = 600;

/// What distinguishes one point from the others of its series.
struct Point {
    suffix: String,
    value: f64,
    r#type: MetricType,
    unit: &'static str,
    /// Unix seconds.
    at: i64,
}

/// Points that the window has for this route.
pub(super) fn points(window: &Window, options: &Options) -> u64 {
    let source = Source::new(window, options);
    let of_section = |section| (0..source.rows(section)).map(|row| source.parts(section, row) as u64).sum::<u64>();
    (0..=window.roster.len()).map(of_section).sum()
}

/// Writes the payload that begins at `place`.
pub(super) fn encode(window: &Window, options: &Options, mut place: Place, budget: Budget, out: &mut Payload) -> Option<Place> {
    let source = Source::new(window, options);
    let mut filling = Filling::new(options.compression, budget, out);
    let mut message = MetricSeries::default();
    while place.section <= window.roster.len() {
        while place.row < source.rows(place.section) {
            if source.push_row(&mut place, &mut message, &mut filling) == Filled::Full {
                filling.finish();
                return Some(place);
            }
            place = Place { row: place.row + 1, part: 0, ..place };
        }
        place = Place { section: place.section + 1, ..Place::default() };
    }
    filling.finish();
    None
}

/// A window as sections of rows of points: its families, and behind them the stamped samples.
struct Source<'a> {
    window: &'a Window,
    options: &'a Options,
    stamped: Vec<(&'a Stamped, f64)>,
}

impl<'a> Source<'a> {
    fn new(window: &'a Window, options: &'a Options) -> Source<'a> {
        Source { window, options, stamped: one_per_second(&window.stamped) }
    }

    fn rows(&self, section: usize) -> usize {
        self.window.roster.get(section).map_or(self.stamped.len(), |family| family.series.len())
    }

    /// Points that one row gives.
    fn parts(&self, section: usize, row: usize) -> usize {
        let Some(column) = self.window.columns.get(section) else { return 1 };
        match column {
            Column::Counter { age, .. } => usize::from(f64::from(age[row]) * self.window.length.as_secs_f64() <= ZERO_FILL_SECONDS),
            Column::Gauge { age, .. } | Column::Set { age, .. } => usize::from(age[row] == 0),
            Column::Timer { window: received, .. } => match (&received[row], self.window.roster[section].kind) {
                (None, _) | (_, Kind::Distribution) => 0,
                _ => self.options.aggregates.len() + self.options.percentiles.len(),
            },
        }
    }

    /// Writes the points of one row from `place.part` on; `place` stays at the one that found the payload full.
    fn push_row(&self, place: &mut Place, message: &mut MetricSeries, filling: &mut Filling<'_>) -> Filled {
        let parts = self.parts(place.section, place.row);
        if parts == 0 {
            return Filled::Taken;
        }
        let (series, family) = match self.window.roster.get(place.section) {
            Some(family) => (&family.series[place.row], Some(family.as_ref())),
            None => (&self.stamped[place.row].0.series, None),
        };
        let origin = Origin::read(series.tags(), &self.options.hostname);
        let fit = origin.check();
        fill_origin(message, &origin);
        while place.part < parts {
            let point = match family {
                Some(family) => self.point(family, *place),
                None => self.stamped_point(place.row),
            };
            match fit.and_then(|()| fill_point(message, self.window, series, &point)) {
                Ok(()) if filling.push(message) == Filled::Full => return Filled::Full,
                Ok(()) => {}
                Err(reason) => filling.pass_over(reason),
            }
            place.part += 1;
        }
        Filled::Taken
    }

    /// The point of one part of one row of a family.
    fn point(&self, family: &Family, place: Place) -> Point {
        let at = self.window.start().div_euclid(1_000);
        let gauge = |value| Point { suffix: String::new(), value, r#type: MetricType::Gauge, unit: "", at };
        match &self.window.columns[place.section] {
            Column::Counter { gain, .. } => self.gained(gain[place.row], at),
            Column::Gauge { value, .. } => gauge(value[place.row]),
            Column::Set { count, .. } => gauge(count[place.row]),
            Column::Timer { window: received, .. } => {
                let nothing = Sketches::default();
                // `parts` gives a row that received nothing no part.
                let sketches = received[place.row].as_deref().unwrap_or(&nothing);
                let unit = if family.kind == Kind::Timer { "millisecond" } else { "" };
                self.figure(sketches, place.part, unit, at)
            }
        }
    }

    /// One of the figures a timer or histogram is sent as: the aggregates, then the percentiles.
    fn figure(&self, sketches: &Sketches, part: usize, unit: &'static str, at: i64) -> Point {
        let Some(aggregate) = self.options.aggregates.get(part) else {
            let percent = self.options.percentiles[part - self.options.aggregates.len()];
            let (suffix, value) = (format!(".{percent}percentile"), summary::percentile(sketches, percent));
            return Point { suffix, value, r#type: MetricType::Gauge, unit, at };
        };
        let (suffix, value) = (aggregate.suffix().to_string(), aggregate.of(sketches));
        match aggregate {
            HistogramAggregate::Count => {
                Point { suffix, value: value / self.window.length.as_secs_f64(), r#type: MetricType::Rate, unit: "", at }
            }
            _ => Point { suffix, value, r#type: MetricType::Gauge, unit, at },
        }
    }

    fn stamped_point(&self, row: usize) -> Point {
        let (stamped, value) = self.stamped[row];
        let at = i64::try_from(stamped.at).unwrap_or(i64::MAX);
        match stamped.series.kind() {
            Kind::Counter => self.gained(value, at),
            _ => Point { suffix: String::new(), value, r#type: MetricType::Gauge, unit: "", at },
        }
    }

    /// A counter's gain in the form asked for.
    fn gained(&self, gain: f64, at: i64) -> Point {
        let (r#type, value) = match self.options.counters {
            CounterForm::Rate => (MetricType::Rate, gain / self.window.length.as_secs_f64()),
            CounterForm::Count => (MetricType::Count, gain),
        };
        Point { suffix: String::new(), value, r#type, unit: "", at }
    }
}

/// The samples with one value for each series and second, since the intake keeps only the last it gets:
/// counters add up, of gauges the last one stands.
fn one_per_second(stamped: &[Stamped]) -> Vec<(&Stamped, f64)> {
    let mut merged: Vec<(&Stamped, f64)> = Vec::new();
    let mut places: HashMap<(Kind, &str, Vec<&str>, u64), usize> = HashMap::new();
    for sample in stamped {
        let series = &sample.series;
        let key = (series.kind(), series.name(), series.tags().collect(), sample.at);
        let place = *places.entry(key).or_insert(merged.len());
        match merged.get_mut(place) {
            Some((_, sum)) if sample.series.kind() == Kind::Counter => *sum = saturate(*sum + sample.value),
            Some((_, last)) => *last = sample.value,
            None => merged.push((sample, sample.value)),
        }
    }
    merged
}

fn fill_origin(message: &mut MetricSeries, origin: &Origin<'_>) {
    message.resources.clear();
    let host = (!origin.host.is_empty()).then_some(("host", origin.host));
    let device = origin.device.map(|device| ("device", device));
    let resources = host.into_iter().chain(device).chain(origin.resources.iter().copied());
    message.resources.extend(resources.map(|(kind, name)| Resource { r#type: kind.to_string(), name: name.to_string() }));
    message.tags.clear();
    message.tags.extend(origin.tags.iter().map(ToString::to_string));
}

/// Writes the point into the message, unless the intake would drop it.
fn fill_point(message: &mut MetricSeries, window: &Window, series: &Series, point: &Point) -> Result<(), Unfit> {
    message.metric.clear();
    message.metric.push_str(series.name());
    message.metric.push_str(&point.suffix);
    check_name(&message.metric)?;
    if !point.value.is_finite() {
        return Err(Unfit::Value);
    }
    if point.at > window.end.div_euclid(1_000) + FUTURE_SECONDS {
        return Err(Unfit::Future);
    }
    message.points.clear();
    message.points.push(MetricPoint { value: point.value, timestamp: point.at });
    message.set_type(point.r#type);
    message.unit.clear();
    message.unit.push_str(point.unit);
    message.interval = match point.r#type {
        MetricType::Gauge => 0,
        _ => window.length.as_secs() as i64,
    };
    Ok(())
}
