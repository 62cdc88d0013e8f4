//! What becomes of a spelling.

use std::sync::Arc;

use super::Limit;
use crate::model::Series;
use crate::parse::ToleratedSet;
use crate::shape::{DropReason, SeriesOptions};

/// Where the samples of a spelling go.
#[derive(Debug)]
pub enum Resolved {
    Series(Series),
    /// The overflow series of its name stands in.
    Overflow(Series, Limit),
    Shed(Limit),
    /// A filter or the mapping file drops it.
    Dropped(DropReason),
}

/// What an identity would be resolved to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prospect {
    /// It has a series.
    Known,
    /// It gets one.
    New,
    /// The overflow series of its name stands in.
    Overflow(Limit),
    Shed(Limit),
}

/// What a spelling was resolved to.
#[derive(Debug)]
pub struct Route {
    pub resolved: Resolved,
    /// The blemishes of its tags.
    pub tolerated: ToleratedSet,
    /// Multiplies its values.
    pub scale: f64,
}

/// A series that is new, or that a rule of the mapping file names anew.
#[derive(Debug)]
pub struct Birth {
    pub series: Series,
    /// What the rule says about it.
    pub options: Option<Arc<SeriesOptions>>,
}
