//! `query`, `series`, `alerts` and `health`: questions to a running relay.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::encode::number;
use crate::model::Labels;
use crate::web::client::{self, AskError, Reply};

const DEFAULT_URL: &str = "http://127.0.0.1:9102";
/// The server cannot be reached.
const UNREACHABLE: u8 = 69;
const USAGE: u8 = 2;

/// Which relay is asked, and how its answer is shown.
#[derive(Args, Debug, Clone)]
pub struct ServerArgs {
    /// Where the relay is [default: $STATSD_RELAY_URL, else http://127.0.0.1:9102]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// text: a line for each thing; json: the answer as the relay gave it
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

/// How answers are printed.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    Text,
    Json,
}

/// Evaluates a PromQL expression
#[derive(Args, Debug)]
pub struct QueryArgs {
    /// PromQL, such as 'sum by (host) (page_views)'
    #[arg(value_name = "EXPR")]
    pub expr: String,
    /// At this time: unix seconds or RFC 3339 [default: now]
    #[arg(long, conflicts_with_all = ["start", "end", "step"], allow_hyphen_values = true)]
    pub time: Option<String>,
    /// Over a range: from this time
    #[arg(long, requires_all = ["end", "step"], allow_hyphen_values = true)]
    pub start: Option<String>,
    /// Over a range: to this time
    #[arg(long, requires = "start", allow_hyphen_values = true)]
    pub end: Option<String>,
    /// Over a range: every so often, such as 15s
    #[arg(long, requires = "start")]
    pub step: Option<String>,
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Lists series
#[derive(Args, Debug)]
pub struct SeriesArgs {
    /// A selector, such as 'page_views{env="prod"}' [default: all]
    #[arg(value_name = "MATCH", default_value = r#"{__name__!=""}"#, hide_default_value = true)]
    pub selector: String,
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Lists pending and firing alerts
#[derive(Args, Debug)]
pub struct AlertsArgs {
    #[command(flatten)]
    pub server: ServerArgs,
}

/// Says how the relay is; exits 1 when it is not well
#[derive(Args, Debug)]
pub struct HealthArgs {
    /// Only these parts or checks count, and each must be ok
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    pub require: Vec<String>,
    #[command(flatten)]
    pub server: ServerArgs,
}

impl QueryArgs {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let mut fields = vec![("query", self.expr.as_str())];
        let optional = [("time", &self.time), ("start", &self.start), ("end", &self.end), ("step", &self.step)];
        fields.extend(optional.iter().filter_map(|(name, value)| value.as_deref().map(|value| (*name, value))));
        let path = if self.start.is_some() { "/api/v1/query_range" } else { "/api/v1/query" };
        self.server.data(path, &fields, |data| result_lines(&data["resultType"], &data["result"]))
    }
}

impl SeriesArgs {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        self.server.data("/api/v1/series", &[("match[]", &self.selector)], |data| items(data).map(labels).collect())
    }
}

impl AlertsArgs {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        self.server.data("/api/v1/alerts", &[], |data| items(&data["alerts"]).map(alert_line).collect())
    }
}

