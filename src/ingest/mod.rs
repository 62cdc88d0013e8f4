//! From the bytes of a datagram into a lane: parse, shape and record in one call.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::aggregate::{Aggregator, Lane, Published};
use crate::clock::Clock;
use crate::parse::{self, Options, ParseError, Parsed, Record};

/// One receiving thread's way in.
pub struct Producer {
    aggregator: Arc<Aggregator>,
    lane: Arc<Mutex<Lane>>,
    options: Options,
    clock: Clock,
}

impl Producer {
    /// A way in for one more thread of the listener whose metrics `published` has.
    pub fn new(aggregator: Arc<Aggregator>, published: Arc<Published>, options: Options, clock: Clock) -> Producer {
        let lane = aggregator.lane(published);
        Producer { aggregator, lane, options, clock }
    }

    /// The ticket that orders a batch: taken while the socket is still held, so that one client's order is kept.
    pub fn ticket(&self) -> u64 {
        self.aggregator.ticket()
    }

    /// Opens the lane for one batch: everything in it joins the same window.
    pub fn batch(&self, ticket: u64) -> Batch<'_> {
        let mut lane = self.lane.lock();
        let handed = lane.turn(self.aggregator.window());
        lane.hand_over(handed);
        Batch { aggregator: &self.aggregator, lane, options: &self.options, clock: &self.clock, stamp: ticket }
    }
}

/// A locked lane.
pub struct Batch<'a> {
    aggregator: &'a Aggregator,
    lane: MutexGuard<'a, Lane>,
    options: &'a Options,
    clock: &'a Clock,
    stamp: u64,
}

impl Batch<'_> {
    /// Records every line of a datagram, or of a stream's frame. A line that is refused harms no other.
    pub fn datagram(&mut self, bytes: &[u8]) {
        let counts = self.lane.counts();
        counts.datagrams += 1;
        counts.bytes += bytes.len() as u64;
        if bytes.is_empty() {
            counts.empty += 1;
            return;
        }
        parse::each(bytes, self.options, &mut |parsed| self.record(parsed));
    }

    /// Records the complete lines of a datagram that the kernel cut; the cut line is refused.
    pub fn truncated(&mut self, bytes: &[u8]) {
        let counts = self.lane.counts();
        counts.datagrams += 1;
        counts.bytes += bytes.len() as u64;
        counts.truncated += 1;
        parse::each_truncated(bytes, self.options, &mut |parsed| self.record(parsed));
    }

    /// Counts a datagram of a sender that may not send.
    pub fn denied(&mut self, bytes: &[u8]) {
        let counts = self.lane.counts();
        counts.datagrams += 1;
        counts.bytes += bytes.len() as u64;
        counts.denied += 1;
    }

    /// Records lines of a stream that has no frames, and so nothing to count but bytes.
    pub fn lines(&mut self, bytes: &[u8]) {
        self.lane.counts().bytes += bytes.len() as u64;
        parse::each(bytes, self.options, &mut |parsed| self.record(parsed));
    }

    /// Counts bytes of a stream that are no line and no frame.
    pub fn refuse(&mut self, reason: ParseError) {
        self.stamp += 1;
        self.lane.reject(reason, &[]);
    }

    fn record(&mut self, parsed: Parsed<'_>) {
        self.stamp += 1;
        let lane = &mut *self.lane;
        match parsed.record {
            Ok(Record::Metric(metric)) => lane.record(&self.aggregator.registry, &metric, self.stamp),
            Ok(Record::Event(event, _, tolerated)) => {
                lane.counts().tolerate(tolerated);
                lane.record_event(*event, self.clock.now_ms() / 1_000);
            }
            Ok(Record::Check(check, _, tolerated)) => {
                lane.counts().tolerate(tolerated);
                lane.record_check(*check, self.clock.now_ms() / 1_000);
            }
            Err(reason) => lane.reject(reason, parsed.line),
        }
    }
}

#[cfg(test)]
mod tests;
