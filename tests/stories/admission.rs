//! Who may connect and send, how many and for how long; whoever may not is counted.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::Command;
use std::time::Duration;

use crate::http::get_on;
use crate::page::Page;
use crate::relay::{BINARY, Home, Relay, wait_for};
use crate::transports::{assert_closed, framed, of_listener, tcp, unix};

#[test]
fn connections_above_the_limit_are_refused_and_counted() {
    let home = Home::new("");
    let path = home.path("s.sock");
    let relay = home.start_listening(&["max_connections=2".into(), unix("unix_stream", &path), tcp()]);
    let (mut first, mut second) = (TcpStream::connect(relay.tcp()).unwrap(), TcpStream::connect(relay.tcp()).unwrap());
    first.write_all(b"in.hits:1|c\n").unwrap();
    second.write_all(b"in.hits:1|c\n").unwrap();
    relay.wait_for_sum("in_hits", &[], 2.0);
    for _ in 0..3 {
        assert_closed(&mut TcpStream::connect(relay.tcp()).unwrap());
    }
    // Each listener has its own places.
    UnixStream::connect(&path).unwrap().write_all(&framed("in.hits:1|c")).unwrap();
    // A place that is given back is taken again.
    drop(first);
    relay.wait_for_sum("statsd_relay_connections", &[], 1.0);
    let mut third = TcpStream::connect(relay.tcp()).unwrap();
    third.write_all(b"in.hits:1|c\n").unwrap();
    relay.wait_for_sum("in_hits", &[], 4.0);
    relay.wait_for_page(|page| {
        let found = (page.sum("statsd_relay_connections_refused_total", &[("reason", "limit")]), of_listener(page, "connections", "tcp:"));
        (found != (3.0, 2.0)).then(|| format!("refused and open: {found:?}")).into_iter().collect()
    });
    relay.stop();
}

#[test]
fn without_descriptors_the_others_go_on_and_who_waits_is_served_later() {
    let home = Home::new("");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 64; exec \"$@\"", "sh", BINARY, "run", "--config"]).arg(home.path("relay.yaml"));
    command.args(["--set", &format!("listen.{}", tcp())]);
    let relay = Relay::start(command, &home.path("log"));
    // The page is asked for over a connection that is open already.
    let mut scraper = TcpStream::connect(relay.http).unwrap();
    let mut page = || Page::parse(get_on(&mut scraper, "/metrics").unwrap().body);
    wait_for("a window", || (page().sum("statsd_relay_windows_total", &[]) > 0.0).then_some(()));
    let mut first = TcpStream::connect(relay.tcp()).unwrap();
    first.write_all(b"first.hits:1|c\n").unwrap();
    wait_for("the first", || page().value("first_hits", &[]));
    let mut crowd: Vec<_> = (0..100).map(|_| TcpStream::connect(relay.tcp()).unwrap()).collect();
    for client in &mut crowd {
        client.write_all(b"crowd.hits:1|c\n").unwrap();
    }
    let refused = |page: &Page| page.sum("statsd_relay_connections_refused_total", &[("reason", "accept")]);
    wait_for("no descriptor for one more", || (refused(&page()) > 0.0).then_some(()));
    first.write_all(b"first.hits:1|c\n").unwrap();
    relay.send("first.hits:1|c");
    let busy = wait_for("both of the others", || Some(page()).filter(|page| page.value("first_hits", &[]) == Some(3.0)));
    assert!(busy.sum("crowd_hits", &[]) < 100.0, "all of the crowd was served");
    drop(crowd);
    relay.wait_for_sum("crowd_hits", &[], 100.0);
    relay.stop();
}

#[test]
fn a_silent_connection_is_closed_and_its_half_line_refused() {
    let home = Home::new("");
    let relay = home.start_listening(&["idle_timeout=4s".into(), tcp()]);
    let mut busy = TcpStream::connect(relay.tcp()).unwrap();
    busy.write_all(b"busy.hits:1|c\n").unwrap();
    let mut silent = TcpStream::connect(relay.tcp()).unwrap();
    silent.write_all(b"idle.hits:1|c\nidle.hits:1").unwrap();
    silent.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut sent = 1.0;
    wait_for("the end of the silent one", || {
        busy.write_all(b"busy.hits:1|c\n").unwrap();
        sent += 1.0;
        // Else there is nothing to read yet.
        silent.read(&mut [0]).ok().map(|read| assert_eq!(read, 0))
    });
    relay.wait_for_sum("busy_hits", &[], sent);
    relay.wait_for_sum("idle_hits", &[], 1.0);
    relay.wait_for_sum("statsd_relay_lines_rejected_total", &[("reason", "unterminated_line")], 1.0);
    relay.wait_for_sum("statsd_relay_connections_closed_total", &[("reason", "idle")], 2.0);
}

#[test]
fn who_may_not_send_is_counted_and_never_read() {
    let home = Home::new("");
    let path = home.path("d.sock");
    let relay = home.start_listening(&["allow_from=['127.0.0.2/31', 'fd00::/8']".into(), tcp(), unix("unix_datagram", &path)]);
    let allowed = UdpSocket::bind("127.0.0.3:0").unwrap();
    for _ in 0..20 {
        relay.send("denied.hits:1|c\nno line at all");
        allowed.send_to(b"allowed.hits:1|c", relay.udp).unwrap();
    }
    assert_closed(&mut TcpStream::connect(relay.tcp()).unwrap());
    UnixDatagram::unbound().unwrap().send_to(b"allowed.hits:1|c", &path).unwrap();
    relay.wait_for_sum("allowed_hits", &[], 21.0);
    relay.wait_for_sum("statsd_relay_datagrams_denied_total", &[("reason", "allow_from")], 20.0);
    relay.wait_for_sum("statsd_relay_connections_refused_total", &[("reason", "allow_from")], 1.0);
    let page = relay.page();
    assert_eq!(page.value("denied_hits", &[]), None);
    assert_eq!(page.sum("statsd_relay_lines_rejected_total", &[]), 0.0);
    let sum = |name: &str| page.sum(&format!("statsd_relay_datagrams_{name}_total"), &[]);
    assert_eq!(sum("received"), sum("parsed") + sum("empty") + sum("truncated") + sum("denied"));
    relay.assert_balanced(41);
}
