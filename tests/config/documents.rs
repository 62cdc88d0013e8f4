//! What the text of a file may be.

use statsd_relay::config::Config;

use crate::{Bench, loaded, refused};

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
