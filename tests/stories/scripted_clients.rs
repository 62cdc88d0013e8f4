//! Programs in Node, Perl, Ruby and bash keep what they send with, and the totals are exact.

use crate::existing_clients::{assert_shows, assert_totals, plain, port, run_client};
use crate::peers::Peer;
use crate::relay::{Home, Relay};

/// What `with_hot_shots.js` sends, by whatever way.
pub(crate) fn assert_shows_hot_shots(relay: &Relay) {
    let expected = [
        ("js_hits", Some(("page", "home")), 10.0),
        ("js_hits", Some(("page", "cart")), 3.0),
        ("js_hits", Some(("client", "hot-shots")), 13.0),
        ("js_sampled", None, 4.0),
        ("js_load", None, 9.0),
        ("js_request_count", None, 2.0),
        ("js_request_sum", None, 0.75),
        ("js_size_count", None, 3.0),
        ("js_size_sum", None, 2_048.0),
        ("js_latency_count", None, 2.0),
        ("js_latency_sum", None, 0.5),
        ("statsd_relay_events_total", None, 1.0),
        ("statsd_relay_service_checks_total", None, 1.0),
    ];
    assert_shows(relay, &expected, "js_users", 2.0);
}

/// What `with_statsd_client.js` sends, by whatever way.
pub(crate) fn assert_shows_statsd_client(relay: &Relay) {
    let expected = [
        ("sc_hits", Some(("page", "home")), 10.0),
        ("sc_hits", Some(("page", "cart")), 3.0),
        ("sc_hits", Some(("client", "statsd-client")), 13.0),
        ("sc_load", None, 9.0),
        ("sc_request_count", None, 2.0),
        ("sc_request_sum", None, 0.75),
        ("sc_size_sum", None, 1_024.0),
        ("sc_latency_sum", None, 0.125),
    ];
    assert_shows(relay, &expected, "sc_users", 2.0);
}

#[test]
fn the_node_client_hot_shots_is_understood() {
    let Some(packages) = Peer::Node.get() else { return };
    let home = Home::new("");
    let relay = home.start_listening(&[plain()]);
    run_client("node", &[("NODE_PATH", &packages.join("node_modules"))], "with_hot_shots.js", &[&port(&relay)]);
    assert_shows_hot_shots(&relay);
}

#[test]
fn the_node_client_statsd_client_is_understood() {
    let Some(packages) = Peer::Node.get() else { return };
    let home = Home::new("");
    let relay = home.start_listening(&[plain()]);
    run_client("node", &[("NODE_PATH", &packages.join("node_modules"))], "with_statsd_client.js", &[&port(&relay)]);
    assert_shows_statsd_client(&relay);
}

#[test]
fn the_node_client_lynx_is_understood() {
    let Some(packages) = Peer::Node.get() else { return };
    let home = Home::new("");
    let relay = home.start_listening(&[plain()]);
    run_client("node", &[("NODE_PATH", &packages.join("node_modules"))], "with_lynx.js", &[&port(&relay)]);
    let expected = [
        ("lynx_hits", None, 14.0),
        ("lynx_misses", None, 5.0),
        ("lynx_load", None, 7.0),
        ("lynx_request_count", None, 2.0),
        ("lynx_request_sum", None, 0.75),
        ("lynx_batched", None, 2.0),
        ("lynx_other_batched", None, 3.0),
    ];
    assert_shows(&relay, &expected, "lynx_users", 2.0);
}

#[test]
fn the_perl_client_net_statsd_is_understood() {
    let Some(packages) = Peer::Perl.get() else { return };
    let home = Home::new("");
    let relay = home.start_listening(&[plain()]);
    run_client("perl", &[("PERL5LIB", &packages.join("usr/share/perl5"))], "with_net_statsd.pl", &[&port(&relay)]);
    let expected = [
        ("perl_hits", None, 14.0),
        ("perl_misses", None, 5.0),
        ("perl_sampled", None, 4.0),
        ("perl_load", None, 7.0),
        ("perl_depth", None, 2.5),
        ("perl_request_count", None, 3.0),
        ("perl_request_sum", None, 1.25),
    ];
    assert_totals(&relay, &expected);
    relay.assert_balanced(18);
}

#[test]
fn the_ruby_client_statsd_is_understood() {
    let Some(packages) = Peer::Ruby.get() else { return };
    let home = Home::new("");
    let relay = home.start_listening(&[plain()]);
    let libraries = packages.join("usr/lib");
    let machine = libraries.join("x86_64-linux-gnu");
    let folders = [libraries.join("ruby/3.1.0"), machine.join("ruby/3.1.0"), libraries.join("ruby/vendor_ruby")];
    let folders = std::env::join_paths(folders).unwrap();
    let environment = [("LD_LIBRARY_PATH", machine.as_path()), ("RUBYLIB", folders.as_ref()), ("RUBYOPT", "--disable-gems".as_ref())];
    run_client(packages.join("usr/bin/ruby3.1"), &environment, "with_statsd.rb", &[&port(&relay)]);
    let expected = [
        ("ruby_hits", None, 14.0),
        ("ruby_sampled", None, 4.0),
        ("ruby_load", None, 7.0),
        ("ruby_request_count", None, 3.0),
        ("ruby_request_sum", None, 1.25),
        ("ruby_batched", None, 5.0),
    ];
    assert_shows(&relay, &expected, "ruby_users", 2.0);
    relay.assert_balanced(19);
}

#[test]
fn bash_sends_without_a_client() {
    let home = Home::new("");
    let relay = home.start_listening(&["tcp=['127.0.0.1:0']".into()]);
    run_client("bash", &[], "with_bash.sh", &[&port(&relay), &relay.tcp().port().to_string()]);
    let expected =
        [("bash_hits", None, 20.0), ("bash_hits", Some(("way", "tcp")), 10.0), ("bash_load", None, 7.0), ("bash_request_sum", None, 0.25)];
    assert_shows(&relay, &expected, "bash_users", 2.0);
}
