//! Sends each window to Datadog, or to an intake that speaks as Datadog does.
//!
//! Series of one host, tag set and second replace each other, so the same bytes may be sent again when an
//! answer was lost. Sketches add up: a lost answer may count one twice, which is still better than none.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::driver::{Delivered, Driver, Sink, SinkError};
use super::line::{Line, SinkHandle};
use super::{HistogramAggregate, SinkConfig, SinkContext};
use crate::encode::datadog::{Options, Route};
use crate::encode::{Budget, Payload, Place};
use crate::model::Window;
use crate::net::{Http, HttpError, Post, Reply, Secret, Url};

const DEFAULT_SITE: &str = "datadoghq.com";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);
/// Of an answer's text, what a log line shows.
const SHOWN_BYTES: usize = 200;

struct Datadog {
    route: Route,
    options: Arc<Options>,
    http: Http,
    url: Url,
    secret: Secret,
    key: String,
    /// Set by a 401 or 403: the key is read again before the next attempt.
    key_refused: bool,
    timeout: Duration,
}

/// Starts one task for each route.
pub(super) fn start(config: &SinkConfig, context: &SinkContext, tasks: &mut JoinSet<()>) -> Result<SinkHandle, String> {
    let at = |key: &str, why: String| format!("sinks.{}.{key}: {why}", config.name);
    if !config.additional_endpoints.is_empty() {
        return Err(at("additional_endpoints", "not built yet; leave it out, or add a second sink".to_string()));
    }
    let secret =
        config.api_key.clone().ok_or_else(|| at("api_key", "missing; expected { env: DD_API_KEY } or { file: PATH }".to_string()))?;
    let key = secret.read().map_err(|why| at("api_key", why))?;
    let options = Arc::new(options(config, context).map_err(|(key, why)| at(key, why))?);
    let base = match (&config.url, &config.site) {
        (Some(_), Some(_)) => return Err(at("site", "url is set too; leave out one of them".to_string())),
        (Some(url), None) => url.clone(),
        (None, site) => format!("https://api.{}", site.as_deref().unwrap_or(DEFAULT_SITE)),
    };
    let named = if config.url.is_some() { "url" } else { "site" };
    let base = Url::parse(&base).map_err(|why| at(named, why))?;
    let http = Http::for_url(&base).map_err(|why| at(named, why))?;

    let count = {
        let options = Arc::clone(&options);
        Box::new(move |window: &Window| Route::ALL.iter().map(|route| route.points(window, &options)).collect())
    };
    let memory = config.queue.memory.bytes();
    let line = Arc::new(Line::new(&config.name, Route::ALL.len(), memory, config.queue.max_age, context.clock.clone(), count));
    for (at_route, route) in Route::ALL.into_iter().enumerate() {
        let sink = Datadog {
            route,
            options: Arc::clone(&options),
            http: http.clone(),
            url: base.join(route.path()).map_err(|why| at(named, why))?,
            secret: secret.clone(),
            key: key.clone(),
            key_refused: false,
            timeout: config.timeout.unwrap_or(DEFAULT_TIMEOUT),
        };
        tasks.spawn(Driver::new(sink, at_route, Arc::clone(&line)).run());
    }
    Ok(SinkHandle(line))
}

/// The encoding part of the configuration, or the key that is wrong and why.
pub(super) fn options(config: &SinkConfig, context: &SinkContext) -> Result<Options, (&'static str, String)> {
    use HistogramAggregate::{Avg, Count, Max, Median};
    if context.interval.subsec_nanos() != 0 {
        return Err(("type", "Datadog's intervals are whole seconds: set aggregate.interval to some".to_string()));
    }
    let percentiles = config.histogram_percentiles.clone().unwrap_or_else(|| vec![0.95]);
    let whole = |share: &f64| {
        let percent = (share * 100.0).round();
        let is_whole = (share * 100.0 - percent).abs() < 1e-9 && (1.0..100.0).contains(&percent);
        let wrong = || ("histogram_percentiles", format!("{share} is not a whole percent; expected a value such as 0.95 or 0.99"));
        is_whole.then_some(percent as u8).ok_or_else(wrong)
    };
    Ok(Options {
        hostname: config.hostname.clone().unwrap_or_else(|| context.hostname.clone()),
        counters: config.counters.unwrap_or_default(),
        aggregates: config.histogram_aggregates.clone().unwrap_or_else(|| vec![Max, Median, Avg, Count]),
        percentiles: percentiles.iter().map(whole).collect::<Result<_, _>>()?,
        compression: config.compression.unwrap_or_default(),
    })
}

impl Sink for Datadog {
    const KIND: &'static str = "datadog";

