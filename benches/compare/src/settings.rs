//! How thorough a comparison is.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};

#[derive(Clone, Debug)]
pub struct Settings {
    /// Where `install` has put the servers.
    pub peers: PathBuf,
    /// The relay's own binary.
    pub relay: PathBuf,
    pub receiver_core: usize,
    pub sender_core: usize,
    pub buffer_bytes: usize,
    /// How often every server flushes.
    pub interval: Duration,
    /// Of one saturated run.
    pub load: Duration,
    /// Runs of which the median is taken.
    pub rounds: usize,
    /// Series of the tables of memory and stalls.
    pub contexts: &'static [usize],
    /// Of one attempt at a rate, and how many of them there are.
    pub probe: Duration,
    pub probes: usize,
    /// How long a rate must hold without a loss.
    pub hold: Duration,
}

impl Settings {
    pub fn new(full: bool) -> Result<Settings> {
        let base = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let hold = std::env::var("LOSSLESS_SECONDS").ok();
        let hold = hold.map(|text| text.parse().context("LOSSLESS_SECONDS is a number of seconds")).transpose()?;
        let seconds = Duration::from_secs;
        Ok(Settings {
            peers: base.join(".peers"),
            relay: base.join("../../target/release/statsd-relay"),
            receiver_core: 0,
            sender_core: 1,
            buffer_bytes: 32 << 20,
            interval: seconds(if full { 10 } else { 2 }),
            load: seconds(if full { 10 } else { 2 }),
            rounds: if full { 3 } else { 1 },
            contexts: if full { &[10_000, 100_000, 1_000_000] } else { &[10_000, 100_000] },
            probe: seconds(if full { 3 } else { 1 }),
            probes: if full { 7 } else { 5 },
            hold: seconds(hold.unwrap_or(if full { 60 } else { 5 })),
        })
    }
}
