//! Deadlines of one connection that the HTTP library has not: the head of every request, the sending of every answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::body::Body;
use super::limits::Limits;

/// Where a connection stands between two requests. Set by the service and by the socket below it.
#[derive(Clone, Debug, Default)]
pub(super) struct Phase(Arc<AtomicU8>);

const IDLE: u8 = 0;
const HEAD: u8 = 1;
/// The head is complete: the service's own deadline holds.
const REQUEST: u8 = 2;
/// The answer is being sent.
const ANSWER: u8 = 3;
/// All of the answer was taken, if not yet sent.
const TAKEN: u8 = 4;
/// An answer without an end is being sent: it may stall no longer than any other, but last.
const STREAM: u8 = 5;

impl Phase {
    /// The head of a request is complete.
    pub(super) fn request(&self) {
        self.set(REQUEST);
    }

    /// The answer begins; it ends when what this returns is dropped.
    pub(super) fn answer(&self, body: Body) -> Answering {
        self.set(if body.is_stream() { STREAM } else { ANSWER });
        Answering { body, phase: self.clone() }
    }

    fn get(&self) -> u8 {
        self.0.load(Ordering::Acquire)
    }

    fn set(&self, phase: u8) {
        self.0.store(phase, Ordering::Release);
    }
}

/// A body that tells when the last of it was taken.
pub(super) struct Answering {
    body: Body,
    phase: Phase,
}

impl hyper::body::Body for Answering {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.phase.set(TAKEN);
    }
}

/// A socket that gives up when its peer is too slow.
pub(super) struct Paced<S> {
    stream: S,
    phase: Phase,
    limits: Arc<Limits>,
    /// When the head must be complete.
    head: Pin<Box<Sleep>>,
    /// When the answer must be sent; armed at its first byte.
    answer: Option<Instant>,
    /// When the next progress in sending must have come.
    stall: Option<Pin<Box<Sleep>>>,
}

impl<S> Paced<S> {
    /// The head of the first request is due from now on.
    pub(super) fn new(stream: S, phase: Phase, limits: Arc<Limits>) -> Paced<S> {
        phase.set(HEAD);
        let head = Box::pin(sleep_until(Instant::now() + limits.head));
        Paced { stream, phase, limits, head, answer: None, stall: None }
    }

    /// Ready when sending has stalled, or takes too long altogether.
    fn stalled(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let (limits, answer) = (&self.limits, self.answer);
        let stall = self.stall.get_or_insert_with(|| {
            let stall = Instant::now() + limits.write_stall;
            Box::pin(sleep_until(answer.map_or(stall, |answer| stall.min(answer))))
        });
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    fn sent(&mut self, result: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if matches!(self.phase.get(), ANSWER | TAKEN) {
            let due = Instant::now() + self.limits.request;
            let due = *self.answer.get_or_insert(due);
            if Instant::now() >= due {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        if result.is_pending() {
            return self.stalled(cx);
        }
        self.stall = None;
        result
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        if self.phase.get() == IDLE && buf.filled().len() > before {
            self.phase.set(HEAD);
            let due = Instant::now() + self.limits.head;
            self.head.as_mut().reset(due);
        }
        // Also when bytes came: a head that arrives drop by drop is late all the same.
        if self.phase.get() == HEAD && self.head.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.sent(result, cx)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.sent(result, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called when everything written so far has been taken by the kernel.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.phase.get() == TAKEN && self.answer.take().is_some() {
            self.phase.set(IDLE);
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
