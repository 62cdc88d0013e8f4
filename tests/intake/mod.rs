//! A Datadog intake on a loopback port: decodes what it gets, answers as the real one, and fails on demand.
//!
//! Only requests answered with 2xx count as accepted; one that is stored while its answer is lost does too.

#![allow(dead_code, unreachable_pub, clippy::expect_used, clippy::unwrap_used, reason = "shared by test crates")]

pub mod window;

use std::collections::{HashMap, VecDeque};
use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use prost::Message;
use statsd_relay::encode::datadog::proto::{MetricPayload, MetricSeries, MetricType, Sketch, SketchPayload};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What the next request to a route meets instead of a good answer.
#[derive(Clone, Debug)]
pub enum Fault {
    Status(u16),
    /// The status with a `Retry-After` of these seconds.
    RetryAfter(u16, u64),
    /// A good answer, late.
    Slow(Duration),
    /// The connection is closed without an answer.
    Close,
    /// The connection is reset.
    Reset,
    /// Stored, but the answer is lost.
    AnswerLost,
    /// A redirect to this place.
    Redirect(String),
}

/// A body, decoded by its route.
#[derive(Clone, Debug, PartialEq)]
pub enum Decoded {
    Series(Vec<MetricSeries>),
    Sketches(Vec<Sketch>),
    Json(serde_json::Value),
    /// The route or the body is none we know.
    Nothing,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: Bytes,
    /// Bytes of the body once unpacked.
    pub plain: usize,
    pub decoded: Decoded,
    pub status: Option<u16>,
    pub accepted: bool,
    pub at: Instant,
}

#[derive(Default)]
struct State {
    received: Vec<Received>,
    faults: HashMap<String, VecDeque<Fault>>,
    key: Option<String>,
}

/// A running intake; dropping it closes its connections.
pub struct Intake {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
}

impl Intake {
    /// Listens on a free loopback port and takes every key.
    pub async fn start() -> Intake {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(Mutex::new(State::default()));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&state)));
        Intake { address, state, _tasks: tasks }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on only this key is valid; others get 403.
    pub fn require_key(&self, key: &str) {
        self.state.lock().expect("not poisoned").key = Some(key.to_string());
    }

    /// The next requests to `path` meet these faults, in order.
    pub fn fail(&self, path: &str, faults: impl IntoIterator<Item = Fault>) {
        self.state.lock().expect("not poisoned").faults.entry(path.to_string()).or_default().extend(faults);
    }

    /// Every request so far.
    pub fn received(&self) -> Vec<Received> {
        self.state.lock().expect("not poisoned").received.clone()
    }

    /// Every series in accepted requests, with repetitions.
    pub fn series(&self) -> Vec<MetricSeries> {
        let accepted = self.received().into_iter().filter(|request| request.accepted);
        accepted.flat_map(|request| if let Decoded::Series(series) = request.decoded { series } else { Vec::new() }).collect()
    }

    /// Every sketch in accepted requests, with repetitions.
    pub fn sketches(&self) -> Vec<Sketch> {
        let accepted = self.received().into_iter().filter(|request| request.accepted);
        accepted.flat_map(|request| if let Decoded::Sketches(sketches) = request.decoded { sketches } else { Vec::new() }).collect()
    }

    /// Panics when an accepted series or sketch breaks a rule that Datadog enforces without a word.
    pub fn assert_lawful(&self) {
        for series in self.series() {
            assert!(lawful_series(&series), "{series:?}");
        }
        for sketch in self.sketches() {
            assert!(lawful_sketch(&sketch), "{sketch:?}");
        }
    }

    /// Every accepted JSON body of the path.
    pub fn json(&self, path: &str) -> Vec<serde_json::Value> {
        let accepted = self.received().into_iter().filter(|request| request.accepted && request.path == path);
        accepted.filter_map(|request| if let Decoded::Json(json) = request.decoded { Some(json) } else { None }).collect()
    }

    /// What the backend would show: the last value of each (name, host and tags, second).
    pub fn stored(&self) -> HashMap<(String, String, i64), f64> {
        let mut stored = HashMap::new();
        for series in self.series() {
            let context = format!("{:?} {:?}", series.resources, series.tags);
            for point in &series.points {
                stored.insert((series.metric.clone(), context.clone(), point.timestamp), point.value);
            }
        }
        stored
    }
}

/// What Datadog asks of every series, beyond being readable.
fn lawful_series(series: &MetricSeries) -> bool {
    let hosts = series.resources.iter().filter(|resource| resource.r#type == "host").count();
    let reserved = |tag: &String| tag.starts_with("device:") || tag.starts_with("dd.internal.") || tag.starts_with("host:");
    let named = series.metric.len() <= 350 && series.metric.bytes().any(|byte| byte.is_ascii_alphabetic());
    let tagged = series.tags.len() <= 100 && series.tags.iter().all(|tag| tag.len() <= 200 && !reserved(tag));
    let timed = match series.r#type() {
        MetricType::Unspecified => false,
        MetricType::Gauge => true,
        MetricType::Count | MetricType::Rate => series.interval > 0,
    };
    // Seconds: a value in milliseconds would lie beyond the year 5000.
    let points = !series.points.is_empty()
        && series.points.iter().all(|point| point.value.is_finite() && (1_000_000_000..100_000_000_000).contains(&point.timestamp));
    hosts <= 1 && named && tagged && timed && points
}

