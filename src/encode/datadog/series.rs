//! Counters, gauges, sets, timers and histograms as v2 series; samples with a time of their own too.

use super::filling::{Filled, Filling};
use super::origin::{Origin, check_name};
use super::proto::{MetricPoint, MetricSeries, MetricType, Resource};
use super::{CounterForm, Options, summary};
use crate::encode::{Budget, Payload, Place, Unfit};
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
    let sections = 0..=window.roster.len();
    sections.map(|section| (0..rows(window, section)).map(|row| parts(window, options, section, row) as u64).sum::<u64>()).sum()
}

/// Writes the payload that begins at `place`.
pub(super) fn encode(window: &Window, options: &Options, mut place: Place, budget: Budget, out: &mut Payload) -> Option<Place> {
    let mut filling = Filling::new(options.compression, budget, out);
    let mut message = MetricSeries::default();
    while place.section <= window.roster.len() {
        while place.row < rows(window, place.section) {
            let parts = parts(window, options, place.section, place.row);
            if place.part < parts && push_row(window, options, &mut place, parts, &mut message, &mut filling) == Filled::Full {
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

/// Rows of a family, or the stamped samples in the section behind the families.
fn rows(window: &Window, section: usize) -> usize {
    window.roster.get(section).map_or(window.stamped.len(), |family| family.series.len())
}

/// Points that one row gives.
fn parts(window: &Window, options: &Options, section: usize, row: usize) -> usize {
    let Some(column) = window.columns.get(section) else { return 1 };
    let received = |age: &[u16]| usize::from(age[row] == 0);
    match column {
        Column::Counter { age, .. } => usize::from(f64::from(age[row]) * window.length.as_secs_f64() <= ZERO_FILL_SECONDS),
        Column::Gauge { age, .. } | Column::Set { age, .. } => received(age),
        Column::Timer { window: received, .. } => match (&received[row], window.roster[section].kind) {
            (None, _) | (_, Kind::Distribution) => 0,
            _ => options.aggregates.len() + options.percentiles.len(),
        },
    }
}

/// Writes the points of one row from `place.part` on; `place` stays at the one that found the payload full.
fn push_row(
    window: &Window,
    options: &Options,
    place: &mut Place,
    parts: usize,
    message: &mut MetricSeries,
    filling: &mut Filling<'_>,
) -> Filled {
    let (series, family) = match window.roster.get(place.section) {
        Some(family) => (&family.series[place.row], Some(family.as_ref())),
        None => (&window.stamped[place.row].series, None),
    };
    let origin = Origin::read(series.tags(), &options.hostname);
    let fit = origin.check();
    fill_origin(message, &origin);
    while place.part < parts {
        let point = match family {
            Some(family) => row_point(window, options, family, *place),
            None => stamped_point(window, options, &window.stamped[place.row]),
        };
        match fit.and_then(|()| fill_point(message, window, series, &point)) {
            Ok(()) if filling.push(message) == Filled::Full => return Filled::Full,
            Ok(()) => {}
            Err(reason) => filling.pass_over(reason),
        }
        place.part += 1;
    }
    Filled::Taken
}

/// The point of one part of one row of a family.
fn row_point(window: &Window, options: &Options, family: &Family, place: Place) -> Point {
    let at = window.start().div_euclid(1_000);
    let gauge = |suffix: String, value, unit| Point { suffix, value, r#type: MetricType::Gauge, unit, at };
    match &window.columns[place.section] {
        Column::Counter { gain, .. } => gained(window, options, gain[place.row], at),
        Column::Gauge { value, .. } => gauge(String::new(), value[place.row], ""),
        Column::Set { count, .. } => gauge(String::new(), count[place.row], ""),
        Column::Timer { window: received, .. } => {
            let nothing = Sketches::default();
            // `parts` gives a row that received nothing no part.
            let sketches = received[place.row].as_deref().unwrap_or(&nothing);
            let unit = if family.kind == Kind::Timer { "millisecond" } else { "" };
            match options.aggregates.get(place.part) {
                Some(count @ super::HistogramAggregate::Count) => Point {
                    suffix: count.suffix().to_string(),
                    value: count.of(sketches) / window.length.as_secs_f64(),
                    r#type: MetricType::Rate,
                    unit: "",
                    at,
                },
                Some(aggregate) => gauge(aggregate.suffix().to_string(), aggregate.of(sketches), unit),
                None => {
                    let percent = options.percentiles[place.part - options.aggregates.len()];
                    gauge(format!(".{percent}percentile"), summary::percentile(sketches, percent), unit)
                }
            }
        }
    }
}

/// A counter's gain in the form asked for.
fn gained(window: &Window, options: &Options, gain: f64, at: i64) -> Point {
    let (r#type, value) = match options.counters {
        CounterForm::Rate => (MetricType::Rate, gain / window.length.as_secs_f64()),
        CounterForm::Count => (MetricType::Count, gain),
    };
    Point { suffix: String::new(), value, r#type, unit: "", at }
}

fn stamped_point(window: &Window, options: &Options, stamped: &Stamped) -> Point {
    let at = i64::try_from(stamped.at).unwrap_or(i64::MAX);
    match stamped.series.kind() {
        Kind::Counter => gained(window, options, stamped.value, at),
        _ => Point { suffix: String::new(), value: stamped.value, r#type: MetricType::Gauge, unit: "", at },
    }
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
