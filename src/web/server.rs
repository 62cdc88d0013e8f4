//! Accepts connections, bounds them, and serves HTTP/1.1 on each.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::App;
use super::limits::{Admitted, Connections, Limits};
use super::pace::{Paced, Phase};
use super::router;
use crate::telemetry::HTTP_CONNECTIONS_REFUSED;

/// How long accepting rests when there are no descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// What open requests get to end in once the server stops.
const GRACE: Duration = Duration::from_secs(2);

/// What every connection shares.
pub(super) struct Shared {
    pub(super) app: Arc<App>,
    pub(super) limits: Arc<Limits>,
    /// A permit for each query that may run.
    pub(super) queries: Arc<Semaphore>,
    connections: Arc<Connections>,
}

impl Shared {
    fn new(app: Arc<App>, limits: Limits) -> Arc<Shared> {
        let queries = Arc::new(Semaphore::new(limits.queries));
        Arc::new(Shared { app, limits: Arc::new(limits), queries, connections: Arc::default() })
    }
}

/// Serves on all listeners until `shutdown` turns true (or its sender is gone); then open requests get 2 s.
pub async fn serve(listeners: Vec<TcpListener>, app: Arc<App>, shutdown: watch::Receiver<bool>) -> std::io::Result<()> {
    serve_within(listeners, app, shutdown, Limits::default()).await
}

/// [`serve`] with bounds of one's own.
pub async fn serve_within(
    listeners: Vec<TcpListener>,
    app: Arc<App>,
    shutdown: watch::Receiver<bool>,
    limits: Limits,
) -> std::io::Result<()> {
    let shared = Shared::new(app, limits);
    let mut accepting = JoinSet::new();
    for listener in listeners {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        accepting.spawn(accept(listener, shared.clone(), shutdown.clone()));
    }
    while accepting.join_next().await.is_some() {}
    Ok(())
}

/// Serves one connection, whatever carries it, until one of its ends closes it.
pub async fn serve_connection(stream: impl AsyncRead + AsyncWrite + Unpin, app: Arc<App>, limits: Limits) {
    let (_running, shutdown) = watch::channel(false);
    // How it ended is for the other end to see.
    let _ = converse(stream, Shared::new(app, limits), shutdown).await;
}

async fn accept(listener: tokio::net::TcpListener, shared: Arc<Shared>, mut shutdown: watch::Receiver<bool>) {
    let mut tasks = JoinSet::new();
    let failed = HTTP_CONNECTIONS_REFUSED.counter(&[("reason", "accept")]);
    let mut failing = false;
    loop {
        tokio::select! {
            () = stopped(&mut shutdown) => break,
            Some(_) = tasks.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    failing = false;
                    // A refused connection is closed by dropping it.
                    if let Some(admitted) = shared.connections.admit(from.ip(), &shared.limits) {
                        tasks.spawn(connection(stream, from, shared.clone(), shutdown.clone(), admitted));
                    }
                }
                Err(error) => {
                    // Without a free descriptor accept fails at once again and again.
                    failed.increment(1);
                    if !std::mem::replace(&mut failing, true) {
                        tracing::warn!(%error, "cannot accept HTTP connections; trying on");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let ended = async { while tasks.join_next().await.is_some() {} };
    // Who is not done by then is cut off when the set is dropped.
    let _ = tokio::time::timeout(GRACE, ended).await;
}

async fn connection(stream: TcpStream, from: SocketAddr, shared: Arc<Shared>, shutdown: watch::Receiver<bool>, _place: Admitted) {
    // Answers are written whole; waiting for more to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    if let Err(error) = converse(stream, shared, shutdown).await {
        tracing::debug!(%from, %error, "an HTTP connection ended early");
    }
}

async fn converse<S>(stream: S, shared: Arc<Shared>, mut shutdown: watch::Receiver<bool>) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let phase = Phase::default();
    let io = TokioIo::new(Paced::new(stream, phase.clone(), shared.limits.clone()));
    let service = service_fn({
        let shared = shared.clone();
        move |request: Request<Incoming>| {
            phase.request();
            let (shared, phase) = (shared.clone(), phase.clone());
            async move { Ok::<_, Infallible>(router::answer(&shared, request).await.map(|body| phase.answer(body))) }
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.limits.idle)
        .max_buf_size(shared.limits.head_bytes)
        .serve_connection(io, service);
    let mut served = std::pin::pin!(served);
    tokio::select! {
        ended = served.as_mut() => ended,
        () = stopped(&mut shutdown) => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    }
}

/// Returns when the server is to stop.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone: the relay is.
    let _ = shutdown.wait_for(|stop| *stop).await;
}
