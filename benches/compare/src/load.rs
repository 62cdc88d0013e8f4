//! The lines that are sent: made before the clock starts, the same in every run.

use std::io::Write as _;
use std::ops::Range;

use anyhow::{Result, ensure};

/// What a server can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Every type of DogStatsD, 3 to 5 tags, about 87 bytes a line.
    DogStatsd,
    /// The three types of DogStatsD that the serverless agent reads, with tags as above.
    DogStatsdCgd,
    /// The four types of StatsD, no tags, about 41 bytes a line.
    Plain,
}

/// A type's letters, its share of the lines in percent, and what its names end in.
type Kind = (&'static str, usize, [&'static str; 4]);

const COUNTER: [&str; 4] = ["requests", "failures", "retries", "evicted"];
const GAUGE: [&str; 4] = ["in_flight", "pool_size", "heap", "lag"];
const TIMER: [&str; 4] = ["latency", "wait", "render", "connect"];
const HISTOGRAM: [&str; 4] = ["body_size", "rows", "batch", "depth"];
const DISTRIBUTION: [&str; 4] = ["duration", "first_byte", "delay", "price"];
const SET: [&str; 4] = ["visitors", "sessions", "devices", "addresses"];

impl Profile {
    pub fn name(self) -> &'static str {
        match self {
            Profile::DogStatsd => "dogstatsd",
            Profile::DogStatsdCgd => "dogstatsd, only c, g, d",
            Profile::Plain => "plain",
        }
    }

    fn kinds(self) -> &'static [Kind] {
        match self {
            Profile::DogStatsd => {
                &[("c", 40, COUNTER), ("g", 20, GAUGE), ("ms", 15, TIMER), ("h", 10, HISTOGRAM), ("d", 10, DISTRIBUTION), ("s", 5, SET)]
            }
            Profile::DogStatsdCgd => &[("c", 40, COUNTER), ("g", 20, GAUGE), ("d", 40, DISTRIBUTION)],
            Profile::Plain => &[("c", 40, COUNTER), ("g", 20, GAUGE), ("ms", 35, TIMER), ("s", 5, SET)],
        }
    }
}

/// In what order contexts come.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// This many lines, contexts drawn from Zipf(1.0) within each type.
    Zipf(usize),
    /// Every context once.
    Sweep,
}

/// Datagrams one after the other in one piece of memory.
pub struct Load {
    pub bytes: Vec<u8>,
    pub datagrams: Vec<Datagram>,
    pub lines: u64,
}

pub struct Datagram {
    pub range: Range<usize>,
    pub lines: u64,
    /// What its counters add up to, sample rates reckoned in.
    pub counters: u64,
}

impl Load {
    /// Lines over `contexts` series, as many whole ones to a datagram as fit into `limit` bytes, at least one.
    pub fn new(profile: Profile, contexts: usize, limit: usize, order: Order) -> Result<Load> {
        ensure!(contexts >= 100, "at least 100 contexts, so that every type has some");
        let mut writer = Writer::new(profile, contexts);
        let mut load = Load { bytes: Vec::new(), datagrams: Vec::new(), lines: 0 };
        let count = match order {
            Order::Zipf(lines) => lines,
            Order::Sweep => contexts,
        };
        let mut line = Vec::new();
        for at in 0..count {
            let (kind, context) = match order {
                Order::Zipf(_) => writer.draw(),
                Order::Sweep => writer.place(at),
            };
            line.clear();
            let counted = writer.write(&mut line, kind, context);
            load.push(&line, counted, limit);
        }
        Ok(load)
    }

    fn push(&mut self, line: &[u8], counted: u64, limit: usize) {
        let end = self.bytes.len();
        match self.datagrams.last_mut() {
            Some(last) if end - last.range.start + 1 + line.len() <= limit => {
                self.bytes.push(b'\n');
                last.range.end = end + 1 + line.len();
                last.lines += 1;
                last.counters += counted;
            }
            _ => self.datagrams.push(Datagram { range: end..end + line.len(), lines: 1, counters: counted }),
        }
        self.bytes.extend_from_slice(line);
        self.lines += 1;
    }

