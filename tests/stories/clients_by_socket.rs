//! The same libraries, told to use a unix socket or TCP: nothing else changes.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use cadence::prelude::*;
use cadence::{StatsdClient, UnixMetricSink};
use dogstatsd::DogstatsdError;

use crate::existing_clients::{assert_shows_datadog, assert_shows_plain, assert_totals, plain, run_client};
use crate::peers::{Peer, skip};
use crate::relay::{Home, Relay};
use crate::scripted_clients::{assert_shows_hot_shots, assert_shows_statsd_client};

const TCP: &str = "tcp=['127.0.0.1:0']";

/// A relay with both unix sockets, whose paths are the home's `d.sock` and `s.sock`.
fn start_unix(home: &Home, more: &[String]) -> Relay {
    let (datagram, stream) = (home.path("d.sock"), home.path("s.sock"));
    let mut listen =
        vec![format!("unix_datagram=[{{ path: {} }}]", datagram.display()), format!("unix_stream=[{{ path: {} }}]", stream.display())];
    listen.extend_from_slice(more);
    home.start_listening(&listen)
}

#[test]
fn the_python_client_datadog_sends_to_both_kinds_of_unix_socket() {
    let Some(packages) = Peer::Python.get() else { return };
    for (scheme, socket) in [("unix", "d.sock"), ("unixgram", "d.sock"), ("unix", "s.sock"), ("unixstream", "s.sock")] {
        let home = Home::new("");
        let relay = start_unix(&home, &[]);
        let url = format!("{scheme}://{}", home.path(socket).display());
        run_client("python3", &[("PYTHONPATH", &packages)], "with_datadog.py", &[&url]);
        assert_shows_datadog(&relay);
    }
}

#[test]
fn the_node_client_hot_shots_sends_to_a_unix_socket() {
    let Some(packages) = Peer::Node.get() else { return };
    if !packages.join("node_modules/unix-dgram/build/Release/unix_dgram.node").exists() {
        return skip("unix-dgram could not be compiled for Node");
    }
    let home = Home::new("");
    let relay = start_unix(&home, &[plain()]);
    run_client("node", &[("NODE_PATH", &packages.join("node_modules"))], "with_hot_shots.js", &[home.path("d.sock").to_str().unwrap()]);
    assert_shows_hot_shots(&relay);
}

#[test]
fn rust_clients_send_to_a_unix_socket() {
    let home = Home::new("");
    let relay = start_unix(&home, &[]);
    let path = home.path("d.sock");
    let sink = UnixMetricSink::from(&path, UnixDatagram::unbound().unwrap());
    let client = StatsdClient::builder("rust", sink).with_tag("client", "cadence").build();
    for _ in 0..100 {
        client.incr("hits").unwrap();
    }
    let options = dogstatsd::Options { socket_path: Some(path.display().to_string()), ..dogstatsd::Options::default() };
    let client = dogstatsd::Client::new(options).unwrap();
    for _ in 0..100 {
        // It does not wait for room in the queue, but says that there is none.
        while let Err(error) = client.incr("rust.hits", ["client:dogstatsd"]) {
            assert!(matches!(&error, DogstatsdError::IoError(error) if error.kind() == ErrorKind::WouldBlock), "{error}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let of = |client| ("rust_hits", Some(("client", client)), 100.0);
    assert_totals(&relay, &[of("cadence"), of("dogstatsd")]);
    relay.assert_balanced(200);
}

#[test]
fn the_python_client_statsd_sends_over_tcp() {
    let Some(packages) = Peer::Python.get() else { return };
    let home = Home::new("");
    let relay = home.start_listening(&[plain(), TCP.into()]);
    run_client("python3", &[("PYTHONPATH", &packages)], "with_statsd.py", &[&relay.tcp().port().to_string(), "tcp"]);
    assert_shows_plain(&relay);
    relay.assert_balanced(0);
}

#[test]
fn the_node_client_statsd_client_sends_over_tcp() {
    let Some(packages) = Peer::Node.get() else { return };
    let home = Home::new("");
    let relay = home.start_listening(&[plain(), TCP.into()]);
    let to = relay.tcp().port().to_string();
    run_client("node", &[("NODE_PATH", &packages.join("node_modules"))], "with_statsd_client.js", &[&to, "tcp"]);
    assert_shows_statsd_client(&relay);
    relay.assert_balanced(0);
}
