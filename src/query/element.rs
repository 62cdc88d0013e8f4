//! What expressions evaluate to at one time.

use crate::model::labels::NAME;
use crate::model::{Labels, Sample, SampleValue};

#[derive(Clone, Debug)]
pub(super) enum Val<'a> {
    Scalar(f64),
    Text(&'a str),
    Vector(Vec<Element>),
    Matrix(Vec<Span<'a>>),
}

/// One element of an instant vector.
#[derive(Clone, Debug)]
pub(super) struct Element {
    pub(super) labels: Labels,
    /// The name goes when the evaluation ends, so that `label_replace` still sees it.
    pub(super) drop_name: bool,
    /// Never stale.
    pub(super) value: SampleValue,
}

impl Element {
    pub(super) fn float(labels: Labels, value: f64) -> Element {
        Element { labels, drop_name: false, value: SampleValue::Float(value) }
    }

    /// Another value that is another quantity.
    pub(super) fn becomes(&self, value: SampleValue) -> Element {
        Element { labels: self.labels.clone(), drop_name: true, value }
    }

    pub(super) fn as_float(&self) -> Option<f64> {
        as_float(&self.value)
    }

    /// The labels as they leave the evaluation.
    pub(super) fn final_labels(&self) -> Labels {
        final_labels(&self.labels, self.drop_name)
    }
}

pub(super) fn final_labels(labels: &Labels, drop_name: bool) -> Labels {
    if drop_name { labels.without(|label| label == NAME) } else { labels.clone() }
}

pub(super) fn as_float(value: &SampleValue) -> Option<f64> {
    if let SampleValue::Float(value) = value { Some(*value) } else { None }
}

/// One element of a range vector: a series' samples with `start < at <= end`, none stale, at least one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span<'a> {
    pub(super) labels: &'a Labels,
    pub(super) drop_name: bool,
    pub(super) samples: &'a [Sample],
    pub(super) start: i64,
    pub(super) end: i64,
    /// When the series was born at zero.
    pub(super) born: Option<i64>,
}

impl Span<'_> {
    /// The samples that are floats.
    pub(super) fn floats(&self) -> impl Iterator<Item = (i64, f64)> + '_ {
        self.samples.iter().filter_map(|sample| as_float(&sample.value).map(|value| (sample.at, value)))
    }

    /// Whether floats and histograms occur: `(floats, histograms)`.
    pub(super) fn kinds(&self) -> (bool, bool) {
        let floats = self.samples.iter().filter(|sample| as_float(&sample.value).is_some()).count();
        (floats > 0, floats < self.samples.len())
    }
}

/// A series read once for the whole query.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) labels: Labels,
    pub(super) drop_name: bool,
    pub(super) samples: Vec<Sample>,
    pub(super) born: Option<i64>,
}

impl Source {
    /// The samples with `start < at <= end`.
    pub(super) fn between(&self, start: i64, end: i64) -> &[Sample] {
        let from = self.samples.partition_point(|sample| sample.at <= start);
        let to = self.samples.partition_point(|sample| sample.at <= end);
        &self.samples[from.min(to)..to]
    }
}
