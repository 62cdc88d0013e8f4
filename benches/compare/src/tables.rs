//! The tables, as Markdown.

use std::process::Command;

use anyhow::Result;

use crate::load::{Load, Order, Profile};
use crate::measure::{self, Run};
use crate::peers::{CEILING, PEERS, Peer};
use crate::send::Until;
use crate::settings::Settings;

const CONTEXTS: usize = 10_000;
/// Lines of a load that is sent over and over.
const LINES: usize = 1_000_000;
/// Bytes of payload that an Ethernet frame carries.
const FRAME: usize = 1_432;
const LARGE: usize = 8_192;
const ONE_LINE: usize = 0;
const MIB: f64 = (1 << 20) as f64;

pub struct Tables<'a> {
    settings: &'a Settings,
    full: bool,
    /// Parts of names, in lower case; none means everyone.
    names: Vec<String>,
}

impl<'a> Tables<'a> {
    pub fn new(settings: &'a Settings, full: bool, names: Vec<String>) -> Tables<'a> {
        Tables { settings, full, names }
    }

    fn peers(&self) -> impl Iterator<Item = &'static Peer> {
        let named = |peer: &&Peer| self.names.is_empty() || self.names.iter().any(|name| peer.name.to_lowercase().contains(name.as_str()));
        PEERS.iter().filter(named)
    }

    /// What was measured, when and where.
    pub fn head(&self) -> Result<()> {
        let told = |program: &str, arguments: &[&str]| -> Result<String> {
            let output = Command::new(program).args(arguments).output()?.stdout;
            Ok(String::from_utf8_lossy(&output).trim().to_string())
        };
        let processors = std::fs::read_to_string("/proc/cpuinfo")?;
        let models: Vec<&str> =
            processors.lines().filter_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim())).collect();
        let load = std::fs::read_to_string("/proc/loadavg")?;
        println!(
            "{}, commit {}, {} x {}, Linux {}, load average {} at the start; {} run, flushes every {} s.",
            told("date", &["-u", "+%F %H:%M UTC"])?,
            told("git", &["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty"])?,
            models.len(),
            models.first().unwrap_or(&"unknown processor"),
            told("uname", &["-r"])?,
            load.split(' ').next().unwrap_or_default(),
            if self.full { "full" } else { "quick" },
            self.settings.interval.as_secs(),
        );
        Ok(())
    }

    /// CPU for a million lines, as a ratio to the ceiling measured right before, by size of datagram.
    pub fn cpu(&self) -> Result<()> {
        for (profile, limit, words) in [
            (Profile::DogStatsd, FRAME, "datagrams of 1,432 B"),
            (Profile::DogStatsd, ONE_LINE, "one line a datagram"),
            (Profile::DogStatsd, LARGE, "datagrams of 8,192 B"),
            (Profile::Plain, FRAME, "datagrams of 1,432 B"),
        ] {
            let load = Load::new(profile, CONTEXTS, limit, Order::Zipf(LINES))?;
            let bytes = load.bytes.len() as f64 / load.lines as f64;
            let mut ceilings = Vec::new();
            let mut rows = Vec::new();
            for peer in self.peers() {
                let Some(own) = peer.profiles.iter().find(|own| is_like(**own, profile)) else { continue };
                let own_load = if *own == profile { None } else { Some(Load::new(*own, CONTEXTS, limit, Order::Zipf(LINES))?) };
                let runs = self.rounds(peer, own_load.as_ref().unwrap_or(&load), &mut ceilings);
                rows.push(row(peer, *own, profile, runs));
            }
            if rows.is_empty() {
                continue;
            }
            println!("\n### {}, {words} ({bytes:.0} B a line, {:.1} lines a datagram)\n", profile.name(), load.density());
            println!(
                "| server | obtained from | CPU, x ceiling | CPU s for 1 M lines | M lines/s, saturated | kernel dropped | totals | RSS after |"
            );
            println!("|---|---|---:|---:|---:|---:|---|---:|");
            println!("{}", row(&CEILING, profile, profile, Ok(ceilings)));
            rows.iter().for_each(|row| println!("{row}"));
        }
        Ok(())
    }

    /// Each run with the ceiling's right before it.
    fn rounds(&self, peer: &Peer, load: &Load, ceilings: &mut Vec<(f64, Run)>) -> Result<Vec<(f64, Run)>> {
        let until = Until::Elapsed(self.settings.load);
        let brief = Settings { interval: std::time::Duration::ZERO, ..self.settings.clone() };
        let mut runs = Vec::new();
        for _ in 0..self.settings.rounds {
            let ceiling = measure::run(&CEILING, &brief, load, None, until)?;
            ceilings.push((1.0, ceiling));
            let run = measure::run(peer, self.settings, load, None, until)?;
            eprintln!("{}: {:.3} s/M, ceiling {:.3} s/M, {}", peer.name, run.cost(), ceiling.cost(), run.totals);
            runs.push((run.cost() / ceiling.cost(), run));
        }
        Ok(runs)
    }

    /// The rate at which nothing is lost.
    pub fn lossless(&self) -> Result<()> {
        let hold = self.settings.hold.as_secs();
        println!("\n### Nothing lost for {hold} s, receive buffer of {} MiB, datagrams of 1,432 B\n", self.settings.buffer_bytes >> 20);
        println!("| server | load | M lines/s | CPU s for 1 M lines | totals |");
        println!("|---|---|---:|---:|---|");
        for peer in self.peers() {
            for profile in peer.profiles {
                let load = Load::new(*profile, CONTEXTS, FRAME, Order::Zipf(LINES))?;
                let found = measure::lossless(peer, self.settings, &load);
                println!(
                    "{}",
                    match found {
                        Ok(Some(run)) => format!(
                            "| {} | {} | {:.2} | {:.3} | {} |",
                            peer.name,
                            profile.name(),
                            run.lines_per_second() / 1e6,
                            run.cost(),
                            run.totals
                        ),
                        Ok(None) => format!("| {} | {} | none found | | |", peer.name, profile.name()),
                        Err(error) => format!("| {} | {} | SKIPPED: {error:#} | | |", peer.name, profile.name()),
                    }
                );
            }
        }
        Ok(())
    }

    /// Memory by series.
    pub fn memory(&self) -> Result<()> {
        println!("\n### Memory: bytes a series, every series touched twice, right after the load / after the next flush\n");
        self.by_contexts("RSS at the most series", |peer, sweep, contexts| {
            let run = measure::memory(peer, self.settings, sweep)?;
            let [idle, loaded, flushed] = run.resident;
            let a_series = |bytes: u64| bytes.saturating_sub(idle) as f64 / contexts as f64;
            eprintln!("{}, {contexts} series: totals {}", peer.name, run.totals);
            let peak = loaded.max(flushed) as f64 / MIB;
            Ok((format!("{:.0} / {:.0}", a_series(loaded), a_series(flushed)), format!("{peak:.0} MiB")))
        })
    }

    /// Pauses of receiving.
    pub fn stall(&self) -> Result<()> {
        println!("\n### Flush stall: longest time the socket's queue stayed non-empty, 50,000 lines/s offered\n");
        self.by_contexts("most bytes waiting", |peer, sweep, _| {
            let (longest, most) = measure::stall(peer, self.settings, sweep)?;
            Ok((format!("{:.0} ms", longest.as_secs_f64() * 1e3), format!("{:.0} KiB", most as f64 / 1_024.0)))
        })
    }

    /// A row for each server and load, a column for each number of series; the last column is of the last of them.
    fn by_contexts(&self, last: &str, measure: impl Fn(&Peer, &Load, usize) -> Result<(String, String)>) -> Result<()> {
        let columns: Vec<String> = self.settings.contexts.iter().map(|contexts| format!("{} k", contexts / 1_000)).collect();
        println!("| server | load | {} | {last} |", columns.join(" | "));
        println!("|---|---|{}---:|", "---:|".repeat(columns.len()));
        for peer in self.peers() {
            for profile in peer.keeps {
                let mut cells = Vec::new();
                let mut end = String::new();
                for contexts in self.settings.contexts {
                    let sweep = Load::new(*profile, *contexts, FRAME, Order::Sweep)?;
                    match measure(peer, &sweep, *contexts) {
                        Ok((cell, more)) => {
                            cells.push(cell);
                            end = more;
                        }
                        Err(error) => cells.push(format!("SKIPPED: {error:#}")),
                    }
                }
                println!("| {} | {} | {} | {end} |", peer.name, profile.name(), cells.join(" | "));
            }
        }
        Ok(())
    }
}

