//! The hot core without sockets: a datagram into a lane, and the cut of a window.
//!
//! `cargo bench --bench core`

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use statsd_relay::aggregate::{Aggregator, Cutter, CutterOptions, Handed, LimitsConfig, Published};
use statsd_relay::clock::Clock;
use statsd_relay::ingest::Producer;
use statsd_relay::parse::Options;

const LINES_PER_DATAGRAM: usize = 16;

/// Datagrams of 16 lines of about 87 bytes over `contexts` series, drawn from Zipf(1.0) with a fixed seed:
/// 40 % c, 20 % g, 15 % ms, 10 % h, 10 % d, 5 % s.
fn traffic(contexts: usize, datagrams: usize) -> Vec<Vec<u8>> {
    let cumulative: Vec<f64> = (1..=contexts)
        .scan(0.0, |sum, rank| {
            *sum += 1.0 / rank as f64;
            Some(*sum)
        })
        .collect();
    let mut random = fastrand::Rng::with_seed(42);
    let mut datagram = || {
        let lines: Vec<String> = (0..LINES_PER_DATAGRAM)
            .map(|_| {
                let target = random.f64() * cumulative[contexts - 1];
                line(cumulative.partition_point(|&sum| sum < target), &mut random)
            })
            .collect();
        lines.join("\n").into_bytes()
    };
    (0..datagrams).map(|_| datagram()).collect()
}

fn line(context: usize, random: &mut fastrand::Rng) -> String {
    let kind = match context % 20 {
        0..8 => "c",
        8..12 => "g",
        12..15 => "ms",
        15..17 => "h",
        17..19 => "d",
        _ => "s",
    };
    let value = random.u32(1..1_000);
    format!("service.requests.n{:03}:{value}|{kind}|#env:production,host:web-{context:06},region:eu-west-1,version:1.2.3", context % 499)
}

fn core() -> (Producer, Cutter) {
    let limits = LimitsConfig { series: 2_000_000, series_per_metric: 2_000_000, ..LimitsConfig::default() };
    let (aggregator, inbox) = Aggregator::new(limits, Arc::default());
    let producer = Producer::new(aggregator.clone(), Arc::new(Published::new("bench")), Options::default(), Clock::system());
    let cutter = cutter(aggregator, inbox);
    (producer, cutter)
}

fn cutter(aggregator: Arc<Aggregator>, inbox: Receiver<Handed>) -> Cutter {
    let options = CutterOptions {
        interval: Duration::from_secs(10),
        expire_windows: 360,
        timers_in_seconds: true,
        counter_suffix: false,
        dd_sketches: false,
        presentation: Default::default(),
    };
    Cutter::new(aggregator, inbox, options)
}

fn send(producer: &Producer, datagrams: &[Vec<u8>]) {
    for batch in datagrams.chunks(32) {
        let mut open = producer.batch();
        for datagram in batch {
            open.frame(datagram);
        }
    }
}

fn ingest(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ingest");
    for contexts in [1_000, 10_000, 100_000, 1_000_000] {
        // Less than a log holds, so that no hand-over waits for the cutter.
        let datagrams = traffic(contexts, 6_000);
        let (producer, mut cutter) = core();
        let mut end = 0;
        let mut cut = || {
            end += 10_000;
            cutter.cut(end, Duration::from_secs(10), Vec::new(), &mut |_| None)
        };
        send(&producer, &datagrams);
        cut();
        group.throughput(Throughput::Elements((datagrams.len() * LINES_PER_DATAGRAM) as u64));
        group.bench_function(format!("datagram to lane, {contexts} contexts"), |bencher| {
            bencher.iter_batched(|| drop(cut()), |()| send(&producer, &datagrams), BatchSize::PerIteration);
        });
    }
    group.finish();
}

/// One line, meant to cost much, as the only one of its datagram. The bound is 1 ms each.
fn hostile(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hostile");
    let mut random = fastrand::Rng::with_seed(3);
    let mut tags: Vec<String> = (0..8_000).map(|tag| format!("{tag:x}:{}", tag % 10)).collect();
    let ascending = tags.join(",");
    random.shuffle(&mut tags);
    let lines = [
        ("sample rate of 1e-300", "a:1|c|@1e-300".to_string()),
        ("NaN", "a:NaN|g".to_string()),
        ("64 KiB of colons", format!("a{}|c", ":".repeat(65_500))),
        ("64 KiB of colons alone", ":".repeat(65_507)),
        ("8,000 tags", format!("a:1|c|#{}", tags.join(","))),
        ("8,000 tags in order", format!("a:1|c|#{ascending}")),
        ("8,000 tags of a name without a series", format!("b:1|c|#{}", tags.join(","))),
        ("a pack of 32,000", format!("a:1{}|c", ":1".repeat(32_000))),
        ("64 KiB of commas", format!("a:1|c|#{}", ",".repeat(65_480))),
        ("64 KiB of pipes", format!("a:1|c{}", "|".repeat(65_490))),
    ];
    for (name, line) in lines {
        assert!(line.len() <= 65_507, "{name}: {} bytes are no datagram", line.len());
        let (producer, _cutter) = core();
        send(&producer, &[b"a:1|c".to_vec()]);
        let datagram = [line.into_bytes()];
        group.bench_function(name, |bencher| bencher.iter(|| send(&producer, &datagram)));
    }
    group.finish();
}

fn cut(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cut");
    group.sample_size(20);
    for contexts in [100_000, 1_000_000] {
        let (producer, mut cutter) = core();
        let mut random = fastrand::Rng::with_seed(7);
        let lines: Vec<Vec<u8>> = (0..contexts).map(|context| line(context, &mut random).into_bytes()).collect();
        let mut end = 0;
        let fill = |cutter: &mut Cutter| {
            for lines in lines.chunks(10_000) {
                send(&producer, lines);
                cutter.fold_next(Duration::ZERO, &mut |_| None);
            }
        };
        fill(&mut cutter);
        group.throughput(Throughput::Elements(contexts as u64));
        group.bench_function(format!("every one of {contexts} series touched"), |bencher| {
            bencher.iter_custom(|rounds| {
                let mut took = Duration::ZERO;
                for _ in 0..rounds {
                    fill(&mut cutter);
                    end += 10_000;
                    let began = Clock::system().instant();
                    let window = cutter.cut(end, Duration::from_secs(10), Vec::new(), &mut |_| None);
                    took += began.elapsed();
                    drop(window);
                }
                took
            });
        });
    }
    group.finish();
}

criterion_group!(benches, ingest, hostile, cut);
criterion_main!(benches);
