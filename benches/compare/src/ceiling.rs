//! The least that a receiver can do: take every datagram and find every newline.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

const QUIET: Duration = Duration::from_millis(200);

/// Receives for good; whenever it has been quiet for a while, writes the number of lines into a file.
pub fn run(address: &str, told: &Path) -> Result<()> {
    let socket = UdpSocket::bind(address).with_context(|| format!("cannot bind {address}"))?;
    socket.set_read_timeout(Some(QUIET))?;
    let mut buffer = vec![0; 65_536];
    let mut lines = 0_u64;
    loop {
        match socket.recv(&mut buffer) {
            // The last line of a datagram has no newline.
            Ok(length) => lines += memchr::memchr_iter(b'\n', &buffer[..length]).count() as u64 + 1,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                std::fs::write(told, lines.to_string())?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
