//! Streams: frames on unix sockets, lines on TCP. A task accepts, and each connection is one more.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{Counter, Gauge};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::task::coop::consume_budget;
use tokio::time::MissedTickBehavior;

use super::connection::{Connection, Framing, Shared, stopped};
use super::socket::{Acceptor, Stream};
use super::unix::{self, SocketFile};
use super::{AllowFrom, Heartbeat};
use crate::clock::Clock;
use crate::ingest::Producer;
use crate::telemetry;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1_024;
/// How often an idle listener shows that it is alive.
const BEAT: Duration = Duration::from_secs(1);
/// How long accepting rests when there are no descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound stream socket, before connections are accepted.
#[derive(Debug)]
pub struct StreamListener {
    /// `unix_stream:PATH` or `tcp:ADDRESS`, the listener label.
    pub name: String,
    // Before the socket: while it is open, no other file gets its inode.
    file: Option<SocketFile>,
    socket: Socket,
    framing: Framing,
    /// Passed in by a supervisor, which keeps its queue for the next process.
    inherited: bool,
    heartbeat: Heartbeat,
}

/// What the senders of one listener may take.
#[derive(Clone, Debug)]
pub struct Bounds {
    pub connections: usize,
    /// Without a byte, a connection lasts this long.
    pub idle: Duration,
    /// For TCP.
    pub allow_from: AllowFrom,
}

impl StreamListener {
    /// Binds a TCP address.
    pub fn tcp(address: SocketAddr) -> io::Result<StreamListener> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        StreamListener::of_tcp(socket, false)
    }

    /// Takes a TCP listener from the supervisor.
    pub fn inherited_tcp(socket: impl Into<OwnedFd>) -> io::Result<StreamListener> {
        StreamListener::of_tcp(Socket::from(socket.into()), true)
    }

    fn of_tcp(socket: Socket, inherited: bool) -> io::Result<StreamListener> {
        let address = socket.local_addr()?.as_socket().ok_or(ErrorKind::InvalidInput)?;
        StreamListener::new(format!("tcp:{address}"), socket, None, Framing::Lines, inherited)
    }

    /// Binds a unix stream socket; see `listen.unix_stream` for what a path may be.
    pub fn unix(path: &str, mode: u32) -> io::Result<StreamListener> {
        let (socket, file) = unix::bind(Type::STREAM, path, mode)?;
        socket.listen(BACKLOG)?;
        StreamListener::new(format!("unix_stream:{path}"), socket, file, Framing::Frames, false)
    }

    /// Takes a unix stream listener from the supervisor.
    pub fn inherited_unix(socket: impl Into<OwnedFd>) -> io::Result<StreamListener> {
        let socket = Socket::from(socket.into());
        let name = format!("unix_stream:{}", unix::name_of(&socket)?);
        StreamListener::new(name, socket, None, Framing::Frames, true)
    }

    fn new(name: String, socket: Socket, file: Option<SocketFile>, framing: Framing, inherited: bool) -> io::Result<StreamListener> {
        if !socket.is_listener()? {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it does not listen for connections"));
        }
        socket.set_nonblocking(true)?;
        Ok(StreamListener { name, file, socket, framing, inherited, heartbeat: Heartbeat::default() })
    }

    /// Shows, also later, that its task accepts.
    pub fn heartbeat(&self) -> Heartbeat {
        self.heartbeat.clone()
    }

    /// Accepts connections in a task of `tasks`, until `stop` says until when what is there may still be read.
    pub fn start(
        self,
        producer: Producer,
        bounds: Bounds,
        stop: watch::Receiver<Option<Instant>>,
        clock: &Clock,
        tasks: &mut JoinSet<()>,
    ) -> io::Result<()> {
        let of = [("listener", self.name.as_str())];
        let refused = |reason| telemetry::CONNECTIONS_REFUSED.counter(&[of[0], ("reason", reason)]);
        let shared = Shared::new(producer, self.framing, bounds.idle, stop.clone(), clock.clone(), of);
        let acceptor = match self.framing {
            Framing::Frames => Acceptor::Unix(UnixListener::from_std(self.socket.into())?),
            Framing::Lines => Acceptor::Tcp(TcpListener::from_std(self.socket.into())?),
        };
        let accepting = Accepting {
            _file: self.file,
            acceptor,
            inherited: self.inherited,
            heartbeat: self.heartbeat,
            bounds,
            stop,
            shared: Arc::new(shared),
            connections: JoinSet::new(),
            open: telemetry::CONNECTIONS.gauge(&of),
            refused_limit: refused("limit"),
            refused_allow_from: refused("allow_from"),
            refused_accept: refused("accept"),
        };
        tasks.spawn(accepting.run());
        Ok(())
    }
}

/// A listener at work.
struct Accepting {
    _file: Option<SocketFile>,
    acceptor: Acceptor,
    inherited: bool,
    heartbeat: Heartbeat,
    bounds: Bounds,
    stop: watch::Receiver<Option<Instant>>,
    shared: Arc<Shared>,
    connections: JoinSet<()>,
    open: Gauge,
    refused_limit: Counter,
    refused_allow_from: Counter,
    refused_accept: Counter,
}

impl Accepting {
    async fn run(mut self) {
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            self.open.set(self.connections.len() as f64);
            tokio::select! {
                // In this order, so that a place that became free is free for the next.
                biased;
                _ = stopped(&mut self.stop) => break,
                _ = beat.tick() => self.heartbeat.beat(),
                Some(_) = self.connections.join_next() => {}
                accepted = self.acceptor.accept() => match accepted {
                    Ok((stream, from)) => {
                        failing = false;
                        self.admit(stream, from);
                    }
                    Err(error) => {
                        // Without a free descriptor accept fails at once again and again.
                        self.refused_accept.increment(1);
                        if !std::mem::replace(&mut failing, true) {
                            tracing::warn!(%error, "cannot accept connections; trying on");
                        }
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
            consume_budget().await;
        }
        // Who has connected to a socket of our own may have sent already.
        while !self.inherited
            && let Ok((stream, from)) = self.acceptor.accept_waiting()
        {
            self.admit(stream, from);
        }
        drop((self._file, self.acceptor));
        while self.connections.join_next().await.is_some() {}
        self.open.set(0.0);
    }

    /// A connection that is refused is closed by dropping it.
    fn admit(&mut self, stream: Stream, from: Option<IpAddr>) {
        if from.is_some_and(|from| !self.bounds.allow_from.admits(from)) {
            self.refused_allow_from.increment(1);
        } else if self.connections.len() >= self.bounds.connections {
            self.refused_limit.increment(1);
        } else {
            self.connections.spawn(Connection::new(stream, from, self.shared.clone()).run());
        }
    }
}
