//! One connection: its bytes, cut into frames or lines and recorded as they arrive, in the lane of its listener.

use std::io::{self, ErrorKind};
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::Counter;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Mutex, watch};
use tokio::task::block_in_place;
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
    /// Held by the one connection that records: its fellows await it, so that a cutter that lags behind holds up one
    /// thread for a listener, not one for each connection.
    turn: Mutex<()>,
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
            turn: Mutex::default(),
            producer: producer.waiting_by(aside),
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

/// Waits while the runtime's other tasks go on: another thread takes over this one's.
fn aside(wait: &mut dyn FnMut()) {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => block_in_place(wait),
        // The one thread there is.
        _ => wait(),
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
                        if let Some(ControlFlow::Break(end)) = self.read(Stream::try_read).await {
                            break end;
                        }
                    }
                },
            }
            // One that always has more to read leaves the others their turn.
            consume_budget().await;
        };
        self.finish(&end).await;
    }

    /// Reads what has arrived; at most until the stop's end.
    async fn drain(&mut self, until: Option<Instant>) -> End {
        while until.is_some_and(|until| self.shared.clock.instant() < until) {
            match self.read(Stream::read_now).await {
                Some(ControlFlow::Continue(())) => consume_budget().await,
                Some(ControlFlow::Break(end)) => return end,
                None => break,
            }
        }
        End::Stopped
    }

    /// Reads once and records it; `None` when there is nothing to read yet.
    async fn read(&mut self, read: impl Fn(&Stream, &mut [u8]) -> io::Result<usize>) -> Option<ControlFlow<End>> {
        let _turn = self.shared.turn.lock().await;
        let mut buffer = [0; READ];
        let length = match read(&self.stream, &mut buffer) {
            Ok(0) => return Some(ControlFlow::Break(End::Peer)),
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) if error.kind() == ErrorKind::Interrupted => return Some(ControlFlow::Continue(())),
            Err(_) => return Some(ControlFlow::Break(End::Error)),
        };
        let mut batch = self.shared.producer.batch();
        batch.sent_by(self.sender);
        Some(self.decoder.push(&buffer[..length], &mut batch).map_break(|()| End::FrameTooLarge))
    }

    async fn finish(self, end: &End) {
        let _turn = self.shared.turn.lock().await;
        let mut batch = self.shared.producer.batch();
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
        Ok(frame) => batch.frame(frame),
        Err(reason) => batch.refuse(reason),
    }
}

fn record_lines(lines: Unit<'_>, batch: &mut Batch<'_>) {
    match lines {
        Ok(lines) => batch.lines(lines),
        Err(reason) => batch.refuse(reason),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::task::JoinSet;

    use super::*;
    use crate::aggregate::{Aggregator, LimitsConfig, Published};
    use crate::listen::{AllowFrom, Bounds, StreamListener};
    use crate::parse::Options;

    /// Hands over to the cutter this often when each is recorded in turn: a lane keeps few sample rates apart.
    fn lines_of_many_rates(hand_overs: usize) -> String {
        (1..=hand_overs * 256).map(|rate| format!("t:1|ms|@{}\n", 1.0 / rate as f64)).collect()
    }

    #[test]
    fn a_cutter_that_lags_behind_holds_up_connections_and_nothing_else() {
        // Before the inbox, so that it ends after it: nothing is left that waits.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let _entered = runtime.enter();
        let (aggregator, inbox) = Aggregator::new(LimitsConfig::default(), Arc::default());
        let producer = || {
            let published = Arc::new(Published::new("test"));
            Producer::new(aggregator.clone(), published, Options::default(), Clock::system())
        };
        let (listener, mut tasks) = (StreamListener::tcp("127.0.0.1:0".parse().unwrap()).unwrap(), JoinSet::new());
        let statsd = listener.name.trim_start_matches("tcp:").to_string();
        let bounds = Bounds { connections: 8, idle: Duration::from_secs(60), allow_from: AllowFrom::default() };
        let (stop, stopped) = watch::channel(None);
        listener.start(producer(), bounds, stopped, &Clock::system(), &mut tasks).unwrap();
        let echo = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = echo.local_addr().unwrap();
        tasks.spawn(async move {
            let (mut stream, _) = echo.accept().await.unwrap();
            let mut byte = [0];
            while stream.read_exact(&mut byte).await.is_ok() {
                stream.write_all(&byte).await.unwrap();
            }
        });

        // More than the inbox takes, and nobody empties it.
        let mut senders: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(&statsd).unwrap()).collect();
        for sender in &mut senders {
            sender.write_all(lines_of_many_rates(70).as_bytes()).unwrap();
        }
        let mut peer = TcpStream::connect(address).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        for _ in 0..200 {
            let mut byte = [7];
            peer.write_all(&byte).unwrap();
            peer.read_exact(&mut byte).expect("the runtime still serves others");
        }
        drop((peer, senders));
        // Once the cutter goes on, everything arrives but the last rates, which the lane still holds.
        let mut logged = 0;
        while logged < 3 * 70 * 256 - 256 {
            logged += inbox.recv_timeout(Duration::from_secs(20)).map(|handed| handed.log.len()).expect("more samples");
        }
        stop.send(Some(Clock::system().instant())).unwrap();
        runtime.block_on(tasks.join_all());
    }
}
