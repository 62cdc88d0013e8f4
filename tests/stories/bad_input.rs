//! What is wrong is said with its place and its remedy, and harms nothing else.

use std::net::{TcpListener, UdpSocket};

use crate::relay::{Home, Outcome, outcome, relay};

/// The relay gave up with `code`, and its words on stderr hold each of `words`.
fn assert_refused(end: &Outcome, code: i32, words: &[&str]) {
    assert_eq!(end.code, Some(code), "{end:?}");
    for word in words {
        assert!(end.stderr.contains(word), "no {word:?} in: {}", end.stderr);
    }
    assert!(!end.stderr.contains("panicked"), "{}", end.stderr);
}

#[test]
fn a_wrong_key_is_named_with_its_place_and_its_neighbour() {
    let home = Home::new("scrape:\n  counter_sufix: true");
    let file = home.path("relay.yaml");
    let place = format!("{}:6:3", file.display());
    assert_refused(&outcome(home.command()), 78, &[&place, "scrape.counter_sufix", "counter_suffix"]);

    let mut check = relay();
    check.arg("check").arg(&file);
    let end = outcome(check);
    assert_eq!(end.code, Some(78), "{end:?}");
    assert!(format!("{}{}", end.stdout, end.stderr).contains(&place), "{end:?}");
}

#[test]
fn a_named_file_that_is_missing_is_a_wrong_configuration() {
    let mut command = relay();
    command.args(["run", "--config", "/nowhere/relay.yaml"]);
    assert_refused(&outcome(command), 78, &["/nowhere/relay.yaml"]);
}

#[test]
fn a_key_that_is_not_built_yet_is_refused_with_its_place() {
    let home = Home::new("alertmanagers: [\"http://127.0.0.1:9093\"]");
    let place = format!("{}:5:16", home.path("relay.yaml").display());
    assert_refused(&outcome(home.command()), 78, &[&place, "alertmanagers", "not built yet"]);
}

#[test]
fn a_busy_port_is_named() {
    let home = Home::new("");
    let (http, udp) = (TcpListener::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let taken = [("--http", http.local_addr().unwrap().to_string()), ("--udp", udp.local_addr().unwrap().to_string())];
    for (flag, address) in taken {
        let mut command = home.command();
        command.args([flag, &address]);
        assert_refused(&outcome(command), 1, &[&address]);
    }
}

#[test]
fn a_data_directory_that_cannot_be_used_is_named() {
    let home = Home::new("");
    // Below a plain file nobody can make a directory, not even root.
    let folder = home.write("plain", "").join("data");
    let mut command = home.command();
    command.arg("--data-dir").arg(&folder);
    assert_refused(&outcome(command), 1, &[&folder.display().to_string()]);
}

#[test]
fn a_second_relay_leaves_the_data_of_the_first_alone() {
    let home = Home::new("");
    let mut first = home.start();
    assert_refused(&outcome(home.command()), 75, &[&home.data().display().to_string()]);
    assert!(first.is_running());
    first.send("still.here:1|c");
    first.wait_for_sum("still_here", &[], 1.0);
    first.stop();
}

#[test]
fn a_broken_rule_file_is_named_with_its_place() {
    let cases = [
        ("groups:\n  - name: g\n    rules:\n      - alert: A\n        exper: up\n", 5, "exper"),
        ("groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: sum(\n", 5, "expr"),
        ("groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: no_such_function(up)\n", 5, "no_such_function"),
    ];
    for (text, line, word) in cases {
        let home = Home::new("");
        let rules = home.write("broken.yml", text);
        home.configure(&format!("rules: {{ files: [{}] }}", rules.display()));
        assert_refused(&outcome(home.command()), 78, &[&format!("broken.yml:{line}"), word]);
    }
}

#[test]
fn a_broken_mapping_file_is_named_with_its_place() {
    let home = Home::new("shape: { mapping: mapping.yml }");
    home.write("mapping.yml", "mappings:\n  - match: a.*\n    nmae: b\n");
    let words = ["mapping.yml:3:5", "mappings[0].nmae", "did you mean `name`?"];
    assert_refused(&outcome(home.command()), 78, &words);
    let mut check = relay();
    check.arg("check").arg(home.path("relay.yaml"));
    let end = outcome(check);
    assert_eq!(end.code, Some(78), "{end:?}");
    assert!(words.iter().all(|word| end.stdout.contains(word)), "{end:?}");

    home.configure("shape: { filters: [{ drop: { regex: '(' } }] }");
    assert_refused(&outcome(home.command()), 78, &["relay.yaml:5:", "shape.filters[0].drop.regex", "unclosed group"]);
}

#[test]
fn hostile_datagrams_are_counted_by_reason_and_cost_their_neighbours_nothing() {
    let home = Home::new("");
    let mut relay = home.start();
    let colons = vec![b':'; 65_507];
    let cases: [(&[u8], &str); 18] = [
        (b"no colon at all", "missing_colon"),
        (b"\0\0\0\0", "missing_colon"),
        (b":1|c", "empty_name"),
        (&colons, "empty_name"),
        (b"a:1", "missing_type"),
        (b"a:|c", "empty_value"),
        (b"a:1|nonsense", "unknown_type"),
        (b"a:one|c", "bad_value"),
        (b"a:NaN|g", "non_finite_value"),
        (b"a:1e999|c", "non_finite_value"),
        (b"a:1|c|@often", "bad_sample_rate"),
        (b"a:1|g|T-5", "bad_timestamp"),
        (b"\xff\xfe:1|c", "bad_utf8"),
        (b"_e{5}:hello", "event_bad_header"),
        (b"_e{0,2}:|ab", "event_empty_title"),
        (b"_e{5,500}:hello|ab", "event_truncated"),
        (b"_sc|db", "sc_malformed"),
        (b"_sc|db|9", "sc_bad_status"),
    ];
    let mut sent = 0;
    for (bad, _) in cases {
        if bad.len() < 1_000 {
            relay.send([b"good:1|c\n", bad, b"\ngood:1|c"].concat());
        } else {
            relay.send(bad);
        }
        sent += 1;
    }
    relay.send(b"");
    let short = cases.iter().filter(|(bad, _)| bad.len() < 1_000).count();
    relay.wait_for_page(|page| {
        let mut amiss = Vec::new();
        for (_, reason) in cases {
            let times = cases.iter().filter(|(_, other)| *other == reason).count() as f64;
            let counted = page.sum("statsd_relay_lines_rejected_total", &[("reason", reason)]);
            if counted != times {
                amiss.push(format!("{reason}: {counted}, not {times}"));
            }
        }
        let good = page.value("good", &[]);
        if good != Some(2.0 * short as f64) {
            amiss.push(format!("good is {good:?}"));
        }
        let empty = page.sum("statsd_relay_datagrams_empty_total", &[]);
        if empty != 1.0 {
            amiss.push(format!("{empty} empty datagrams"));
        }
        amiss
    });
    assert!(relay.is_running());
    relay.assert_balanced(sent + 1);
    relay.stop();
}
