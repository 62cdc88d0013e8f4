use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::Form;
use crate::shape::Presentation;

fn read(text: &str) -> Result<Mapping, Vec<ShapeError>> {
    Mapping::read(Path::new("m.yml"), text)
}

fn told(findings: &[ShapeError]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

/// The file's errors as text.
fn refused(text: &str) -> Vec<String> {
    told(&read(text).map(|_| ()).unwrap_err())
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let rule = |keys: &str| format!("mappings:\n  - match: a.*\n    name: b\n    {keys}\n");
    let cases = [
        (rule("nmae: c"), "m.yml:4:5: mappings[0].nmae: unknown key; did you mean `name`?"),
        (rule("xyzzyxyzzy: c"), "m.yml:4:5: mappings[0].xyzzyxyzzy: unknown key; expected match, match_type"),
        (rule("match_type: fsm"), "m.yml:4:17: mappings[0].match_type: expected glob or regex, not \"fsm\""),
        (rule("match_metric_type: set"), "m.yml:4:24: mappings[0].match_metric_type: expected counter, gauge or observer"),
        (rule("action: keep"), "m.yml:4:13: mappings[0].action: expected map or drop"),
        (rule("ttl: 60"), "m.yml:4:10: mappings[0].ttl: invalid duration \"60\""),
        (rule("scale: fast"), "m.yml:4:12: mappings[0].scale: expected a number"),
        (rule("scale: .inf"), "m.yml:4:12: mappings[0].scale: expected a number"),
        (rule("honor_labels: maybe"), "m.yml:4:19: mappings[0].honor_labels: expected true or false"),
        (rule("labels: [a]"), "m.yml:4:13: mappings[0].labels: expected a mapping, not a list"),
        (rule("labels: { a-b: c }"), "m.yml:4:15: mappings[0].labels.a-b: not a label name"),
        (rule("labels: { __name__: c }"), "m.yml:4:15: mappings[0].labels.__name__: not a label name"),
        (rule("labels: { a: [c] }"), "m.yml:4:18: mappings[0].labels.a: expected a scalar, not a list"),
        (rule("observer_type: sketch"), "m.yml:4:20: mappings[0].observer_type: expected summary or histogram"),
        (rule("buckets: [1, one]"), "m.yml:4:18: mappings[0].buckets: expected a number, not \"one\""),
        (rule("buckets: [1, 0.5]"), "m.yml:4:18: mappings[0].buckets: buckets must ascend"),
        (rule("buckets: [.inf, 1]"), "m.yml:4:15: mappings[0].buckets: expected a number, not \".inf\""),
        (rule(&format!("buckets: {:?}", (0..=200).collect::<Vec<_>>())), "m.yml:4:905: mappings[0].buckets: more than 200 buckets"),
        (
            rule("summary_options: { quantiles: [{ quantile: 2 }] }"),
            "m.yml:4:48: mappings[0].summary_options.quantiles[0].quantile: 2 is not in",
        ),
        (
            rule("summary_options: { quantiles: [{ error: 0.1 }] }"),
            "m.yml:4:36: mappings[0].summary_options.quantiles[0]: `quantile` is missing",
        ),
        (
            rule("summary_options: { max_ages: 1m }"),
            "m.yml:4:24: mappings[0].summary_options.max_ages: unknown key; did you mean `max_age`?",
        ),
        (rule("observer_type: summary\n    histogram_options: {}"), "m.yml:2:5: mappings[0]: a summary has no histogram_options"),
        (rule("buckets: [1]\n    histogram_options: { buckets: [2] }"), "m.yml:2:5: mappings[0]: buckets are given twice"),
        ("mappings:\n  - match: a..b\n    name: c\n".into(), "m.yml:2:12: mappings[0].match: a component is empty"),
        ("mappings:\n  - match: a.b*\n    name: c\n".into(), "m.yml:2:12: mappings[0].match: \"b*\": a * stands for a whole component"),
        ("mappings:\n  - match: a(\n    match_type: regex\n    name: c\n".into(), "m.yml:2:12: mappings[0].match: unclosed group"),
        ("mappings:\n  - match: a\n    name: 1c\n".into(), "m.yml:3:11: mappings[0].name: \"1c\": expected letters"),
        ("mappings:\n  - match: a\n    name: c.d\n".into(), "m.yml:3:11: mappings[0].name: \"c.d\": expected letters"),
        ("mappings:\n  - match: a\n".into(), "m.yml:2:5: mappings[0]: `name` is missing"),
        ("mappings:\n  - name: a\n".into(), "m.yml:2:5: mappings[0]: `match` is missing"),
        ("mappings: a\n".into(), "m.yml:1:11: mappings: expected a list, not a scalar"),
        ("mappings:\n  - a\n".into(), "m.yml:2:5: mappings[0]: expected a mapping, not a scalar"),
        ("mapping: []\n".into(), "m.yml:1:1: mapping: unknown key; did you mean `mappings`?"),
        ("defaults: { tll: 1s }\n".into(), "m.yml:1:13: defaults.tll: unknown key; did you mean `ttl`?"),
        ("a: 1\na: 2\n".into(), "m.yml:2:1: the key \"a\" is given twice"),
        ("[".into(), "m.yml:"),
    ];
    for (text, expected) in cases {
        let errors = refused(&text);
        assert!(errors.first().is_some_and(|error| error.starts_with(expected)), "{text}\n{errors:?}\n{expected}");
    }
}

#[test]
fn a_number_beyond_the_captures_is_an_error_with_the_nearest_one() {
    let errors = refused(
        "mappings:\n  - { match: a.*.b.*, name: x_$3, labels: { l: \"${7}\" } }\n  - { match: c, name: y_$1 }\n  \
         - { match: d\\.(\\w+), match_type: regex, name: z, labels: { l: $2 } }\n",
    );
    let expected = [
        "m.yml:2:29: mappings[0].name: $3 names no capture; did you mean ${2}, the last of the match?",
        "m.yml:2:48: mappings[0].labels.l: ${7} names no capture; did you mean ${2}, the last of the match?",
        "m.yml:3:23: mappings[1].name: $1 names no capture; the match captures nothing",
        "m.yml:4:65: mappings[2].labels.l: $2 names no capture; did you mean ${1}, the last of the match?",
    ];
    assert_eq!(errors, expected);
}

#[test]
fn all_errors_are_told_at_once() {
    let errors = refused("defaults: { ttl: x }\nmappings:\n  - match: a*\n    name: b\n  - nmae: c\n    match: d\n");
    assert_eq!(errors.len(), 4, "{errors:?}");
}

#[test]
fn what_has_no_effect_here_is_named() {
    let text = "
defaults:
  timer_type: histogram
  buckets: [1, 2]
  quantiles: [{ quantile: 0.5, error: 0.05 }, { quantile: 0.9, error: 0.01 }]
mappings:
  - match: a.*
    name: b
    labels: { x: $1_y }
    observer_type: summary
    summary_options: { max_age: 5m, age_buckets: 3, buf_cap: 10 }
  - match: c
    name: d
    histogram_options: { native_histogram_bucket_factor: 1.1 }
";
    let warnings = told(&read(text).unwrap().warnings);
    let expected = [
        "m.yml:5:39: defaults.quantiles[0].error: has no effect",
        "m.yml:11:33: mappings[0].summary_options.max_age: has no effect",
        "m.yml:11:50: mappings[0].summary_options.age_buckets: has no effect",
        "m.yml:11:62: mappings[0].summary_options.buf_cap: has no effect",
        "m.yml:9:18: mappings[0].labels.x: $1_y names no capture and is always empty",
        "m.yml:14:58: mappings[1].histogram_options.native_histogram_bucket_factor: has no effect",
    ];
    assert_eq!(warnings.len(), expected.len(), "{warnings:#?}");
    for (warning, expected) in warnings.iter().zip(expected) {
        assert!(warning.starts_with(expected), "{warning}\n{expected}");
    }
}

#[test]
fn an_empty_file_maps_nothing() {
    for text in ["", "mappings:\n", "mappings: []", "defaults: {}\n"] {
        assert!(read(text).unwrap().find("a", Kind::Counter).is_none(), "{text}");
    }
}

#[test]
fn more_rules_than_may_be_are_refused() {
    let rules = |count: usize| format!("mappings:\n{}", "- {match: a, name: b}\n".repeat(count));
    assert!(read(&rules(10_000)).is_ok());
    assert!(refused(&rules(10_001))[0].contains("more than 10000 rules"));
}

#[test]
fn a_rule_carries_its_ttl_and_help() {
    let mapping = read("defaults: { ttl: 1h }\nmappings:\n- {match: a, name: b, ttl: 90s, help: Words.}\n- {match: c, name: d}\n").unwrap();
    let options = |name: &str| mapping.find(name, Kind::Counter).unwrap().options().unwrap();
    let presentation = Presentation::default();
    let own = SeriesOptions { ttl: Some(Duration::from_secs(90)), help: Some("Words.".into()), presentation: presentation.clone() };
    assert_eq!(*options("a"), own);
    assert_eq!(*options("c"), SeriesOptions { ttl: Some(Duration::from_secs(3_600)), help: None, presentation });
    assert_eq!(mapping.defaults.as_ref().unwrap().ttl, Some(Duration::from_secs(3_600)));
}

#[test]
fn a_rule_is_shown_as_it_says_else_as_the_defaults_say_by_old_keys_and_new() {
    let shown = |defaults: &str, rule: &str| {
        let text = format!("defaults: {{ {defaults} }}\nmappings:\n- {{ match: a, name: b, {rule} }}\n");
        let mapping = read(&text).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
        let said = |options: Option<Arc<SeriesOptions>>| options.unwrap_or_default().presentation.form();
        let rule = said(mapping.find("a", Kind::Timer).unwrap().options());
        (said(mapping.defaults.clone()), rule)
    };
    let summary = |shares: &[f64]| Form::Summary((!shares.is_empty()).then(|| shares.into()));
    let histogram = |bounds: &[f64]| Form::Histogram(bounds.into());
    let hist = "observer_type: histogram";
    let half = "quantiles: [{ quantile: 0.5, error: 0.1 }]";
    for (defaults, rule, by_default, by_rule) in [
        ("", "ttl: 1s", summary(&[]), summary(&[])),
        ("", hist, summary(&[]), histogram(&[])),
        ("", "timer_type: histogram, buckets: [1, 2]", summary(&[]), histogram(&[1.0, 2.0])),
        ("", "timer_type: summary, observer_type: histogram, buckets: [1, .inf]", summary(&[]), histogram(&[1.0])),
        ("", &format!("{hist}, histogram_options: {{ buckets: [-1, 0.5, +.Inf] }}"), summary(&[]), histogram(&[-1.0, 0.5])),
        ("", "buckets: [1]", summary(&[]), summary(&[])),
        ("observer_type: histogram", "buckets: [1]", histogram(&[]), histogram(&[1.0])),
        ("timer_type: histogram, buckets: [3]", "ttl: 1s", histogram(&[3.0]), histogram(&[3.0])),
        ("timer_type: histogram, buckets: [3], histogram_options: { buckets: [4] }", "ttl: 1s", histogram(&[4.0]), histogram(&[4.0])),
        ("buckets: [3]", &format!("{hist}, histogram_options: {{}}"), summary(&[]), histogram(&[3.0])),
        ("observer_type: histogram, buckets: [3]", "observer_type: summary", histogram(&[3.0]), summary(&[])),
        ("", half, summary(&[]), summary(&[0.5])),
        ("", "summary_options: { quantiles: [{ quantile: 0.9 }, { quantile: 0 }, { quantile: 0.9 }] }", summary(&[]), summary(&[0.0, 0.9])),
        (half, "ttl: 1s", summary(&[0.5]), summary(&[0.5])),
        (half, "summary_options: { quantiles: [{ quantile: 1 }] }", summary(&[0.5]), summary(&[1.0])),
        ("summary_options: { quantiles: [{ quantile: 0.1 }] }", "observer_type: summary", summary(&[0.1]), summary(&[0.1])),
    ] {
        assert_eq!(shown(defaults, rule), (by_default, by_rule), "{defaults} / {rule}");
    }
}

#[test]
fn a_long_or_deep_name_matches_no_glob_and_costs_little() {
    let deep = vec!["*"; glob::MAX_COMPONENTS].join(".");
    let mapping = read(&format!("mappings:\n- {{match: '{deep}', name: deep}}\n- {{match: '*.*', name: two}}\n")).unwrap();
    let name = |components: usize| vec!["x"; components].join(".");
    assert_eq!(mapping.find(&name(glob::MAX_COMPONENTS), Kind::Counter).unwrap().name(), "deep");
    assert!(mapping.find(&name(glob::MAX_COMPONENTS + 1), Kind::Counter).is_none());
    assert!(mapping.find(&name(30_000), Kind::Counter).is_none());
}

#[test]
fn many_regexes_keep_their_order() {
    let mut text = "mappings:\n".to_string();
    for number in 0..300 {
        text.push_str(&format!("- {{match: 'n{number}', match_type: regex, name: r{number}}}\n"));
    }
    let mapping = read(&text).unwrap();
    // Unanchored: the first rule whose text stands anywhere in the name.
    for (name, rule) in [("n7", 7), ("n299", 2), ("n65", 6), ("xn1y", 1)] {
        assert_eq!(mapping.find(name, Kind::Gauge).unwrap().rule, rule, "{name}");
    }
    assert!(mapping.find("m", Kind::Gauge).is_none());
}

/// What the words of the file mean, without a tree or a screen.
fn naive(rules: &[(Vec<&str>, Option<&str>)], ordered: bool, name: &str, kind: Kind) -> Option<usize> {
    let parts: Vec<&str> = name.split('.').collect();
    let observed = match kind {
        Kind::Counter => Some("counter"),
        Kind::Gauge => Some("gauge"),
        Kind::Set => None,
        _ => Some("observer"),
    };
    let fits = |(rule, wanted): &(Vec<&str>, Option<&str>)| {
        (wanted.is_none() || *wanted == observed)
            && rule.len() == parts.len()
            && rule.iter().zip(&parts).all(|(component, part)| *component == "*" || component == part)
    };
    let found = rules.iter().enumerate().filter(|(_, rule)| fits(rule));
    if ordered {
        found.map(|(index, _)| index).next()
    } else {
        let stars = |rule: &[&str]| rule.iter().map(|component| *component == "*").collect::<Vec<_>>();
        found.min_by_key(|(index, (rule, _))| (stars(rule), *index)).map(|(index, _)| index)
    }
}

proptest! {
    #[test]
    fn the_tree_finds_what_a_look_at_every_rule_finds(
        rules in prop::collection::vec((prop::collection::vec(prop::sample::select(vec!["a", "b", "*"]), 1..5),
            prop::option::of(prop::sample::select(vec!["counter", "gauge", "observer"]))), 0..20),
        names in prop::collection::vec(prop::collection::vec(prop::sample::select(vec!["a", "b", "c", ""]), 1..6), 1..20),
        kind in prop::sample::select(Kind::ALL.to_vec()),
        ordered: bool,
    ) {
        let mut text = format!("defaults: {{ glob_disable_ordering: {} }}\nmappings:\n", !ordered);
        for (rule, wanted) in &rules {
            let wanted = wanted.map_or(String::new(), |wanted| format!(", match_metric_type: {wanted}"));
            text.push_str(&format!("- {{match: '{}', name: n{wanted}}}\n", rule.join(".")));
        }
        let mapping = read(&text).unwrap();
        for name in names.iter().map(|parts| parts.join(".")) {
            let found = mapping.find(&name, kind).map(|mapped| mapped.rule);
            prop_assert_eq!(found, naive(&rules, ordered, &name, kind), "{} in\n{}", name, text);
        }
    }

    #[test]
    fn no_text_is_a_panic(text in "(defaults|mappings|[-: {}\\[\\]\n$*.a1\"'&|>#]){0,60}", name in "\\PC{0,30}") {
        if let Ok(mapping) = read(&text) {
            mapping.find(&name, Kind::Counter);
        }
    }
}
