//! What is measured on one server.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::load::Load;
use crate::peers::{Counted, Peer};
use crate::receiver::Receiver;
use crate::send::{Sent, Until, send};
use crate::settings::Settings;

/// Lines a second at which series are made known.
const FILL: f64 = 150_000.0;
/// Lines a second while stalls are looked for.
const CALM: f64 = 50_000.0;

/// One load on one server, seen to its end.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub sent: Sent,
    /// Datagrams that the kernel dropped.
    pub drops: u64,
    /// Lines in those that it did not drop; exact when it dropped none, else by the average datagram.
    pub delivered: f64,
    /// From the first datagram until the server had taken the last one.
    pub took: Duration,
    /// Until after the flush that followed.
    pub cpu_seconds: f64,
    /// Bytes of resident memory: before the load, right after it, and after the flush that followed.
    pub resident: [u64; 3],
    pub totals: Totals,
}

impl Run {
    /// CPU seconds for a million lines.
    pub fn cost(&self) -> f64 {
        self.cpu_seconds / self.delivered * 1e6
    }

    pub fn lines_per_second(&self) -> f64 {
        self.delivered / self.took.as_secs_f64()
    }

    pub fn lossless(&self) -> bool {
        self.drops == 0 && matches!(self.totals, Totals::Exact | Totals::Unseen)
    }
}

/// What a server counted, against what the kernel gave it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Totals {
    /// All it shows is exactly what was sent.
    Exact,
    /// The kernel dropped some, and the server accounts for every datagram.
    Ledger,
    /// The share of the delivered lines that it shows: where the kernel dropped some, this is as near as it can be told.
    Share(f64),
    /// It shows none.
    Unseen,
}

impl fmt::Display for Totals {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Totals::Exact => write!(out, "exact"),
            Totals::Ledger => write!(out, "ledger exact"),
            Totals::Share(share) => write!(out, "{:.2} %", share * 100.0),
            Totals::Unseen => write!(out, "not shown"),
        }
    }
}

impl Totals {
    fn new(counted: Counted, sent: Sent, drops: u64, delivered: f64) -> Totals {
        let agrees = |counted: Option<u64>, sent: u64| counted.is_none_or(|counted| counted == sent);
        if counted == Counted::default() {
            return Totals::Unseen;
        }
        if drops == 0
            && agrees(counted.lines, sent.lines)
            && agrees(counted.counters, sent.counters)
            && agrees(counted.datagrams, sent.datagrams)
        {
            return Totals::Exact;
        }
        if drops > 0 && counted.datagrams == Some(sent.datagrams) {
            return Totals::Ledger;
        }
        let counters = counted.counters.unwrap_or(0) as f64 / sent.counters as f64 * sent.lines as f64;
        Totals::Share(counted.lines.map_or(counters, |lines| lines as f64) / delivered)
    }
}

/// Starts the server, sends it the load, and asks for its totals.
pub fn run(peer: &Peer, settings: &Settings, load: &Load, rate: Option<f64>, until: Until) -> Result<Run> {
    let mut receiver = Receiver::start(peer, settings)?;
    let rate = rate.map_or(peer.most, Some);
    let (idle, cpu_before, (_, drops_before)) = (receiver.resident()?, receiver.cpu_seconds()?, receiver.queue()?);
    let began = Instant::now();
    let sent = send(&receiver.to, load, rate, until, || match until {
        Until::Passes(_) => receiver.keep_up(),
        Until::Elapsed(_) => {}
    })?;
    receiver.drain()?;
    let took = began.elapsed();
    let loaded = receiver.resident()?;
    std::thread::sleep(settings.interval + Duration::from_secs(1));
    let flushed = receiver.resident()?;
    let cpu_seconds = receiver.cpu_seconds()? - cpu_before;
    let drops = receiver.queue()?.1 - drops_before;
    let delivered = sent.lines as f64 - drops as f64 * sent.lines as f64 / sent.datagrams as f64;
    let totals = settled(&mut receiver, settings, drops == 0, |counted| Totals::new(counted, sent, drops, delivered))?;
    Ok(Run { sent, drops, delivered, took, cpu_seconds, resident: [idle, loaded, flushed], totals })
}

