//! What stands beside the gains of a window: samples with a time of their own, events, checks, and what is refused.

use std::sync::Arc;

use super::Lane;
use super::line::members;
use crate::aggregate::{Limit, Registry, Resolved};
use crate::model::sketch::saturate;
use crate::model::{Check, Event, Kind, Stamped};
use crate::parse::{Metric, ParseError};

/// Bytes of samples with a time of their own, and of events and checks, that one lane carries per window.
const STAMPED_MAX: usize = 16 << 20;
const EVENTS_MAX: usize = 4 << 20;
/// Bytes of a rejected line kept as an example.
const EXAMPLE_MAX: usize = 200;

impl Lane {
    /// Notes an event. `arrival` is unix seconds; `stamp` as for a metric line.
    pub fn record_event(&mut self, event: Event, arrival: i64, stamp: u64) {
        self.events_bytes += event.bytes();
        if self.events_bytes > EVENTS_MAX {
            return self.count_shed(Limit::EventsPerWindow, 0);
        }
        self.counts.accepted += 1;
        self.counts.events[event.alert_type as usize] += 1;
        self.events.push((stamp, (arrival, Arc::new(event))));
    }

    /// Notes a service check. `arrival` is unix seconds; `stamp` as for a metric line.
    pub fn record_check(&mut self, check: Check, arrival: i64, stamp: u64) {
        self.events_bytes += check.bytes();
        if self.events_bytes > EVENTS_MAX {
            return self.count_shed(Limit::EventsPerWindow, 0);
        }
        self.counts.accepted += 1;
        self.counts.checks[check.status as usize] += 1;
        self.checks.push((stamp, (arrival, Arc::new(check))));
    }

    /// Counts a refused line and keeps it as this window's example of its reason.
    pub fn reject(&mut self, reason: ParseError, line: &[u8]) {
        self.counts.rejected[reason as usize] += 1;
        if !self.examples.iter().any(|(have, _)| *have == reason) {
            self.examples.push((reason, line[..line.len().min(EXAMPLE_MAX)].into()));
        }
    }

    #[cold]
    pub(super) fn record_stamped(&mut self, registry: &Registry, metric: &Metric<'_>, stamp: u64) {
        let Some(at) = metric.stands_apart() else { return };
        let route = registry.detached(&metric.spelling);
        let series = match route.resolved {
            Resolved::Series(series) | Resolved::Overflow(series, _) => series,
            Resolved::Shed(limit) => return self.shed(limit, metric),
            Resolved::Dropped(reason) => {
                self.counts.dropped[reason as usize] += 1;
                return;
            }
        };
        self.stamped_bytes += series.allocated_bytes() + size_of::<(u64, Stamped)>();
        if self.stamped_bytes > STAMPED_MAX {
            return self.shed(Limit::StampedPerWindow, metric);
        }
        self.counts.accepted += 1;
        self.counts.tolerate(metric.tolerated);
        self.counts.tolerate(route.tolerated);
        // Several values in one pack: the last of a gauge stands, those of a counter add up.
        let mut stands = None;
        for value in metric.values.iter().map(|value| saturate(value * route.scale)) {
            self.counts.stamped += 1;
            stands = Some(match (metric.spelling.kind, stands) {
                (Kind::Counter, Some(sum)) => saturate(sum + value),
                _ => value,
            });
        }
        self.stamped.extend(stands.map(|value| (stamp, Stamped { series, at, value })));
    }

    /// Counts a well-formed line that is not recorded.
    pub fn shed(&mut self, limit: Limit, metric: &Metric<'_>) {
        self.count_shed(limit, members(metric.values));
    }

    pub(super) fn count_shed(&mut self, limit: Limit, samples: u64) {
        self.counts.shed[limit as usize] += 1;
        self.counts.limited[limit as usize] += samples;
    }
}
