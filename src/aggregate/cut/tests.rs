use super::*;
use crate::aggregate::{LimitsConfig, Published};
use crate::parse::{self, Dialect, Metric, Options, Record};

fn metric(line: &str, then: &mut dyn FnMut(&Metric<'_>)) {
    let options = Options { dialect: Dialect::Statsd, ..Options::default() };
    parse::each(line.as_bytes(), &options, &mut |parsed| {
        if let Ok(Record::Metric(metric)) = parsed.record {
            then(&metric);
        }
    });
}

#[test]
fn changes_of_gauges_are_added_up_as_they_come_and_a_set_that_comes_late_keeps_its_place() {
    let (aggregator, inbox) = Aggregator::new(LimitsConfig::default(), Arc::default());
    let options = CutterOptions {
        interval: Duration::from_secs(10),
        expire_windows: 0,
        timers_in_seconds: true,
        counter_suffix: false,
        dd_sketches: false,
        presentation: Presentation::default(),
    };
    let mut cutter = Cutter::new(aggregator.clone(), inbox, options);
    let lanes = [(); 2].map(|()| aggregator.lane(Arc::new(Published::new("test"))));
    const BATCH: usize = 1_024;
    let batches = 5 * DELTAS_MAX / BATCH;
    let (mut most, mut late) = (0, None);
    for batch in 0..batches {
        let stamp = aggregator.ticket();
        metric("g:+1|g", &mut |metric| {
            (0..BATCH as u64).for_each(|at| lanes[0].lock().record(&aggregator.registry, metric, stamp + at));
        });
        if batch == batches / 2 {
            late = Some((aggregator.ticket(), cutter.begun));
        }
        cutter.fold_next(Duration::ZERO, &mut |_| None);
        // The batch of the other lane is recorded only when lanes have been asked since it began.
        if let Some((stamp, _)) = late.take_if(|(_, before)| cutter.begun != *before) {
            metric("g:1000000|g", &mut |metric| lanes[1].lock().record(&aggregator.registry, metric, stamp));
        }
        most = most.max(cutter.deltas.len());
    }
    let (window, _) = cutter.cut(10_000, Duration::from_secs(10), Vec::new(), &mut |_| None);
    let Some((_, Column::Gauge { value, .. })) = window.families().next() else { panic!("a gauge") };
    assert_eq!(value, &[1_000_000.0 + ((batches - 1 - batches / 2) * BATCH) as f64]);
    assert!(most <= 2 * DELTAS_MAX + 4 * 16_384, "{most}");
    assert_eq!((late, cutter.deltas.capacity()), (None, 0));
}
