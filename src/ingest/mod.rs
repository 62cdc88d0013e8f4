//! From the bytes of a datagram into a lane: parse, shape and record in one call.

mod explain;
mod rejected;
mod tap;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::aggregate::{Aggregator, Counts, Lane, Limit, Line, Patience, Published, Sent, Together, unlabelled};
use crate::clock::Clock;
use crate::parse::{self, Common, Metric, Options, ParseError, Parsed, Record};

pub use explain::{Becomes, Bound, Explainer, Explanation, Fate, Identity, Output, Reading, Step};
pub use rejected::{Rejected, RejectedLine};
pub use tap::{Heard, Listener, Tap, Wanted};

/// How far ahead of now a sample may be stamped.
const AHEAD: Duration = Duration::from_secs(600);
/// How far back, unless told.
const BACK: Duration = Duration::from_secs(48 * 3_600);

/// Where lines can be watched on their way in.
#[derive(Default)]
pub struct Views {
    pub tap: Arc<Tap>,
    pub rejected: Rejected,
}

/// One receiving thread's way in.
pub struct Producer {
    aggregator: Arc<Aggregator>,
    lane: Arc<Mutex<Lane>>,
    options: Options,
    clock: Clock,
    views: Arc<Views>,
    listener: Arc<str>,
    /// How old a sample with a time of its own may be.
    back: Duration,
}

impl Producer {
    /// A way in for one more thread of the listener whose metrics `published` has.
    pub fn new(aggregator: Arc<Aggregator>, published: Arc<Published>, options: Options, clock: Clock) -> Producer {
        let lane = aggregator.lane(published);
        Producer { aggregator, lane, options, clock, views: Arc::default(), listener: Arc::from(""), back: BACK }
    }

    /// The same, seen through `views` under the name of its listener.
    #[must_use]
    pub fn seen(self, views: Arc<Views>, listener: &str) -> Producer {
        Producer { views, listener: listener.into(), ..self }
    }

    /// The same for a store that keeps its raw samples for `back`.
    #[must_use]
    pub fn reaching(self, back: Duration) -> Producer {
        Producer { back, ..self }
    }

    /// The same, waiting for the cutter in this way when that is slower than what comes in.
    #[must_use]
    pub fn waiting_by(self, patience: Patience) -> Producer {
        self.lane.lock().wait_by(patience);
        self
    }

    /// Unix seconds now.
    fn second(&self) -> i64 {
        self.clock.now_ms().div_euclid(1_000)
    }

    /// What was counted here since the counts were last published.
    pub fn counts(&self) -> Counts {
        self.lane.lock().counts().clone()
    }

    /// Opens the lane for one batch: everything in it joins the same window, after all that is in batches opened before.
    /// Who shares a socket with other threads opens it while the socket is held, so that one client's order is kept.
    pub fn batch(&self) -> Batch<'_> {
        let mut lane = self.lane.lock();
        let handed = lane.turn(self.aggregator.window());
        lane.hand_over(handed);
        // Taken while the lane is held: when the cutter next has the lane, every line with an earlier stamp is in it.
        let ticket = self.aggregator.ticket();
        let tapped = self.views.tap.is_heard();
        Batch { producer: self, lane, stamp: ticket, sender: None, sent_before: ticket, bytes: 0, tapped }
    }
}

/// A datagram, or what there is of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    pub bytes: &'a [u8],
    pub sender: Option<IpAddr>,
    pub state: State,
}

/// What became of a datagram before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Whole,
    /// The kernel has cut it: its last line is refused.
    Truncated,
    /// Its sender may not send: it is counted, and not read.
    Denied,
}

/// A locked lane.
pub struct Batch<'a> {
    producer: &'a Producer,
    lane: MutexGuard<'a, Lane>,
    /// Of the last line: each one's is greater by one.
    stamp: u64,
    sender: Option<IpAddr>,
    /// The stamp when this sender's turn began, and its bytes since.
    sent_before: u64,
    bytes: usize,
    tapped: bool,
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.credit();
    }
}

