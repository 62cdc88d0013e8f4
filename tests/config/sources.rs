//! Where a value comes from: the file, the environment, flags, secret files.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use statsd_relay::config::{self, Loaded, Sources};

use crate::{Bench, DATADOG, refused};

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
    let bench = Bench::with("data_dir: data\nrules: { files: ['rules/*.yml', '/etc/rules?.yml'] }\n");
    let here = |path: &str| bench.directory.path().join(path);
    let config = bench.load(&[], &[]).unwrap().config;
    assert_eq!(config.data_dir, Some(here("data")));
    assert_eq!(config.rules.files, [here("rules/*.yml").display().to_string(), "/etc/rules?.yml".to_string()]);
    let config = bench.load(&[("STATSD_RELAY__RULES__FILES", "['a?.yml']")], &[("data_dir", "elsewhere")]).unwrap().config;
    assert_eq!(config.data_dir, Some(PathBuf::from("elsewhere")));
    assert_eq!(config.rules.files, ["a?.yml"]);
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
fn what_may_not_be_meant_is_a_warning() {
    let bench = Bench::with(&format!("http: {{ listen: ['0.0.0.0:9102', '[::1]:9102'] }}\nlisten: {{ udp: ['[::]:8125'] }}\n{DATADOG}"));
    let warnings: Vec<String> = bench.load(&[], &[]).unwrap().warnings.iter().map(|warning| bench.told(warning)).collect();
    assert_eq!(
        warnings,
        [
            "relay.yaml:1:18: http.listen[0]: everyone who reaches this address can read: TLS and passwords (http.web_config) are not built yet",
            "relay.yaml:2:17: listen.udp[0]: everyone who reaches this address can send; listen.allow_from names who may",
            "relay.yaml:6:14: sinks[0].api_key: a secret in plain sight: better {file: PATH}, {env: NAME} or {credential: NAME}",
        ]
    );
    assert!(Bench::with("").load(&[], &[]).unwrap().warnings.is_empty());
    let wrong = Bench::with("listen: { udp: [':8125'] }\nhttp: { listen: [x] }").load(&[], &[]).unwrap_err();
    assert!(wrong.warnings.is_empty(), "nobody can say who reaches what is no address: {:?}", wrong.warnings);
    let unheard = Bench::with("notify: { receivers: [{ name: ops }] }");
    let told = unheard.told(&unheard.load(&[], &[]).unwrap().warnings[0]);
    assert_eq!(told, "relay.yaml:1:22: notify.receivers: without notify.route nobody is notified");
    let nowhere = Bench::with("store: { enabled: false }");
    let told = nowhere.told(&nowhere.load(&[], &[]).unwrap().warnings[0]);
    assert!(
        told.starts_with("relay.yaml:1:19: store.enabled: without a store and a sink, samples with a time of their own (|T)"),
        "{told}"
    );
    let sent = Bench::with(&format!("store: {{ enabled: false }}\n{DATADOG}")).load(&[], &[]).unwrap().warnings;
    assert!(!sent.iter().any(|warning| warning.path == "store.enabled"), "a sink gets them");
}

#[test]
fn a_warning_is_neither_hidden_nor_invented_by_what_does_not_fit() {
    let open = "listen.udp[0]: everyone who reaches this address can send; listen.allow_from names who may";
    for (text, expected) in [
        ("listen: { udp: ['0.0.0.0:1'], strict: 3 }", &[format!("relay.yaml:1:17: {open}")][..]),
        ("listen: { udp: ['0.0.0.0:1'], allow_from: 3 }", &[]),
        ("listen: { udp: ['0.0.0.0:1'], allow_fro: [10.0.0.0/8] }", &[]),
        ("http: { listen: ['0.0.0.0:1'], web_confg: x }", &[]),
        ("store: { enabled: false }\nsinks: [{ name: dd, type: datadog, api_kee: x }]", &[]),
        ("store: { enabled: false }\nsinkz: [{ name: dd, type: datadog, api_key: x }]", &[]),
        ("notify: { receivers: [{ name: ops }], rout: { receiver: ops } }", &[]),
    ] {
        let bench = Bench::with(text);
        let told: Vec<String> = bench.load(&[], &[]).unwrap_err().warnings.iter().map(|warning| bench.told(warning)).collect();
        assert_eq!(told, expected, "{text}");
    }
}

#[test]
fn what_a_flag_lists_is_counted_as_it_lists_it() {
    let bench = Bench::with("listen: { udp: [[], '127.0.0.1:1'] }\n");
    let told = bench.told(bench.load(&[], &[("listen.udp", "['127.0.0.1:2', x]")]).unwrap_err());
    assert!(told.contains("flag --set: listen.udp[1]: invalid address \"x\""), "{told}");
}
