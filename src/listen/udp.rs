//! UDP: batched receive on plain threads that share one socket and run each batch to its end.

use std::io::{self, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use metrics::{Counter, Histogram};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, recvmmsg};
use parking_lot::Mutex;
use socket2::{Domain, Protocol, Socket, Type};

use super::drops;
use crate::clock::Clock;
use crate::ingest::Producer;
use crate::telemetry;

/// Datagrams read in one call.
const BATCH: usize = 32;
/// The largest datagram UDP can carry fits, so nothing is cut.
const BUFFER: usize = 65_536;
/// How long a read waits before it looks whether to stop.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long a socket of our own is read on after the stop.
const DRAIN: Duration = Duration::from_secs(1);
/// One batch in this many has its time measured.
const SAMPLED: u32 = 256;

/// A bound socket, before it is read.
#[derive(Debug)]
pub struct UdpListener {
    socket: UdpSocket,
    /// `udp:ADDRESS`, the listener label.
    pub name: String,
    pub address: SocketAddr,
    /// Passed in by a supervisor, which keeps its queue for the next process.
    pub inherited: bool,
    /// As the kernel counts it: twice what was asked for, when it was granted in full.
    pub granted_bytes: usize,
    heartbeat: Heartbeat,
}

impl UdpListener {
    /// Binds an address and asks for a receive buffer, by force where that is permitted.
    pub fn bind(address: SocketAddr, buffer_bytes: usize) -> io::Result<UdpListener> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        if nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBufForce, &buffer_bytes).is_err() {
            socket.set_recv_buffer_size(buffer_bytes)?;
        }
        socket.bind(&address.into())?;
        UdpListener::new(socket.into(), false)
    }

    /// Takes a socket from the supervisor; its buffer is never made smaller.
    pub fn inherit(socket: UdpSocket, buffer_bytes: usize) -> io::Result<UdpListener> {
        let reference = socket2::SockRef::from(&socket);
        if reference.recv_buffer_size()? < buffer_bytes.saturating_mul(2)
            && nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBufForce, &buffer_bytes).is_err()
        {
            // Without the right to force it, the kernel may grant less than there is: ask only for more.
            let before = reference.recv_buffer_size()?;
            reference.set_recv_buffer_size(buffer_bytes.max(before / 2))?;
        }
        UdpListener::new(socket, true)
    }

    fn new(socket: UdpSocket, inherited: bool) -> io::Result<UdpListener> {
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let address = socket.local_addr()?;
        let granted_bytes = socket2::SockRef::from(&socket).recv_buffer_size()?;
        Ok(UdpListener { socket, name: format!("udp:{address}"), address, inherited, granted_bytes, heartbeat: Heartbeat::default() })
    }

    /// Starts one receive thread per producer; they read the socket in turn.
    pub fn start(self, producers: Vec<Producer>, stop: Arc<AtomicBool>, clock: &Clock) -> io::Result<Vec<JoinHandle<()>>> {
        telemetry::RECEIVE_BUFFER.gauge(&[("listener", &self.name)]).set(self.granted_bytes as f64);
        let received = Arc::new(Turn { socket: Mutex::new(self.socket), inherited: self.inherited, heartbeat: self.heartbeat });
        let mut threads = Vec::with_capacity(producers.len());
        for producer in producers {
            let receiver = Receiver {
                turn: received.clone(),
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

    /// A reader of the kernel's drop counter for this socket, that outlives the socket's threads.
    pub fn drop_counter(&self) -> io::Result<DropCounter> {
        let counter = telemetry::DATAGRAMS_KERNEL_DROPPED.counter(&[("listener", &self.name)]);
        // What an inherited socket dropped before is the earlier process's to tell.
        let inode = drops::inode(&self.socket)?;
        let seen = drops::read(inode, self.address.is_ipv6()).unwrap_or(0);
        Ok(DropCounter { inode, v6: self.address.is_ipv6(), seen: Mutex::new(seen), counter })
    }
}

/// Publishes the kernel's count of datagrams it dropped at one socket.
pub struct DropCounter {
    inode: u64,
    v6: bool,
    seen: Mutex<u32>,
    counter: Counter,
}

impl DropCounter {
    /// Reads the kernel's number and adds what is new. Exact at the end of a burst.
    pub fn publish(&self) {
        let mut seen = self.seen.lock();
        if let Some(now) = drops::read(self.inode, self.v6) {
            // The kernel's number is 32 bits wide and wraps.
            self.counter.increment(u64::from(now.wrapping_sub(*seen)));
            *seen = now;
        }
    }
}

/// Shows that a socket is being polled.
#[derive(Clone, Debug, Default)]
pub struct Heartbeat(Arc<AtomicU64>);

impl Heartbeat {
    /// Polls so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The socket, held by the thread whose turn it is to read.
struct Turn {
    socket: Mutex<UdpSocket>,
    inherited: bool,
    heartbeat: Heartbeat,
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
        let mut buffers = vec![0_u8; BATCH * BUFFER];
        // No control messages are asked for, so the headers can be used again.
        let mut headers = MultiHeaders::<()>::preallocate(BATCH, None);
        let mut drain_until: Option<Instant> = None;
        let mut turns = 0_u32;
        loop {
            if drain_until.is_none() && self.stop.load(Ordering::Acquire) {
                if self.turn.inherited {
                    return;
                }
                drain_until = Some(self.clock.instant() + DRAIN);
            }
            if drain_until.is_some_and(|until| self.clock.instant() >= until) {
                return;
            }
            let flags = if drain_until.is_some() { MsgFlags::MSG_DONTWAIT } else { MsgFlags::MSG_WAITFORONE };
            turns = turns.wrapping_add(1);
            match self.receive(&mut buffers, &mut headers, flags, turns.is_multiple_of(SAMPLED)) {
                Ok(()) => {}
                Err(Errno::EAGAIN) if drain_until.is_some() => return,
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(errno) => {
                    tracing::warn!(%errno, "reading a UDP socket failed");
                    std::thread::sleep(PATIENCE);
                }
            }
        }
    }

    /// Reads one batch and records it. The socket is passed on before the batch is parsed.
    fn receive(&self, buffers: &mut [u8], headers: &mut MultiHeaders<()>, flags: MsgFlags, measured: bool) -> Result<(), Errno> {
        let mut received = 0;
        let mut lengths = [(0, false); BATCH];
        let mut chunks = buffers.chunks_mut(BUFFER);
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] = std::array::from_fn(|_| [IoSliceMut::new(chunks.next().unwrap_or_default())]);
        let ticket = {
            let socket = self.turn.socket.lock();
            self.turn.heartbeat.0.fetch_add(1, Ordering::Relaxed);
            let messages = recvmmsg(socket.as_raw_fd(), headers, slices.iter_mut(), flags, None)?;
            for (message, length) in messages.zip(&mut lengths) {
                *length = (message.bytes, message.flags.contains(MsgFlags::MSG_TRUNC));
                received += 1;
            }
            self.producer.ticket()
        };
        let began = measured.then(|| self.clock.instant());
        let mut batch = self.producer.batch(ticket);
        for (buffer, &(length, truncated)) in buffers.chunks(BUFFER).zip(&lengths[..received]) {
            let bytes = &buffer[..length.min(BUFFER)];
            if truncated { batch.truncated(bytes) } else { batch.datagram(bytes) }
        }
        if let Some(began) = began {
            self.pipeline.record(self.clock.instant() - began);
        }
        Ok(())
    }
}
