//! What receives: threads of datagram sockets, tasks of stream sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::stop::join;
use super::{StartError, inside};
use crate::aggregate::{Aggregator, Published};
use crate::clock::Clock;
use crate::config::Config;
use crate::ingest::{Producer, Views};
use crate::listen::{AllowFrom, Bounds, DRAIN, DatagramKind, DatagramListener, Heartbeat, ListenConfig, Prefix, StreamListener, Threads};
use crate::parse::Options;
use crate::telemetry::Telemetry;

/// Receive threads per datagram socket, at most, when `listen.threads` is `auto`: beyond it the socket's lock is what
/// is waited for.
const THREADS_MAX: usize = 3;

/// The listeners at work.
pub(super) struct Receiving {
    aggregator: Arc<Aggregator>,
    views: Arc<Views>,
    /// How far back a sample's own time may lie.
    back: Duration,
    clock: Clock,
    allow_from: AllowFrom,
    heartbeats: Vec<Heartbeat>,
    threads: Vec<JoinHandle<()>>,
    stop_threads: Arc<AtomicBool>,
    streams: JoinSet<()>,
    /// Until when what has arrived may still be read.
    stop_streams: watch::Sender<Option<Instant>>,
}

impl Receiving {
    /// No listener yet.
    pub(super) fn new(config: &Config, aggregator: Arc<Aggregator>, views: Arc<Views>, clock: Clock) -> Result<Receiving, StartError> {
        let prefixes: Result<Vec<Prefix>, String> = config.listen.allow_from.iter().map(|prefix| prefix.parse()).collect();
        Ok(Receiving {
            aggregator,
            views,
            back: inside::raw_kept(config),
            clock,
            allow_from: prefixes.map(AllowFrom::new).map_err(|error| StartError::config(format!("listen.allow_from: {error}")))?,
            heartbeats: Vec::new(),
            threads: Vec::new(),
            stop_threads: Arc::default(),
            streams: JoinSet::new(),
            stop_streams: watch::Sender::new(None),
        })
    }

    /// Starts the threads of a datagram socket.
    pub(super) fn receive(&mut self, from: (DatagramListener, Options), listen: &ListenConfig, own: &Telemetry) -> Result<(), StartError> {
        let (listener, options) = from;
        warn_of_small_buffer(&listener, listen.receive_buffer.bytes());
        if let Some(drops) = listener.drop_counter() {
            own.before_reading(move || drops.publish());
        }
        let threads = match listen.threads {
            Threads::Auto => std::thread::available_parallelism().map_or(1, |cores| cores.get().min(THREADS_MAX)),
            Threads::Fixed(threads) => threads,
        };
        let published = Arc::new(Published::new(&listener.name));
        let producers = (0..threads).map(|_| self.producer(&listener.name, published.clone(), options)).collect();
        self.heartbeats.push(listener.heartbeat());
        let started = listener.start(producers, self.allow_from.clone(), self.stop_threads.clone(), &self.clock);
        self.threads.extend(started.map_err(failed)?);
        Ok(())
    }

    /// Starts the task of a stream socket. Its senders can wait until somebody takes what a lane hands over, and a
    /// task must not: this comes once windows are cut.
    pub(super) fn accept(&mut self, from: (StreamListener, Options), listen: &ListenConfig) -> Result<(), StartError> {
        let (listener, options) = from;
        let producer = self.producer(&listener.name, Arc::new(Published::new(&listener.name)), options);
        let allow_from = self.allow_from.clone();
        let bounds = Bounds { connections: listen.max_connections, idle: listen.idle_timeout, allow_from };
        self.heartbeats.push(listener.heartbeat());
        listener.start(producer, bounds, self.stop_streams.subscribe(), &self.clock, &mut self.streams).map_err(failed)
    }

    fn producer(&self, listener: &str, published: Arc<Published>, options: Options) -> Producer {
        let producer = Producer::new(self.aggregator.clone(), published, options, self.clock.clone());
        producer.seen(self.views.clone(), listener).reaching(self.back)
    }

    /// What shows that every listener is polled.
    pub(super) fn heartbeats(&self) -> Vec<Heartbeat> {
        self.heartbeats.clone()
    }

    /// Has what has arrived read, and ends.
    pub(super) async fn stop(self) {
        self.stop_threads.store(true, Ordering::Release);
        // Fails when there is no stream listener.
        let _ = self.stop_streams.send(Some(self.clock.instant() + DRAIN));
        tokio::join!(join(self.threads), self.streams.join_all());
    }
}

fn warn_of_small_buffer(listener: &DatagramListener, wanted_bytes: usize) {
    // The kernel counts twice what it grants.
    if let DatagramKind::Udp { granted_bytes, .. } = listener.kind
        && granted_bytes < wanted_bytes
    {
        tracing::warn!(
            listener = listener.name,
            granted_bytes = granted_bytes / 2,
            wanted_bytes,
            "the receive buffer is below half of listen.receive_buffer; raise net.core.rmem_max, or give the relay CAP_NET_ADMIN or a socket unit with ReceiveBuffer="
        );
    }
}

fn failed(error: std::io::Error) -> StartError {
    StartError::failed(format!("the listener did not start: {error}"))
}
