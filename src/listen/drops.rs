//! What the kernel dropped at a socket, from its socket table: exact also when no further datagram arrives,
//! unlike the control message, which comes with the next one.

use std::fs;
use std::io;
use std::os::fd::AsFd;

use metrics::Counter;
use parking_lot::Mutex;

use crate::telemetry;

/// Publishes the kernel's count of datagrams it dropped at one UDP socket.
#[derive(Debug)]
pub struct DropCounter {
    inode: u64,
    v6: bool,
    seen: Mutex<u32>,
    counter: Counter,
}

impl DropCounter {
    /// Counts from now on: what an inherited socket dropped before is the earlier process's to tell.
    pub(super) fn new(socket: &impl AsFd, listener: &str, v6: bool) -> io::Result<DropCounter> {
        let counter = telemetry::DATAGRAMS_KERNEL_DROPPED.counter(&[("listener", listener)]);
        let inode = inode(socket)?;
        Ok(DropCounter { inode, v6, seen: Mutex::new(read(inode, v6).unwrap_or(0)), counter })
    }

    /// Reads the kernel's number and adds what is new. Exact at the end of a burst.
    pub fn publish(&self) {
        let mut seen = self.seen.lock();
        if let Some(now) = read(self.inode, self.v6) {
            // The kernel's number is 32 bits wide and wraps.
            self.counter.increment(u64::from(now.wrapping_sub(*seen)));
            *seen = now;
        }
    }
}

/// The inode that names a socket in the kernel's tables.
fn inode(socket: &impl AsFd) -> io::Result<u64> {
    Ok(nix::sys::stat::fstat(socket)?.st_ino)
}

/// Datagrams dropped at the socket since it was made, modulo 2^32. `None` when it is not in the table.
fn read(inode: u64, v6: bool) -> Option<u32> {
    let table = fs::read_to_string(if v6 { "/proc/self/net/udp6" } else { "/proc/self/net/udp" }).ok()?;
    find(&table, inode)
}

/// Columns: the inode is the tenth, the drops are the last.
fn find(table: &str, inode: u64) -> Option<u32> {
    let inode = inode.to_string();
    let line = table.lines().skip(1).find(|line| line.split_whitespace().nth(9) == Some(&inode))?;
    line.split_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn drops_of_a_full_buffer_are_counted_exactly() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket2::SockRef::from(&socket).set_recv_buffer_size(4_096).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..200 {
            sender.send_to(&[b'x'; 100], socket.local_addr().unwrap()).unwrap();
        }
        socket.set_nonblocking(true).unwrap();
        let dropped = read(inode(&socket).unwrap(), false).unwrap();
        let mut received = 0;
        let mut buffer = [0; 200];
        while socket.recv(&mut buffer).is_ok() {
            received += 1;
        }
        assert!(dropped > 0);
        assert_eq!(received + dropped, 200);
    }
}