/// What Datadog asks of every sketch.
fn lawful_sketch(sketch: &Sketch) -> bool {
    !sketch.dogsketches.is_empty()
        && sketch.dogsketches.iter().all(|dog| {
            let sum: i64 = dog.n.iter().map(|count| i64::from(*count)).sum();
            let bins = dog.k.len() == dog.n.len() && dog.k.is_sorted() && dog.n.iter().all(|count| (1..=65_535).contains(count));
            let average = (dog.avg - dog.sum / dog.cnt as f64).abs() <= dog.avg.abs() * 1e-12;
            bins && sum == dog.cnt && average && dog.min <= dog.max && dog.ts > 1_000_000_000
        })
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&state)));
    }
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let socket = Arc::new(socket2::SockRef::from(&stream).try_clone().expect("a second handle"));
    let service = service_fn(move |request| answer(request, Arc::clone(&state), Arc::clone(&socket)));
    // A client that goes away is no error of ours.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// An error closes the connection without an answer.
async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
    socket: Arc<socket2::Socket>,
) -> Result<Response<Full<Bytes>>, &'static str> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_string();
    let headers: HashMap<String, String> =
        head.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_string())).collect();
    let body = body.collect().await.map_err(|_| "the request broke off")?.to_bytes();
    let (fault, mut received) = {
        let mut state = state.lock().expect("not poisoned");
        let fault = state.faults.get_mut(&path).and_then(VecDeque::pop_front);
        let key_fits = state.key.as_ref().is_none_or(|key| headers.get("dd-api-key") == Some(key));
        let (plain, decoded) = decode(&path, headers.get("content-encoding").map(String::as_str), &body);
        let status = Some(if !key_fits { 403 } else { good_status(&path, &decoded) });
        (fault, Received { path, headers, body, plain, decoded, status, accepted: false, at: Instant::now() })
    };
    let mut response = Response::new(Full::from(r#"{"errors":[]}"#));
    match &fault {
        None => {}
        Some(Fault::Status(status)) => received.status = Some(*status),
        Some(Fault::RetryAfter(status, seconds)) => {
            received.status = Some(*status);
            response.headers_mut().insert("retry-after", (*seconds).into());
        }
        Some(Fault::Redirect(place)) => {
            received.status = Some(307);
            response.headers_mut().insert("location", place.parse().expect("a place"));
        }
        Some(Fault::Slow(wait)) => tokio::time::sleep(*wait).await,
        Some(Fault::Close | Fault::AnswerLost) => {}
        Some(Fault::Reset) => socket.set_linger(Some(Duration::ZERO)).expect("an open socket"),
    }
    let lost = matches!(fault, Some(Fault::Close | Fault::Reset));
    received.accepted = !lost && received.status.is_some_and(|status| status < 300);
    if let Some(status) = received.status {
        *response.status_mut() = hyper::StatusCode::from_u16(status).expect("a status");
    }
    let unanswered = lost || matches!(fault, Some(Fault::AnswerLost));
    if unanswered {
        received.status = None;
    }
    state.lock().expect("not poisoned").received.push(received);
    if unanswered { Err("closed on demand") } else { Ok(response) }
}

fn good_status(path: &str, decoded: &Decoded) -> u16 {
    match (path, decoded) {
        ("/api/v1/validate", _) => 200,
        (_, Decoded::Nothing) if path.starts_with("/api/") => 400,
        (_, Decoded::Nothing) => 404,
        _ => 202,
    }
}

fn decode(path: &str, encoding: Option<&str>, body: &Bytes) -> (usize, Decoded) {
    let mut plain = Vec::new();
    let unpacked = match encoding {
        Some("zstd") => zstd::stream::read::Decoder::new(&body[..]).and_then(|mut stream| stream.read_to_end(&mut plain)),
        Some("deflate") => flate2::read::ZlibDecoder::new(&body[..]).read_to_end(&mut plain),
        Some("gzip") => flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut plain),
        Some(_) => return (0, Decoded::Nothing),
        None => Ok(body.len()).inspect(|_| plain.extend_from_slice(body)),
    };
    let decoded = match (unpacked, path) {
        (Err(_), _) => None,
        (_, "/api/v2/series") => MetricPayload::decode(&plain[..]).ok().map(|payload| Decoded::Series(payload.series)),
        (_, "/api/beta/sketches") => SketchPayload::decode(&plain[..]).ok().map(|payload| Decoded::Sketches(payload.sketches)),
        (_, "/api/v1/events" | "/api/v1/check_run" | "/api/v1/series") => serde_json::from_slice(&plain).ok().map(Decoded::Json),
        _ => None,
    };
    (plain.len(), decoded.unwrap_or(Decoded::Nothing))
}
