//! A client that sends many lines and never more than the relay's receive buffer holds.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::relay::PATIENCE;

/// Payload of one datagram, as clients pack it for an Ethernet frame.
const DATAGRAM_BYTES: usize = 1_432;
/// Kernel bytes that may wait for the relay: the default buffer of a small machine holds three times as much.
const WAITING_BYTES: usize = 64 << 10;
/// Datagrams between two looks at the buffer, about 37 kB of it in the kernel's count.
const BURST: usize = 16;

/// What a sender sent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sent {
    pub(crate) datagrams: u64,
    pub(crate) lines: u64,
}

/// Sends `line(0), line(1), ...` packed into datagrams until `count` are sent or `go_on` says no.
pub(crate) fn send_paced(to: SocketAddr, count: u64, line: impl Fn(u64) -> String, mut go_on: impl FnMut(Sent) -> bool) -> Sent {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut sent = Sent::default();
    let mut next = 0;
    let mut packed = String::new();
    while next < count && go_on(sent) {
        wait_for_room(to);
        for _ in 0..BURST {
            packed.clear();
            let first = next;
            while next < count {
                let line = line(next);
                if packed.len() + 1 + line.len() > DATAGRAM_BYTES {
                    break;
                }
                if !packed.is_empty() {
                    packed.push('\n');
                }
                packed.push_str(&line);
                next += 1;
            }
            if packed.is_empty() {
                break;
            }
            socket.send_to(packed.as_bytes(), to).unwrap();
            sent = Sent { datagrams: sent.datagrams + 1, lines: sent.lines + (next - first) };
        }
    }
    sent
}

/// Waits until the relay has read most of what was sent there.
pub(crate) fn wait_for_room(to: SocketAddr) {
    let start = Instant::now();
    while waiting_bytes(to) > WAITING_BYTES {
        assert!(start.elapsed() < PATIENCE, "the relay does not read its socket");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Whether a local UDP socket is bound to the port of `address`.
pub(crate) fn is_bound(address: SocketAddr) -> bool {
    !receive_queues(address).is_empty()
}

/// Bytes that wait in the sockets bound to `address`, in the kernel's count; 0 when there is none.
fn waiting_bytes(address: SocketAddr) -> usize {
    receive_queues(address).iter().sum()
}

/// The receive queue of each local UDP socket on the port of `address`.
fn receive_queues(address: SocketAddr) -> Vec<usize> {
    let port = format!(":{:04X}", address.port());
    let table = std::fs::read_to_string(if address.is_ipv6() { "/proc/self/net/udp6" } else { "/proc/self/net/udp" }).unwrap();
    let queue = |row: &str| {
        let mut columns = row.split_whitespace().skip(1);
        let bound_here = columns.next()?.ends_with(&port);
        let queued = columns.nth(2)?.split(':').nth(1)?;
        bound_here.then(|| usize::from_str_radix(queued, 16).ok()).flatten()
    };
    table.lines().skip(1).filter_map(queue).collect()
}

#[test]
fn a_full_receive_queue_is_seen() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = receiver.local_addr().unwrap();
    assert_eq!(waiting_bytes(address), 0);
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&[0; 1_000], address).unwrap();
    assert!(waiting_bytes(address) >= 1_000, "{}", waiting_bytes(address));
}

#[test]
fn lines_are_packed_and_counted() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sent = send_paced(receiver.local_addr().unwrap(), 1_000, |number| format!("n{number}:1|c"), |_| true);
    assert_eq!(sent.lines, 1_000);
    let mut buffer = [0; 2_000];
    let mut lines = Vec::new();
    for _ in 0..sent.datagrams {
        let length = receiver.recv(&mut buffer).unwrap();
        assert!(length <= DATAGRAM_BYTES);
        lines.extend(String::from_utf8_lossy(&buffer[..length]).lines().map(String::from));
    }
    assert_eq!(lines, (0..1_000).map(|number| format!("n{number}:1|c")).collect::<Vec<_>>());
}
