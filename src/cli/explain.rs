//! `explain`: every step a line takes under a configuration; no server is asked.

use std::process::ExitCode;

use anyhow::anyhow;
use clap::Args;
use serde_json::Value;

use super::Overrides;
use super::query::{Output, items, print, text};
use crate::clock::Clock;
use crate::{config, relay};

#[derive(Args)]
pub(super) struct ExplainArgs {
    /// What a client would send, such as 'hits:1|c|#env:prod'
    #[arg(value_name = "LINE")]
    line: String,
    /// text: for people; json: every step
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    #[command(flatten)]
    overrides: Overrides,
}

impl ExplainArgs {
    pub(super) fn run(self, before: Overrides) -> anyhow::Result<ExitCode> {
        let loaded = config::load(&before.and(self.overrides).sources())?;
        let samples = relay::explainer(&loaded.config)?.explain(self.line.as_bytes(), Clock::system().now_ms());
        if samples.is_empty() {
            return Err(anyhow!("the line is empty, which means nothing"));
        }
        let samples = serde_json::to_value(samples)?;
        match self.output {
            Output::Json => print(&serde_json::to_string_pretty(&samples)?)?,
            Output::Text => print(&items(&samples).flat_map(lines).collect::<Vec<_>>().join("\n"))?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// One sample for people.
fn lines(sample: &Value) -> Vec<String> {
    let strict = if sample["strict"] == true { ", strict" } else { "" };
    let mut lines = vec![format!("line       {}", text(&sample["line"]))];
    let record = &sample["record"];
    if let Some(at) = sample["offset"].as_u64().filter(|_| record["kind"] == "error") {
        // The escaped line has the same columns unless something before the place was escaped.
        lines.push(format!("           {:>width$}", "^", width = usize::try_from(at).unwrap_or(0) + 1));
    }
    lines.push(format!("dialect    {}{strict}", text(&sample["dialect"])));
    let listeners: Vec<&str> = items(&sample["listeners"]).map(text).collect();
    if !listeners.is_empty() {
        lines.push(format!("listeners  {}", listeners.join(", ")));
    }
    if record["kind"] == "error" {
        let place = sample["offset"].as_u64().map_or(String::new(), |at| format!(" at byte {at}"));
        lines.push(format!("refused    {}{place}", text(&record["reason"])));
        return lines;
    }
    let fields = record
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null() && **value != "" && **value != Value::Array(Vec::new()));
    lines.extend(fields.map(|(name, value)| format!("  {name:<17} {}", shown(&value.to_string()))));
    let tolerated: Vec<&str> = items(&sample["tolerated"]).map(text).collect();
    if !tolerated.is_empty() {
        lines.push(format!("tolerated  {}", tolerated.join(", ")));
    }
    if sample["metric"].is_object() {
        lines.extend(fate(&sample["metric"]));
    }
    lines
}

fn fate(metric: &Value) -> Vec<String> {
    let mut lines = vec![format!("weight     {} per value", metric["weight"])];
    if let Some(at) = metric["stamped"].as_u64() {
        lines.push(format!("stamped    stands apart at unix second {at}"));
    }
    for bound in items(&metric["limits"]) {
        lines.push(format!("limit      {} {} of {}", text(&bound["limit"]), bound["has"], bound["most"]));
    }
    for step in items(&metric["shaping"]) {
        let captures: Vec<String> = items(&step["captures"]).skip(1).map(|capture| shown(text(capture))).collect();
        let captures = if captures.is_empty() { String::new() } else { format!(" ($1.. = {})", captures.join(", ")) };
        lines.push(format!("shaping    {}{captures}: {}{}", text(&step["place"]), shown(text(&step["name"])), joined(&step["tags"], " #")));
    }
    if metric["scale"] != 1.0 {
        lines.push(format!("scale      values times {}", metric["scale"]));
    }
    if let Some(reason) = metric["dropped"].as_str() {
        lines.push(format!("dropped    {reason}"));
        return lines;
    }
    if let Some(limit) = metric["limited"].as_str() {
        let then = match text(&metric["becomes"]) {
            "overflow_or_shed" => "the overflow series of its name has its samples, if that name has a series; else they are shed",
            "overflow" => "the overflow series of its name has its samples",
            _ => "it is shed",
        };
        lines.push(format!("limited    {limit}: it gets no series of its own; {then}"));
    }
    if metric["becomes"] == "shed" {
        return lines;
    }
    let series = &metric["series"];
    lines.push(format!("series     {} {}{}", text(&series["type"]), shown(text(&series["name"])), joined(&series["tags"], " #")));
    if items(&metric["outputs"]).next().is_none() {
        let why = "the page shows no sample with a time of its own, and there is neither a store nor a sink";
        lines.push(format!("output     none but rules that read it: {why}"));
    }
    for output in items(&metric["outputs"]) {
        let names: Vec<&str> = items(&output["names"]).map(text).collect();
        let labels: Vec<String> = output["labels"].as_object().into_iter().flatten().map(|(key, value)| format!("{key}={value}")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let host = output["host"].as_str().map(|host| format!(" host={}", shown(host))).unwrap_or_default();
        let unfit = output["unfit"].as_str().map(|why| format!(" (not taken: {why})")).unwrap_or_default();
        lines.push(format!(
            "output     {}: {}{labels}{}{host}{unfit}",
            text(&output["output"]),
            shown(&names.join(", ")),
            joined(&output["tags"], " #")
        ));
    }
    lines
}

fn joined(tags: &Value, before: &str) -> String {
    let tags: Vec<&str> = items(tags).map(text).collect();
    if tags.is_empty() { String::new() } else { format!("{before}{}", shown(&tags.join(","))) }
}

fn shown(text: &str) -> String {
    crate::parse::escaped(text.as_bytes(), text.len())
}