impl HealthArgs {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        let required: Vec<String> = self.require.iter().map(|name| client::encode(name)).collect();
        let path = if required.is_empty() { "/health".to_string() } else { format!("/health?require={}", required.join(",")) };
        let reply = match self.server.ask(&path, &[]) {
            Ok(reply) => reply,
            Err(code) => return Ok(code),
        };
        let body: Value = parse(&reply)?;
        if body["status"] == "error" {
            return Ok(refused(&body));
        }
        match self.server.output {
            Output::Json => print(&reply.body)?,
            Output::Text => {
                let state = [text(&body["state"]).to_string()];
                let reasons = items(&body["reasons"]).map(|reason| format!("  {}", text(reason)));
                print(&state.into_iter().chain(reasons).collect::<Vec<_>>().join("\n"))?;
            }
        }
        Ok(if reply.status == 200 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

impl ServerArgs {
    /// Asks, and prints the lines of the `data` or the whole answer.
    pub(super) fn data(&self, path: &str, fields: &[(&str, &str)], lines: impl Fn(&Value) -> Vec<String>) -> anyhow::Result<ExitCode> {
        let reply = match self.ask(path, fields) {
            Ok(reply) => reply,
            Err(code) => return Ok(code),
        };
        let body: Value = parse(&reply)?;
        if body["status"] != "success" {
            return Ok(refused(&body));
        }
        // The names of StatsD counters seldom end as Prometheus would have them: that remark tells nobody anything here.
        let remark = |note: &&Value| !text(note).contains("metric might not be a counter");
        for note in items(&body["warnings"]).chain(items(&body["infos"]).filter(remark)) {
            eprintln!("{}", text(note));
        }
        match self.output {
            Output::Json => print(&reply.body)?,
            Output::Text => {
                let lines = lines(&body["data"]);
                if lines.is_empty() {
                    eprintln!("nothing found");
                }
                print(&lines.join("\n"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The answer, or the exit code after saying why there is none.
    fn ask(&self, path: &str, fields: &[(&str, &str)]) -> Result<Reply, ExitCode> {
        client::ask(&self.url(), path, fields).map_err(|error| unanswered(&error))
    }

    /// Where the relay is.
    pub(super) fn url(&self) -> String {
        let from_environment = || std::env::var("STATSD_RELAY_URL").ok().filter(|url| !url.is_empty());
        self.url.clone().or_else(from_environment).unwrap_or_else(|| DEFAULT_URL.to_string())
    }

    /// Says why an answer is an error.
    pub(super) fn refused(&self, reply: &Reply) -> anyhow::Result<ExitCode> {
        Ok(refused(&parse(reply)?))
    }
}

/// Says why there is no answer, and gives the exit code.
pub(super) fn unanswered(error: &AskError) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(match error {
        AskError::Url { .. } => USAGE,
        AskError::Unreachable { .. } => UNREACHABLE,
    })
}

fn parse(reply: &Reply) -> anyhow::Result<Value> {
    let start: String = reply.body.chars().take(80).collect();
    serde_json::from_str(&reply.body).with_context(|| anyhow!("this is not a relay: status {}, {start:?}", reply.status))
}

fn refused(body: &Value) -> ExitCode {
    let error = text(&body["error"]);
    eprintln!("error: {}: {error}", text(&body["errorType"]));
    if error.contains("unexpected character: '.'") {
        eprintln!("dots of StatsD names are underscores here: demo.temperature is demo_temperature");
    }
    ExitCode::FAILURE
}

/// Prints to stdout, with a newline unless there is nothing. A closed pipe is the reader's choice.
pub(super) fn print(out: &str) -> anyhow::Result<()> {
    if out.is_empty() {
        return Ok(());
    }
    match writeln!(std::io::stdout(), "{}", out.trim_end_matches('\n')) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error).context("cannot write to stdout"),
        _ => Ok(()),
    }
}

/// One line for each sample: labels, the time in ranges, the value.
fn result_lines(kind: &Value, result: &Value) -> Vec<String> {
    match text(kind) {
        "vector" => items(result).map(|one| format!("{} {}", labels(&one["metric"]), instant_value(one))).collect(),
        "matrix" => items(result).flat_map(slice_lines).collect(),
        _ => vec![text(&result[1]).to_string()],
    }
}

fn instant_value(one: &Value) -> String {
    if one["histogram"].is_array() { sketch(&one["histogram"][1]) } else { text(&one["value"][1]).to_string() }
}

fn slice_lines(slice: &Value) -> Vec<String> {
    let labels = labels(&slice["metric"]);
    let floats = items(&slice["values"]).map(|sample| format!("{labels} {} {}", sample[0], text(&sample[1])));
    let sketches = items(&slice["histograms"]).map(|sample| format!("{labels} {} {}", sample[0], sketch(&sample[1])));
    floats.chain(sketches).collect()
}

fn sketch(histogram: &Value) -> String {
    format!("count={} sum={}", text(&histogram["count"]), text(&histogram["sum"]))
}

fn alert_line(alert: &Value) -> String {
    let (state, since) = (text(&alert["state"]), text(&alert["activeAt"]));
    // The API has it with an exponent, as Prometheus has.
    let value = text(&alert["value"]).parse().map_or_else(|_| text(&alert["value"]).to_string(), number::text);
    let name = text(&alert["labels"]["alertname"]);
    let rest = Labels::new(pairs(&alert["labels"]).filter(|(key, _)| *key != "alertname"));
    format!("{state} {name}{rest} since {since} value {value}")
}

fn labels(metric: &Value) -> String {
    Labels::new(pairs(metric)).to_string()
}

fn pairs(object: &Value) -> impl Iterator<Item = (&str, &str)> {
    object.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), text(value)))
}

pub(super) fn items(array: &Value) -> impl Iterator<Item = &Value> {
    array.as_array().into_iter().flatten()
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn results_are_lines_of_labels_and_values() {
        let table = [
            (
                json!({"resultType": "vector", "result": [
                    {"metric": {"__name__": "hits", "env": "a b"}, "value": [1.5, "2"]},
                    {"metric": {}, "histogram": [1, {"count": "3", "sum": "4"}]}]}),
                vec![r#"hits{env="a b"} 2"#, "{} count=3 sum=4"],
            ),
            (
                json!({"resultType": "matrix", "result": [{"metric": {"__name__": "hits"}, "values": [[1.5, "2"], [2, "NaN"]]}]}),
                vec!["hits 1.5 2", "hits 2 NaN"],
            ),
            (json!({"resultType": "scalar", "result": [1, "2"]}), vec!["2"]),
            (json!({"resultType": "string", "result": [1, "x y"]}), vec!["x y"]),
        ];
        for (data, expected) in table {
            assert_eq!(result_lines(&data["resultType"], &data["result"]), expected);
        }
    }

    #[test]
    fn an_alert_is_a_line() {
        for (value, shown) in [("1e+00", "1"), ("4.25e+01", "42.5"), ("+Inf", "+Inf"), ("-Inf", "-Inf"), ("NaN", "NaN"), ("2e-09", "2e-09")]
        {
            let labels = json!({"alertname": "Down", "job": "x"});
            let alert = json!({"labels": labels, "state": "firing", "activeAt": "2026-01-01T00:00:00Z", "value": value});
            assert_eq!(alert_line(&alert), format!(r#"firing Down{{job="x"}} since 2026-01-01T00:00:00Z value {shown}"#));
        }
    }
}
