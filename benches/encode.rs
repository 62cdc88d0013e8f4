//! 100,000 series to Datadog's v2 protobuf, as compressed payloads within the intake's limits.

#[path = "../tests/intake/window.rs"]
#[allow(dead_code, unreachable_pub, clippy::expect_used, reason = "the bench uses its part")]
mod window;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use statsd_relay::encode::datadog::{CounterForm, Options, Route};
use statsd_relay::encode::{Compression, Payload, Place};
use statsd_relay::model::Window;

const SERIES: u64 = 100_000;

fn window() -> std::sync::Arc<Window> {
    let mut builder = window::WindowBuilder::new(1_700_000_010_000);
    for row in 0..SERIES {
        let (name, tags) = (format!("shop.requests.{}", row / 1_000), format!("env:prod,host:web{},route:r{}", row % 40, row % 1_000));
        builder = builder.counter(&name, &tags, row as f64, 0);
    }
    builder.build()
}

fn encode(window: &Window, options: &Options) -> (u64, usize) {
    let (mut points, mut bytes, mut place) = (0, 0, Some(Place::default()));
    while let Some(at) = place {
        let mut payload = Payload::default();
        place = Route::Series.encode(window, options, at, Route::Series.budget(), &mut payload);
        points += payload.points;
        bytes += payload.body.len();
    }
    (points, bytes)
}

fn series(c: &mut Criterion) {
    let window = window();
    let mut group = c.benchmark_group("datadog_series");
    group.throughput(Throughput::Elements(SERIES)).sample_size(10);
    for compression in [Compression::None, Compression::Zstd, Compression::Deflate] {
        let options = Options {
            hostname: "relay".to_string(),
            counters: CounterForm::Rate,
            aggregates: Vec::new(),
            percentiles: Vec::new(),
            compression,
        };
        assert_eq!(encode(&window, &options).0, SERIES);
        group.bench_function(format!("{compression:?}"), |b| b.iter(|| encode(&window, &options)));
    }
    group.finish();
}

criterion_group!(benches, series);
criterion_main!(benches);
