//! Lines as server-sent events, for as long as someone reads them.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{CACHE_CONTROL, HeaderValue};
use hyper::{Request, Response, StatusCode};
use tokio::time::{Instant, Sleep, sleep};

use super::body::Body;
use super::params::Params;
use super::reply::{self, ApiError, ErrorType};
use super::server::Shared;
use crate::ingest::{Heard, Listener, Wanted};

/// A word in between, so that both sides notice when the other is gone.
const BEAT: Duration = Duration::from_secs(15);
/// Events written at once.
const EVENTS_AT_ONCE: usize = 64;

/// An open tap as text. Never ends by itself.
pub(super) struct Stream {
    listener: Listener,
    beat: Pin<Box<Sleep>>,
    begun: bool,
}

/// Opens a tap: `filter=` is a part of the name or a glob over it, `rejected=true` shows refused lines only.
pub(super) fn open<B>(shared: &Shared, request: &Request<B>) -> Response<Body> {
    let opened = Params::parse([request.uri().query().unwrap_or("")]).and_then(|params| {
        let rejected = match params.get("rejected") {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => return Err(ApiError::parameter("rejected", format!("{other:?} is neither true nor false"))),
        };
        let wanted = Wanted::new(params.get("filter"), rejected).map_err(|why| ApiError::parameter("filter", why))?;
        let full = || {
            ApiError::new(ErrorType::Execution, "there are as many taps as there may be; close one")
                .with_status(StatusCode::SERVICE_UNAVAILABLE)
        };
        shared.app.inside.views.tap.listen(wanted).ok_or_else(full)
    });
    let listener = match opened {
        Ok(listener) => listener,
        Err(error) => return error.response(),
    };
    let stream = Stream { listener, beat: Box::pin(sleep(BEAT)), begun: false };
    let mut response = reply::with_body(StatusCode::OK, "text/event-stream", Body::stream(stream));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

impl Stream {
    /// The next events as text; `None` once the relay stops.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if !std::mem::replace(&mut self.begun, true) {
            return Poll::Ready(Some(Bytes::from_static(b": listening\n\n")));
        }
        let mut text = String::new();
        for _ in 0..EVENTS_AT_ONCE {
            match self.listener.poll_next(cx) {
                Poll::Ready(Some(Heard::Line(line))) => text.push_str(&format!("event: line\ndata: {line}\n\n")),
                Poll::Ready(Some(Heard::Dropped(lines))) => text.push_str(&format!("event: dropped\ndata: {{\"lines\":{lines}}}\n\n")),
                Poll::Ready(None) if text.is_empty() => return Poll::Ready(None),
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        if text.is_empty() {
            if self.beat.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            text.push_str(": still listening\n\n");
        }
        self.beat.as_mut().reset(Instant::now() + BEAT);
        Poll::Ready(Some(text.into()))
    }
}
