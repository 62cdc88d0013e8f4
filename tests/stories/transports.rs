//! Lines come in by every way there is, each as exact as the others, and no sender harms another.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use socket2::SockRef;

use crate::http;
use crate::page::Page;
use crate::relay::{BINARY, Home, PATIENCE, Relay, outcome, wait_for};
use crate::sender::wait_for_room;

pub(crate) fn framed(payload: &str) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_le_bytes().to_vec();
    frame.extend_from_slice(payload.as_bytes());
    frame
}

/// `listen.KEY` with one unix socket.
pub(crate) fn unix(key: &str, path: &Path) -> String {
    format!("{key}=[{{ path: {} }}]", path.display())
}

pub(crate) fn tcp() -> String {
    "tcp=['127.0.0.1:0']".to_string()
}

/// A number of one listener, by the beginning of its label.
pub(crate) fn of_listener(page: &Page, metric: &str, kind: &str) -> f64 {
    let name = format!("statsd_relay_{metric}");
    page.select(&name, &[]).iter().filter(|sample| sample.labels["listener"].starts_with(kind)).map(|sample| sample.value).sum()
}

/// Waits until the peer has closed.
pub(crate) fn assert_closed(stream: &mut (impl Read + AsFd)) {
    let mut rest = Vec::new();
    SockRef::from(&*stream).set_read_timeout(Some(PATIENCE)).unwrap();
    // A reset is an end too: the peer had not read everything.
    let end = stream.read_to_end(&mut rest).map_err(|error| error.kind());
    assert_ne!(end, Err(ErrorKind::WouldBlock), "it is still open");
    assert_eq!(rest, b"");
}

#[test]
fn every_transport_is_exact_side_by_side() {
    let home = Home::new("");
    let (datagram, stream) = (home.path("d.sock"), home.path("s.sock"));
    let (second, mode) = (home.path("d2.sock"), 0o622);
    let relay = home.start_listening(&[
        "udp=['127.0.0.1:0', '[::1]:0']".into(),
        format!("unix_datagram=[{{ path: {} }}, {{ path: {}, mode: '0{mode:o}' }}]", datagram.display(), second.display()),
        unix("unix_stream", &stream),
        "tcp=['127.0.0.1:0', { address: '[::1]:0', dialect: influx }]".into(),
    ]);
    assert!(relay.banner.len() <= 5, "{:?}", relay.banner);
    let listening = relay.banner.join("\n");
    for name in ["udp 127.0.0.1:", "udp [::1]:", "tcp 127.0.0.1:", "tcp [::1]:"] {
        assert!(listening.contains(name), "{listening}");
    }
    for (kind, path) in [("unix_datagram", &datagram), ("unix_datagram", &second), ("unix_stream", &stream)] {
        assert!(listening.contains(&format!("{kind} {}", path.display())), "{listening}");
    }
    assert_eq!(std::fs::metadata(&datagram).unwrap().permissions().mode() & 0o777, 0o722);
    assert_eq!(std::fs::metadata(&second).unwrap().permissions().mode() & 0o777, mode);

    let port = |marker: &str| {
        let at = listening.find(marker).unwrap() + marker.len();
        listening[at..].split([',', '\n']).next().unwrap().parse::<u16>().unwrap()
    };
    let udp6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port("udp [::1]:")));
    let v6 = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    let (first, other) = (UnixDatagram::unbound().unwrap(), UnixDatagram::unbound().unwrap());
    let mut frames = UnixStream::connect(&stream).unwrap();
    let mut lines = TcpStream::connect(relay.tcp()).unwrap();
    let mut influx = TcpStream::connect((Ipv6Addr::LOCALHOST, port("tcp [::1]:"))).unwrap();
    for round in 0..500 {
        let line = format!("way.hits:1|c|#round:{}\nway.size:2|h", round % 7);
        if round % 10 == 0 {
            wait_for_room(relay.udp);
            wait_for_room(udp6);
        }
        relay.send(&line);
        v6.send_to(line.as_bytes(), udp6).unwrap();
        // A full queue makes these wait; nothing is dropped.
        first.send_to(line.as_bytes(), &datagram).unwrap();
        other.send_to(line.as_bytes(), &second).unwrap();
        frames.write_all(&framed(&line)).unwrap();
        lines.write_all(line.as_bytes()).unwrap();
        lines.write_all(b"\r\n").unwrap();
        influx.write_all(b"way.hits,round=x:1|c\n").unwrap();
    }
    // What a peer sent before it closed is whole, with or without its newline.
    lines.write_all(b"way.hits:1|c").unwrap();
    drop(lines);
    relay.wait_for_page(|page| {
        let shown = [
            ("way_hits", page.sum("way_hits", &[])),
            ("influx", page.sum("way_hits", &[("round", "x")])),
            ("way_size", page.sum("way_size_sum", &[])),
        ];
        shown
            .into_iter()
            .zip([3_501.0, 500.0, 6_000.0])
            .filter(|((_, shown), right)| shown != right)
            .map(|wrong| format!("{wrong:?}"))
            .collect()
    });
    let page = relay.page();
    for (kind, datagrams) in [("udp:", 1_000.0), ("unix_datagram:", 1_000.0), ("unix_stream:", 500.0), ("tcp:", 0.0)] {
        assert_eq!(of_listener(&page, "datagrams_received_total", kind), datagrams, "{kind}");
    }
    assert!(of_listener(&page, "bytes_received_total", "tcp:") > 10_000.0);
    assert_eq!(page.sum("statsd_relay_lines_rejected_total", &[]), 0.0);
    relay.assert_balanced(2_500);
    relay.stop();
    for path in [datagram, second, stream] {
        assert!(!path.exists(), "{} is left", path.display());
    }
}

