//! What a mapping file says about a series beyond its name and labels.

use std::sync::Arc;
use std::time::Duration;

use crate::model::Form;

/// What a rule says, or what the file says of metrics that no rule names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesOptions {
    /// Idle series leave after this instead of `aggregate.expire`.
    pub ttl: Option<Duration>,
    /// The help text of its family.
    pub help: Option<Arc<str>>,
    pub presentation: Presentation,
}

/// How timers, histograms and distributions are to be shown. What is not said is left to who is asked next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Presentation {
    /// As a histogram, else as a summary.
    pub histogram: Option<bool>,
    /// Upper bounds of a histogram, ascending and finite.
    pub buckets: Option<Arc<[f64]>>,
    /// Shares of a summary, ascending.
    pub quantiles: Option<Arc<[f64]>>,
}

impl Presentation {
    /// What is not said here is as `otherwise` says.
    #[must_use]
    pub fn or(&self, otherwise: &Presentation) -> Presentation {
        Presentation {
            histogram: self.histogram.or(otherwise.histogram),
            buckets: self.buckets.clone().or_else(|| otherwise.buckets.clone()),
            quantiles: self.quantiles.clone().or_else(|| otherwise.quantiles.clone()),
        }
    }

    /// Whether nothing is said.
    pub fn is_silent(&self) -> bool {
        *self == Presentation::default()
    }

    /// The form that is said; a summary when nothing is.
    pub fn form(&self) -> Form {
        match self.histogram {
            Some(true) => Form::Histogram(self.buckets.clone().unwrap_or_default()),
            _ => Form::Summary(self.quantiles.clone()),
        }
    }
}
