//! Datagrams: batched receive on plain threads that share one socket and run each batch to its end.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use metrics::Histogram;
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, SockaddrStorage, setsockopt, sockopt};
use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};

use super::batch::{Batch, Sender};
use super::drops::DropCounter;
use super::unix::{self, SocketFile};
use super::{AllowFrom, DRAIN, Heartbeat};
use crate::clock::Clock;
use crate::ingest::{Datagram, Producer, State};
use crate::telemetry;

/// How long a read waits before it looks whether to stop.
const PATIENCE: Duration = Duration::from_millis(200);
/// Where datagrams come fast but one by one, a rest between reads lets one wake-up bring several of them.
const REST: Duration = Duration::from_micros(50);
/// They come fast when a read waits no longer than this for the first.
const FAST: Duration = Duration::from_micros(100);
/// One batch in this many has its time measured.
const SAMPLED: u32 = 256;

/// A bound UDP or unix datagram socket, before it is read.
#[derive(Debug)]
pub struct DatagramListener {
    /// `udp:ADDRESS` or `unix_datagram:PATH`, the listener label.
    pub name: String,
    pub kind: DatagramKind,
    // Before the socket: while it is open, no other file gets its inode.
    file: Option<SocketFile>,
    socket: Socket,
    /// Passed in by a supervisor, which keeps its queue for the next process.
    inherited: bool,
    drops: Option<Arc<DropCounter>>,
    heartbeat: Heartbeat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatagramKind {
    Udp {
        address: SocketAddr,
        /// As the kernel counts its receive buffer: twice what was asked for, when it was granted in full.
        granted_bytes: usize,
    },
    /// Its senders wait when the queue is full, so that nothing is dropped.
    Unix,
}

impl DatagramListener {
    /// Binds a UDP address and asks for a receive buffer, by force where that is permitted.
    pub fn udp(address: SocketAddr, buffer_bytes: usize) -> io::Result<DatagramListener> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        if setsockopt(&socket, sockopt::RcvBufForce, &buffer_bytes).is_err() {
            socket.set_recv_buffer_size(buffer_bytes)?;
        }
        socket.bind(&address.into())?;
        DatagramListener::of_udp(socket, false)
    }

    /// Takes a UDP socket from the supervisor; its buffer is never made smaller.
    pub fn inherited_udp(socket: impl Into<OwnedFd>, buffer_bytes: usize) -> io::Result<DatagramListener> {
        let socket = Socket::from(socket.into());
        if socket.recv_buffer_size()? < buffer_bytes.saturating_mul(2) && setsockopt(&socket, sockopt::RcvBufForce, &buffer_bytes).is_err()
        {
            // Without the right to force it, the kernel may grant less than there is: ask only for more.
            let before = socket.recv_buffer_size()?;
            socket.set_recv_buffer_size(buffer_bytes.max(before / 2))?;
        }
        DatagramListener::of_udp(socket, true)
    }

    fn of_udp(socket: Socket, inherited: bool) -> io::Result<DatagramListener> {
        let address = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::InvalidInput)?;
        // Datagrams that a sender or a card has joined then cost one read. An older kernel cannot, and gives them apart.
        let _ = setsockopt(&socket, sockopt::UdpGroSegment, &true);
        let kind = DatagramKind::Udp { address, granted_bytes: socket.recv_buffer_size()? };
        DatagramListener::new(format!("udp:{address}"), kind, socket, None, inherited)
    }

    /// Binds a unix datagram socket; see `listen.unix_datagram` for what a path may be.
    pub fn unix(path: &str, mode: u32) -> io::Result<DatagramListener> {
        let (socket, file) = unix::bind(Type::DGRAM, path, mode)?;
        DatagramListener::new(format!("unix_datagram:{path}"), DatagramKind::Unix, socket, file, false)
    }

    /// Takes a unix datagram socket from the supervisor.
    pub fn inherited_unix(socket: impl Into<OwnedFd>) -> io::Result<DatagramListener> {
        let socket = Socket::from(socket.into());
        let name = format!("unix_datagram:{}", unix::name_of(&socket)?);
        DatagramListener::new(name, DatagramKind::Unix, socket, None, true)
    }

    fn new(name: String, kind: DatagramKind, socket: Socket, file: Option<SocketFile>, inherited: bool) -> io::Result<DatagramListener> {
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let drops = match kind {
            DatagramKind::Udp { address, .. } => Some(Arc::new(DropCounter::new(&socket, &name, address.is_ipv6())?)),
            DatagramKind::Unix => None,
        };
        Ok(DatagramListener { name, kind, file, socket, inherited, drops, heartbeat: Heartbeat::default() })
    }

    /// Starts one receive thread per producer; they read the socket in turn.
    pub fn start(
        self,
        producers: Vec<Producer>,
        allow_from: AllowFrom,
        stop: Arc<AtomicBool>,
        clock: &Clock,
    ) -> io::Result<Vec<JoinHandle<()>>> {
        let mut allow = AllowFrom::default();
        if let DatagramKind::Udp { granted_bytes, .. } = self.kind {
            telemetry::RECEIVE_BUFFER.gauge(&[("listener", &self.name)]).set(granted_bytes as f64);
            allow = allow_from;
        }
        let turn = Arc::new(Turn {
            _file: self.file,
            socket: Mutex::new(Reading { socket: self.socket, rests: false }),
            kind: self.kind,
            inherited: self.inherited,
            allow,
            drops: self.drops,
            heartbeat: self.heartbeat,
        });
        let mut threads = Vec::with_capacity(producers.len());
        for producer in producers {
            let receiver = Receiver {
                turn: turn.clone(),
                producer,
                stop: stop.clone(),
                clock: clock.clone(),
                pipeline: telemetry::PIPELINE_SECONDS.histogram(&[]),
            };
            threads.push(std::thread::Builder::new().name("receive".into()).spawn(move || receiver.run())?);
        }
        Ok(threads)
    }

    /// Shows, also later, that its threads poll it.
    pub fn heartbeat(&self) -> Heartbeat {
        self.heartbeat.clone()
    }

    /// The kernel's drop counter of this socket; `None` where the kernel drops nothing.
    pub fn drop_counter(&self) -> Option<Arc<DropCounter>> {
        self.drops.clone()
    }
}

