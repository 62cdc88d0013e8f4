//! What lanes count about lines, and the self-metrics it is added to.

use metrics::Counter;

use super::Limit;
use crate::model::{AlertType, CheckStatus, Kind};
use crate::parse::{ParseError, Tolerated, ToleratedSet};
use crate::shape::DropReason;
use crate::telemetry;

/// Plain counts of one lane since they were last published.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Counts {
    pub datagrams: u64,
    pub bytes: u64,
    pub empty: u64,
    pub truncated: u64,
    /// Of a sender that may not send.
    pub denied: u64,
    pub accepted: u64,
    pub rejected: [u64; ParseError::ALL.len()],
    pub shed: [u64; Limit::ALL.len()],
    pub dropped: [u64; DropReason::ALL.len()],
    pub limited: [u64; Limit::ALL.len()],
    pub tolerated: [u64; Tolerated::ALL.len()],
    pub samples: [u64; Kind::ALL.len()],
    pub stamped: u64,
    pub events: [u64; 4],
    pub checks: [u64; 4],
    pub saturated: u64,
}

impl Counts {
    pub fn tolerate(&mut self, blemishes: ToleratedSet) {
        if !blemishes.is_empty() {
            for kind in blemishes.iter() {
                self.tolerated[kind as usize] += 1;
            }
        }
    }
}

/// The self-metrics one listener's counts go to. All reasons are there from the start, as 0.
pub struct Published {
    pub(super) listener: Box<str>,
    datagrams: Counter,
    bytes: Counter,
    empty: Counter,
    parsed: Counter,
    truncated: Counter,
    denied: Counter,
    seen: Counter,
    accepted: Counter,
    rejected: Vec<Counter>,
    shed: Vec<Counter>,
    dropped: Vec<Counter>,
    limited: Vec<Counter>,
    tolerated: Vec<Counter>,
    samples: Vec<Counter>,
    stamped: Counter,
    events: Vec<Counter>,
    checks: Vec<Counter>,
    saturated: Counter,
}

const ALERT_TYPES: [(AlertType, &str); 4] =
    [(AlertType::Info, "info"), (AlertType::Success, "success"), (AlertType::Warning, "warning"), (AlertType::Error, "error")];
const STATUSES: [(CheckStatus, &str); 4] =
    [(CheckStatus::Ok, "ok"), (CheckStatus::Warning, "warning"), (CheckStatus::Critical, "critical"), (CheckStatus::Unknown, "unknown")];

impl Published {
    /// `listener` is kind and address, such as `udp:127.0.0.1:8125`.
    pub fn new(listener: &str) -> Published {
        let of = [("listener", listener)];
        Published {
            listener: listener.into(),
            datagrams: telemetry::DATAGRAMS_RECEIVED.counter(&of),
            bytes: telemetry::BYTES_RECEIVED.counter(&of),
            empty: telemetry::DATAGRAMS_EMPTY.counter(&of),
            parsed: telemetry::DATAGRAMS_PARSED.counter(&of),
            truncated: telemetry::DATAGRAMS_TRUNCATED.counter(&of),
            denied: telemetry::DATAGRAMS_DENIED.counter(&[of[0], ("reason", "allow_from")]),
            seen: telemetry::LINES_SEEN.counter(&[]),
            accepted: telemetry::LINES_ACCEPTED.counter(&[]),
            rejected: ParseError::ALL
                .iter()
                .map(|reason| telemetry::LINES_REJECTED.counter(&[("reason", reason.as_str()), of[0]]))
                .collect(),
            shed: Limit::ALL.iter().map(|limit| telemetry::LINES_SHED.counter(&[("reason", limit.as_str())])).collect(),
            dropped: DropReason::ALL.iter().map(|reason| telemetry::LINES_SHED.counter(&[("reason", reason.as_str())])).collect(),
            limited: Limit::ALL.iter().map(|limit| telemetry::SERIES_LIMITED.counter(&[("limit", limit.as_str())])).collect(),
            tolerated: Tolerated::ALL.iter().map(|kind| telemetry::LINES_TOLERATED.counter(&[("kind", kind.as_str())])).collect(),
            samples: Kind::ALL.iter().map(|kind| telemetry::SAMPLES.counter(&[("type", kind.as_str())])).collect(),
            stamped: telemetry::SAMPLES_STAMPED.counter(&[]),
            events: ALERT_TYPES.iter().map(|(_, name)| telemetry::EVENTS.counter(&[("alert_type", name)])).collect(),
            checks: STATUSES.iter().map(|(_, name)| telemetry::SERVICE_CHECKS.counter(&[("status", name)])).collect(),
            saturated: telemetry::SATURATED.counter(&[]),
        }
    }

    /// Adds the counts and sets them to zero.
    pub fn add(&self, counts: &mut Counts) {
        let counts = std::mem::take(counts);
        self.datagrams.increment(counts.datagrams);
        self.bytes.increment(counts.bytes);
        self.empty.increment(counts.empty);
        self.truncated.increment(counts.truncated);
        self.denied.increment(counts.denied);
        self.parsed.increment(counts.datagrams - counts.empty - counts.truncated - counts.denied);
        let shed = counts.shed.iter().chain(&counts.dropped).sum::<u64>();
        self.seen.increment(counts.accepted + counts.rejected.iter().sum::<u64>() + shed);
        self.accepted.increment(counts.accepted);
        self.stamped.increment(counts.stamped);
        self.saturated.increment(counts.saturated);
        each(&self.rejected, &counts.rejected);
        each(&self.shed, &counts.shed);
        each(&self.dropped, &counts.dropped);
        each(&self.limited, &counts.limited);
        each(&self.tolerated, &counts.tolerated);
        each(&self.samples, &counts.samples);
        each(&self.events, &counts.events);
        each(&self.checks, &counts.checks);
    }
}

fn each(counters: &[Counter], counts: &[u64]) {
    for (counter, &count) in counters.iter().zip(counts) {
        if count > 0 {
            counter.increment(count);
        }
    }
}
