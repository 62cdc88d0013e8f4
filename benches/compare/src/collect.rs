//! What servers are asked, and what they send their figures to.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

const PATIENCE: Duration = Duration::from_secs(60);

/// The body of a page.
pub fn get(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8(answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("not HTTP")?;
    ensure!(head.contains(" 200 "), "{path}: {}", head.lines().next().unwrap_or_default());
    Ok(body.to_string())
}

/// The value of a line in Prometheus' text format.
pub fn value(line: &str) -> f64 {
    let end = line.rfind('}').map_or(0, |at| at + 1);
    line[end..].split_whitespace().find_map(|word| word.parse().ok()).unwrap_or(0.0)
}

/// A Graphite server: lines of name, value and time. Lives as long as this program.
#[derive(Clone)]
pub struct Graphite {
    pub port: u16,
    seen: Arc<Mutex<Seen>>,
}

/// The last value of each name, and the sum of all its values.
#[derive(Default)]
struct Seen(HashMap<String, (f64, f64)>);

impl Graphite {
    /// Keeps the names that `wanted` accepts.
    pub fn start(wanted: fn(&str) -> bool) -> Result<Graphite> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let graphite = Graphite { port: listener.local_addr()?.port(), seen: Arc::default() };
        let seen = graphite.seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = seen.clone();
                std::thread::spawn(move || {
                    let mut lines = BufReader::with_capacity(1 << 16, stream).lines();
                    while let Some(Ok(line)) = lines.next() {
                        note(&seen, &line, wanted);
                    }
                });
            }
        });
        Ok(graphite)
    }

    pub fn last_values(&self) -> f64 {
        self.seen.lock().map_or(0.0, |seen| seen.0.values().map(|(last, _)| last).sum())
    }

    pub fn all_values(&self) -> f64 {
        self.seen.lock().map_or(0.0, |seen| seen.0.values().map(|(_, sum)| sum).sum())
    }
}

fn note(seen: &Mutex<Seen>, line: &str, wanted: fn(&str) -> bool) {
    let mut words = line.split(' ');
    if let (Some(name), Some(value)) = (words.next(), words.next())
        && wanted(name)
        && let (Ok(value), Ok(mut seen)) = (value.parse::<f64>(), seen.lock())
    {
        let (last, sum) = seen.0.entry(name.to_string()).or_default();
        (*last, *sum) = (value, *sum + value);
    }
}

/// A StatsD server that only adds up counters. Lives as long as this program.
#[derive(Clone)]
pub struct Upstream {
    pub port: u16,
    pub lines: Arc<AtomicU64>,
    pub counters: Arc<AtomicU64>,
}

impl Upstream {
    pub fn start(buffer_bytes: usize) -> Result<Upstream> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        if rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, buffer_bytes).is_err() {
            rustix::net::sockopt::set_socket_recv_buffer_size(&socket, buffer_bytes)?;
        }
        let upstream = Upstream { port: socket.local_addr()?.port(), lines: Arc::default(), counters: Arc::default() };
        let (lines, counters) = (upstream.lines.clone(), upstream.counters.clone());
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while let Ok(length) = socket.recv(&mut buffer) {
                for line in buffer[..length].split(|&byte| byte == b'\n') {
                    lines.fetch_add(1, Ordering::Relaxed);
                    counters.fetch_add(counted(line).unwrap_or(0), Ordering::Relaxed);
                }
            }
        });
        Ok(upstream)
    }
}

/// What a line adds to a counter: whole numbers and rates of one half, as the load has them.
fn counted(line: &[u8]) -> Option<u64> {
    let (_, value) = line.split_at(memchr::memchr(b':', line)? + 1);
    let (value, rest) = value.split_at(memchr::memchr(b'|', value)?);
    let rest = rest.strip_prefix(b"|c")?;
    let value: u64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    Some(if rest.starts_with(b"|@0.5") { 2 * value } else { value })
}
