//! Windows for tests: one row at a time.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use statsd_relay::model::series::{NameStyle, Spelling};
use statsd_relay::model::{Check, Column, DdSketch, Event, ExpHist, Family, Form, Kind, Series, Sketches, Stamped, Window};

/// A window of 10 s under construction.
pub struct WindowBuilder {
    end: i64,
    families: Vec<(Family, Column)>,
    slots: u32,
    stamped: Vec<Stamped>,
    events: Vec<(i64, Arc<Event>)>,
    checks: Vec<(i64, Arc<Check>)>,
}

/// A series without a registry. `tags` are written as on the wire.
pub fn series(slot: u32, kind: Kind, name: &str, tags: &str) -> Series {
    let spelling = Spelling { name: name.as_bytes(), tags: tags.as_bytes(), kind, style: NameStyle::Plain };
    let mut sorted: Vec<Cow<'_, str>> = tags.split(',').filter(|tag| !tag.is_empty()).map(Cow::Borrowed).collect();
    sorted.sort();
    Series::new(slot, spelling, name, &sorted).expect("short")
}

impl WindowBuilder {
    /// `end` is unix milliseconds.
    pub fn new(end: i64) -> WindowBuilder {
        WindowBuilder { end, families: Vec::new(), slots: 0, stamped: Vec::new(), events: Vec::new(), checks: Vec::new() }
    }

    pub fn counter(mut self, name: &str, tags: &str, gained: f64, idle: u16) -> Self {
        match self.row(Kind::Counter, name, tags) {
            Column::Counter { gain, total, age } => {
                gain.push(gained);
                total.push(gained);
                age.push(idle);
            }
            _ => unreachable!(),
        }
        self
    }

    pub fn gauge(mut self, name: &str, tags: &str, stands: f64, idle: u16) -> Self {
        match self.row(Kind::Gauge, name, tags) {
            Column::Gauge { value, age } => {
                value.push(stands);
                age.push(idle);
            }
            _ => unreachable!(),
        }
        self
    }

    pub fn set(mut self, name: &str, tags: &str, members: f64, idle: u16) -> Self {
        match self.row(Kind::Set, name, tags) {
            Column::Set { count, age } => {
                count.push(members);
                age.push(idle);
            }
            _ => unreachable!(),
        }
        self
    }

    /// A timer, histogram or distribution with `(value, weight)` samples, ascending; none for an idle row.
    pub fn sketch(mut self, kind: Kind, name: &str, tags: &str, samples: &[(f64, f64)]) -> Self {
        let received = (!samples.is_empty()).then(|| Arc::new(sketches(kind, samples)));
        match self.row(kind, name, tags) {
            Column::Timer { count, sum, window, age, .. } => {
                count.push(received.as_ref().map_or(0.0, |sketches| sketches.count));
                sum.push(received.as_ref().map_or(0.0, |sketches| sketches.exp.sum));
                age.push(u16::from(received.is_none()));
                window.push(received);
            }
            _ => unreachable!(),
        }
        self
    }

    pub fn stamped(mut self, kind: Kind, name: &str, at: u64, value: f64) -> Self {
        self.stamped.push(Stamped { series: series(u32::MAX, kind, name, ""), at, value });
        self
    }

    pub fn event(mut self, event: Event) -> Self {
        self.events.push((self.end / 1_000 - 1, Arc::new(event)));
        self
    }

    pub fn check(mut self, check: Check) -> Self {
        self.checks.push((self.end / 1_000 - 1, Arc::new(check)));
        self
    }

    pub fn build(self) -> Arc<Window> {
        let families = self.families.into_iter().map(|(family, column)| (Arc::new(family), column));
        let window = Window::of(self.end, Duration::from_secs(10), families);
        Arc::new(Window { stamped: self.stamped, events: self.events, checks: self.checks, ..window })
    }

    /// The column of the family, with the series added to it.
    fn row(&mut self, kind: Kind, name: &str, tags: &str) -> &mut Column {
        let at = match self.families.iter().rposition(|(family, _)| family.name.as_ref() == name && family.kind == kind) {
            Some(at) => at,
            None => {
                let family =
                    Family { name: name.into(), prom_name: name.into(), kind, help: None, form: Form::default(), series: Vec::new() };
                self.families.push((family, empty(kind)));
                self.families.len() - 1
            }
        };
        let (family, column) = &mut self.families[at];
        family.series.push(series(self.slots, kind, name, tags));
        self.slots += 1;
        column
    }
}

fn empty(kind: Kind) -> Column {
    match kind {
        Kind::Counter => Column::Counter { gain: Vec::new(), total: Vec::new(), age: Vec::new() },
        Kind::Gauge => Column::Gauge { value: Vec::new(), age: Vec::new() },
        Kind::Set => Column::Set { count: Vec::new(), age: Vec::new() },
        _ => Column::Timer { count: Vec::new(), sum: Vec::new(), window: Vec::new(), buckets: Vec::new(), age: Vec::new() },
    }
}

fn sketches(kind: Kind, samples: &[(f64, f64)]) -> Sketches {
    let unit = if kind == Kind::Timer { 0.001 } else { 1.0 };
    let (mut exp, mut dd) = (ExpHist::default(), DdSketch::default());
    for &(value, weight) in samples {
        exp.record(value * unit, weight);
        dd.record(value, weight);
    }
    Sketches {
        count: dd.count,
        sum: dd.sum,
        min: dd.min,
        max: dd.max,
        raw: (samples.len() <= 64).then(|| samples.to_vec()),
        exp,
        dd: (kind == Kind::Distribution).then_some(dd),
    }
}