#[test]
fn a_misbehaving_connection_harms_no_other() {
    let home = Home::new("");
    let stream = home.path("s.sock");
    let relay = home.start_listening(&[unix("unix_stream", &stream), tcp()]);
    let mut good = UnixStream::connect(&stream).unwrap();
    let mut good_lines = TcpStream::connect(relay.tcp()).unwrap();
    good.write_all(&framed("good.hits:1|c")).unwrap();

    // A frame too large to be one: the stream is out of step.
    let mut huge = UnixStream::connect(&stream).unwrap();
    huge.write_all(&framed("huge.hits:1|c")).unwrap();
    huge.write_all(&u32::MAX.to_le_bytes()).unwrap();
    assert_closed(&mut huge);
    // Half a length, half a payload, then gone.
    for part in [&framed("half.hits:1|c")[..2], &framed("half.hits:1|c")[..9]] {
        let mut half = UnixStream::connect(&stream).unwrap();
        half.write_all(part).unwrap();
    }
    // Text where frames belong.
    let mut text = UnixStream::connect(&stream).unwrap();
    text.write_all(b"text.hits:1|c\n").unwrap();
    assert_closed(&mut text);
    // One byte now and then.
    let mut slow = UnixStream::connect(&stream).unwrap();
    let mut slow_lines = TcpStream::connect(relay.tcp()).unwrap();
    for (byte, line) in framed("slow.hits:1|c").into_iter().zip("slow.hits:2|c\r\n   ".bytes()) {
        slow.write_all(&[byte]).unwrap();
        slow_lines.write_all(&[line]).unwrap();
        std::thread::sleep(Duration::from_millis(5));
        good.write_all(&framed("good.hits:1|c")).unwrap();
        good_lines.write_all(b"good.hits:1|c\n").unwrap();
    }
    // A line without an end is given up, and the next one counts.
    let mut endless = TcpStream::connect(relay.tcp()).unwrap();
    for _ in 0..20 {
        endless.write_all(&[b'x'; 10_000]).unwrap();
    }
    endless.write_all(b"\nendless.hits:1|c\n").unwrap();

    let expected = [("good_hits", 35.0), ("huge_hits", 1.0), ("slow_hits", 3.0), ("endless_hits", 1.0)];
    relay.wait_for_page(|page| {
        let wrong = expected.iter().filter(|(name, right)| page.sum(name, &[]) != *right);
        wrong.map(|(name, right)| format!("{name} is {}, not {right}", page.sum(name, &[]))).collect()
    });
    let rejected = |reason: &str, count: f64| relay.wait_for_sum("statsd_relay_lines_rejected_total", &[("reason", reason)], count);
    rejected("frame_too_large", 2.0);
    rejected("frame_truncated", 2.0);
    rejected("line_too_long", 1.0);
    let page = relay.page();
    assert_eq!((page.sum("half_hits", &[]), page.sum("text_hits", &[])), (0.0, 0.0));
    assert_eq!(page.sum("statsd_relay_connections_closed_total", &[("reason", "frame_too_large")]), 2.0);
    relay.assert_balanced(20);
    relay.stop();
}

