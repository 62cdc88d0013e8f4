//! One connection: its bytes, cut into frames or lines and recorded as they arrive, in the lane of its listener.

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::Counter;
use tokio::sync::watch;
use tokio::task::coop::consume_budget;
use tokio::time::timeout;

use super::socket::Stream;
use crate::clock::Clock;
use crate::ingest::{Batch, Producer};
use crate::parse::frame::{Frames, LIMIT, Lines, Unit};
use crate::telemetry;

/// Bytes read in one call.
const READ: usize = 16_384;

/// How a stream is cut.
#[derive(Clone, Copy, Debug)]
pub(super) enum Framing {
    Frames,
    Lines,
}

/// Until when what is there may still be read, once the relay stops.
pub(super) async fn stopped(stop: &mut watch::Receiver<Option<Instant>>) -> Option<Instant> {
    // An error means that the sender is gone: the relay is.
    stop.wait_for(Option::is_some).await.ok().and_then(|until| *until)
}

/// What all connections of a listener share.
pub(super) struct Shared {
    producer: Producer,
    framing: Framing,
    idle: Duration,
    stop: watch::Receiver<Option<Instant>>,
    clock: Clock,
    closed_idle: Counter,
    closed_frame_too_large: Counter,
    closed_error: Counter,
}

impl Shared {
    /// `of` is the listener's label.
    pub(super) fn new(
        producer: Producer,
        framing: Framing,
        idle: Duration,
        stop: watch::Receiver<Option<Instant>>,
        clock: Clock,
        of: [(&'static str, &str); 1],
    ) -> Shared {
        let closed = |reason| telemetry::CONNECTIONS_CLOSED.counter(&[of[0], ("reason", reason)]);
        Shared {
            producer,
            framing,
            idle,
            stop,
            clock,
            closed_idle: closed("idle"),
            closed_frame_too_large: closed("frame_too_large"),
            closed_error: closed("error"),
        }
    }
}

/// Why a connection ends.
enum End {
    /// The peer closed it: what it sent is whole.
    Peer,
    Idle,
    FrameTooLarge,
    Error,
    Stopped,
}

pub(super) struct Connection {
    stream: Stream,
    sender: Option<IpAddr>,
    decoder: Decoder,
    shared: Arc<Shared>,
}

impl Connection {
    pub(super) fn new(stream: Stream, sender: Option<IpAddr>, shared: Arc<Shared>) -> Connection {
        let decoder = match shared.framing {
            Framing::Frames => Decoder::Frames(Frames::new(LIMIT)),
            Framing::Lines => Decoder::Lines(Lines::new(LIMIT)),
        };
        Connection { stream, sender, decoder, shared }
    }

    pub(super) async fn run(mut self) {
        let mut stop = self.shared.stop.clone();
        let end = loop {
            tokio::select! {
                biased;
                until = stopped(&mut stop) => break self.drain(until).await,
                readable = timeout(self.shared.idle, self.stream.readable()) => match readable {
                    Err(_) => break End::Idle,
                    Ok(Err(_)) => break End::Error,
                    Ok(Ok(())) => {
                        if let Some(ControlFlow::Break(end)) = self.read(Stream::try_read) {
                            break end;
                        }
                    }
                },
            }
            // One that always has more to read leaves the others their turn.
            consume_budget().await;
        };
        self.finish(&end);
    }

    /// Reads what has arrived; at most until the stop's end.
    async fn drain(&mut self, until: Option<Instant>) -> End {
        while until.is_some_and(|until| self.shared.clock.instant() < until) {
            match self.read(Stream::read_now) {
                Some(ControlFlow::Continue(())) => consume_budget().await,
                Some(ControlFlow::Break(end)) => return end,
                None => break,
            }
        }
        End::Stopped
    }

    /// Reads once and records it; `None` when there is nothing to read yet.
    fn read(&mut self, read: impl Fn(&Stream, &mut [u8]) -> io::Result<usize>) -> Option<ControlFlow<End>> {
        let mut buffer = [0; READ];
        let length = match read(&self.stream, &mut buffer) {
            Ok(0) => return Some(ControlFlow::Break(End::Peer)),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Some(ControlFlow::Continue(())),
            Err(_) => return Some(ControlFlow::Break(End::Error)),
        };
        let mut batch = self.shared.producer.batch(self.shared.producer.ticket());
        batch.sent_by(self.sender);
        Some(self.decoder.push(&buffer[..length], &mut batch).map_break(|()| End::FrameTooLarge))
    }

    fn finish(self, end: &End) {
        let mut batch = self.shared.producer.batch(self.shared.producer.ticket());
        batch.sent_by(self.sender);
        self.decoder.finish(matches!(end, End::Peer), &mut batch);
        match end {
            End::Peer | End::Stopped => {}
            End::Idle => self.shared.closed_idle.increment(1),
            End::FrameTooLarge => self.shared.closed_frame_too_large.increment(1),
            End::Error => self.shared.closed_error.increment(1),
        }
    }
}

/// Cuts one connection's bytes into what is recorded.
enum Decoder {
    Frames(Frames),
    Lines(Lines),
}

impl Decoder {
    /// After `Break` the stream is out of step.
    fn push(&mut self, bytes: &[u8], batch: &mut Batch<'_>) -> ControlFlow<()> {
        match self {
            Decoder::Frames(frames) => frames.push(bytes, &mut |frame| record_frame(frame, batch)),
            Decoder::Lines(lines) => {
                lines.push(bytes, &mut |line| record_lines(line, batch));
                ControlFlow::Continue(())
            }
        }
    }

    /// `whole` when the peer said that this is all.
    fn finish(self, whole: bool, batch: &mut Batch<'_>) {
        match self {
            Decoder::Frames(frames) => frames.finish(&mut |frame| record_frame(frame, batch)),
            Decoder::Lines(lines) if whole => lines.finish(&mut |line| record_lines(line, batch)),
            Decoder::Lines(lines) => lines.abandon(&mut |line| record_lines(line, batch)),
        }
    }
}

fn record_frame(frame: Unit<'_>, batch: &mut Batch<'_>) {
    match frame {
        Ok(frame) => batch.datagram(frame),
        Err(reason) => batch.refuse(reason),
    }
}

fn record_lines(lines: Unit<'_>, batch: &mut Batch<'_>) {
    match lines {
        Ok(lines) => batch.lines(lines),
        Err(reason) => batch.refuse(reason),
    }
}
