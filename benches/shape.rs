//! What a new spelling costs under 100 rules and under filters. A known series costs nothing: see `core`.
//!
//! `cargo bench --bench shape`

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use statsd_relay::model::Kind;
use statsd_relay::model::series::{NameStyle, Spelling};
use statsd_relay::parse;
use statsd_relay::shape::{FilterConfig, MatchConfig, ShapeConfig, Shaping};

const RULES: usize = 100;

fn globs() -> String {
    let rule = |n: usize| {
        format!("- {{match: 'service{n}.*.requests.*', name: requests_total, labels: {{ service: s{n}, host: $1, code: $2 }}}}\n")
    };
    format!("mappings:\n{}", (0..RULES).map(rule).collect::<String>())
}

fn regexes() -> String {
    let rule = |n: usize| {
        format!(
            "- {{match: '^service{n}[.]([^.]+)[.]requests[.]([0-9]+)$', match_type: regex, name: requests_total, labels: {{ host: $1, code: $2 }}}}\n"
        )
    };
    format!("mappings:\n{}", (0..RULES).map(rule).collect::<String>())
}

fn shaping(mapping: &str, filters: Vec<FilterConfig>) -> Shaping {
    let config = ShapeConfig { mapping: Some("m.yml".into()), filters, ..ShapeConfig::default() };
    Shaping::new(&config, |_| Ok(mapping.to_string())).unwrap_or_default()
}

fn shape(criterion: &mut Criterion) {
    let debug = MatchConfig { name: vec!["debug.*".into(), "*.trace".into()], ..MatchConfig::default() };
    let filters = vec![FilterConfig { drop: Some(debug), ..FilterConfig::default() }; 10];
    let cases = [
        ("100 globs, the last matches", globs(), Vec::new(), "service99.web-7.requests.200"),
        ("100 globs, none matches", globs(), Vec::new(), "service99.web-7.errors.200"),
        ("100 regexes, the last matches", regexes(), Vec::new(), "service99.web-7.requests.200"),
        ("100 regexes, none matches", regexes(), Vec::new(), "other.web-7.requests.200"),
        ("10 filters", "mappings: []".to_string(), filters, "service99.web-7.requests.200"),
    ];
    let mut group = criterion.benchmark_group("shape a new spelling");
    for (what, mapping, filters, name) in cases {
        let shaping = shaping(&mapping, filters);
        let tags = b"env:production,host:web-000007,region:eu-west-1,version:1.2.3";
        let spelling = Spelling { name: name.as_bytes(), tags, kind: Kind::Counter, style: NameStyle::Plain };
        group.bench_function(what, |bencher| bencher.iter(|| shaping.apply(parse::identity(black_box(spelling)), Kind::Counter)));
    }
    group.finish();
}

criterion_group!(benches, shape);
criterion_main!(benches);
