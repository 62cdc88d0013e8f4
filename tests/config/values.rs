//! Keys and values: each error has its place, what is wrong, and the nearest valid thing.

use statsd_relay::config::Config;

use crate::{DATADOG, loaded, refused};

#[test]
fn an_error_says_where_what_and_the_nearest_valid_thing() {
    let table = [
        ("aggregate:\n  intervall: 10s\n", "relay.yaml:2:3: aggregate.intervall: unknown key; did you mean `interval`?"),
        ("lisen:\n  strict: true\n", "relay.yaml:1:1: lisen: unknown key; did you mean `listen`?"),
        ("log: { listen: 1 }\n", "relay.yaml:1:8: log.listen: unknown key; expected level, format"),
        ("log: { log: 1 }\n", "relay.yaml:1:8: log.log: unknown key; expected level, format"),
        (
            "listen:\n  udp:\n    - { address: '127.0.0.1:1', dialekt: statsd }\n",
            "relay.yaml:3:33: listen.udp[0].dialekt: unknown key; did you mean `dialect`?",
        ),
        ("sinks:\n  - name: dd\n    tipe: datadog\n", "relay.yaml:3:5: sinks[0].tipe: unknown key; did you mean `type`?"),
        ("sinks:\n  - name: dd\n", "relay.yaml:2:5: sinks[0]: `type` is missing"),
        ("sinks:\n  - { name: dd, type: datadig }\n", "relay.yaml:2:23: sinks[0].type: unknown value `datadig`; did you mean `datadog`?"),
        (
            "sinks:\n  - name: dd\n    type: datadog\n    api_key: { envv: KEY }\n",
            "relay.yaml:4:14: sinks[0].api_key.envv: unknown key; did you mean `env`?",
        ),
        ("limits:\n  series: many\n", "relay.yaml:2:11: limits.series: invalid type: string \"many\", expected a whole number, 0 or more"),
        ("limits:\n  series: -1\n", "relay.yaml:2:11: limits.series: invalid type: integer `-1`, expected a whole number, 0 or more"),
        ("listen: { strict: yes }\n", "relay.yaml:1:19: listen.strict: invalid type: string \"yes\", expected true or false"),
        ("aggregate: 10s\n", "relay.yaml:1:12: aggregate: invalid type: string \"10s\", expected a mapping"),
        ("- aggregate\n", "relay.yaml:1:1: invalid type: list, expected a mapping of sections"),
        (
            "aggregate:\n  interval: 10 seconds\n",
            "relay.yaml:2:13: aggregate.interval: invalid duration \"10 seconds\": expected units y, w, d, h, m, s, ms from large to small, such as 10s or 1h30m",
        ),
        (
            "aggregate:\n  interval:\n",
            "relay.yaml:2:12: aggregate.interval: invalid type: nothing, expected a duration such as 10s, 5m or 1h30m",
        ),
        ("aggregate:\n  interval: 10\n", "relay.yaml:2:13: aggregate.interval: invalid duration 10: it needs a unit, such as 10s"),
        (
            "notify:\n  route:\n    group_wait: 5\n",
            "relay.yaml:3:17: notify.route.group_wait: invalid duration 5: it needs a unit, such as 5s",
        ),
        (
            "listen:\n  receive_buffer: 4 MB\n",
            "relay.yaml:2:19: listen.receive_buffer: invalid size \"4 MB\": expected a number with B, KiB, MiB, GiB, KB, MB or GB, such as 64KiB",
        ),
        (
            "listen:\n  threads: 65\n",
            "relay.yaml:2:12: listen.threads: invalid value: integer `65`, expected auto or a number from 1 to 64",
        ),
    ];
    for (text, message) in table {
        assert_eq!(refused(text), message, "{text}");
    }
}

