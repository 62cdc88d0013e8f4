//! Answers: their shapes, and the errors of the Prometheus API.

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::header::{ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, VARY};
use hyper::{Response, StatusCode};

use super::body::Body;

/// Smaller answers are not worth compressing.
const GZIP_FROM: usize = 1_024;

/// Why a request gets no data. The names are those of the Prometheus API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorType {
    BadData,
    Execution,
    Timeout,
    NotFound,
    Internal,
    Unavailable,
}

/// An error of the API: its type and what to do about it.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    pub kind: ErrorType,
    pub message: String,
    /// Another status than the type's own.
    pub status: Option<StatusCode>,
}

impl ApiError {
    pub(super) fn new(kind: ErrorType, message: impl Into<String>) -> ApiError {
        ApiError { kind, message: message.into(), status: None }
    }

    pub(super) fn bad(message: impl Into<String>) -> ApiError {
        ApiError::new(ErrorType::BadData, message)
    }

    /// `invalid parameter "start": ...`
    pub(super) fn parameter(name: &str, why: impl std::fmt::Display) -> ApiError {
        ApiError::bad(format!("invalid parameter {name:?}: {why}"))
    }

    pub(super) fn with_status(mut self, status: StatusCode) -> ApiError {
        self.status = Some(status);
        self
    }

    /// In the shape of the Prometheus API.
    pub(super) fn response(&self) -> Response<Body> {
        let (name, status) = match self.kind {
            ErrorType::BadData => ("bad_data", StatusCode::BAD_REQUEST),
            ErrorType::Execution => ("execution", StatusCode::UNPROCESSABLE_ENTITY),
            ErrorType::Timeout => ("timeout", StatusCode::SERVICE_UNAVAILABLE),
            ErrorType::NotFound => ("not_found", StatusCode::NOT_FOUND),
            ErrorType::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
            ErrorType::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
        };
        let body = serde_json::json!({"status": "error", "errorType": name, "error": self.message});
        json(self.status.unwrap_or(status), body.to_string())
    }
}

pub(super) fn json(status: StatusCode, body: String) -> Response<Body> {
    of_type(status, "application/json", body)
}

pub(super) fn text(status: StatusCode, body: &'static str) -> Response<Body> {
    of_type(status, "text/plain; charset=utf-8", body)
}

pub(super) fn of_type(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    with_body(status, content_type, Body::new(body))
}

pub(super) fn with_body(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A JSON answer, compressed when the client takes that. For a thread that may compute.
pub(super) fn json_for(gzip: bool, status: StatusCode, body: String) -> Response<Body> {
    if !gzip || body.len() < GZIP_FROM {
        return json(status, body);
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    match encoder.write_all(body.as_bytes()).and_then(|()| encoder.finish()) {
        Ok(zipped) => zipped_response(with_body(status, "application/json", Body::new(zipped))),
        Err(_) => json(status, body),
    }
}

/// Marks an answer as compressed.
pub(super) fn zipped_response(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

/// 405 with the methods that work.
pub(super) fn method_not_allowed(allow: &'static str) -> Response<Body> {
    let error = ApiError::bad(format!("method not allowed: use {allow}")).with_status(StatusCode::METHOD_NOT_ALLOWED);
    let mut response = error.response();
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// Whether the client takes gzip: named, or under `*`, with a weight above 0.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let mut any = false;
    for item in headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')) {
        let (coding, parameters) = item.split_once(';').unwrap_or((item, ""));
        let weight = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("q="));
        let wanted = weight.is_none_or(|q| q.trim().parse::<f64>().is_ok_and(|q| q > 0.0));
        match coding.trim() {
            coding if coding.eq_ignore_ascii_case("gzip") => return wanted,
            "*" => any = wanted,
            _ => {}
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_when_asked_for() {
        let table = [
            ("gzip", true),
            ("deflate, gzip;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip;q=0, *", false),
            ("*", true),
            ("br", false),
            ("", false),
            ("identity, GZIP", true),
        ];
        for (value, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(value));
            assert_eq!(accepts_gzip(&headers), expected, "{value}");
        }
    }
}
