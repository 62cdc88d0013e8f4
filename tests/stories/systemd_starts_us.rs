//! Under a supervisor: readiness is told, sockets are inherited, and a stop loses nothing that was sent.

use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::peers::{free_port, program, skip};
use crate::relay::{BINARY, Home, Relay, wait_for};
use crate::sender::{is_bound, send_paced, wait_for_room};

/// What the shell does as the supervisor's child: the socket that came as its input becomes descriptor 3.
pub(crate) const INHERIT: &str = "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_FDNAMES=statsd LISTEN_PID=$$; exec \"$@\"";

/// Datagrams that wait while the relay stands still: the default buffer of a small machine holds some more.
const WAITING: u64 = 45;

/// The next message to `NOTIFY_SOCKET` that has the line `wanted`.
fn wait_for_state(supervisor: &UnixDatagram, wanted: &str) {
    let mut buffer = [0; 4_096];
    let mut heard = Vec::new();
    wait_for(&format!("{wanted} from the relay"), || {
        let length = supervisor.recv(&mut buffer).ok()?;
        heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        heard.last()?.lines().any(|line| line == wanted).then_some(())
    });
}

#[test]
fn readiness_progress_and_the_stop_are_told() {
    let home = Home::new("");
    let supervisor = UnixDatagram::bind(home.path("notify")).unwrap();
    supervisor.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut command = home.command();
    command.env("NOTIFY_SOCKET", home.path("notify")).env("WATCHDOG_USEC", "4000000");
    let relay = Relay::start(command, &home.path("log"));
    wait_for_state(&supervisor, "READY=1");
    wait_for_state(&supervisor, "WATCHDOG=1");
    let took = relay.stop_in_time();
    assert!(took < Duration::from_secs(5), "with nothing to do it took {took:?}");
    wait_for_state(&supervisor, "STOPPING=1");
}

#[test]
fn what_is_queued_at_the_stop_is_in_the_store() {
    let home = Home::new("");
    let relay = home.start_listening(&["threads=1".into()]);
    let sent = send_paced(relay.udp, 20_000, |_| "last.words:1|c".into(), |_| true).lines;
    // As much as the kernel holds, and several batches: the stop comes before most of it is read.
    wait_for_room(relay.udp);
    relay.pause();
    let datagram = "last.words:1|c\n".repeat(95);
    (0..WAITING).for_each(|_| relay.send(&datagram));
    relay.stop_in_time();
    let relay = home.start();
    relay.wait_for_sum("last_words", &[], (sent + WAITING * 95) as f64);
    relay.stop();
}

/// `send` sends one line to `held`, which several relays inherit one after the other.
fn assert_kept_between_relays(home: &Home, held: OwnedFd, send: impl Fn()) {
    let start = || {
        let mut command = Command::new("sh");
        command.args(["-c", INHERIT, "sh", BINARY, "run", "--config"]).arg(home.path("relay.yaml"));
        command.stdin(held.try_clone().unwrap());
        Relay::start(command, &home.path("log"))
    };
    let mut sent = 0.0;
    for round in 0..4 {
        // The first round goes to a running relay, the others to nobody.
        let relay = (round == 0).then(start);
        // A unix socket need not hold more than ten.
        for _ in 0..10 {
            send();
            sent += 1.0;
        }
        let relay = relay.unwrap_or_else(start);
        relay.wait_for_sum("held_hits", &[], sent);
        relay.stop();
    }
}

#[test]
fn an_inherited_socket_keeps_what_arrives_between_two_relays() {
    let (home, held) = (Home::new(""), UdpSocket::bind("127.0.0.1:0").unwrap());
    let (address, client) = (held.local_addr().unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    assert_kept_between_relays(&home, held.into(), || assert_eq!(client.send_to(b"held.hits:1|c", address).unwrap(), 13));
}

#[test]
fn an_inherited_unix_socket_is_as_open_to_its_senders_after_a_stop_as_before() {
    let home = Home::new("");
    let path = home.path("held");
    let (held, client) = (UnixDatagram::bind(&path).unwrap(), UnixDatagram::unbound().unwrap());
    client.connect(&path).unwrap();
    assert_kept_between_relays(&home, held.into(), || assert_eq!(client.send(b"held.hits:1|c").unwrap(), 13));
}

#[test]
fn socket_activation_hands_over_the_first_datagram() {
    let Some(activate) = program("systemd-socket-activate") else { return skip("no systemd-socket-activate") };
    let home = Home::new("");
    // The activator cannot be told to choose one.
    let address = free_port();
    let mut command = Command::new(activate);
    command.stdin(Stdio::null());
    command.args(["--datagram", "--fdname=statsd", "-l"]).arg(address.to_string());
    command.arg(Path::new(BINARY)).args(["run", "--config"]).arg(home.path("relay.yaml"));
    let client = std::thread::spawn(move || {
        wait_for("the activator's socket", || is_bound(address).then_some(()));
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"first.hit:1|c", address).unwrap();
    });
    let relay = Relay::start(command, &home.path("log"));
    client.join().unwrap();
    assert_eq!(relay.udp, address);
    relay.wait_for_sum("first_hit", &[], 1.0);
    relay.assert_balanced(1);
    relay.stop();
}
