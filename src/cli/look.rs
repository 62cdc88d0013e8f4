//! `tap` and `top`: what a running relay receives.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::query::{Output, ServerArgs, items, text};
use crate::web::client;

/// How often `top` looks again.
const AGAIN: Duration = Duration::from_secs(2);
/// Clears a terminal and goes to its top.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// Shows lines as the relay receives them
#[derive(Args, Debug)]
pub(super) struct TapArgs {
    /// Part of a metric's name, or a glob over it such as 'web.*'
    #[arg(value_name = "FILTER")]
    filter: Option<String>,
    /// Only lines that are refused, each with the reason and the place
    #[arg(long)]
    rejected: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Shows the metrics with the most series, the tags with the most values and who sends the most
#[derive(Args, Debug)]
pub(super) struct TopArgs {
    /// Print once; otherwise, on a terminal, every two seconds
    #[arg(long)]
    once: bool,
    /// Rows of each list
    #[arg(long, default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    server: ServerArgs,
}

impl TapArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let filter = self.filter.as_deref().unwrap_or_default();
        let path = format!("/api/v1/relay/tap?filter={}&rejected={}", client::encode(filter), self.rejected);
        let mut failure = None;
        let streamed = client::stream(&self.server.url(), &path, &mut |event| match show(event, self.server.output) {
            Ok(()) => true,
            Err(error) => {
                failure = Some(error);
                false
            }
        });
        match (failure, streamed) {
            (Some(error), _) => Err(error.into()),
            (None, Ok(reply)) if reply.status == 200 => {
                eprintln!("the relay has ended the tap");
                Ok(ExitCode::SUCCESS)
            }
            (None, Ok(reply)) => self.server.refused(&reply),
            (None, Err(error)) => Ok(super::query::unanswered(&error)),
        }
    }
}

/// Prints one server-sent event.
fn show(event: &str, output: Output) -> std::io::Result<()> {
    let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let data: Value = serde_json::from_str(field("data: ")).unwrap_or_default();
    match field("event: ") {
        "line" if output == Output::Json => writeln!(std::io::stdout(), "{data}"),
        "line" => writeln!(std::io::stdout(), "{}", line(&data)),
        "dropped" => writeln!(std::io::stderr(), "{} lines were not shown: they came faster than they were read", data["lines"]),
        _ => Ok(()),
    }
}

fn line(data: &Value) -> String {
    let (record, line) = (&data["record"], text(&data["line"]));
    if record["kind"] != "error" {
        return line.to_string();
    }
    let place = data["offset"].as_u64().map(|at| format!(" at byte {at}")).unwrap_or_default();
    format!("{}{place}: {line}", text(&record["reason"]))
}

impl TopArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let path = format!("/api/v1/relay/top?limit={}", self.limit);
        let again = !self.once && self.server.output == Output::Text && std::io::stdout().is_terminal();
        loop {
            let code = self.server.data(&path, &[], |data| {
                let mut lines = table(data);
                if again {
                    lines[0].insert_str(0, CLEAR);
                }
                lines
            })?;
            if !again || code != ExitCode::SUCCESS {
                return Ok(code);
            }
            std::thread::sleep(AGAIN);
        }
    }
}

fn table(data: &Value) -> Vec<String> {
    let mut lines = vec![format!("{:>9} {:>12}  {:<20}  {:<12}  METRIC", "SERIES", "SAMPLES/S", "LAST SEEN", "TYPE")];
    lines.extend(items(&data["metrics"]).map(|metric| {
        format!(
            "{:>9} {:>12.1}  {:<20}  {:<12}  {}",
            metric["series"].as_u64().unwrap_or(0),
            metric["samplesPerSecond"].as_f64().unwrap_or(0.0),
            text(&metric["lastSeen"]),
            text(&metric["type"]),
            shown(&metric["name"]),
        )
    }));
    lines.push(String::new());
    lines.push(format!("{:>9}  TAG", "VALUES"));
    lines.extend(items(&data["tags"]).map(|tag| format!("{:>9}  {}", tag["values"].as_u64().unwrap_or(0), shown(&tag["key"]))));
    lines.push(String::new());
    lines.push(format!("{:>9} {:>12}  {:<39}  LISTENER", "LINES/S", "BYTES/S", "SENDER"));
    lines.extend(items(&data["senders"]).map(|sending| {
        format!(
            "{:>9.1} {:>12.1}  {:<39}  {}",
            sending["linesPerSecond"].as_f64().unwrap_or(0.0),
            sending["bytesPerSecond"].as_f64().unwrap_or(0.0),
            sending["sender"].as_str().unwrap_or("-"),
            shown(&sending["listener"]),
        )
    }));
    lines
}

/// What a client chose, for a terminal.
fn shown(value: &Value) -> String {
    let text = text(value);
    crate::parse::escaped(text.as_bytes(), text.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refused_line_is_shown_with_reason_and_place() {
        let refused = json!({"line": "a:x|c", "offset": 2, "record": {"kind": "error", "reason": "bad_value"}});
        assert_eq!(line(&refused), "bad_value at byte 2: a:x|c");
        assert_eq!(line(&json!({"line": "a:1|c", "offset": null, "record": {"kind": "metric"}})), "a:1|c");
    }

    #[test]
    fn the_biggest_are_a_table() {
        let metric =
            json!({"name": "a\u{1b}b", "type": "counter", "series": 3, "samplesPerSecond": 1.25, "lastSeen": "2026-01-01T00:00:00Z"});
        let sending = json!({"sender": null, "listener": "udp:x", "linesPerSecond": 2.5, "bytesPerSecond": 30});
        let lines = table(&json!({"metrics": [metric], "tags": [{"key": "env", "values": 2}], "senders": [sending]}));
        assert_eq!(lines[1], r"        3          1.2  2026-01-01T00:00:00Z  counter       a\u{1b}b");
        assert_eq!(lines[4], "        2  env");
        assert_eq!(lines[7], format!("      2.5         30.0  {:<39}  udp:x", "-"));
    }
}
