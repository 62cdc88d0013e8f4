//! Instructions per line of the parse-and-record path, counted by valgrind: the figure does not vary with what
//! else the machine does.
//!
//! `cargo bench --bench instructions`. The program runs itself under callgrind, once making its series known and once
//! sending known lines as well; the difference is the path's. All lines are made beforehand.

use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;

use statsd_relay::aggregate::{Aggregator, LimitsConfig, Published};
use statsd_relay::clock::Clock;
use statsd_relay::ingest::Producer;
use statsd_relay::parse::Options;

/// Lines of one pass, each of a series of its own.
const SERIES: u64 = 320;
/// Passes over known series in a measured run.
const PASSES: u64 = 200;
const SHAPES: [&str; 5] = ["counter", "gauge", "timer", "set", "plain"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.as_slice() {
        [_, run, shape, what] if run == "--run" => record(shape, if what == "send" { PASSES } else { 0 }),
        _ => compare(),
    }
}

/// Meets each series once, then sends every line this many times more.
fn record(shape: &str, passes: u64) -> ExitCode {
    let (aggregator, inbox) = Aggregator::new(LimitsConfig::default(), Arc::default());
    let producer = Producer::new(aggregator, Arc::new(Published::new("bench")), Options::default(), Clock::system());
    let datagrams = datagrams(shape);
    for _ in 0..=passes {
        for datagram in &datagrams {
            producer.batch().frame(datagram.as_bytes());
        }
    }
    drop(inbox);
    ExitCode::SUCCESS
}

fn datagrams(shape: &str) -> Vec<String> {
    let line = |at: u64| {
        let (context, value) = (at * 7 % SERIES, at % 1_000);
        let tags = format!("|#env:production,host:web-{context:06},region:eu-west-1,version:1.2.3");
        match shape {
            "counter" => format!("service.requests.n{context:04}:{value}|c{tags}\n"),
            "gauge" => format!("service.requests.n{context:04}:{value}|g{tags}\n"),
            "timer" => format!("service.requests.n{context:04}:{value}|ms{tags}\n"),
            "set" => format!("service.requests.n{context:04}:{value}|s{tags}\n"),
            _ => format!("service.requests.n{context:04}:{value}|c\n"),
        }
    };
    (0..SERIES / 16).map(|block| (0..16).map(|at| line(block * 16 + at)).collect()).collect()
}

fn compare() -> ExitCode {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("SKIPPED: valgrind is not installed");
        return ExitCode::SUCCESS;
    }
    println!("instructions per known line, 16 lines a datagram");
    let mut sum = 0.0;
    for shape in SHAPES {
        match per_line(shape) {
            Ok(figure) => {
                println!("{shape:>8} {figure:>7.1}");
                sum += figure;
            }
            Err(error) => {
                eprintln!("no figure for {shape}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{:>8} {:>7.1}", "mean", sum / SHAPES.len() as f64);
    ExitCode::SUCCESS
}

/// Both runs at the same time: what else a processor does changes no count.
fn per_line(shape: &str) -> Result<f64, String> {
    let (made, sent) = (start(shape, "make")?, start(shape, "send")?);
    Ok((collected(sent)? - collected(made)?) / (SERIES * PASSES) as f64)
}

/// This program again, under callgrind.
fn start(shape: &str, what: &str) -> Result<Child, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program).args(["--run", shape, what]);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(|error| format!("valgrind: {error}"))
}

/// The instructions that callgrind names at its end.
fn collected(child: Child) -> Result<f64, String> {
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let told = String::from_utf8_lossy(&output.stderr);
    let count = told.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    count.filter(|_| output.status.success()).ok_or_else(|| format!("valgrind ended with {}:\n{told}", output.status))
}
