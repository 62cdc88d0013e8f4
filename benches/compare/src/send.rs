//! Sends a load, at a rate or as fast as it goes.

use std::io::IoSlice;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::io::Errno;
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};

use crate::load::Load;

/// Datagrams handed to the kernel in one call.
const BATCH: usize = 32;
/// A paced load comes in bursts of this length.
const BURST: f64 = 0.001;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    Elapsed(Duration),
    /// The whole load this many times.
    Passes(usize),
}

/// What went out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    pub lines: u64,
    pub datagrams: u64,
    pub counters: u64,
    pub took: Duration,
}

/// Sends from the beginning of the load, over and over, `rate` lines a second if given; calls `before` ahead of each burst.
pub fn send(to: &UdpSocket, load: &Load, rate: Option<f64>, until: Until, mut before: impl FnMut()) -> Result<Sent> {
    let pieces: Vec<[IoSlice<'_>; 1]> = load.datagrams.iter().map(|datagram| [IoSlice::new(&load.bytes[datagram.range.clone()])]).collect();
    let burst = rate.map_or(BATCH, |rate| ((rate * BURST / load.density()) as usize).clamp(1, BATCH));
    let (mut sent, began) = (Sent::default(), Instant::now());
    loop {
        let at = sent.datagrams as usize % pieces.len();
        let over = match until {
            Until::Elapsed(time) => began.elapsed() >= time,
            Until::Passes(passes) => sent.datagrams as usize >= passes * pieces.len(),
        };
        if over {
            break;
        }
        if let Some(rate) = rate {
            let due = Duration::from_secs_f64(sent.lines as f64 / rate);
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
        before();
        let next = at..pieces.len().min(at + burst);
        let accepted = send_batch(to, &pieces[next.clone()])?;
        for datagram in &load.datagrams[next][..accepted] {
            sent.lines += datagram.lines;
            sent.counters += datagram.counters;
            sent.datagrams += 1;
        }
    }
    sent.took = began.elapsed();
    Ok(sent)
}

fn send_batch(to: &UdpSocket, pieces: &[[IoSlice<'_>; 1]]) -> Result<usize> {
    let mut controls: [SendAncillaryBuffer<'_, '_, '_>; BATCH] = Default::default();
    let mut messages: Vec<MMsgHdr<'_>> = pieces.iter().zip(&mut controls).map(|(piece, control)| MMsgHdr::new(piece, control)).collect();
    match sendmmsg(to, &mut messages, SendFlags::empty()) {
        Err(Errno::AGAIN | Errno::INTR | Errno::NOBUFS) => Ok(0),
        result => result.context("the receiver has gone"),
    }
}
