//! Instructions per line of the parse-and-record path, counted by valgrind: the figure does not vary with what
//! else the machine does.
//!
//! `cargo bench --bench instructions`. The program runs itself under callgrind, once making lines and once
//! sending them as well; the difference is the path's.

use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use statsd_relay::aggregate::{Aggregator, Base, Cutter, CutterOptions, LimitsConfig, Published, Restored};
use statsd_relay::clock::Clock;
use statsd_relay::ingest::Producer;
use statsd_relay::model::Kind;
use statsd_relay::parse::Options;
use statsd_relay::shape::{ShapeConfig, Shaping};

/// Lines of one measured run.
const LINES: u64 = 64_000;
const CONTEXTS: u64 = 1_000;
/// Kinds of lines; then counters whose names get a namespace, new ones and such as an earlier process had.
const SHAPES: [&str; 7] = ["counter", "gauge", "timer", "set", "plain", "named", "restored"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().position(|argument| argument == "--run") {
        Some(at) => run(&arguments[at + 1], arguments[at + 2] == "send"),
        None => compare(),
    }
}

/// Meets each context once, makes [`LINES`] more lines, and sends them if `send` says so.
fn run(shape: &str, send: bool) -> ExitCode {
    let named = matches!(shape, "named" | "restored");
    let config = ShapeConfig { namespace: if named { "ns".into() } else { String::new() }, ..ShapeConfig::default() };
    let Ok(shaping) = Shaping::new(&config, |_| Ok(String::new())) else { return ExitCode::FAILURE };
    let (aggregator, inbox) = Aggregator::new(LimitsConfig::default(), Arc::new(shaping));
    let mut cutter = Cutter::new(aggregator.clone(), inbox, OPTIONS);
    if shape == "restored" {
        cutter.restore((0..CONTEXTS).map(restored));
    }
    let producer = Producer::new(aggregator, Arc::new(Published::new("bench")), Options::default(), Clock::system());
    for datagram in datagrams(shape, CONTEXTS) {
        producer.batch(producer.ticket()).datagram(&datagram);
    }
    for datagram in datagrams(shape, LINES) {
        if send {
            producer.batch(producer.ticket()).datagram(&datagram);
        }
    }
    drop(cutter);
    ExitCode::SUCCESS
}

const OPTIONS: CutterOptions = CutterOptions {
    interval: Duration::from_secs(10),
    expire_windows: 0,
    timers_in_seconds: true,
    counter_suffix: false,
    dd_sketches: false,
};

/// A counter's context as the store knows it.
fn restored(context: u64) -> Restored {
    let tags = ["env:production".into(), format!("host:web-{context:06}"), "region:eu-west-1".into(), "version:1.2.3".into()];
    let name = format!("ns.service.requests.n{context:03}");
    Restored { kind: Kind::Counter, name, tags: tags.into(), base: Base::default(), age: 0 }
}

fn datagrams(shape: &str, lines: u64) -> impl Iterator<Item = Vec<u8>> {
    let line = move |at: u64| {
        let context = at * 7 % CONTEXTS;
        let value = at % 1_000;
        let tags = format!("|#env:production,host:web-{context:06},region:eu-west-1,version:1.2.3");
        match shape {
            "counter" | "named" | "restored" => format!("service.requests.n{context:03}:{value}|c{tags}\n"),
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
