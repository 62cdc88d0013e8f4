//! Clients that send much: as segments that the kernel need not cut apart, and to several threads at once.

use std::io::IoSlice;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use crate::relay::{BINARY, Home, Relay};
use crate::sender::wait_for_room;
use crate::systemd_starts_us::INHERIT;

/// Segments of one message, and messages.
const SEGMENTS: usize = 40;
const MESSAGES: usize = 500;
/// Values of each gauge whose last one counts.
const HUNDRED: u32 = 100;

/// Sends datagrams of one length, the last one shorter, as one message.
fn send_segments(client: &UdpSocket, datagrams: &[String]) {
    let size = u16::try_from(datagrams[0].len()).unwrap();
    let slices: Vec<IoSlice<'_>> = datagrams.iter().map(|datagram| IoSlice::new(datagram.as_bytes())).collect();
    let sent = sendmsg::<()>(client.as_raw_fd(), &slices, &[ControlMessage::UdpGsoSegments(&size)], MsgFlags::empty(), None);
    assert_eq!(sent, Ok(datagrams.iter().map(String::len).sum()));
}

fn assert_segments_are_exact(relay: Relay) {
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(relay.udp).unwrap();
    for message in 0..MESSAGES {
        wait_for_room(relay.udp);
        // No newline at the end of a datagram: two that were not cut apart would make one line of two.
        let mut datagrams: Vec<String> =
            (1..SEGMENTS).map(|at| format!("seg.hits:1|c\nseg.size:{:03}|h|#part:{:02}", message, at % 7)).collect();
        datagrams.push("seg.last:1|c".into());
        send_segments(&client, &datagrams);
        client.send(b"seg.plain:1|c").unwrap();
    }
    let (segments, messages) = (SEGMENTS as u64, MESSAGES as u64);
    relay.wait_for_sum("seg_plain", &[], MESSAGES as f64);
    relay.wait_for_sum("seg_hits", &[], ((segments - 1) * messages) as f64);
    let page = relay.wait_for_sum("seg_last", &[], MESSAGES as f64);
    assert_eq!(page.sum("seg_size_count", &[]), ((segments - 1) * messages) as f64);
    assert_eq!(page.sum("statsd_relay_lines_rejected_total", &[]), 0.0);
    assert_eq!(page.sum("statsd_relay_datagrams_received_total", &[]), ((segments + 1) * messages) as f64);
    relay.assert_balanced((segments + 1) * messages);
    relay.stop();
}

#[test]
fn segments_count_as_the_datagrams_they_are() {
    assert_segments_are_exact(Home::new("").start());
}

#[test]
fn segments_of_an_inherited_socket_count_as_the_datagrams_they_are() {
    let home = Home::new("");
    let mut command = Command::new("sh");
    command.args(["-c", INHERIT, "sh", BINARY, "run", "--config"]).arg(home.path("relay.yaml"));
    command.stdin(OwnedFd::from(UdpSocket::bind("127.0.0.1:0").unwrap()));
    assert_segments_are_exact(Relay::start(command, &home.path("log")));
}

#[test]
fn the_order_of_one_client_is_kept_over_threads_and_windows() {
    let relay = Home::new("").start_listening(&["threads=3".into()]);
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(relay.udp).unwrap();
    let (start, mut sent, mut shown) = (Instant::now(), 0_u32, 0.0);
    while start.elapsed() < Duration::from_secs(5) {
        wait_for_room(relay.udp);
        for _ in 0..16 {
            sent += 1;
            // Every hundred values have a gauge of their own: a last one that was overtaken shows there for good.
            client.send(format!("rising.level:{sent}|g\nrising.each:{sent}|g|#of:{}", sent / HUNDRED).as_bytes()).unwrap();
        }
        if sent % 4_096 == 0
            && let Some(level) = relay.try_page().and_then(|page| page.value("rising_level", &[]))
        {
            assert!(level >= shown, "{level} after {shown}");
            shown = level;
        }
    }
    let page = relay.wait_for_sum("rising_level", &[], f64::from(sent));
    for of in 0..=sent / HUNDRED {
        let last = sent.min((of + 1) * HUNDRED - 1);
        assert_eq!(page.value("rising_each", &[("of", &of.to_string())]), Some(f64::from(last)));
    }
    assert_eq!(page.sum("statsd_relay_datagrams_received_total", &[]), f64::from(sent));
    relay.stop();
}
