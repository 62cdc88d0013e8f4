//! Nanoseconds a line, by its shape. Batches of 64 datagrams of up to 1,432 bytes, warm in the cache.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use statsd_relay::parse::{Dialect, Options, Record, each};

/// One shape of line, told apart by a number.
type Line = fn(usize) -> String;

const SHAPES: [(&str, Dialect, bool, Line); 10] = [
    ("counter_tags", Dialect::DogStatsd, false, counter_tags),
    ("counter_tags_strict", Dialect::DogStatsd, true, counter_tags),
    ("counter_tags_statsd", Dialect::Statsd, false, counter_tags),
    ("timer_rate_tags", Dialect::DogStatsd, false, |n| {
        format!("svc.requests.latency.{}:{}.{:06}|ms|@0.1|#env:production,region:eu-west-1,host:web-{:04}", n % 997, n % 500, n, n % 1000)
    }),
    ("gauge_plain", Dialect::Statsd, false, |n| format!("svc.queue.depth.{}:{}|g", n % 997, n % 5000)),
    ("set_tags", Dialect::DogStatsd, false, |n| format!("svc.users.{}:user-{}|s|#env:production,region:eu-west-1", n % 997, n)),
    ("pack_of_8", Dialect::DogStatsd, false, |n| {
        format!("svc.lat.{}:{}:2.5:3.25:4:5:6:7.125:8|d|#env:production,region:eu-west-1", n % 997, n)
    }),
    ("all_fields", Dialect::DogStatsd, false, |n| {
        format!(
            "svc.requests.{}:{}|c|@0.5|#env:production,host:web-{:04}|c:ci-0123456789abcdef|e:it-false,cn-web|card:low",
            n % 997,
            n,
            n % 1000
        )
    }),
    ("influx", Dialect::Influx, false, |n| format!("cpu.load.{},host=web-{:04},region=eu-west-1:0.{}|g", n % 997, n % 1000, n)),
    ("refused", Dialect::DogStatsd, false, |n| format!("svc.lat.{}:{}ms|d|#env:production,region:eu-west-1", n % 997, n)),
];

fn counter_tags(n: usize) -> String {
    format!(
        "svc.requests.count.{}:{}|c|#env:production,region:eu-west-1,host:web-{:04},ver:1.{}.{}",
        n % 997,
        n % 5000,
        n % 1000,
        n % 7,
        n % 10
    )
}

fn datagrams(line: Line) -> (Vec<String>, u64) {
    let (mut datagrams, mut lines) = (vec![String::new()], 0);
    while datagrams.len() <= 64 {
        let next = line(lines) + "\n";
        if datagrams[datagrams.len() - 1].len() + next.len() > 1_432 {
            datagrams.push(String::new());
        }
        let last = datagrams.len() - 1;
        datagrams[last] += &next;
        lines += 1;
    }
    (datagrams, lines as u64)
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for (shape, dialect, strict, line) in SHAPES {
        let options = Options { dialect, strict, eol_required: false };
        let (datagrams, lines) = datagrams(line);
        group.throughput(Throughput::Elements(lines));
        group.bench_function(BenchmarkId::from_parameter(shape), |bencher| {
            bencher.iter(|| {
                datagrams.iter().for_each(|datagram| each(black_box(datagram.as_bytes()), &options, &mut |parsed| drop(black_box(parsed))))
            });
        });
    }
    group.bench_function("identity", |bencher| {
        let (line, mut spellings) = (counter_tags(7), Vec::new());
        each(line.as_bytes(), &Options::default(), &mut |parsed| {
            if let Ok(Record::Metric(metric)) = parsed.record {
                spellings.push(metric.spelling);
            }
        });
        bencher.iter(|| statsd_relay::parse::identity(black_box(spellings[0])));
    });
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);
