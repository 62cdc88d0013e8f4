//! What a person who edits relay.yaml is told.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use statsd_relay::config::{self, Config, ConfigError, Loaded, REFERENCE, Sources};
use tempfile::TempDir;

/// A directory with one relay.yaml.
struct Bench {
    directory: TempDir,
}

impl Bench {
    fn with(text: &str) -> Bench {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("relay.yaml"), text).unwrap();
        Bench { directory }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("relay.yaml")
    }

    fn load(&self, environment: &[(&str, &str)], sets: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
        let environment = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let mut sources = Sources::new(Some(self.file()), environment);
        for (path, value) in sets {
            sources.flag("--set", path, value.to_string());
        }
        config::load(&sources)
    }

    /// The findings with the directory left out of them.
    fn told(&self, error: impl ToString) -> String {
        error.to_string().replace(&format!("{}/", self.directory.path().display()), "")
    }

    fn refused(&self) -> String {
        self.told(self.load(&[], &[]).expect_err("it loads"))
    }

    fn binary(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_statsd-relay")).args(arguments).current_dir(self.directory.path()).output().unwrap()
    }
}

fn refused(text: &str) -> String {
    Bench::with(text).refused()
}

fn loaded(text: &str) -> Config {
    Bench::with(text).load(&[], &[]).unwrap_or_else(|error| panic!("{error}\n{text}")).config
}

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
        ("limits:\n  series: many\n", "relay.yaml:2:11: limits.series: invalid type: string \"many\", expected a whole number"),
        ("listen: { strict: yes }\n", "relay.yaml:1:19: listen.strict: invalid type: string \"yes\", expected true or false"),
        ("aggregate: 10s\n", "relay.yaml:1:12: aggregate: invalid type: string \"10s\", expected a mapping"),
        ("- aggregate\n", "relay.yaml:1:1: invalid type: list, expected a mapping of sections"),
        (
            "aggregate:\n  interval: 10 seconds\n",
            "relay.yaml:2:13: aggregate.interval: invalid duration \"10 seconds\": expected units y, w, d, h, m, s, ms from large to small, such as 10s or 1h30m",
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

const DATADOG: &str = "sinks:\n  - name: dd\n    type: datadog\n    api_key: secret-canary\n";

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

#[test]
fn a_secret_that_cannot_be_read_is_an_error_and_its_value_is_never_told() {
    let file = "sinks: [{ name: dd, type: datadog, api_key: { file: key } }]\n";
    let bench = Bench::with(file);
    assert_eq!(
        bench.refused(),
        "relay.yaml:1:45: sinks[0].api_key: cannot read the secret file key: No such file or directory (os error 2)"
    );
    // The file's directory is where its relative paths start.
    let key = bench.directory.path().join("key");
    std::fs::write(&key, "k\n").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let Loaded { config, warnings, .. } = bench.load(&[], &[]).unwrap();
    assert_eq!(warnings.iter().filter(|warning| warning.message.starts_with("everyone on this host can read")).count(), 1);
    assert_eq!(config.sinks[0].api_key.as_ref().unwrap().read(), Ok("k".to_string()));
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(bench.load(&[], &[]).unwrap().warnings.is_empty());
    assert_eq!(
        refused("sinks: [{ name: dd, type: datadog, api_key: { env: NO_SUCH_VARIABLE } }]"),
        "relay.yaml:1:45: sinks[0].api_key: the environment variable NO_SUCH_VARIABLE is not set"
    );
    for wrong in [
        "sinks: [{ name: a, type: datadog, api_key: 7700770077 }]",
        "sinks: [{ name: a, type: datadog, api_key: [7700770077] }]",
        "sinks: [{ name: a, type: remote_write, basic_auth: 'user:7700770077' }]",
        "sinks: [{ name: a, type: remote_write, headers: 'Token: 7700770077' }]",
        "http: { admin: 7700770077 }",
        "notify: { receivers: [{ name: a, webhook: ['http://h/7700770077'] }] }",
        "notify: { receivers: [{ name: a, webhook: [{ url: 'http//h/7700770077' }] }] }",
    ] {
        let told = refused(wrong);
        assert!(!told.contains("7700770077"), "{told}");
    }
}

#[test]
fn a_key_given_twice_is_refused_in_sections_and_in_maps() {
    assert_eq!(
        refused("aggregate:\n  interval: 10s\n  interval: 5s\nlimits: {}\nlimits: {}\n"),
        "relay.yaml:3:3: aggregate.interval: this key is given twice\nrelay.yaml:5:1: limits: this key is given twice"
    );
    assert_eq!(refused("shape: { tags: { a: x, \"a\": y } }\n"), "relay.yaml:1:24: shape.tags.a: this key is given twice");
    assert_eq!(refused("sinks:\n  - name: a\n  - name: b\n    name: c\n"), "relay.yaml:4:5: sinks[1].name: this key is given twice");
}

#[test]
fn a_file_that_would_cost_too_much_is_refused_before_it_does() {
    let bomb: String = (1..30).map(|i| format!("a{i}: &a{i} [*a{}, *a{}]\n", i - 1, i - 1)).collect();
    assert_eq!(refused(&format!("a0: &a0 [x]\n{bomb}")), "relay.yaml:1:5: a0: anchors are not supported; write the value out");
    assert_eq!(refused("a: *b\n").split(": ").last(), Some("while parsing node, found unknown anchor"));
    assert_eq!(refused(&"#".repeat(2 << 20)), "relay.yaml: the file is larger than 1 MiB");
    let deep = |n: usize| format!("shape:\n  tags: {}{}\n", "[".repeat(n), "]".repeat(n));
    assert_eq!(refused(&deep(100)).split_once(": ").unwrap().0, "relay.yaml:2:39");
    assert!(refused(&deep(100)).ends_with("nested deeper than 32 levels"));
    assert!(refused(&deep(200_000)).ends_with("this is not YAML: recursion limit exceeded"));
    let long = refused(&format!("{}: 1\n", "k".repeat(500_000)));
    assert!(long.len() < 2_000, "{}", long.len());
    assert!(refused(&"a: 1\n".repeat(100_000)).lines().count() <= 20);
}

#[test]
fn what_is_not_one_plain_document_is_refused() {
    let table = [
        ("a: 1\n---\nb: 2\n", "relay.yaml:2:1: a second document; one file holds one"),
        ("aggregate: !custom {}\n", "relay.yaml:1:12: aggregate: tags are not supported"),
        ("? [a]\n: 1\n", "relay.yaml:1:3: a key must be a word"),
    ];
    for (text, message) in table {
        assert_eq!(refused(text), message, "{text}");
    }
    assert!(refused("listen: [\n").starts_with("relay.yaml:2:1: listen[0]: this is not YAML: "));
    let bench = Bench::with("");
    std::fs::write(bench.file(), b"log: \xff\n").unwrap();
    assert_eq!(bench.refused(), "relay.yaml: not UTF-8 at byte 5");
}

#[test]
fn an_empty_file_and_an_empty_section_are_the_defaults() {
    for text in ["", "# nothing\n", "---\n", "aggregate:\n  # interval: 1s\nsinks:\n", "\u{feff}log: {}\n"] {
        assert_eq!(loaded(text), Config::default(), "{text:?}");
    }
}

#[test]
fn a_named_file_that_is_missing_is_an_error() {
    let bench = Bench::with("");
    let told = config::load(&Sources::new(Some(bench.directory.path().join("no.yaml")), [])).unwrap_err();
    assert_eq!(bench.told(told), "no.yaml: cannot read the configuration: No such file or directory (os error 2)");
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let bench = Bench::with("aggregate: { interval: 2s, expire: 2h }\nlisten: { udp: ['127.0.0.1:1'] }\n");
    let environment = [
        ("STATSD_RELAY__AGGREGATE__INTERVAL", "3s"),
        ("STATSD_RELAY__AGGREGATE__EXPIRE", "3h"),
        ("STATSD_RELAY__HTTP__LISTEN", "[\"127.0.0.1:2\"]"),
        ("STATSD_RELAY__LISTEN__UDP__0", "127.0.0.1:3"),
        ("STATSD_RELAY_URL", "is not a key"),
    ];
    let config =
        bench.load(&environment, &[("aggregate.interval", "4s"), ("log", "{ level: debug }"), ("log.format", "json")]).unwrap().config;
    assert_eq!(config.aggregate.interval, Duration::from_secs(4));
    assert_eq!(config.aggregate.expire, Duration::from_secs(3 * 3_600));
    assert_eq!(config.http.listen, ["127.0.0.1:2"]);
    assert_eq!(config.listen.udp[0].address, "127.0.0.1:3");
    assert_eq!(config::to_yaml(&config).split("log:").last(), Some("\n  level: debug\n  format: json\n"));
}

#[test]
fn an_error_of_the_environment_or_of_a_flag_names_it() {
    let bench = Bench::with("aggregate: { interval: 2s }\n");
    let environment = |name: &'static str, value: &'static str| bench.told(bench.load(&[(name, value)], &[]).unwrap_err());
    let set = |path: &'static str, value: &'static str| bench.told(bench.load(&[], &[(path, value)]).unwrap_err());
    assert_eq!(
        environment("STATSD_RELAY__AGGREGATE__INTERVALL", "5s"),
        "environment variable STATSD_RELAY__AGGREGATE__INTERVALL: aggregate.intervall: unknown key; did you mean `interval`?"
    );
    assert_eq!(
        environment("STATSD_RELAY__AGGREGATE__INTERVAL", "1ms"),
        "environment variable STATSD_RELAY__AGGREGATE__INTERVAL: aggregate.interval: expected whole seconds, at least 1s"
    );
    assert_eq!(set("aggregate.interval", "5"), "flag --set: aggregate.interval: invalid duration 5: it needs a unit, such as 5s");
    assert_eq!(set("listen.udp", "[a"), "flag --set: listen.udp[1]: this is not YAML: while parsing a flow sequence, expected ',' or ']'");
    assert_eq!(set("sinks[0].url", "x"), "flag --set: sinks[0].url: there is no item 0; an item is changed here, a list is set as a whole");
    assert_eq!(set("log.level.x", "1"), "flag --set: log.level: invalid type: mapping, expected a word");
    let both = bench.load(&[("STATSD_RELAY__AGGREGATE__INTERVAL", "5s")], &[("aggregate.interval", "1ms")]).unwrap_err();
    assert_eq!(bench.told(both), "flag --set: aggregate.interval: expected whole seconds, at least 1s");
    // The file's own errors keep their place whatever is laid over it.
    let broken = Bench::with("aggregate: { interval: 2 }\n");
    let told = broken.told(broken.load(&[], &[("aggregate.interval", "5s")]).unwrap_err());
    assert!(told.starts_with("relay.yaml:1:24: "), "{told}");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_text_is_refused() {
    use std::os::unix::ffi::OsStringExt as _;
    let bench = Bench::with("");
    let variable = (OsString::from("STATSD_RELAY__DATA_DIR"), OsString::from_vec(vec![b'a', 0xff]));
    let told = config::load(&Sources::new(Some(bench.file()), [variable])).unwrap_err();
    assert_eq!(told.to_string(), "environment variable STATSD_RELAY__DATA_DIR: data_dir: not UTF-8");
}

#[test]
fn relative_paths_start_where_they_were_written() {
    let bench = Bench::with("data_dir: data\nrules: { files: ['rules/*.yml', /etc/rules.yml] }\n");
    let here = |path: &str| bench.directory.path().join(path);
    let config = bench.load(&[], &[]).unwrap().config;
    assert_eq!(config.data_dir, Some(here("data")));
    assert_eq!(config.rules.files, [here("rules/*.yml").display().to_string(), "/etc/rules.yml".to_string()]);
    let config = bench.load(&[("STATSD_RELAY__RULES__FILES", "[a.yml]")], &[("data_dir", "elsewhere")]).unwrap().config;
    assert_eq!(config.data_dir, Some(PathBuf::from("elsewhere")));
    assert_eq!(config.rules.files, ["a.yml"]);
}

#[test]
fn what_may_not_be_meant_is_a_warning() {
    let bench = Bench::with(&format!("http: {{ listen: ['0.0.0.0:9102', '[::1]:9102'] }}\nlisten: {{ udp: ['[::]:8125'] }}\n{DATADOG}"));
    let warnings: Vec<String> = bench.load(&[], &[]).unwrap().warnings.iter().map(|warning| bench.told(warning)).collect();
    assert_eq!(
        warnings,
        [
            "relay.yaml:1:18: http.listen[0]: everyone who reaches this address can read; http.web_config sets TLS and passwords",
            "relay.yaml:2:17: listen.udp[0]: everyone who reaches this address can send; listen.allow_from names who may",
            "relay.yaml:6:14: sinks[0].api_key: a secret in plain sight: better {file: PATH}, {env: NAME} or {credential: NAME}",
        ]
    );
    assert!(Bench::with("").load(&[], &[]).unwrap().warnings.is_empty());
}

#[test]
fn every_key_that_is_not_built_yet_is_refused_and_its_default_is_not() {
    let table = [
        ("store: { tiers: [{ step: raw, keep: 1h }] }", "1:17: store.tiers[1]"),
        ("store: { tiers: [{ step: raw, keep: 48h }, { step: 1m, keep: 15d }, { step: 1h, keep: 400d }] }", "1:44: store.tiers[1]"),
        ("store: { tiers: [{ step: raw, keep: 48h }, { step: 1m, keep: 14d }, { step: 1h, keep: 401d }] }", "1:69: store.tiers[2]"),
        (
            "store: { tiers: [{ step: raw, keep: 48h }, { step: 1m, keep: 14d }, { step: 1h, keep: 400d }, { step: 1h, keep: 1d }] }",
            "1:95: store.tiers[3]",
        ),
        ("http: { web_config: a.yml }", "1:21: http.web_config"),
        ("http: { admin: token }", "1:16: http.admin"),
        ("sinks: [{ name: a, type: remote_write, url: 'http://h/' }]", "1:26: sinks[0].type"),
        ("sinks: [{ name: a, type: statsd, targets: ['h:1'] }]", "1:26: sinks[0].type"),
        ("sinks: [{ name: a, type: datadog, api_key: k, match: { name: ['a.*'] } }]", "1:54: sinks[0].match"),
        ("sinks: [{ name: a, type: datadog, api_key: k, match: { name: ['*'], tags: [a] } }]", "1:54: sinks[0].match"),
        ("sinks: [{ name: a, type: datadog, api_key: k, self_metrics: true }]", "1:61: sinks[0].self_metrics"),
        ("sinks: [{ name: a, type: datadog, api_key: k, queue: { disk: 2GiB } }]", "1:62: sinks[0].queue.disk"),
        (
            "sinks: [{ name: a, type: datadog, api_key: k, additional_endpoints: [{ url: 'http://h', api_key: k }] }]",
            "1:69: sinks[0].additional_endpoints",
        ),
        ("rules: { bundled: [self, web] }", "1:19: rules.bundled"),
        ("alertmanagers: ['http://h:9093']", "1:16: alertmanagers"),
        ("notify: { receivers: [{ name: a, slack: [{}] }] }", "1:41: notify.receivers[0].slack"),
        ("notify: { receivers: [{ name: a, pagerduty: [{ a: 1 }] }] }", "1:45: notify.receivers[0].pagerduty"),
        ("notify: { receivers: [{ name: a, datadog: [{ a: 1 }] }] }", "1:43: notify.receivers[0].datadog"),
        ("notify: { receivers: [{ name: a, sentry: [{ a: 1 }] }] }", "1:42: notify.receivers[0].sentry"),
        ("notify: { receivers: [{ name: a, email: [{ a: 1 }] }] }", "1:41: notify.receivers[0].email"),
        ("notify: { receivers: [{ name: a, exec: [{ a: 1 }] }] }", "1:40: notify.receivers[0].exec"),
        ("checks: [{ name: a, type: tcp, target: 'h:1' }]", "1:9: checks"),
    ];
    for (text, place) in table {
        let told = refused(text);
        let line = format!("relay.yaml:{place}: ");
        assert!(told.lines().any(|told| told.starts_with(&line) && told.contains("not built yet")), "{text}\n{told}");
    }
    for pattern in statsd_relay::config::not_built_yet() {
        let covered = table
            .iter()
            .any(|(_, place)| place.replace(char::is_numeric, "").ends_with(&pattern.replace(char::is_numeric, "").to_string()));
        assert!(covered, "no case for {pattern}");
    }
    for default in [
        "store: { tiers: [{ step: raw, keep: 12h }, { step: 1m, keep: 14d }, { step: 1h, keep: 400d }] }",
        "sinks: [{ name: a, type: datadog, api_key: k, match: { name: ['*'] }, additional_endpoints: [], queue: { disk: 1GiB } }]",
        "sinks: [{ name: a, type: datadog, api_key: k, match: {} }]",
        "rules: { bundled: [] }",
        "notify: { receivers: [{ name: a, slack: [] }] }",
    ] {
        loaded(default);
    }
}

#[test]
fn the_reference_loads_and_equals_the_defaults() {
    assert_eq!(config::parse(Path::new("relay.yaml"), REFERENCE).unwrap(), Config::default());
    assert_eq!(loaded(&config::to_yaml(&Config::default())), Config::default());
}

#[test]
fn the_reference_names_every_key() {
    let reference: serde_yaml::Value = serde_yaml::from_str(REFERENCE).unwrap();
    let default: serde_yaml::Value = serde_yaml::to_value(Config::default()).unwrap();
    every_key_of(&default, &reference, "");
}

/// Fails where `reference` lacks a mapping key that `default` has.
fn every_key_of(default: &serde_yaml::Value, reference: &serde_yaml::Value, path: &str) {
    for (key, value) in default.as_mapping().into_iter().flatten() {
        let path = format!("{path}.{}", key.as_str().unwrap());
        let there = reference.get(key).unwrap_or_else(|| panic!("{path} is missing from relay.yaml"));
        every_key_of(value, there, &path);
    }
}

#[test]
fn every_commented_example_of_the_reference_is_right_or_not_built_yet() {
    let examples = examples(REFERENCE);
    assert_eq!(examples.len(), 9, "{examples:#?}");
    let mut loads = 0;
    for text in &examples {
        match config::parse(Path::new("relay.yaml"), text) {
            Ok(_) => loads += 1,
            Err(error) => {
                let others: Vec<_> = error.errors.iter().filter(|finding| !finding.message.starts_with("not built yet")).collect();
                assert!(others.is_empty(), "{others:#?}\n{text}");
            }
        }
    }
    assert!(loads >= 3, "{loads}");
}

/// Each commented-out block in a document of its own: `# key:` and what is indented under it, inside its section.
fn examples(reference: &str) -> Vec<String> {
    let keys: Vec<&str> = "sinks checks filters route inhibit_rules receivers heartbeat".split(' ').collect();
    let mut examples: Vec<String> = Vec::new();
    let mut section = "";
    let mut open: Option<usize> = None;
    for line in reference.lines() {
        if let Some(name) = line.strip_suffix(':').filter(|name| !name.contains([' ', '#'])) {
            section = name;
        }
        let indent = line.len() - line.trim_start().len();
        let Some(text) = line.trim_start().strip_prefix("# ") else {
            open = None;
            continue;
        };
        let key = text.split(':').next().unwrap_or_default();
        let inside = " ".repeat(indent);
        if keys.contains(&key) && text.contains(':') {
            let section = if indent == 0 { String::new() } else { format!("{section}:\n") };
            // A route needs its receiver.
            let more = if key == "route" { "  receivers: [{ name: ops }]\n" } else { "" };
            examples.push(format!("{section}{more}{inside}{text}\n"));
            open = Some(indent);
        } else if open == Some(indent) && text.starts_with(' ') {
            examples.last_mut().unwrap().push_str(&format!("{inside}{text}\n"));
        } else {
            open = None;
        }
    }
    examples
}

#[test]
fn check_prints_a_line_a_finding_and_exits_78_or_0() {
    let bench = Bench::with("aggregate:\n  intervall: 1s\n");
    let output = bench.binary(&["check", "relay.yaml"]);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "relay.yaml:2:3: aggregate.intervall: unknown key; did you mean `interval`?\n");
    assert_eq!(output.status.code(), Some(78));

    let bench = Bench::with(DATADOG);
    let output = bench.binary(&["--config", "relay.yaml", "check"]);
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "relay.yaml:4:14: sinks[0].api_key: warning: a secret in plain sight: better {file: PATH}, {env: NAME} or {credential: NAME}\nok: relay.yaml\n"
    );
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn check_tells_everything_that_is_wrong_in_one_run() {
    let bench = Bench::with(
        "listen:\n  strict: maybe\n  dialekt: statsd\n  udp:\n    - { adress: '127.0.0.1:1' }\n    - { address: '127.0.0.1:2', strict: 7 }\n\
         limits: { series: 0 }\nlogs: {}\nshape: { mapping: mapping.yml, unmapped: drop, namespace: 'a:' }\n\
         rules: { files: [b.yml, a.yml] }\nchecks: [{ name: a }]\n",
    );
    let rule = |expr: &str| format!("groups:\n  - name: a\n    rules:\n      - {{ alert: A, expr: '{expr}', fro: 1m }}\n");
    for (file, text) in
        [("a.yml", rule("up ==")), ("b.yml", rule("up")), ("mapping.yml", "mappings:\n  - { match: a.*, nmae: b }\n".into())]
    {
        std::fs::write(bench.directory.path().join(file), text).unwrap();
    }
    let output = bench.binary(&["check", "relay.yaml", "--set", "http.ui=perhaps"]);
    let told = String::from_utf8(output.stdout).unwrap();
    let places: Vec<String> = told.lines().map(|line| line.split(": ").take(2).collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(
        places,
        [
            "relay.yaml:2:11 listen.strict",
            "relay.yaml:3:3 listen.dialekt",
            "relay.yaml:5:9 listen.udp[0].adress",
            "relay.yaml:6:41 listen.udp[1].strict",
            "relay.yaml:7:19 limits.series",
            "relay.yaml:8:1 logs",
            "relay.yaml:9:59 shape.namespace",
            "relay.yaml:11:10 checks[0]",
            "flag --set http.ui",
            "mapping.yml:2:5 mappings[0]",
            "mapping.yml:2:19 mappings[0].nmae",
            "a.yml:4:27 group \"a\"",
            "a.yml:4:36 group \"a\"",
            "b.yml:4:33 group \"a\"",
        ],
        "{told}"
    );
    assert_eq!(output.status.code(), Some(78));
}

#[test]
fn check_reads_the_rule_files_beside_the_file() {
    let bench = Bench::with("");
    let conf = bench.directory.path().join("conf");
    std::fs::create_dir(&conf).unwrap();
    std::fs::write(conf.join("relay.yaml"), "rules: { files: [rules.yml] }\n").unwrap();
    let missing = bench.binary(&["check", "conf/relay.yaml"]);
    assert_eq!(missing.status.code(), Some(78));
    assert!(String::from_utf8(missing.stdout).unwrap().starts_with("conf/rules.yml: "));
    std::fs::write(conf.join("rules.yml"), "groups:\n  - name: a\n    rules:\n      - { alert: A, expr: 'up ==' }\n").unwrap();
    let broken = bench.binary(&["check", "conf/relay.yaml"]);
    assert_eq!(broken.status.code(), Some(78));
    assert!(String::from_utf8(broken.stdout).unwrap().starts_with("conf/rules.yml:4:"));
    std::fs::write(conf.join("rules.yml"), "groups:\n  - name: a\n    rules:\n      - { alert: A, expr: 'up == 0' }\n").unwrap();
    assert_eq!(bench.binary(&["check", "conf/relay.yaml"]).stdout, b"ok: conf/relay.yaml\n");
}

#[test]
fn run_refuses_a_wrong_configuration_with_78() {
    let bench = Bench::with("");
    for arguments in [&["--config", "none.yaml"][..], &["run", "--config", "none.yaml"], &["config", "show", "--config", "none.yaml"]] {
        let output = bench.binary(arguments);
        assert_eq!(output.status.code(), Some(78), "{arguments:?}");
        assert_eq!(
            String::from_utf8(output.stderr).unwrap(),
            "statsd-relay: none.yaml: cannot read the configuration: No such file or directory (os error 2)\n"
        );
    }
}

#[test]
fn usage_errors_exit_with_2() {
    let bench = Bench::with("");
    for arguments in
        [&["--sett", "a=b"][..], &["--set", "a"], &["check", "a", "--config", "b"], &["--udp", "x", "config", "default"], &["config"]]
    {
        assert_eq!(bench.binary(arguments).status.code(), Some(2), "{arguments:?}");
    }
    assert_eq!(bench.binary(&["--help"]).status.code(), Some(0));
    assert_eq!(bench.binary(&["--version"]).stdout, format!("statsd-relay {}\n", env!("CARGO_PKG_VERSION")).as_bytes());
}

#[test]
fn config_default_is_the_reference_and_config_show_masks_secrets() {
    let bench = Bench::with(DATADOG);
    assert_eq!(bench.binary(&["config", "default"]).stdout, REFERENCE.as_bytes());
    let arguments = "--set log.level=warn config show --config relay.yaml --udp 127.0.0.1:0 --data-dir d --set log.format=json";
    let output = bench.binary(&arguments.split(' ').collect::<Vec<_>>());
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(!shown.contains("secret-canary") && shown.contains("api_key: <secret>"), "{shown}");
    assert!(
        shown.contains("level: warn\n  format: json") && shown.contains("address: 127.0.0.1:0") && shown.starts_with("data_dir: d\n"),
        "{shown}"
    );
}

proptest::proptest! {
    #[test]
    fn a_damaged_reference_is_refused_or_reads_back_as_it_is_written(
        at in 0..REFERENCE.len(),
        gone in 0..40_usize,
        put in r#"[\[\]{}:,'"&*!|>#?\-\\ \n\ta-z0-9~%@.é]{0,12}"#,
    ) {
        let (at, until) = (REFERENCE.floor_char_boundary(at), REFERENCE.ceil_char_boundary((at + gone).min(REFERENCE.len())));
        let name = Path::new("relay.yaml");
        match config::parse(name, &format!("{}{put}{}", &REFERENCE[..at], &REFERENCE[until..])) {
            Ok(config) => proptest::prop_assert_eq!(config::parse(name, &config::to_yaml(&config)), Ok(config)),
            Err(error) => proptest::prop_assert!(!error.errors.is_empty()),
        }
    }
}