    fn route(&self) -> &'static str {
        self.route.as_str()
    }

    fn budget(&self) -> Budget {
        self.route.budget()
    }

    fn encode(&mut self, window: &Window, place: Place, budget: Budget, out: &mut Payload) -> Option<Place> {
        self.route.encode(window, &self.options, place, budget, out)
    }

    async fn send(&mut self, payload: &Payload) -> Result<Delivered, SinkError> {
        if self.key_refused {
            self.read_key().await?;
        }
        let post = Post {
            url: &self.url,
            content_type: payload.content_type,
            headers: payload.encoding.map(|encoding| ("content-encoding", encoding)).into_iter().collect(),
            secret_headers: vec![("dd-api-key", &self.key)],
            body: payload.body.clone(),
            timeout: self.timeout,
        };
        let reply = self.http.post(post).await.map_err(unanswered)?;
        let result = verdict(&reply, payload, &self.key);
        self.key_refused = matches!(result, Err(SinkError::Misconfigured { .. }));
        result
    }
}

impl Datadog {
    async fn read_key(&mut self) -> Result<(), SinkError> {
        let secret = self.secret.clone();
        let read = tokio::task::spawn_blocking(move || secret.read()).await;
        match read.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(key) => self.key = key,
            Err(why) => return Err(SinkError::Misconfigured { why: format!("api_key: {why}") }),
        }
        Ok(())
    }
}

fn unanswered(error: HttpError) -> SinkError {
    let why = error.to_string();
    match error {
        HttpError::Timeout { .. } => SinkError::Retry { outcome: "timeout", why, after: None },
        HttpError::Network { .. } => SinkError::Retry { outcome: "network", why, after: None },
        HttpError::Header { .. } => SinkError::Misconfigured { why },
    }
}

/// What the answer means for the payload.
fn verdict(reply: &Reply, payload: &Payload, key: &str) -> Result<Delivered, SinkError> {
    let said = said(&reply.body, key);
    let retry = |outcome| {
        let why = format!("status {}: {said}", reply.status);
        Err(SinkError::Retry { outcome, why, after: reply.retry_after })
    };
    match reply.status {
        200..=299 => Ok(Delivered { refused: 0, why: None }),
        // The intake will never take it; a retry would hold up newer windows.
        400 => Ok(Delivered { refused: payload.points, why: Some(format!("status 400: {said}")) }),
        401 | 403 => {
            let why = format!("status {}: the api_key{} is not accepted; put a valid one into its place", reply.status, ending(key));
            Err(SinkError::Misconfigured { why })
        }
        413 => Err(SinkError::TooLarge),
        429 => retry("throttled"),
        // A redirect is never followed: it would carry the key elsewhere.
        300..=399 => retry("redirect"),
        status if status < 500 => retry("client_error"),
        _ => retry("server_error"),
    }
}

/// The last characters of a key, so that it can be told from another; nothing of a short one.
fn ending(key: &str) -> String {
    match key.char_indices().rev().nth(3) {
        Some((at, _)) if key.len() >= 16 => format!(" ending in {:?}", &key[at..]),
        _ => String::new(),
    }
}

/// The beginning of an answer, fit for a log line, without the key should it be repeated there.
fn said(body: &[u8], key: &str) -> String {
    let text = String::from_utf8_lossy(body).replace(key, "<secret>");
    let shown: String = text.chars().take(SHOWN_BYTES).collect();
    format!("{shown:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict_of(status: u16) -> Result<Delivered, SinkError> {
        let reply = Reply { status, retry_after: Some(Duration::from_secs(7)), body: "no key canary-1234 here\n".into() };
        verdict(&reply, &Payload { points: 5, ..Payload::default() }, "canary-1234")
    }

    #[test]
    fn each_status_means_what_the_page_says() {
        assert_eq!(verdict_of(202), Ok(Delivered { refused: 0, why: None }));
        assert_eq!(verdict_of(400).map(|delivered| delivered.refused), Ok(5));
        assert_eq!(verdict_of(413), Err(SinkError::TooLarge));
        for status in [401, 403] {
            assert!(matches!(verdict_of(status), Err(SinkError::Misconfigured { .. })), "{status}");
        }
        let retried = [
            (301, "redirect"),
            (404, "client_error"),
            (408, "client_error"),
            (429, "throttled"),
            (500, "server_error"),
            (503, "server_error"),
        ];
        for (status, expected) in retried {
            let Err(SinkError::Retry { outcome, after, .. }) = verdict_of(status) else { panic!("{status}") };
            assert_eq!((outcome, after), (expected, Some(Duration::from_secs(7))), "{status}");
        }
    }

    #[test]
    fn no_verdict_shows_the_key() {
        for status in [400, 401, 403, 404, 500] {
            let shown = format!("{:?}", verdict_of(status));
            assert!(!shown.contains("canary"), "{shown}");
        }
    }
}
