//! From a request to its answer.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use hyper::{Method, Request, Response, StatusCode};

use super::body::Body;
use super::params::{Params, decode};
use super::reply::{self, ApiError, ErrorType};
use super::server::Shared;
use super::{App, api, index, tap};
use crate::telemetry::HTTP_REQUESTS;

/// Answers of more bytes keep the permit of their query until they are sent.
const LARGE: u64 = 1 << 20;

/// Answers one request, whatever it is.
pub(super) async fn answer(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let head_only = request.method() == Method::HEAD;
    let limit = shared.limits.request;
    let mut response = match tokio::time::timeout(limit, route(shared, request)).await {
        Ok(response) => response,
        Err(_) => ApiError::new(ErrorType::Timeout, format!("the request took longer than {limit:?}")).response(),
    };
    let class = ["1xx", "2xx", "3xx", "4xx", "5xx"][usize::from(response.status().as_u16() / 100 - 1).min(4)];
    HTTP_REQUESTS.counter(&[("status", class)]).increment(1);
    let headers = response.headers_mut();
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    if head_only {
        let length = response.body().len();
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
        *response.body_mut() = Body::default();
    }
    response
}

async fn route(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    if has_unknown_coding(request.headers()) {
        let error = ApiError::bad("the only transfer coding that is read is chunked").with_status(StatusCode::NOT_IMPLEMENTED);
        let mut response = error.response();
        // Others may see the end of such a body elsewhere: nothing behind it is a request.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        return response;
    }
    let length = request.uri().path_and_query().map_or(0, |uri| uri.as_str().len());
    if length > shared.limits.url_bytes {
        let message = format!("the URL has {length} bytes, at most {} are read: send the fields in a POST body", shared.limits.url_bytes);
        return ApiError::bad(message).with_status(StatusCode::URI_TOO_LONG).response();
    }
    let app = &shared.app;
    if !is_asked_by_its_own_name(&app.config.listen, request.headers()) {
        let message = "this relay listens on loopback only, and answers to localhost or an address as the Host";
        return ApiError::bad(message.to_string()).with_status(StatusCode::FORBIDDEN).response();
    }
    let path = request.uri().path();
    let api_path = path.strip_prefix("/api/v1/").map(str::to_string);
    if let Some(path) = api_path {
        return match api::Endpoint::find(&path) {
            Some(api::Endpoint::Tap) if *request.method() == Method::GET => tap::open(shared, &request),
            Some(api::Endpoint::Tap) => reply::method_not_allowed("GET"),
            Some(endpoint) => query_api(shared, endpoint, request).await,
            None => not_found(app, request.uri().path()),
        };
    }
    let known = path == app.scrape.path || matches!(path, "/-/healthy" | "/-/ready" | "/health") || (path == "/" && app.config.ui);
    if !known {
        return not_found(app, path);
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return reply::method_not_allowed("GET, HEAD");
    }
    match path {
        "/-/healthy" => reply::text(StatusCode::OK, "statsd-relay is Healthy.\n"),
        "/-/ready" if app.health.ready() => reply::text(StatusCode::OK, "statsd-relay is Ready.\n"),
        "/-/ready" => reply::text(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable"),
        "/health" => health(shared, request.uri().query().unwrap_or("")),
        path if path == app.scrape.path => scrape(shared, reply::accepts_gzip(request.headers())).await,
        _ => index::page(&app.scrape.path),
    }
}

/// A page elsewhere may have its own name point at this machine, and then read what loopback was to keep: on a
/// server for this machine alone, only names that nobody else can own will do.
fn is_asked_by_its_own_name(listen: &[String], headers: &HeaderMap) -> bool {
    let loopback = |address: &String| address.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback());
    let Some(host) = headers.get(HOST).filter(|_| listen.iter().all(loopback)) else { return true };
    let host = host.to_str().unwrap_or("?");
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |(name, _)| name);
    name.eq_ignore_ascii_case("localhost") || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}

/// Whether a body comes in anything but `chunked`, said once.
fn has_unknown_coding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    codings.next().is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) || codings.next().is_some()
}

fn not_found(app: &App, path: &str) -> Response<Body> {
    ApiError::new(ErrorType::NotFound, nothing_at(path, app.config.ui, &app.scrape.path)).response()
}

fn nothing_at(path: &str, index: bool, page: &str) -> String {
    let there = if index { "the index is at /".to_string() } else { format!("metrics are at {page}") };
    format!("there is nothing at {path}; {there}")
}

