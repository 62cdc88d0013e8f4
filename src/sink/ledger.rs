//! What became of every point: offered = delivered + refused + dropped{reason} + queued.

use metrics::{Counter, Gauge};

use crate::telemetry;

/// The counters of one sink.
pub(super) struct Ledger {
    sink: String,
    offered: Counter,
    delivered: Counter,
    refused: Counter,
    dropped: Counter,
    queued: Gauge,
    last_success: Gauge,
}

impl Ledger {
    pub(super) fn new(sink: &str) -> Ledger {
        let points = |result| telemetry::SINK_POINTS.counter(&[("sink", sink), ("result", result)]);
        Ledger {
            sink: sink.to_string(),
            offered: telemetry::SINK_OFFERED.counter(&[("sink", sink)]),
            delivered: points("delivered"),
            refused: points("refused"),
            dropped: points("dropped"),
            queued: telemetry::SINK_QUEUE_POINTS.gauge(&[("sink", sink)]),
            last_success: telemetry::SINK_LAST_SUCCESS.gauge(&[("sink", sink)]),
        }
    }

    pub(super) fn offered(&self, points: u64) {
        self.offered.increment(points);
    }

    /// `now` is unix milliseconds.
    pub(super) fn delivered(&self, points: u64, now: i64) {
        self.delivered.increment(points);
        self.last_success.set(now as f64 / 1_000.0);
    }

    pub(super) fn refused(&self, points: u64) {
        self.refused.increment(points);
    }

    pub(super) fn dropped(&self, points: u64, reason: &'static str) {
        if points > 0 {
            self.dropped.increment(points);
            telemetry::SINK_DROPPED.counter(&[("sink", &self.sink), ("reason", reason)]).increment(points);
        }
    }

    pub(super) fn queued(&self, points: u64) {
        self.queued.set(points as f64);
    }

    pub(super) fn request(&self, outcome: &'static str) {
        telemetry::SINK_REQUESTS.counter(&[("sink", &self.sink), ("outcome", outcome)]).increment(1);
    }
}
