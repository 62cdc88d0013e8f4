//! What an encoder writes: one request body, what it holds, and where the next one begins.

use bytes::Bytes;

/// A place in a window: the section (a family, or what follows the families), the row in it, and the part of
/// a row that gives several points. `Place::default()` is the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub section: usize,
    pub row: usize,
    pub part: usize,
}

/// What one payload may hold at most. One point always fits, unless it is too large by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    pub points: u64,
    /// Bytes before compression.
    pub plain: usize,
    /// Bytes on the wire.
    pub compressed: usize,
}

/// Why a point is not sent although it was due: the receiver would drop it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unfit {
    Name,
    Tags,
    Host,
    Resources,
    Value,
    Future,
    Size,
    Sketch,
}

impl Unfit {
    /// The reason under which the drop is counted.
    pub const fn as_str(self) -> &'static str {
        match self {
            Unfit::Name => "unfit_name",
            Unfit::Tags => "unfit_tags",
            Unfit::Host => "unfit_host",
            Unfit::Resources => "unfit_resources",
            Unfit::Value => "unfit_value",
            Unfit::Future => "unfit_future",
            Unfit::Size => "unfit_size",
            Unfit::Sketch => "unfit_sketch",
        }
    }
}

/// One request body.
#[derive(Clone, Debug, Default)]
pub struct Payload {
    pub body: Bytes,
    pub content_type: &'static str,
    /// The `Content-Encoding`; `None` when the body is plain.
    pub encoding: Option<&'static str>,
    /// Points in the body.
    pub points: u64,
    /// Points that were passed over on the way, by reason.
    pub unfit: Vec<(Unfit, u64)>,
}

impl Payload {
    /// Counts a point that is passed over.
    pub fn pass_over(&mut self, reason: Unfit) {
        match self.unfit.iter_mut().find(|(have, _)| *have == reason) {
            Some((_, count)) => *count += 1,
            None => self.unfit.push((reason, 1)),
        }
    }

    /// Points of the window that this payload settles: those it holds and those it passed over.
    pub fn settles(&self) -> u64 {
        self.points + self.unfit.iter().map(|(_, count)| count).sum::<u64>()
    }
}
