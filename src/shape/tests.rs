use std::collections::BTreeMap;

use super::*;
use crate::model::Kind;
use crate::model::series::{NameStyle, Spelling};
use crate::parse::{self, Identity};

fn identity<'a>(name: &'a str, tags: &'a str) -> Identity<'a> {
    parse::identity(Spelling { name: name.as_bytes(), tags: tags.as_bytes(), kind: Kind::Counter, style: NameStyle::Plain })
}

fn config(yaml: &str) -> ShapeConfig {
    serde_yaml::from_str(yaml).unwrap()
}

const MAPPING: &str = "
mappings:
- { match: app.*.hits, name: hits_total, labels: { app: $1, env: mapped }, scale: 2 }
- { match: gone.*, name: x, action: drop }
- { match: '^(x?)empty', match_type: regex, name: $1 }
";

fn shaping(yaml: &str) -> Shaping {
    Shaping::new(&config(yaml), |_| Ok(MAPPING.into())).unwrap()
}

/// `name#tags xSCALE`, or `dropped by STEP`.
fn shown(shaping: &Shaping, name: &str, tags: &str, kind: Kind) -> String {
    let shaped = shaping.apply(identity(name, tags), kind);
    assert!(shaped.tags.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", shaped.tags);
    if let Some(hit) = shaped.dropped_by {
        assert_eq!(shaped.hits.last(), Some(&hit));
        return format!("dropped by {}", shaping.place_of(hit));
    }
    let scale = if shaped.scale == 1.0 { String::new() } else { format!(" x{}", shaped.scale) };
    format!("{}#{}{scale}", shaped.name, shaped.tags.join(","))
}

#[test]
fn nothing_configured_changes_nothing() {
    let shaping = shaping("{}");
    assert!(shaping.is_identity());
    assert_eq!(shown(&shaping, "a.b", "z:1,a", Kind::Gauge), "a.b#a,z:1");
}

#[test]
fn steps_come_in_their_order() {
    let cases = [
        ("{ namespace: app }", "hits", "", "app.hits#"),
        ("{ namespace: app. }", "hits", "", "app.hits#"),
        ("{ namespace: app_ }", "hits", "", "app_hits#"),
        ("{ namespace: app }", "datadog.dogstatsd.client.metrics", "", "datadog.dogstatsd.client.metrics#"),
        ("{ namespace: app }", "datadogs", "", "app.datadogs#"),
        ("{ tags: { env: prod, team: web } }", "a", "", "a#env:prod,team:web"),
        ("{ tags: { env: prod, team: web } }", "a", "env:dev,z", "a#env:dev,team:web,z"),
        ("{ tags: { env: prod } }", "a", "env", "a#env"),
        ("{ tags: { bare: '' } }", "a", "", "a#bare"),
        ("{ mapping: m }", "app.shop.hits", "env:sent,k:v", "hits_total#app:shop,env:mapped,k:v x2"),
        (
            "{ mapping: m, namespace: ns, tags: { env: added, more: added } }",
            "app.shop.hits",
            "",
            "ns.hits_total#app:shop,env:mapped,more:added x2",
        ),
        ("{ mapping: m }", "other", "", "other#"),
        ("{ mapping: m, unmapped: drop }", "other", "", "dropped by shape.unmapped"),
        ("{ mapping: m }", "gone.x", "", "dropped by m:4:3: mappings[1] \"gone.*\""),
        ("{ mapping: m }", "empty", "", "dropped by m:5:3: mappings[2] \"^(x?)empty\""),
        ("{ mapping: m }", "xempty", "", "x#"),
        ("{ mapping: m, namespace: ns, filters: [{ drop: { name: ['ns.hits*'] } }] }", "app.shop.hits", "", "dropped by shape.filters[0]"),
        ("{ tags: { env: prod }, filters: [{ drop: { tags: ['env:prod'] } }] }", "a", "", "dropped by shape.filters[0]"),
    ];
    for (yaml, name, tags, expected) in cases {
        assert_eq!(shown(&shaping(yaml), name, tags, Kind::Counter), expected, "{yaml} {name} {tags}");
    }
}

#[test]
fn filters_apply_in_order() {
    let cases = [
        ("[{ drop: { name: ['debug.*'] } }]", "debug.a.b", "", "dropped by shape.filters[0]"),
        ("[{ drop: { name: ['debug.*'] } }]", "debug", "", "debug#"),
        ("[{ drop: { type: [gauge] } }]", "a", "", "a#"),
        ("[{ drop: { type: [counter] } }]", "a", "", "dropped by shape.filters[0]"),
        ("[{ drop: { regex: '^a.*z$' } }]", "a.z", "", "dropped by shape.filters[0]"),
        ("[{ tags: { drop: [request_id] } }]", "a", "k,request_id:1,request_id", "a#k"),
        ("[{ tags: { drop: ['env:d*'] } }]", "a", "env:dev,env:prod", "a#env:prod"),
        ("[{ tags: { keep: [env] } }]", "a", "env:dev,k:v,bare", "a#env:dev"),
        ("[{ tags: { keep: [] } }]", "a", "env:dev,k:v", "a#env:dev,k:v"),
        ("[{ tags: { rename: { svc: service } } }]", "a", "svc:web,svc,svcs:1", "a#service,service:web,svcs:1"),
        ("[{ tags: { rename: { a: b, b: c } } }]", "m", "a:1,b:2", "m#b:1,c:2"),
        ("[{ tags: { rename: { a: b } } }]", "m", "a:1,b:1", "m#b:1"),
        ("[{ tags: { set: { team: web } } }]", "a", "team:x,team:y,team", "a#team:web"),
        ("[{ tags: { drop: [a], keep: [b], rename: { b: c }, set: { d: e } } }]", "m", "a:1,b:2,x:3", "m#c:2,d:e"),
        ("[{ tags: { match: { name: ['web.*'] }, drop: [k] } }]", "db", "k", "db#k"),
        ("[{ scale: { match: { name: ['*_us'] }, by: 0.000001 } }]", "t.a_us", "", "t.a_us# x0.000001"),
        ("[{ scale: { by: 10 } }, { scale: { by: 3 } }]", "a", "", "a# x30"),
        ("[{ tags: { set: { x: y } } }, { drop: { tags: ['x:y'] } }]", "a", "", "dropped by shape.filters[1]"),
        ("[{ tags: { drop: [x] } }, { drop: { tags: [x] } }]", "a", "x:1", "a#"),
    ];
    for (filters, name, tags, expected) in cases {
        assert_eq!(shown(&shaping(&format!("{{ filters: {filters} }}")), name, tags, Kind::Counter), expected, "{filters} {name} {tags}");
    }
}

#[test]
fn what_is_wrong_with_the_section_is_named_by_its_path() {
    let cases = [
        ("{ filters: [{}] }", "shape.filters[0]: expected one of drop, tags and scale"),
        ("{ filters: [{ drop: { name: [a] }, scale: { by: 2 } }] }", "shape.filters[0]: expected one of drop"),
        ("{ filters: [{ drop: {} }] }", "shape.filters[0].drop: this drops everything"),
        ("{ filters: [{ drop: { name: [a] } }, { drop: { regex: '[' } }] }", "shape.filters[1].drop.regex: unclosed character class"),
        ("{ filters: [{ tags: { match: { regex: '(' } } }] }", "shape.filters[0].tags.match.regex: unclosed group"),
        ("{ filters: [{ tags: { set: { 'a:b': c } } }] }", "shape.filters[0].tags.set.a:b: a tag's key"),
        ("{ filters: [{ tags: { rename: { a: '' } } }] }", "shape.filters[0].tags.rename.a: a tag's key"),
        ("{ filters: [{ scale: { by: 0 } }] }", "shape.filters[0].scale.by: expected a number other than 0"),
        ("{ filters: [{ scale: { by: .nan } }] }", "shape.filters[0].scale.by: expected a number other than 0"),
        ("{ unmapped: drop }", "shape.unmapped: without shape.mapping this drops everything"),
        ("{ namespace: 'a:b' }", "shape.namespace: a name has no"),
        ("{ tags: { a: 'x,y' } }", "shape.tags.a: a tag's value"),
    ];
    for (yaml, expected) in cases {
        let told: Vec<String> = problems(&config(yaml)).iter().map(ToString::to_string).collect();
        assert!(told.len() == 1 && told[0].starts_with(expected), "{yaml}: {told:?}");
        assert!(Shaping::new(&config(yaml), |_| Ok(String::new())).is_err(), "{yaml}");
    }
}

#[test]
fn a_mapping_file_that_cannot_be_read_is_named() {
    let errors = Shaping::new(&config("{ mapping: /nowhere/m.yml }"), |_| Err("cannot read it: gone".into())).unwrap_err();
    assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>(), ["/nowhere/m.yml: cannot read it: gone"]);
}

