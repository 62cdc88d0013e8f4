//! What the kernel dropped at a socket, from its socket table: exact also when no further datagram arrives,
//! unlike the control message, which comes with the next one.

use std::fs;
use std::io;
use std::os::fd::AsFd;

/// The inode that names a socket in the kernel's tables.
pub(super) fn inode(socket: &impl AsFd) -> io::Result<u64> {
    Ok(nix::sys::stat::fstat(socket)?.st_ino)
}

/// Datagrams dropped at the socket since it was made, modulo 2^32. `None` when it is not in the table.
pub(super) fn read(inode: u64, v6: bool) -> Option<u32> {
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