    /// Lines in an average datagram.
    pub fn density(&self) -> f64 {
        self.lines as f64 / self.datagrams.len() as f64
    }
}

struct Writer {
    random: fastrand::Rng,
    kinds: &'static [Kind],
    /// Where each type's contexts lie.
    contexts: Vec<Range<usize>>,
    tags: bool,
    names: usize,
}

impl Writer {
    fn new(profile: Profile, contexts: usize) -> Writer {
        let kinds = profile.kinds();
        let mut share = 0;
        let ranges = kinds.iter().map(|(_, percent, _)| {
            let start = share * contexts / 100;
            share += percent;
            start..share * contexts / 100
        });
        Writer {
            random: fastrand::Rng::with_seed(42),
            kinds,
            contexts: ranges.collect(),
            tags: profile != Profile::Plain,
            // Some 25 hosts report each name.
            names: contexts / 25,
        }
    }

    /// A type by its share and one of its contexts by Zipf's law, whose continuous form is inverted.
    fn draw(&mut self) -> (usize, usize) {
        let mut share = self.random.usize(0..100);
        let mut kind = 0;
        while share >= self.kinds[kind].1 {
            share -= self.kinds[kind].1;
            kind += 1;
        }
        let range = &self.contexts[kind];
        let rank = ((range.len() as f64 + 1.0).powf(self.random.f64()) - 1.0) as usize;
        (kind, range.start + rank.min(range.len() - 1))
    }

    fn place(&self, context: usize) -> (usize, usize) {
        (self.contexts.iter().position(|range| range.contains(&context)).unwrap_or(0), context)
    }

    /// Appends a line and returns what it adds to its counter.
    fn write(&mut self, line: &mut Vec<u8>, kind: usize, context: usize) -> u64 {
        const AREAS: [&str; 8] =
            ["edge.http", "stock.sql", "order.queue", "login.token", "cart.price", "mail.smtp", "find.index", "media.cache"];
        const SERVICES: [&str; 5] = ["storefront", "catalogue", "gateway", "customers", "shipping"];
        const REGIONS: [&str; 4] = ["eu-north-1", "us-east-2", "sa-east-1", "ap-east-1"];
        let (letters, _, words) = self.kinds[kind];
        let (name, host) = (context % self.names, context / self.names);
        // Traits of a context that do not follow its rank.
        let mixed = (context as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let trait_of = |shift: u32, of: usize| (mixed >> shift) as usize % of;

        put(line, format_args!("{}.{}{}", AREAS[name % 8], words[name / 8 % 4], name / 32));
        if !self.tags {
            put(line, format_args!(".worker-{host:05}"));
        }
        let (random, mut counted) = (&mut self.random, 0);
        match letters {
            "c" => {
                counted = if random.u8(0..10) < 8 { 1 } else { random.u64(2..50) };
                put(line, format_args!(":{counted}|c"));
            }
            "g" if random.bool() => put(line, format_args!(":{}|g", random.u32(0..200_000))),
            "g" => put(line, format_args!(":{:.2}|g", random.f64() * 1_000.0)),
            "s" => put(line, format_args!(":user{:06}|s", random.u32(0..1_000_000))),
            _ => put(line, format_args!(":{:.3}|{letters}", log_normal(random))),
        }
        if letters == "c" && trait_of(0, 16) == 0 {
            put(line, format_args!("|@0.5"));
            counted *= 2;
        }
        if self.tags {
            put(line, format_args!("|#env:prod,service:{},host:worker-{host:05}", SERVICES[trait_of(4, 5)]));
            let more = trait_of(8, 3);
            if more > 0 {
                put(line, format_args!(",region:{}", REGIONS[trait_of(12, 4)]));
            }
            if more > 1 {
                put(line, format_args!(",code:{}", 200 + 100 * trait_of(16, 4)));
            }
        }
        counted
    }
}

/// Median 20, as waiting times are spread.
fn log_normal(random: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    20.0 * (1.1 * radius * (std::f64::consts::TAU * random.f64()).cos()).exp()
}

fn put(line: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // A Vec takes all there is.
    let _ = line.write_fmt(text);
}