#[test]
fn an_explanation_shows_every_step() {
    let shaping = shaping("{ mapping: m, namespace: ns, tags: { a: b }, filters: [{ drop: { name: [z] } }, { scale: { by: 0.5 } }] }");
    let explained = shaping.explain(identity("app.shop.hits", "env:sent"), Kind::Counter);
    let steps: Vec<(Hit, &str, f64)> = explained.steps.iter().map(|step| (step.hit, step.name.as_str(), step.scale)).collect();
    assert_eq!(
        steps,
        [
            (Hit::Rule(0), "hits_total", 2.0),
            (Hit::Namespace, "ns.hits_total", 2.0),
            (Hit::Tags, "ns.hits_total", 2.0),
            (Hit::Filter(1), "ns.hits_total", 1.0),
        ]
    );
    assert_eq!(explained.steps[0].captures, ["app.shop.hits", "shop"]);
    assert_eq!(explained.steps[0].place, "m:3:3: mappings[0] \"app.*.hits\"");
    assert_eq!(explained.steps[0].tags, ["app:shop", "env:mapped"]);
    assert_eq!(explained.tags, ["a:b", "app:shop", "env:mapped"]);
    assert_eq!((explained.scale, explained.dropped_by), (1.0, None));
    let dropped = shaping.explain(identity("gone.x", ""), Kind::Counter);
    assert_eq!((dropped.steps.len(), dropped.steps[0].dropped, dropped.dropped_by), (1, true, Some(Hit::Rule(1))));
}

#[test]
fn labels_are_compared_as_the_page_writes_them() {
    let mapping = "mappings:\n- { match: a, name: b, labels: { http_code: new, _9x: y } }\n";
    let shaping = Shaping::new(&ShapeConfig { mapping: Some("m".into()), ..ShapeConfig::default() }, |_| Ok(mapping.into())).unwrap();
    assert_eq!(shown(&shaping, "a", "http.code:200,9x:1,http_codes:1", Kind::Counter), "b#_9x:y,http_code:new,http_codes:1");
}

#[test]
fn added_tags_are_one_per_key() {
    let tags: BTreeMap<String, String> = (0..50).map(|n| (format!("k{n}"), "v".to_string())).collect();
    let shaping = Shaping::new(&ShapeConfig { tags, ..ShapeConfig::default() }, |_| Ok(String::new())).unwrap();
    assert_eq!(shaping.apply(identity("a", "k7:mine,k7:too"), Kind::Gauge).tags.len(), 51);
}
