//! Requests over HTTP/1.1 with one deadline, a bounded answer and no redirects.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use time::PrimitiveDateTime;
use time::macros::format_description;
use tokio::time::Instant;

use super::Url;
use super::resolve::{Resolver, is_refused};

/// Most of an answer that is read: enough for any error text.
const ANSWER_BYTES: usize = 64 << 10;
/// An answer may take this long behind its status, which alone decides.
const ANSWER_TIME: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(30);
const AGENT: &str = concat!("statsd-relay/", env!("CARGO_PKG_VERSION"));

/// A client with its own connections. Cloning shares them.
#[derive(Clone)]
pub struct Http(Client<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>);

/// One request to send.
pub struct Post<'a> {
    pub url: &'a Url,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, &'a str)>,
    /// Headers whose values are secret.
    pub secret_headers: Vec<(&'static str, &'a str)>,
    pub body: Bytes,
    /// For the whole request: name, connection, TLS, sending and the answer.
    pub timeout: Duration,
}

/// An answer: whatever its status, it is not an error here.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// What the receiver asked to wait.
    pub retry_after: Option<Duration>,
    /// The beginning of the body.
    pub body: Bytes,
}

/// Why there is no answer. Never names the path or a header's value.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("no answer from {url} within {timeout:?}")]
    Timeout { url: Url, timeout: Duration },
    #[error("{url}: {reason}")]
    Network { url: Url, reason: String },
    #[error("{url}: the value of the header {header} has characters that no header may have")]
    Header { url: Url, header: &'static str },
}

impl Http {
    /// A client for `url`. Certificates are loaded only for https.
    ///
    /// The error says what is missing: a root certificate, or an address that may be used.
    pub fn for_url(url: &Url) -> Result<Http, String> {
        let host = url.uri().host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        if host.parse::<IpAddr>().is_ok_and(is_refused) {
            return Err(format!("{url} is a link-local or metadata address, which is refused"));
        }
        let mut tcp = HttpConnector::new_with_resolver(Resolver::new());
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let roots = if url.is_https() { native_roots()? } else { rustls::RootCertStore::empty() };
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS: {error}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(4)
            .build(connector);
        Ok(Http(client))
    }

    /// Sends one POST request and reads its answer. Redirects are answers like any other.
    pub async fn post(&self, post: Post<'_>) -> Result<Reply, HttpError> {
        let (url, timeout) = (post.url, post.timeout);
        let request = request(post)?;
        let deadline = Instant::now() + timeout;
        let answer = tokio::time::timeout_at(deadline, self.0.request(request));
        let answer = answer.await.map_err(|_| HttpError::Timeout { url: url.clone(), timeout })?;
        let answer = answer.map_err(|error| HttpError::Network { url: url.clone(), reason: chain(&error) })?;
        let (status, retry_after) = (answer.status().as_u16(), retry_after(answer.headers()));
        Ok(Reply { status, retry_after, body: beginning(answer, deadline).await })
    }
}

fn request(post: Post<'_>) -> Result<Request<Full<Bytes>>, HttpError> {
    let mut request = Request::new(Full::new(post.body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = post.url.uri().clone();
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(post.content_type));
    let plain = post.headers.into_iter().map(|header| (header, false));
    for ((name, value), secret) in plain.chain(post.secret_headers.into_iter().map(|header| (header, true))) {
        let refused = || HttpError::Header { url: post.url.clone(), header: name };
        let mut value = HeaderValue::from_str(value).map_err(|_| refused())?;
        value.set_sensitive(secret);
        headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?, value);
    }
    Ok(request)
}

/// The body's beginning; what comes later, slowly or broken is left: the status has been given.
async fn beginning(answer: Response<Incoming>, deadline: Instant) -> Bytes {
    let mut body = answer.into_body();
    let mut text = Vec::new();
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            let Ok(data) = frame.into_data() else { continue };
            text.extend_from_slice(&data[..data.len().min(ANSWER_BYTES - text.len())]);
            if text.len() == ANSWER_BYTES {
                break;
            }
        }
    };
    // Late is as good as short.
    let _ = tokio::time::timeout_at(deadline.min(Instant::now() + ANSWER_TIME), reading).await;
    text.into()
}

/// `Retry-After` as a span. A date counts from the answer's own `Date`, so no two clocks are compared.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let now = http_date(headers.get(DATE)?.to_str().ok()?)?;
    Duration::try_from(http_date(text)? - now).ok()
}

fn http_date(text: &str) -> Option<PrimitiveDateTime> {
    let format = format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    PrimitiveDateTime::parse(text.trim(), format).ok()
}

fn native_roots() -> Result<rustls::RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = rustls::RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(format!("no root certificates to check https with{why}; install the package ca-certificates or set SSL_CERT_FILE"));
    }
    Ok(roots)
}

/// The error with its causes, which hyper keeps apart.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_against_the_answers_own() {
        let table = [
            (Some("120"), None, Some(120)),
            (Some("Wed, 21 Oct 2015 07:28:30 GMT"), Some("Wed, 21 Oct 2015 07:28:00 GMT"), Some(30)),
            (Some("Wed, 21 Oct 2015 07:28:00 GMT"), Some("Wed, 21 Oct 2015 07:28:30 GMT"), None),
            (Some("Wed, 21 Oct 2015 07:28:30 GMT"), None, None),
            (Some("soon"), Some("Wed, 21 Oct 2015 07:28:00 GMT"), None),
            (None, None, None),
        ];
        for (asked, date, seconds) in table {
            let mut headers = HeaderMap::new();
            asked.map(|text| headers.insert(RETRY_AFTER, HeaderValue::from_static(text)));
            date.map(|text| headers.insert(DATE, HeaderValue::from_static(text)));
            assert_eq!(retry_after(&headers), seconds.map(Duration::from_secs), "{asked:?} {date:?}");
        }
    }

    #[test]
    fn a_metadata_address_is_refused_before_anything_is_sent() {
        let refused = Http::for_url(&Url::parse("http://169.254.169.254/latest").unwrap());
        assert!(refused.is_err_and(|why| why.contains("refused")));
        assert!(Http::for_url(&Url::parse("http://[fe80::1]:80/").unwrap()).is_err());
    }

    #[test]
    fn a_request_never_shows_a_secret() {
        let url = Url::parse("http://h/").unwrap();
        let post = Post {
            url: &url,
            content_type: "application/json",
            headers: Vec::new(),
            secret_headers: vec![("dd-api-key", "canary")],
            body: Bytes::new(),
            timeout: IDLE,
        };
        let shown = format!("{:?}", request(post).unwrap());
        assert!(!shown.contains("canary"), "{shown}");
    }
}
