//! How often each step of shaping had an effect, for the self-metrics.

use metrics::Counter;

use crate::shape::{Hit, Shaping};
use crate::telemetry;

/// A counter for each filter and each rule: as many as the configuration has.
pub(super) struct Hits {
    filters: Vec<Counter>,
    rules: Vec<Counter>,
    unmapped: Counter,
}

impl Hits {
    pub(super) fn new(shaping: &Shaping) -> Hits {
        let filter = |index: usize| telemetry::FILTER_HITS.counter(&[("filter", &shaping.place_of(Hit::Filter(index)))]);
        let rule =
            |(index, text): (usize, &str)| telemetry::MAPPING_HITS.counter(&[("rule", &format!("mappings[{index}]")), ("match", text)]);
        Hits {
            filters: (0..shaping.filters()).map(filter).collect(),
            rules: shaping.rules().enumerate().map(rule).collect(),
            unmapped: telemetry::MAPPING_UNMAPPED.counter(&[]),
        }
    }

    pub(super) fn count(&self, hit: Hit) {
        let counter = match hit {
            Hit::Filter(index) => self.filters.get(index),
            Hit::Rule(index) => self.rules.get(index),
            Hit::Unmapped => Some(&self.unmapped),
            Hit::Namespace | Hit::Tags => None,
        };
        if let Some(counter) = counter {
            counter.increment(1);
        }
    }
}
