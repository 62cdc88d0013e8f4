//! What a lane hands over to the cutter.

use std::sync::Arc;

use crate::model::{Check, Event, Stamped};
use crate::parse::ParseError;

/// What cannot be added up in place: a sample of a sketch, a set's member, a relative gauge.
#[derive(Clone, Copy, Debug)]
pub struct Logged {
    pub slot: u32,
    /// Index into the weights.
    pub weight: u32,
    pub stamp: u64,
    /// The sample, or the bits of a member's hash.
    pub value: f64,
}

/// A series' gain.
#[derive(Clone, Copy, Debug)]
pub struct Gain {
    pub slot: u32,
    pub stamp: u64,
    pub value: f64,
}

/// What a window lists one by one, each with the stamp that orders it among all lanes' lines.
pub(in crate::aggregate) type InOrder<T> = Vec<(u64, T)>;

/// Everything a lane gained in one window, or in a part of it.
#[derive(Default)]
pub struct Handed {
    pub window: u32,
    pub values: Vec<Gain>,
    pub log: Vec<Logged>,
    pub weights: Vec<f64>,
    pub stamped: InOrder<Stamped>,
    pub events: InOrder<(i64, Arc<Event>)>,
    pub checks: InOrder<(i64, Arc<Check>)>,
    pub examples: Vec<(ParseError, Box<[u8]>)>,
}

impl Handed {
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
            && self.log.is_empty()
            && self.stamped.is_empty()
            && self.events.is_empty()
            && self.checks.is_empty()
            && self.examples.is_empty()
    }
}
