//! What a lane is given: metric lines, some at a time.

use crate::aggregate::Registry;
use crate::model::Kind;
use crate::model::series::{NameStyle, Spelling};
use crate::parse::{Metric, ToleratedSet, Values};

/// Lines whose series are looked up before the first of them is recorded.
pub(super) const TOGETHER: usize = 16;
/// No place of a table.
pub(super) const NOWHERE: usize = usize::MAX;

/// What a lane records of a metric line, and the hash of its spelling.
pub struct Line<'a> {
    pub(super) hash: u64,
    pub(super) spelling: Spelling<'a>,
    pub(super) values: Values<'a>,
    pub(super) rate: f64,
    pub(super) relative: bool,
    pub(super) tolerated: ToleratedSet,
    pub(super) stamp: u64,
}

impl<'a> Line<'a> {
    /// `metric` is of the open window; `stamp` orders it among all lanes' samples, and is never 0.
    #[inline(always)]
    pub fn new(registry: &Registry, metric: &Metric<'a>, stamp: u64) -> Line<'a> {
        let Metric { spelling, values, rate, relative, tolerated, .. } = *metric;
        Line { hash: registry.hash(&spelling), spelling, values, rate, relative, tolerated, stamp }
    }
}

/// Lines that are recorded as one.
pub struct Together<'a> {
    lines: [Line<'a>; TOGETHER],
    count: usize,
}

impl Default for Together<'_> {
    fn default() -> Self {
        let spelling = Spelling { kind: Kind::Counter, style: NameStyle::Plain, name: &[], tags: &[] };
        let none = || Line {
            hash: 0,
            spelling,
            values: Values::One(0.0),
            rate: 1.0,
            relative: false,
            tolerated: ToleratedSet::default(),
            stamp: 0,
        };
        Together { lines: std::array::from_fn(|_| none()), count: 0 }
    }
}

impl<'a> Together<'a> {
    /// Adds a line when there is room, as there is unless the last call said that they are enough.
    #[inline(always)]
    pub fn add(&mut self, line: Line<'a>) -> bool {
        if let Some(place) = self.lines.get_mut(self.count) {
            *place = line;
            self.count += 1;
        }
        self.count == TOGETHER
    }

    /// The lines added since the last call.
    pub fn take(&mut self) -> &[Line<'a>] {
        &self.lines[..std::mem::take(&mut self.count)]
    }
}

/// How many samples one of this rate stands for.
pub(super) fn weight_of(rate: f64) -> f64 {
    if rate == 1.0 { 1.0 } else { 1.0 / rate }
}

/// How many samples a line has.
pub(super) fn members(values: Values<'_>) -> u64 {
    match values {
        Values::Packed(_) => values.iter().count() as u64,
        Values::One(_) | Values::Member(_) => 1,
    }
}