/// The socket, held by the thread whose turn it is to read.
struct Turn {
    _file: Option<SocketFile>,
    socket: Mutex<Reading>,
    kind: DatagramKind,
    inherited: bool,
    allow: AllowFrom,
    drops: Option<Arc<DropCounter>>,
    heartbeat: Heartbeat,
}

struct Reading {
    socket: Socket,
    rests: bool,
}

struct Receiver {
    turn: Arc<Turn>,
    producer: Producer,
    stop: Arc<AtomicBool>,
    clock: Clock,
    pipeline: Histogram,
}

impl Receiver {
    fn run(self) {
        match self.turn.kind {
            DatagramKind::Unix => self.read::<()>(),
            DatagramKind::Udp { .. } => self.read::<SockaddrStorage>(),
        }
        // The last reading of what the kernel dropped, while the socket is still in its table.
        if let Some(drops) = &self.turn.drops {
            drops.publish();
        }
    }

    /// Reads batches until the stop, and then until the socket is empty.
    fn read<S: Sender>(&self) {
        let mut batch = Batch::new();
        let mut drain_until: Option<Instant> = None;
        let mut turns = 0_u32;
        loop {
            if drain_until.is_none() && self.stop.load(Ordering::Acquire) {
                if self.turn.inherited {
                    return;
                }
                drain_until = Some(self.clock.instant() + DRAIN);
                // Who sends to a unix socket from now on is told so; UDP has no such word, and the call fails.
                let _ = self.turn.socket.lock().socket.shutdown(Shutdown::Read);
            }
            if drain_until.is_some_and(|until| self.clock.instant() >= until) {
                return;
            }
            turns = turns.wrapping_add(1);
            match self.receive::<S>(&mut batch, turns.is_multiple_of(SAMPLED)) {
                Ok(()) => {}
                Err(Errno::EAGAIN) if drain_until.is_some() => return,
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(errno) => {
                    tracing::warn!(%errno, "reading a datagram socket failed");
                    std::thread::sleep(PATIENCE);
                }
            }
        }
    }

    /// Reads one batch and records it. The socket is passed on before the batch is parsed.
    fn receive<S: Sender>(&self, batch: &mut Batch, measured: bool) -> Result<(), Errno> {
        let mut lane = {
            let mut reading = self.turn.socket.lock();
            self.turn.heartbeat.beat();
            if reading.rests {
                std::thread::sleep(REST);
            }
            // Asked while the socket is held: to wait on one that another thread has shut down would read a phantom.
            let flags = if self.stop.load(Ordering::Acquire) { MsgFlags::MSG_DONTWAIT } else { MsgFlags::MSG_WAITFORONE };
            reading.rests = false;
            let asked = self.clock.instant();
            batch.receive::<S>(&reading.socket, flags)?;
            // Whoever sends to a unix socket waits when its short queue is full.
            let udp = matches!(self.turn.kind, DatagramKind::Udp { .. });
            reading.rests = udp && batch.is_sparse() && self.clock.instant() - asked < FAST;
            // Opened while the socket is held: who reads it next records into no earlier window, and after this.
            self.producer.batch()
        };
        let began = measured.then(|| self.clock.instant());
        lane.datagrams(batch.datagrams().map(|datagram| self.judged(datagram)));
        if let Some(began) = began {
            self.pipeline.record(self.clock.instant() - began);
        }
        Ok(())
    }

    /// The datagram as it may be read.
    fn judged<'d>(&self, datagram: Datagram<'d>) -> Datagram<'d> {
        let allow = &self.turn.allow;
        let admitted = allow.everyone() || datagram.sender.is_some_and(|sender| allow.admits(sender));
        if admitted { datagram } else { Datagram { state: State::Denied, ..datagram } }
    }
}