fn health(shared: &Shared, query: &str) -> Response<Body> {
    let report = Params::parse([query]).and_then(|params| {
        let require: Vec<String> =
            params.all("require").iter().flat_map(|names| names.split(',')).filter(|name| !name.is_empty()).map(String::from).collect();
        shared.app.health.report(&require).map_err(|why| ApiError::new(ErrorType::NotFound, why))
    });
    match report {
        Ok(report) => {
            let status = if report.well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            reply::json(status, serde_json::to_string(&report).unwrap_or_default() + "\n")
        }
        Err(error) => error.response(),
    }
}

async fn scrape(shared: &Shared, gzip: bool) -> Response<Body> {
    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    let app = shared.app.clone();
    let rendered = tokio::task::spawn_blocking(move || app.page.render(&app.telemetry)).await;
    match rendered {
        Ok(Some(page)) if gzip => reply::zipped_response(reply::with_body(StatusCode::OK, TEXT, page.gzip())),
        Ok(Some(page)) => reply::with_body(StatusCode::OK, TEXT, page.plain()),
        Ok(None) => reply::text(StatusCode::SERVICE_UNAVAILABLE, "No window was closed yet; the page comes with the first.\n"),
        Err(_) => ApiError::new(ErrorType::Internal, "the page could not be rendered").response(),
    }
}

/// Reads the parameters, waits for a permit and answers on a thread that may compute.
async fn query_api(shared: &Arc<Shared>, endpoint: api::Endpoint, request: Request<Incoming>) -> Response<Body> {
    let post = *request.method() == Method::POST;
    if *request.method() != Method::GET && !(post && endpoint.takes_post()) {
        return reply::method_not_allowed(if endpoint.takes_post() { "GET, POST" } else { "GET" });
    }
    let gzip = reply::accepts_gzip(request.headers());
    let began = shared.app.clock.instant();
    let params = match params(shared, request).await {
        Ok(params) => params,
        Err(error) => return error.response(),
    };
    // The permit goes with the work, so an abandoned query counts until it ends.
    let permit = if endpoint.selects() { shared.queries.clone().acquire_owned().await.ok() } else { None };
    let (app, limit) = (shared.app.clone(), shared.limits.request);
    let work = move || match api::answer(&app, &endpoint, &params, began, limit) {
        Ok(body) => {
            let response = reply::json_for(gzip, StatusCode::OK, body);
            match permit {
                // So do large answers until they are sent: that bounds what slow readers pin.
                Some(permit) if response.body().len() > LARGE => response.map(|body| body.holding(permit)),
                _ => response,
            }
        }
        Err(error) => error.response(),
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(response) => response,
        Err(_) => ApiError::new(ErrorType::Internal, "the query ended without an answer").response(),
    }
}

async fn params(shared: &Shared, request: Request<Incoming>) -> Result<Params, ApiError> {
    let form = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"));
    let (parts, body) = request.into_parts();
    let most = shared.limits.body_bytes;
    let too_long = || ApiError::bad(format!("the body has more than {most} bytes")).with_status(StatusCode::PAYLOAD_TOO_LARGE);
    let length = parts.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|value| value.parse::<u64>().ok());
    if length.is_some_and(|length| length > most as u64) {
        return Err(too_long());
    }
    let body: Bytes = match Limited::new(body, most).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => return Err(too_long()),
        Err(error) => return Err(ApiError::bad(format!("the body cannot be read: {error}"))),
    };
    let body = if form { std::str::from_utf8(&body).map_err(|_| ApiError::bad("error parsing form values: not UTF-8"))? } else { "" };
    Params::parse([body, parts.uri.query().unwrap_or("")])
}

/// The segment between `label/` and `/values`, decoded.
pub(super) fn segment(text: &str) -> Option<String> {
    decode(text, false).ok().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_without_an_answer_names_one_that_has() {
        assert_eq!(nothing_at("/m", true, "/metrics"), "there is nothing at /m; the index is at /");
        assert_eq!(nothing_at("/", false, "/metrics"), "there is nothing at /; metrics are at /metrics");
    }

    #[test]
    fn a_foreign_name_is_refused_where_only_loopback_listens() {
        let (here, open) = (["127.0.0.1:9102".to_string()], ["127.0.0.1:9102".to_string(), "0.0.0.0:80".to_string()]);
        for (host, own) in [
            ("localhost:9102", true),
            ("127.0.0.1", true),
            ("[::1]:9102", true),
            ("10.1.2.3:80", true),
            ("evil.example", false),
            ("evil.example:9102", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
            assert_eq!(is_asked_by_its_own_name(&here, &headers), own, "{host}");
            assert!(is_asked_by_its_own_name(&open, &headers), "{host}");
        }
        assert!(is_asked_by_its_own_name(&here, &HeaderMap::new()));
    }
}