#[test]
fn a_datagram_that_the_kernel_cuts_keeps_its_whole_lines() {
    let home = Home::new("");
    let path = home.path("d.sock");
    let relay = home.start_listening(&[unix("unix_datagram", &path)]);
    let lines = "cut.hits:1|c\n".repeat(6_000);
    assert!(lines.len() > 65_536);
    UnixDatagram::unbound().unwrap().send_to(lines.as_bytes(), &path).unwrap();
    relay.wait_for_sum("cut_hits", &[], (65_536 / 13) as f64);
    relay.wait_for_sum("statsd_relay_datagrams_truncated_total", &[], 1.0);
    relay.wait_for_sum("statsd_relay_lines_rejected_total", &[("reason", "datagram_truncated")], 1.0);
    relay.assert_balanced(1);
}

#[test]
fn a_stale_socket_file_is_replaced_and_everything_else_is_left_alone() {
    let home = Home::new("");
    let path = home.path("s.sock");
    drop(UnixListener::bind(&path).unwrap());
    let relay = home.start_listening(&[unix("unix_stream", &path)]);
    UnixStream::connect(&path).unwrap().write_all(&framed("fresh.hits:1|c")).unwrap();
    relay.wait_for_sum("fresh_hits", &[], 1.0);
    relay.kill();
    assert!(path.exists(), "a killed relay leaves its file");
    let relay = home.start_listening(&[unix("unix_stream", &path)]);
    relay.stop();
    assert!(!path.exists());

    let refused = |key: &str| {
        let end = outcome(home.command_listening(&[unix(key, &path)]));
        assert_eq!(end.code, Some(1), "{end:?}");
        assert!(end.stderr.contains(&format!("listen.{key}: cannot bind {}", path.display())), "{end:?}");
        end.stderr
    };
    let live = UnixDatagram::bind(&path).unwrap();
    for key in ["unix_datagram", "unix_stream"] {
        assert!(refused(key).contains("another process holds the socket there"));
    }
    live.set_nonblocking(true).unwrap();
    assert!(live.recv(&mut [0; 10]).is_err(), "asking disturbed the socket's owner");
    drop(live);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "precious").unwrap();
    assert!(refused("unix_datagram").contains("is not a socket, so it is not replaced"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn what_a_stream_has_sent_at_the_stop_is_in_the_store() {
    let home = Home::new("");
    let path = home.path("s.sock");
    let listen = [unix("unix_stream", &path), tcp()];
    let relay = home.start_listening(&listen);
    let mut frames = UnixStream::connect(&path).unwrap();
    let mut lines = TcpStream::connect(relay.tcp()).unwrap();
    for _ in 0..2_000 {
        frames.write_all(&framed("last.words:1|c")).unwrap();
        lines.write_all(b"last.words:1|c\n").unwrap();
    }
    relay.wait_for_sum("last_words", &[], 4_000.0);
    // Several reads, and connections that wait to be accepted: the stop comes before most of it.
    relay.pause();
    frames.write_all(&framed("last.words:1|c").repeat(5_000)).unwrap();
    lines.write_all(&b"last.words:1|c\n".repeat(7_000)).unwrap();
    let mut waiting: Vec<_> = (0..300).map(|_| TcpStream::connect(relay.tcp()).unwrap()).collect();
    waiting.iter_mut().for_each(|waiting| waiting.write_all(b"last.words:1|c\n").unwrap());
    // Open connections hold no stop up.
    lines.write_all(b"last.words:1|").unwrap();
    relay.stop_in_time();
    let relay = home.start_listening(&listen);
    relay.wait_for_sum("last_words", &[], 16_300.0);
    relay.stop();
}

#[test]
fn every_unix_datagram_that_was_taken_is_in_the_store() {
    let home = Home::new("");
    let path = home.path("d.sock");
    let listen = [unix("unix_datagram", &path)];
    let relay = home.start_listening(&listen);
    // So many, and so much to do for each, that the queue is never empty.
    const LINES: usize = 100;
    let sending: Vec<_> = (0..8)
        .map(|_| {
            let client = UnixDatagram::unbound().unwrap();
            client.connect(&path).unwrap();
            let datagram = "taken.hits:1|c\n".repeat(LINES);
            std::thread::spawn(move || std::iter::repeat(()).take_while(|()| client.send(datagram.as_bytes()).is_ok()).count())
        })
        .collect();
    relay.wait_for_page(|page| if page.sum("taken_hits", &[]) > 0.0 { Vec::new() } else { vec!["nothing yet".into()] });
    relay.stop();
    let taken: usize = sending.into_iter().map(|sending| sending.join().unwrap()).sum();
    let relay = home.start_listening(&listen);
    relay.wait_for_sum("taken_hits", &[], (taken * LINES) as f64);
    relay.stop();
}

/// A supervisor that makes five sockets, puts them where it should, and becomes the relay.
const INHERIT: &str = r#"
import os, socket, sys
names, folder, command = sys.argv[1], sys.argv[2], sys.argv[3:]
def unix(kind, name):
    made = socket.socket(socket.AF_UNIX, kind)
    made.bind(os.path.join(folder, name))
    return made
def tcp():
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen()
    return made
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 0))
stream = unix(socket.SOCK_STREAM, "held.stream")
stream.listen()
held = [udp, unix(socket.SOCK_DGRAM, "held.datagram"), stream, tcp(), tcp()]
for at, made in enumerate(held):
    os.dup2(made.fileno(), 100 + at)
