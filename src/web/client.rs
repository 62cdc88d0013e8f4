//! Asks a running relay over HTTP, for the command line.

use std::num::NonZeroU16;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How long a relay may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Longer than any request may take on the other side.
const TOTAL: Duration = Duration::from_secs(70);
/// A stream that says nothing for so long is dead: the other side says something every 15 s.
const SILENCE: Duration = Duration::from_secs(60);
/// Most bytes of an answer.
const MAX_ANSWER: usize = 256 << 20;

/// What the relay answered.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub body: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    #[error("{url:?} is not the address of a relay: {why}, such as http://127.0.0.1:9102")]
    Url { url: String, why: &'static str },
    #[error("cannot reach the relay at {url}: {why}; is it running, and is this its http.listen address? (--url, $STATSD_RELAY_URL)")]
    Unreachable { url: String, why: String },
}

/// Posts form fields to `path` below the base URL, or gets it when there are none. Blocks.
pub fn ask(base: &str, path: &str, fields: &[(&str, &str)]) -> Result<Reply, AskError> {
    let (authority, prefix) = parts(base)?;
    let unreachable = |why: String| AskError::Unreachable { url: base.to_string(), why };
    let request = request(&authority, &format!("{prefix}{path}"), fields).map_err(|error| unreachable(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| unreachable(error.to_string()))?;
    runtime.block_on(async {
        let asked = tokio::time::timeout(TOTAL, exchange(&authority, request)).await;
        asked.unwrap_or_else(|_| Err(format!("no answer within {TOTAL:?}"))).map_err(unreachable)
    })
}

/// Gets `path` below the base URL as server-sent events and hands over each as it comes, until they end or `take` has
/// had enough; then the body is empty. An answer that is no stream is given whole. Blocks.
pub fn stream(base: &str, path: &str, take: &mut dyn FnMut(&str) -> bool) -> Result<Reply, AskError> {
    let (authority, prefix) = parts(base)?;
    let unreachable = |why: String| AskError::Unreachable { url: base.to_string(), why };
    let request = request(&authority, &format!("{prefix}{path}"), &[]).map_err(|error| unreachable(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| unreachable(error.to_string()))?;
    runtime.block_on(listen(&authority, request, take)).map_err(unreachable)
}

async fn listen(authority: &str, request: Request<Full<Bytes>>, take: &mut dyn FnMut(&str) -> bool) -> Result<Reply, String> {
    let (mut sender, connection) = connect(authority).await?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let (status, mut body) = (response.status().as_u16(), response.into_body());
        if status != 200 {
            let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
            return Ok(Reply { status, body: String::from_utf8_lossy(&body.to_bytes()).into_owned() });
        }
        let mut text = Vec::new();
        while let Some(Ok(frame)) = tokio::time::timeout(SILENCE, body.frame()).await.map_err(|_| format!("silent for {SILENCE:?}"))? {
            text.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
            while let Some(end) = text.windows(2).position(|pair| pair == b"\n\n") {
                if !take(&String::from_utf8_lossy(&text[..end])) {
                    return Ok(Reply { status, body: String::new() });
                }
                text.drain(..end + 2);
            }
        }
        Ok(Reply { status, body: String::new() })
    };
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        reply = &mut answer => reply,
        _ = connection => answer.await,
    }
}

type Connection = hyper::client::conn::http1::Connection<TokioIo<TcpStream>, Full<Bytes>>;

async fn connect(authority: &str) -> Result<(SendRequest<Full<Bytes>>, Connection), String> {
    let connecting = tokio::time::timeout(CONNECT, TcpStream::connect(authority)).await;
    let stream = connecting.map_err(|_| format!("no connection within {CONNECT:?}"))?.map_err(|error| error.to_string())?;
    hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())
}

async fn exchange(authority: &str, request: Request<Full<Bytes>>) -> Result<Reply, String> {
    let (mut sender, connection) = connect(authority).await?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await.map_err(|error| error.to_string())?;
        Ok(Reply { status, body: String::from_utf8_lossy(&body.to_bytes()).into_owned() })
    };
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        reply = &mut answer => reply,
        // The connection may end before the answer was read to its end.
        _ = connection => answer.await,
    }
}

fn request(authority: &str, path: &str, fields: &[(&str, &str)]) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let request = Request::builder().uri(path).header(HOST, authority);
    if fields.is_empty() {
        return request.body(Full::default());
    }
    let form: Vec<String> = fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    request.method("POST").header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(Full::new(form.join("&").into()))
}

/// `host:port` and the path before ours.
fn parts(url: &str) -> Result<(String, String), AskError> {
    let refused = |why| AskError::Url { url: url.to_string(), why };
    let uri: Uri = url.parse().map_err(|_| refused("it is no URL"))?;
    if uri.scheme_str() != Some("http") {
        return Err(refused("it does not begin with http://"));
    }
    let authority = uri.authority().filter(|authority| !authority.host().is_empty()).ok_or_else(|| refused("it has no host"))?;
    let host = authority.host();
    let own = authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, own)| own);
    let port = match own.strip_prefix(host).and_then(|rest| rest.strip_prefix(':')) {
        None => 80,
        Some(port) => port.parse::<NonZeroU16>().map_err(|_| refused("its port is not one of 1 to 65535"))?.get(),
    };
    Ok((format!("{host}:{port}"), uri.path().trim_end_matches('/').to_string()))
}

/// Percent-encodes all but unreserved characters.
pub fn encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_or_refused_with_the_reason() {
        let table = [
            ("http://127.0.0.1:9102", Ok(("127.0.0.1:9102", ""))),
            ("http://relay/statsd/", Ok(("relay:80", "/statsd"))),
            ("http://[::1]:9102/", Ok(("[::1]:9102", ""))),
            ("127.0.0.1:9102", Err(())),
            ("https://relay", Err(())),
            ("http://127.0.0.1:99999", Err(())),
            ("http://127.0.0.1:0", Err(())),
            ("http://[::1]", Ok(("[::1]:80", ""))),
            ("http://0:9102", Ok(("0:9102", ""))),
            ("http://me@relay:1/", Ok(("relay:1", ""))),
            ("", Err(())),
        ];
        for (url, expected) in table {
            let got = parts(url);
            assert_eq!(got.as_ref().map(|(host, path)| (host.as_str(), path.as_str())).map_err(|_| ()), expected, "{url}");
        }
    }
}
