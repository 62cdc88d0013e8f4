//! Drives the relay and the StatsD servers that package registries offer with the same load, and prints how they compare.
//!
//! `benches/compare/run [full] [cpu] [lossless] [memory] [stall] [NAME...]`: without `full` a few seconds a row; tables and
//! servers by parts of their names, all of them where none is given. Figures go to standard output as Markdown.
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a program that measures time and prints")]

mod ceiling;
mod collect;
mod load;
mod measure;
mod peers;
mod receiver;
mod send;
mod settings;
mod tables;

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use settings::Settings;
use tables::Tables;

const TABLES: [&str; 4] = ["cpu", "lossless", "memory", "stall"];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, address, told] = arguments.as_slice()
        && word == "ceiling"
    {
        return ceiling::run(address, Path::new(told));
    }
    let full = arguments.iter().any(|word| word == "full");
    let (wanted, names): (Vec<&String>, Vec<&String>) =
        arguments.iter().filter(|word| *word != "full" && *word != "quick").partition(|word| TABLES.contains(&word.as_str()));
    let settings = Settings::new(full)?;
    ensure!(std::thread::available_parallelism()?.get() > settings.sender_core, "needs two cores: one sends, one receives");
    ensure!(settings.relay.exists(), "{} is missing: cargo build --release", settings.relay.display());
    stay_on(settings.sender_core)?;

    let tables = Tables::new(&settings, full, names.iter().map(|name| name.to_lowercase()).collect());
    tables.head()?;
    let on = |table: &str| wanted.is_empty() || wanted.iter().any(|word| *word == table);
    if on("cpu") {
        tables.cpu()?;
    }
    if on("lossless") {
        tables.lossless()?;
    }
    if on("memory") {
        tables.memory()?;
    }
    if on("stall") {
        tables.stall()?;
    }
    Ok(())
}

/// Pins this program; servers are started elsewhere.
fn stay_on(core: usize) -> Result<()> {
    let pinned = Command::new("taskset").args(["-cp", &core.to_string(), &std::process::id().to_string()]).output()?;
    ensure!(pinned.status.success(), "taskset: {}", String::from_utf8_lossy(&pinned.stderr));
    Ok(())
}