#[test]
fn a_value_that_breaks_a_rule_is_refused_at_its_place() {
    let table = [
        ("aggregate: { interval: 500ms }", "1:24: aggregate.interval: expected whole seconds, at least 1s"),
        ("aggregate: { interval: 1500ms }", "1:24: aggregate.interval: expected whole seconds, at least 1s"),
        ("aggregate: { percentiles: [0.5, 0.50] }", "1:33: aggregate.percentiles[1]: listed twice"),
        ("aggregate: { expire: 5s }", "1:22: aggregate.expire: expected at least aggregate.interval, or 0 to keep series for good"),
        (
            "aggregate:\n  percentiles: [0.5, 1.5]",
            "2:22: aggregate.percentiles[1]: a percentile lies inside (0, 1), such as 0.99; this is 1.5",
        ),
        (
            "aggregate: { percentiles: [.nan] }",
            "1:28: aggregate.percentiles[0]: a percentile lies inside (0, 1), such as 0.99; this is NaN",
        ),
        ("limits: { key_bytes: 20000 }", "1:22: limits.key_bytes: expected 1 to 16384 bytes"),
        ("limits: { series: 0 }", "1:19: limits.series: expected at least 1"),
        (
            "listen: { udp: ['localhost:8125'] }",
            "1:17: listen.udp[0]: invalid address \"localhost:8125\": expected an IP address and a port, such as 127.0.0.1:8125 or [::1]:8125",
        ),
        ("listen: { udp: ['127.0.0.1:1', '127.0.0.1:1'] }", "1:32: listen.udp[1]: listed twice"),
        (
            "listen: { unix_stream: [{ path: s.sock }] }",
            "1:33: listen.unix_stream[0].path: expected an absolute path, or @ and a name, of at most 107 bytes",
        ),
        (
            "listen: { unix_datagram: [{ path: /a, mode: '0999' }] }",
            "1:45: listen.unix_datagram[0].mode: expected an octal mode in quotes, such as \"0722\"",
        ),
        (
            "listen: { allow_from: [10.0.0.0/33] }",
            "1:24: listen.allow_from[0]: invalid address prefix \"10.0.0.0/33\": expected one such as 10.0.0.0/8 or fd00::/8",
        ),
        (
            "listen: { unix_datagram: [{ path: /run/a }, { path: /run/b }], unix_stream: [{ path: /run//b }, { path: '@a' }] }",
            "1:86: listen.unix_stream[0].path: \"/run//b\" is taken by listen.unix_datagram[1]; a socket file has one kind: choose another path",
        ),
        ("listen: { max_connections: 0 }", "1:28: listen.max_connections: expected at least 1"),
        ("listen: { idle_timeout: 0s }", "1:25: listen.idle_timeout: expected more than 0s"),
        ("scrape: { path: metrics }", "1:17: scrape.path: expected a path such as /metrics"),
        ("scrape: { path: /api/v1/query }", "1:17: scrape.path: this path answers something else"),
        (
            "sinks: [{ name: a, type: datadog, api_key: k, histogram_percentiles: [0.995] }]",
            "1:71: sinks[0].histogram_percentiles[0]: expected a whole percent, such as 0.95: the metric's name ends in it",
        ),
        (
            "sinks: [{ name: a, type: datadog, api_key: k, url: 'http://h/', site: datadoghq.eu }]",
            "1:71: sinks[0].site: url is set too; leave out one of them",
        ),
        ("store: { max_size: 1MiB }", "1:20: store.max_size: expected at least 16MiB"),
        ("notify: { route: { receiver: ops } }", "1:30: notify.route.receiver: no receiver is named \"ops\"; notify.receivers is empty"),
        (
            "notify:\n  receivers: [{ name: ops }]\n  route:\n    receiver: ops\n    routes:\n      - receiver: opps",
            "6:19: notify.route.routes[0].receiver: no receiver is named \"opps\"; did you mean \"ops\"?",
        ),
        ("notify:\n  route:\n    receiver:\n    group_wait: 1s", "3:5: notify.route.receiver: the first route needs a receiver"),
        ("notify: { heartbeat: { url: 'http://h/', every: 500ms } }", "1:49: notify.heartbeat.every: expected at least 1s"),
        (
            "notify: { receivers: [{ name: a }], route: { receiver: a, routes: [{ matchers: ['b=c\"'] }] } }",
            "1:81: notify.route.routes[0].matchers[0]: invalid matcher \"b=c\\\"\": expected name=\"value\", with =, !=, =~ or !~",
        ),
        ("notify: { receivers: [{ name: a }, { name: a }] }", "1:44: notify.receivers[1].name: \"a\" is taken by notify.receivers[0]"),
        (
            "notify:\n  receivers: [{ name: a }]\n  route: { receiver: a, routes: [{ matchers: ['team'] }] }",
            "3:47: notify.route.routes[0].matchers[0]: invalid matcher \"team\": expected name=\"value\", with =, !=, =~ or !~",
        ),
        (
            "notify: { receivers: [{ name: a, webhook: [{ url: 'ops:secret' }] }] }",
            "1:51: notify.receivers[0].webhook[0].url: invalid URL: expected http://HOST[:PORT]/... or https://HOST[:PORT]/...",
        ),
    ];
    for (text, message) in table {
        assert_eq!(refused(text), format!("relay.yaml:{message}"), "{text}");
    }
}