/// Whether a server's own form of a profile belongs into the profile's table.
fn is_like(own: Profile, table: Profile) -> bool {
    own == table || (own == Profile::DogStatsdCgd && table == Profile::DogStatsd)
}

fn row(peer: &Peer, own: Profile, table: Profile, runs: Result<Vec<(f64, Run)>>) -> String {
    let mut name = peer.name.to_string();
    if own != table {
        name += &format!(" ({})", own.name());
    }
    if let Some(most) = peer.most {
        name += &format!(" ({:.1} M lines/s offered)", most / 1e6);
    }
    let runs = match runs {
        Ok(runs) => runs,
        Err(error) => return format!("| {name} | {} | SKIPPED: {error:#} | | | | | |", peer.obtained),
    };
    let median_of = |figure: fn(&Run) -> f64| median(runs.iter().map(|(_, run)| figure(run)));
    let mut totals: Vec<String> = runs.iter().map(|(_, run)| run.totals.to_string()).collect();
    totals.sort();
    totals.dedup();
    format!(
        "| {name} | {} | {:.1} | {:.3} | {:.2} | {:.1} % | {} | {:.0} MiB |",
        peer.obtained,
        median(runs.iter().map(|(ratio, _)| *ratio)),
        median_of(Run::cost),
        median_of(Run::lines_per_second) / 1e6,
        median_of(|run| run.drops as f64 / run.sent.datagrams as f64 * 100.0),
        totals.join(", "),
        median_of(|run| run.resident[2] as f64) / MIB,
    )
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
