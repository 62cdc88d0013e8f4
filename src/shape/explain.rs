//! Why an identity became what it became.

use std::sync::Arc;

use super::{Hit, SeriesOptions, Shaping};
use crate::model::Kind;
use crate::parse::Identity;

/// Every step that had an effect, and the end of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    pub steps: Vec<Step>,
    pub name: String,
    pub tags: Vec<String>,
    /// What values are multiplied by in all.
    pub scale: f64,
    /// What the mapping file says beyond that.
    pub options: Option<Arc<SeriesOptions>>,
    /// The step that dropped it.
    pub dropped_by: Option<Hit>,
}

/// One step and what the identity was after it.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub hit: Hit,
    /// Where the step is written.
    pub place: String,
    /// What a rule captured: first the whole match, then `$1` and on.
    pub captures: Vec<String>,
    pub name: String,
    pub tags: Vec<String>,
    pub scale: f64,
    /// Whether it ended here.
    pub dropped: bool,
}

impl Shaping {
    /// The same as [`Shaping::apply`], step by step.
    pub fn explain(&self, identity: Identity<'_>, kind: Kind) -> Explanation {
        let mut steps = Vec::new();
        let shaped = self.walk(identity, kind, &mut |hit, shaped, captures| {
            steps.push(Step {
                hit,
                place: self.place_of(hit),
                captures: captures.iter().map(ToString::to_string).collect(),
                name: shaped.name.to_string(),
                tags: shaped.tags.iter().map(ToString::to_string).collect(),
                scale: shaped.scale,
                dropped: shaped.dropped_by.is_some(),
            });
        });
        Explanation {
            steps,
            name: shaped.name.into_owned(),
            tags: shaped.tags.into_iter().map(std::borrow::Cow::into_owned).collect(),
            scale: shaped.scale,
            options: shaped.options,
            dropped_by: shaped.dropped_by,
        }
    }
}