#[test]
fn buckets_that_do_not_ascend_are_named() {
    assert_eq!(refused("scrape:\n  buckets: [0.1, 0.1]\n"), "relay.yaml:2:18: scrape.buckets[1]: buckets ascend, and 0.1 follows 0.1");
    let many = format!("scrape: {{ timers: histogram, buckets: {:?} }}\n", (0..=200).collect::<Vec<_>>());
    assert_eq!(refused(&many), "relay.yaml:1:39: scrape.buckets: expected at most 200 upper bounds");
}

#[test]
fn a_list_of_tiers_that_is_not_built_yet_says_what_to_write() {
    let (minute, hour) = ("{ keep: 2w, step: 1m }", "{ keep: 400d, step: 1h }");
    let missing = |index: usize, tier: &str| {
        format!("relay.yaml:1:17: store.tiers[{index}]: a list without it is not built yet; write {tier}, or leave store.tiers out")
    };
    let missing = format!("{}\n{}", missing(1, minute), missing(2, hour));
    let table = [
        ("[{ step: raw, keep: 48h }]", missing.clone()),
        ("[]", "relay.yaml:1:17: store.tiers: expected at least { step: raw, keep: 48h }".to_string()),
        ("[{ step: 1m, keep: 14d }]", format!("{missing}\nrelay.yaml:1:26: store.tiers[0].step: the first tier is raw")),
        (
            "[{ step: raw, keep: 48h }, { step: 1m, keep: 1d }, { step: 1h, keep: 400d }]",
            format!(
                "relay.yaml:1:44: store.tiers[1]: not built yet; write {minute}, or leave store.tiers out\n\
                 relay.yaml:1:62: store.tiers[1].keep: a coarser tier is kept at least as long as the one before"
            ),
        ),
    ];
    for (tiers, told) in table {
        assert_eq!(refused(&format!("store: {{ tiers: {tiers} }}\n")), told, "{tiers}");
        assert_eq!(loaded(&format!("store: {{ tiers: [{{ step: raw, keep: 48h }}, {minute}, {hour}] }}")), Config::default());
    }
}

#[test]
fn a_sink_has_the_keys_of_its_type() {
    let table = [
        ("    version: 1\n", "5:14: sinks[0].version: a datadog sink has no such key; it belongs to remote_write"),
        ("    on_down: drop\n", "5:14: sinks[0].on_down: a datadog sink has no such key; it belongs to statsd"),
        ("    site: https://datadoghq.com\n", "5:11: sinks[0].site: expected a host name such as datadoghq.com or datadoghq.eu"),
        ("    url: 127.0.0.1:9999\n", "5:10: sinks[0].url: invalid URL: expected http://HOST[:PORT]/... or https://HOST[:PORT]/..."),
        (
            "    histogram_percentiles: [95]\n",
            "5:29: sinks[0].histogram_percentiles[0]: a percentile lies inside (0, 1), such as 0.99; this is 95",
        ),
        ("    timeout: 0s\n", "5:14: sinks[0].timeout: expected more than 0s"),
        ("  - { name: dd, type: datadog, api_key: b }\n", "5:13: sinks[1].name: \"dd\" is taken by sinks[0]"),
        ("  - { name: b, type: datadog }\n", "5:5: sinks[1].api_key: a datadog sink needs api_key: { env: DD_API_KEY }"),
        ("  - { name: a/b, type: datadog, api_key: b }\n", "5:13: sinks[1].name: a name is 1 to 64 letters, digits, _ . or -"),
    ];
    for (more, message) in table {
        assert_eq!(refused(&format!("{DATADOG}{more}")), format!("relay.yaml:{message}"), "{more}");
    }
}

#[test]
fn every_rule_that_is_broken_is_told_in_one_run() {
    let told = refused("aggregate: { interval: 1ms }\nlimits: { series: 0 }\nchecks: [{ name: a, type: tcp, target: b }]\n");
    assert_eq!(told.lines().count(), 3, "{told}");
}