impl Batch<'_> {
    /// Names who sent what follows, where the transport tells; shown with rejected lines, and by how much it is.
    pub fn sent_by(&mut self, sender: Option<IpAddr>) {
        if sender != self.sender {
            self.credit();
            self.sender = sender;
        }
    }

    /// Notes how much came from the sender that had its turn: once for as many datagrams as follow each other.
    fn credit(&mut self) {
        let sent = Sent { lines: self.stamp - self.sent_before, bytes: self.bytes as u64 };
        if sent != Sent::default() {
            self.lane.sent(self.sender, sent);
        }
        (self.sent_before, self.bytes) = (self.stamp, 0);
    }

    /// Records every line of datagrams, in the order they came. A line that is refused harms no other.
    pub fn datagrams<'d>(&mut self, datagrams: impl IntoIterator<Item = Datagram<'d>>) {
        let mut together = Together::default();
        for Datagram { bytes, sender, state } in datagrams {
            self.sent_by(sender);
            self.bytes += bytes.len();
            let counts = self.lane.counts();
            counts.datagrams += 1;
            counts.bytes += bytes.len() as u64;
            match state {
                State::Whole if bytes.is_empty() => counts.empty += 1,
                State::Whole => self.each(bytes, &mut together),
                State::Truncated => {
                    counts.truncated += 1;
                    // What came before its lines is recorded before them.
                    self.record_together(&mut together);
                    let options = &self.producer.options;
                    parse::each_truncated(bytes, options, &mut |parsed| self.record(parsed));
                }
                State::Denied => counts.denied += 1,
            }
        }
        self.record_together(&mut together);
    }

    /// Records every line of a stream's frame.
    pub fn frame(&mut self, bytes: &[u8]) {
        self.datagrams([Datagram { bytes, sender: self.sender, state: State::Whole }]);
    }

    /// Records lines of a stream that has no frames, and so nothing to count but bytes.
    pub fn lines(&mut self, bytes: &[u8]) {
        self.lane.counts().bytes += bytes.len() as u64;
        self.bytes += bytes.len();
        let mut together = Together::default();
        self.each(bytes, &mut together);
        self.record_together(&mut together);
    }

    /// Counts bytes of a stream that are no line and no frame.
    pub fn refuse(&mut self, reason: ParseError) {
        self.record(Parsed { line: b"", record: Err(reason) });
    }

    /// Samples of the open window, nearly all that comes, are recorded some at a time; the rest as it is read.
    fn each<'d>(&mut self, bytes: &'d [u8], together: &mut Together<'d>) {
        let options = &self.producer.options;
        if self.tapped {
            return parse::each(bytes, options, &mut |parsed| self.record(parsed));
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match parse::common(rest, options) {
                Some(Common { metric, rest, .. }) => {
                    self.record_soon(together, &metric);
                    rest
                }
                None => parse::line(rest, options, &mut |parsed| match parsed.record {
                    Ok(Record::Metric(metric)) if metric.stands_apart().is_none() => self.record_soon(together, &metric),
                    record => self.record(Parsed { line: parsed.line, record }),
                }),
            };
        }
    }

    #[inline(always)]
    fn record_soon<'d>(&mut self, together: &mut Together<'d>, metric: &Metric<'d>) {
        self.stamp += 1;
        if together.add(Line::new(&self.producer.aggregator.registry, metric, self.stamp)) {
            self.record_together(together);
        }
    }

    fn record_together(&mut self, together: &mut Together<'_>) {
        self.lane.record_together(&self.producer.aggregator.registry, together.take());
    }

    fn record(&mut self, parsed: Parsed<'_>) {
        self.stamp += 1;
        if self.tapped {
            self.producer.views.tap.show(&self.producer.listener, &parsed);
        }
        let (producer, lane) = (self.producer, &mut *self.lane);
        match parsed.record {
            Ok(Record::Metric(metric)) if metric.timestamp.is_none() => lane.record(&producer.aggregator.registry, &metric, self.stamp),
            Ok(Record::Metric(metric)) => self.stamped(&metric),
            Ok(Record::Event(event, _, tolerated)) => {
                lane.counts().tolerate(tolerated);
                lane.record_event(*event, producer.second(), self.stamp);
            }
            Ok(Record::Check(check, _, tolerated)) => {
                lane.counts().tolerate(unlabelled(tolerated, &check.tags));
                lane.record_check(*check, producer.second(), self.stamp);
            }
            Err(reason) => self.reject(reason, parsed.line),
        }
    }

    /// Counts a refused line and keeps it as an example.
    #[cold]
    fn reject(&mut self, reason: ParseError, line: &[u8]) {
        let Producer { views, listener, clock, .. } = self.producer;
        self.lane.reject(reason, line);
        views.rejected.note(reason, line, listener, self.sender, clock.now_ms());
    }

    /// Records a metric with a time of its own, unless that is out of reach.
    #[cold]
    fn stamped(&mut self, metric: &Metric<'_>) {
        let registry = &self.producer.aggregator.registry;
        match metric.stands_apart().and_then(|at| out_of_reach(at, self.producer.clock.now_ms(), self.producer.back)) {
            Some(limit) => self.lane.shed(limit, metric),
            None => self.lane.record(registry, metric, self.stamp),
        }
    }
}

/// Why a sample of the second `at` is refused now (unix milliseconds).
fn out_of_reach(at: u64, now: i64, back: Duration) -> Option<Limit> {
    let now = u64::try_from(now.div_euclid(1_000)).unwrap_or(0);
    if at > now.saturating_add(AHEAD.as_secs()) {
        Some(Limit::StampedTooNew)
    } else if at < now.saturating_sub(back.as_secs()) {
        Some(Limit::StampedTooOld)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
