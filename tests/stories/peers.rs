//! Programs that others wrote, from `tests/.peers`.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU16, Ordering};

/// A folder that `tests/peers/install` fills.
#[derive(Clone, Copy)]
pub(crate) enum Peer {
    Python,
    Node,
    Prometheus,
    Perl,
    Ruby,
}

impl Peer {
    /// Where it lies; or, when it cannot be had, `None` after saying so. Installs all peers once, if one is missing.
    pub(crate) fn get(self) -> Option<PathBuf> {
        static INSTALL: Once = Once::new();
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let (name, proof) = match self {
            Peer::Python => ("python", "markus"),
            Peer::Node => ("node", "node_modules/lynx"),
            Peer::Prometheus => ("prometheus", "usr/bin/promtool"),
            Peer::Perl => ("perl", "usr/share/perl5/Net/Statsd.pm"),
            Peer::Ruby => ("ruby", "usr/bin/ruby3.1"),
        };
        let folder = tests.join(".peers").join(name);
        if !folder.join(proof).exists() {
            INSTALL.call_once(|| {
                if let Err(error) = Command::new(tests.join("peers/install")).status() {
                    eprintln!("tests/peers/install: {error}");
                }
            });
        }
        if folder.join(proof).exists() {
            return Some(folder);
        }
        skip(&format!("{name} could not be installed; see tests/.peers/{name}.log"));
        None
    }
}

/// Says that a story was not told, which `CI` does not accept.
pub(crate) fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "CI tells every story, but: {reason}");
    // Past the test runner's capture, which hides what a passing test prints.
    let mut stderr = std::io::stderr();
    writeln!(stderr, "SKIPPED: {reason}").unwrap();
}

/// A port that is free and below those that the kernel chooses from: no other story is given it meanwhile.
pub(crate) fn free_port() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let port = 20_000 + (std::process::id() as u16 % 1_000 * 12 + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// The full path of a program of the system, if it is there.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}
