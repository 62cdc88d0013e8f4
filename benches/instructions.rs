//! Instructions per line of the parse-and-record path, counted by valgrind: the figure does not vary with what
//! else the machine does.
//!
//! `cargo bench --bench instructions`. The program runs itself under callgrind, once making lines and once
//! sending them as well; the difference is the path's.

use std::process::{Command, ExitCode};
use std::sync::Arc;

use statsd_relay::aggregate::{Aggregator, LimitsConfig, Published};
use statsd_relay::clock::Clock;
use statsd_relay::ingest::Producer;
use statsd_relay::parse::Options;

/// Lines of one measured run.
const LINES: u64 = 64_000;
const CONTEXTS: u64 = 1_000;
const SHAPES: [&str; 6] = ["counter", "gauge", "timer", "set", "plain", "senders"];
/// Senders that the last shape has its datagrams from, in turn; all others are from one.
const SENDERS: u64 = 100;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().position(|argument| argument == "--run") {
        Some(at) => run(&arguments[at + 1], arguments[at + 2] == "send"),
        None => compare(),
    }
}

/// Meets each context once, makes [`LINES`] more lines, and sends them if `send` says so.
fn run(shape: &str, send: bool) -> ExitCode {
    let (aggregator, inbox) = Aggregator::new(LimitsConfig::default(), Arc::default());
    let producer = Producer::new(aggregator, Arc::new(Published::new("bench")), Options::default(), Clock::system());
    for datagram in datagrams(shape, CONTEXTS) {
        producer.batch(producer.ticket()).datagram(&datagram);
    }
    let senders = if shape == "senders" { SENDERS } else { 1 };
    for (at, datagram) in (0..).zip(datagrams(shape, LINES)) {
        if send {
            let mut batch = producer.batch(producer.ticket());
            batch.sent_by(Some(std::net::IpAddr::from([10, 0, 0, (at % senders) as u8])));
            batch.datagram(&datagram);
        }
    }
    drop(inbox);
    ExitCode::SUCCESS
}

fn datagrams(shape: &str, lines: u64) -> impl Iterator<Item = Vec<u8>> {
    let line = move |at: u64| {
        let context = at * 7 % CONTEXTS;
        let value = at % 1_000;
        let tags = format!("|#env:production,host:web-{context:06},region:eu-west-1,version:1.2.3");
        match shape {
            "counter" => format!("service.requests.n{context:03}:{value}|c{tags}\n"),
            "gauge" => format!("service.requests.n{context:03}:{value}|g{tags}\n"),
            "timer" => format!("service.requests.n{context:03}:{value}|ms{tags}\n"),
            "set" => format!("service.requests.n{context:03}:{value}|s{tags}\n"),
            _ => format!("service.requests.n{context:03}:{value}|c\n"),
        }
    };
    (0..lines / 16).map(move |block| (0..16).map(|at| line(block * 16 + at)).collect::<String>().into_bytes())
}

fn compare() -> ExitCode {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("SKIPPED: valgrind is not installed");
        return ExitCode::SUCCESS;
    }
    println!("instructions per known line, 16 lines a datagram");
    for shape in SHAPES {
        match (collected(&["--run", shape, "make"]), collected(&["--run", shape, "send"])) {
            (Some(made), Some(sent)) => println!("{shape:>8} {:>5}", sent.saturating_sub(made) / LINES),
            _ => {
                eprintln!("callgrind gave no figure for {shape}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Instructions of this program with these arguments.
fn collected(arguments: &[&str]) -> Option<u64> {
    let program = std::env::current_exe().ok()?;
    let output =
        Command::new("valgrind").args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program).args(arguments).output().ok()?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    told.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
}
