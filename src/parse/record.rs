//! What a line says, borrowed from the datagram.

use std::borrow::Cow;

use crate::model::series::Spelling;
use crate::model::{Check, Event, Kind};

use super::number::number;
use super::{ParseError, ToleratedSet};

/// One line, or one sample of a multi-sample line.
#[derive(Debug)]
pub struct Parsed<'a> {
    /// The line without its newline.
    pub line: &'a [u8],
    pub record: Result<Record<'a>, ParseError>,
}

/// What an accepted line says. Events and checks are rare and own their (unescaped) text.
#[derive(Debug)]
pub enum Record<'a> {
    Metric(Metric<'a>),
    Event(Box<Event>, Origin<'a>, ToleratedSet),
    Check(Box<Check>, Origin<'a>, ToleratedSet),
}

/// A metric line.
#[derive(Debug, Clone)]
pub struct Metric<'a> {
    /// Name, tags, type: the raw identity.
    pub spelling: Spelling<'a>,
    pub values: Values<'a>,
    /// Effective sample rate in `[1e-6, 1]`; 1 when absent.
    pub rate: f64,
    /// Unix seconds. On a type other than counter and gauge the line is `timestamp_ignored`.
    pub timestamp: Option<u64>,
    /// A gauge delta.
    pub relative: bool,
    pub origin: Origin<'a>,
    /// Without blemishes of tags: those are found by [`Metric::identity`].
    pub tolerated: ToleratedSet,
}

impl Metric<'_> {
    /// The unix second the sample belongs to, when it is not one of the open window.
    pub fn stands_apart(&self) -> Option<u64> {
        self.timestamp.filter(|_| matches!(self.spelling.kind, Kind::Counter | Kind::Gauge))
    }
}

/// The values of a line, already known to be valid.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    One(f64),
    /// Separated by colons, at least one of them finite; members that are empty or not finite are skipped.
    Packed(&'a [u8]),
    /// A set's member.
    Member(&'a [u8]),
}

impl Values<'_> {
    /// The finite numbers, in wire order; none for a set.
    pub fn iter(&self) -> impl Iterator<Item = f64> {
        let (one, pack) = match *self {
            Values::One(value) => (Some(value), None),
            Values::Packed(pack) => (None, Some(pack)),
            Values::Member(_) => (None, None),
        };
        let members = pack.into_iter().flat_map(|pack| pack.split(|&byte| byte == b':'));
        one.into_iter().chain(members.filter_map(number).filter(|value| value.is_finite()))
    }
}

/// The canonical identity of a spelling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity<'a> {
    /// Without name tags. Borrowed from the spelling whenever it is a slice of it.
    pub name: Cow<'a, str>,
    /// Trimmed, distinct, sorted by bytes.
    pub tags: Vec<Cow<'a, str>>,
    /// `tag_repaired` or `tag_dropped`; never in strict mode, where such lines are refused.
    pub tolerated: ToleratedSet,
}

/// Where a line came from, as its sender says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Origin<'a> {
    pub container_id: Option<&'a [u8]>,
    pub inode: Option<u64>,
    pub external_data: Option<&'a [u8]>,
    pub cardinality: Option<Cardinality>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cardinality {
    None,
    Low,
    Orchestrator,
    High,
}