for at in range(len(held)):
    os.dup2(100 + at, 3 + at)
    os.set_inheritable(3 + at, True)
os.closerange(3 + len(held), 200)
os.environ.update(LISTEN_FDS=str(len(held)), LISTEN_FDNAMES=names, LISTEN_PID=str(os.getpid()))
os.execv(command[0], command)
"#;

#[test]
fn inherited_sockets_replace_those_of_their_kind_and_http_goes_by_its_name() {
    let home = Home::new("");
    let (datagram, stream) = (home.path("held.datagram"), home.path("held.stream"));
    let mut command = Command::new("python3");
    command.args(["-c", INHERIT, "statsd:statsd:statsd:lines:http"]).arg(home.path(""));
    command.arg(BINARY).args(["run", "--config"]).arg(home.path("relay.yaml"));
    for key in [unix("unix_datagram", &home.path("own.datagram")), unix("unix_stream", &home.path("own.stream")), tcp()] {
        command.arg("--set").arg(format!("listen.{key}"));
    }
    let relay = Relay::start(command, &home.path("log"));
    let listening = relay.banner.join("\n");
    assert_eq!((listening.matches("tcp ").count(), listening.matches("udp ").count()), (1, 1), "{listening}");
    assert!(listening.contains(&format!("unix_datagram {}", datagram.display())), "{listening}");
    assert!(listening.contains(&format!("unix_stream {}", stream.display())), "{listening}");
    assert!(!home.path("own.datagram").exists() && !home.path("own.stream").exists());
    assert_eq!(http::get(relay.http, "/-/ready").unwrap().status, 200);

    relay.send("held.hits:1|c");
    UnixDatagram::unbound().unwrap().send_to(b"held.hits:1|c", &datagram).unwrap();
    UnixStream::connect(&stream).unwrap().write_all(&framed("held.hits:1|c")).unwrap();
    TcpStream::connect(relay.tcp()).unwrap().write_all(b"held.hits:1|c").unwrap();
    relay.wait_for_sum("held_hits", &[], 4.0);
    relay.assert_balanced(3);
    relay.stop();
    assert!(datagram.exists() && stream.exists(), "files of the supervisor's sockets are not ours to remove");
}

#[test]
fn a_tcp_socket_with_another_name_is_for_lines() {
    let home = Home::new("");
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    let mut command = Command::new("sh");
    let inherit = "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_FDNAMES=statsd-relay.socket LISTEN_PID=$$; exec \"$@\"";
    command.args(["-c", inherit, "sh", BINARY, "run", "--config"]).arg(home.path("relay.yaml")).stdin(OwnedFd::from(held));
    let relay = Relay::start(command, &home.path("log"));
    assert_eq!(relay.tcp(), address);
    assert_ne!(relay.http, address);
    // Who connected before the relay was there is served as well.
    let mut early = TcpStream::connect(address).unwrap();
    early.write_all(b"early.hits:1|c\n").unwrap();
    relay.wait_for_sum("early_hits", &[], 1.0);
    relay.stop();
}

#[test]
fn the_watchdog_is_fed_while_streams_are_idle() {
    let home = Home::new("");
    let supervisor = UnixDatagram::bind(home.path("notify")).unwrap();
    supervisor.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut command =
        home.command_listening(&[unix("unix_stream", &home.path("s.sock")), unix("unix_datagram", &home.path("d.sock")), tcp()]);
    command.env("NOTIFY_SOCKET", home.path("notify")).env("WATCHDOG_USEC", "4000000");
    let relay = Relay::start(command, &home.path("log"));
    let mut buffer = [0; 1_000];
    for _ in 0..3 {
        wait_for("WATCHDOG=1", || {
            let length = supervisor.recv(&mut buffer).ok()?;
            String::from_utf8_lossy(&buffer[..length]).contains("WATCHDOG=1").then_some(())
        });
    }
    relay.stop();
}