/// A server may show its totals two flushes later: it is asked again where they can be exact.
fn settled(receiver: &mut Receiver, settings: &Settings, again: bool, judge: impl Fn(Counted) -> Totals) -> Result<Totals> {
    let (began, patience) = (Instant::now(), 2 * settings.interval + Duration::from_secs(3));
    loop {
        match (receiver.count)().map(&judge) {
            Ok(Totals::Share(_)) if again && began.elapsed() < patience => {}
            Err(_) if began.elapsed() < patience => {}
            done => return done,
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// The highest rate found that holds for `settings.hold` with nothing lost. None where no rate held.
pub fn lossless(peer: &Peer, settings: &Settings, load: &Load) -> Result<Option<Run>> {
    let mut rate = peer.most.unwrap_or(f64::MAX).min(probe(peer, settings, load)?);
    for _ in 0..4 {
        let held = run(peer, settings, load, Some(rate), Until::Elapsed(settings.hold))?;
        if held.lossless() {
            return Ok(Some(held));
        }
        rate *= 0.75;
    }
    Ok(None)
}

/// Narrows down by short attempts at which rate, in lines a second, the kernel begins to drop.
fn probe(peer: &Peer, settings: &Settings, load: &Load) -> Result<f64> {
    let receiver = Receiver::start(peer, settings)?;
    let attempt = |rate: Option<f64>| -> Result<(f64, u64)> {
        let (before, began) = (receiver.queue()?.1, Instant::now());
        let sent = send(&receiver.to, load, rate, Until::Elapsed(settings.probe), || ())?;
        receiver.drain()?;
        let drops = receiver.queue()?.1 - before;
        Ok(((sent.datagrams - drops) as f64 * load.density() / began.elapsed().as_secs_f64(), drops))
    };
    let (mut good, mut bad) = (0.0, attempt(None)?.0 * 1.25);
    let mut rate = bad * 0.8;
    for _ in 0..settings.probes {
        match attempt(Some(rate))? {
            (taken, 0) => good = taken,
            _ => bad = rate,
        }
        rate = if good == 0.0 { bad / 2.0 } else { (good + bad) / 2.0 };
    }
    // A little below, for the long run.
    Ok(if good == 0.0 { bad / 2.0 } else { good * 0.95 })
}

/// Every series twice.
pub fn memory(peer: &Peer, settings: &Settings, sweep: &Load) -> Result<Run> {
    let run = run(peer, settings, sweep, Some(FILL), Until::Passes(2))?;
    ensure!(run.drops == 0, "it lost {} datagrams", run.drops);
    Ok(run)
}

/// Every series is sent once, then again and again at a calm rate over two flushes. Returns the longest time that the socket's
/// queue stayed non-empty, and the most bytes in it.
pub fn stall(peer: &Peer, settings: &Settings, sweep: &Load) -> Result<(Duration, u64)> {
    let receiver = Receiver::start(peer, settings)?;
    send(&receiver.to, sweep, Some(FILL), Until::Passes(1), || receiver.keep_up())?;
    receiver.drain()?;
    let (mut longest, mut most, mut empty) = (Duration::ZERO, 0, Instant::now());
    let calm = settings.interval.mul_f64(2.2);
    send(&receiver.to, sweep, Some(CALM), Until::Elapsed(calm), || {
        let now = Instant::now();
        match receiver.queue() {
            Ok((queued @ 1.., _)) => {
                longest = longest.max(now - empty);
                most = most.max(queued);
            }
            _ => empty = now,
        }
    })?;
    receiver.drain()?;
    longest = longest.max(empty.elapsed());
    Ok((longest, most))
}
