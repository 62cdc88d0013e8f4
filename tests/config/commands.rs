//! The commands that read a configuration, and their exit codes.

use statsd_relay::config::REFERENCE;

use crate::{Bench, DATADOG, refused};

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
fn what_does_not_fit_hides_nothing_that_stands_by_itself() {
    let listen = "listen: { dialect: dog, allow_from: [7, 10.0.0.0/8, 10.0.0.0/33] }";
    for (text, told) in [
        (listen, &["1:20: listen.dialect", "1:38: listen.allow_from[0]", "1:53: listen.allow_from[2]"][..]),
        ("scrape: { timers: hist, buckets: [2, x, 1] }", &["1:19: scrape.timers", "1:38: scrape.buckets[1]", "1:41: scrape.buckets[2]"]),
        ("limits: { serie: 1, key_bytes: 0 }", &["1:11: limits.serie", "1:32: limits.key_bytes"]),
        ("aggregate: { expires: 1h, percentiles: [2] }", &["1:14: aggregate.expires", "1:41: aggregate.percentiles[0]"]),
        // What is judged by another key waits until that one is right.
        ("aggregate: { intervall: 2s, expire: 5s }", &["1:14: aggregate.intervall"]),
        ("aggregate: { interval: 2 s, expire: 5s }", &["1:24: aggregate.interval"]),
        ("store: { tiers: [{ stepp: raw, keep: 48h }, { step: 1m, keep: 14d }] }", &["1:20: store.tiers[0].stepp"]),
        ("notify: { receivers: [{ nmae: ops }], route: { receiver: ops } }", &["1:25: notify.receivers[0].nmae"]),
        ("shape: { unmapped: drop, mapping: [a] }", &["1:35: shape.mapping"]),
        (
            "shape: { filters: [{ dropp: {} }, { scale: { match: { name: [a] }, by: 0 } }] }",
            &["1:22: shape.filters[0].dropp", "1:72: shape.filters[1].scale.by"],
        ),
    ] {
        let found = refused(text);
        let place = |line: &str| line.split(": ").take(2).collect::<Vec<_>>().join(": ");
        let found: Vec<String> = found.lines().map(|line| place(line.trim_start_matches("relay.yaml:"))).collect();
        assert_eq!(found, told, "{text}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_where_it_is_listed() {
    let text = "rules:\n  files: [here.yml, gone.yml, 'none/*.yml', '*.d']\nshape:\n  mapping: gone.yml\naggregate: { interval: 1ms }\n";
    let bench = Bench::with(text);
    std::fs::write(bench.directory.path().join("here.yml"), "groups: 1").unwrap();
    std::fs::create_dir(bench.directory.path().join("x.d")).unwrap();
    let output = bench.binary(&["check", "relay.yaml", "--set", "http.web_config=gone.yml"]);
    let gone = "gone.yml: cannot read it: No such file or directory (os error 2)";
    let told = [
        &format!("relay.yaml:2:21: rules.files[1]: {gone}"),
        &format!("relay.yaml:4:12: shape.mapping: {gone}"),
        "relay.yaml:5:24: aggregate.interval: expected whole seconds, at least 1s",
        "flag --set: http.web_config: not built yet; leave it out",
        "here.yml:1:9: groups: expected a list, not a scalar",
        "relay.yaml:2:31: rules.files[2]: warning: none/*.yml names no file",
        "relay.yaml:2:45: rules.files[3]: warning: *.d names no file",
    ];
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().collect::<Vec<_>>(), told);
    let output = bench.binary(&["--config", "relay.yaml", "--set", "aggregate.interval=1s"]);
    assert_eq!(output.status.code(), Some(78));
    let first = format!("statsd-relay: relay.yaml:2:21: rules.files[1]: {gone}");
    assert_eq!(String::from_utf8(output.stderr).unwrap().lines().next(), Some(&first[..]));
}

#[test]
fn check_reads_the_rule_files_beside_the_file() {
    let bench = Bench::with("");
    let conf = bench.directory.path().join("conf");
    std::fs::create_dir(&conf).unwrap();
    std::fs::write(conf.join("relay.yaml"), "rules: { files: [rules.yml] }\n").unwrap();
    let missing = bench.binary(&["check", "conf/relay.yaml"]);
    assert_eq!(missing.status.code(), Some(78));
    assert!(String::from_utf8(missing.stdout).unwrap().starts_with("conf/relay.yaml:1:18: rules.files[0]: conf/rules.yml: "));
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
    assert_eq!(bench.binary(&["help", "alerts"]).stdout, bench.binary(&["alerts", "--help"]).stdout);
    assert_eq!(bench.binary(&["--version"]).stdout, format!("statsd-relay {}\n", env!("CARGO_PKG_VERSION")).as_bytes());
}

#[test]
fn help_shows_what_a_command_reads() {
    let bench = Bench::with("");
    let reads = ["--config", "--data-dir", "--set"];
    for (command, shown, hidden) in [
        (&["run"][..], &reads[..], &["--url"][..]),
        (&["check"], &reads, &["--url"]),
        (&["explain"], &reads, &["--url"]),
        (&["config", "show"], &reads, &["--url"]),
        (&["config", "default"], &[], &reads),
        (&["parse"], &["--dialect"], &reads),
        (&["tap"], &["--url"], &reads),
        (&["top"], &["--url"], &reads),
        (&["query"], &["--url"], &reads),
        (&["series"], &["--url"], &reads),
        (&["alerts"], &["--url"], &reads),
        (&["health"], &["--url"], &reads),
    ] {
        let help = bench.binary(&[command, &["--help"]].concat());
        let help = String::from_utf8(help.stdout).unwrap();
        assert!(shown.iter().all(|flag| help.contains(flag)) && !hidden.iter().any(|flag| help.contains(flag)), "{command:?}: {help}");
    }
    for arguments in [&["alerts", "--config", "relay.yaml"][..], &["--config", "relay.yaml", "alerts"], &["--config", "x", "parse"]] {
        assert_eq!(bench.binary(arguments).status.code(), Some(2), "{arguments:?}");
    }
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
