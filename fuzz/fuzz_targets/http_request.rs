//! Any bytes on a connection: answers and a close, never a hang; and nothing is answered that two readers could see as one request or two.
//!
//! The first byte says whether the client hangs up behind its bytes, and how many come at once. Time is virtual: it jumps to the
//! next deadline when nothing else can happen.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use statsd_relay::clock::Clock;
use statsd_relay::model::{Matcher, Select, SelectError, Selected, TimeRange, Window};
use statsd_relay::telemetry::Telemetry;
use statsd_relay::web::{App, Health, HttpConfig, Inside, Limits, Page, ScrapeConfig, serve_connection};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Runtime;
use tokio::time::timeout;

/// Longer than all deadlines of a connection together.
const PATIENCE: Duration = Duration::from_secs(600);
/// In every answer of the relay, and in no text that it repeats.
const MARK: &[u8] = b"x-content-type-options: nosniff\r\n";

thread_local! {
    static RUNTIME: Runtime = {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().expect("a runtime")
    };
    static APP: Arc<App> = app();
}

fuzz_target!(|data: &[u8]| {
    let Some((&switches, sent)) = data.split_first() else { return };
    let piece = if switches & 2 == 0 { sent.len().max(1) } else { usize::from(switches >> 2) + 1 };
    let answers = RUNTIME.with(|runtime| runtime.block_on(exchange(sent, piece, switches & 1 != 0)));
    let answered = answers.windows(MARK.len()).filter(|text| text == &MARK).count();
    assert!(answered <= heads(sent), "{}", String::from_utf8_lossy(&answers));
    if is_ambiguous(sent) {
        assert!(answered <= 1, "{}", String::from_utf8_lossy(&answers));
    }
    assert!(answers.is_empty() || answers.starts_with(b"HTTP/1."), "{}", String::from_utf8_lossy(&answers));
});

/// Everything the server answers until it closes.
async fn exchange(sent: &[u8], piece: usize, hangs_up: bool) -> Vec<u8> {
    let (mut client, server) = tokio::io::duplex(1 << 20);
    let serving = tokio::spawn(serve_connection(server, APP.with(Arc::clone), Limits::default()));
    for piece in sent.chunks(piece) {
        // The server may close before it has read everything.
        let _ = client.write_all(piece).await;
        tokio::task::yield_now().await;
    }
    if hangs_up {
        let _ = client.shutdown().await;
    }
    let mut answers = Vec::new();
    let closed = timeout(PATIENCE, client.read_to_end(&mut answers)).await;
    // A tap lasts for as long as it is read.
    let taps = answers.windows(17).any(|text| text == b"text/event-stream");
    assert!(closed.is_ok() || taps, "still open: {}", String::from_utf8_lossy(&answers));
    drop(client);
    assert!(timeout(PATIENCE, serving).await.is_ok(), "the server does not notice that the client is gone");
    answers
}

/// Ends of lines with nothing between them: each request has one.
fn heads(sent: &[u8]) -> usize {
    let lines = sent.split(|&byte| byte == b'\n').skip(1);
    lines.filter(|line| matches!(line, [] | [b'\r', ..])).count()
}

/// Whether two readers could see the end of the first request in two places: it has several lengths, a length and a transfer
/// coding, a coding other than `chunked` alone, or such a header under a name that some readers do not take for it.
fn is_ambiguous(sent: &[u8]) -> bool {
    let text = String::from_utf8_lossy(sent).to_ascii_lowercase();
    let lines = text.trim_start_matches(['\r', '\n']).split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let head: Vec<&str> = lines.skip(1).take_while(|line| !line.is_empty()).collect();
    let fields: Vec<(&str, &str)> = head.iter().filter_map(|line| line.split_once(':')).collect();
    let named = |wanted: &str| -> Vec<&str> {
        fields.iter().filter(|(name, _)| name.trim() == wanted).map(|(_, value)| value.trim_matches([' ', '\t'])).collect()
    };
    let (lengths, codings) = (named("content-length"), named("transfer-encoding"));
    let folded = head.iter().any(|line| line.starts_with([' ', '\t']));
    let padded = fields.iter().any(|(name, _)| name.trim() != *name && ["content-length", "transfer-encoding"].contains(&name.trim()));
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    lengths.windows(2).any(|two| two[0] != two[1])
        || lengths.iter().any(|length| !number(length))
        || (!lengths.is_empty() && !codings.is_empty())
        || (!codings.is_empty() && codings != ["chunked"])
        || folded
        || padded
}

fn app() -> Arc<App> {
    let page = Arc::new(Page::new(vec![0.5]));
    page.show(Arc::new(Window::of(1_700_000_000_000, Duration::from_secs(10), [])));
    Arc::new(App {
        config: HttpConfig::default(),
        scrape: ScrapeConfig::default(),
        page,
        telemetry: Telemetry::install(),
        clock: Clock::system(),
        health: Arc::new(Health::new()),
        select: Arc::new(Nothing),
        rules: Arc::new(Vec::new),
        config_yaml: String::new(),
        inside: Inside::default(),
    })
}

/// A store without series.
struct Nothing;

impl Select for Nothing {
    fn select(&self, _: &[Matcher], _: TimeRange) -> Result<Selected, SelectError> {
        Ok(Selected::default())
    }
}
