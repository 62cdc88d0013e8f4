use super::deltas::DELTAS_MAX;
use super::*;
use crate::aggregate::{LimitsConfig, Published};
use crate::parse::{self, Dialect, Metric, Options, Record};

/// A cutter and two lanes.
fn cutter() -> (Arc<Aggregator>, Cutter, [Arc<Mutex<Lane>>; 2]) {
    let (aggregator, inbox) = Aggregator::new(LimitsConfig::default(), Arc::default());
    let options = CutterOptions {
        interval: Duration::from_secs(10),
        expire_windows: 0,
        timers_in_seconds: true,
        counter_suffix: false,
        dd_sketches: false,
        presentation: Presentation::default(),
    };
    let cutter = Cutter::new(aggregator.clone(), inbox, options);
    let lanes = [(); 2].map(|()| aggregator.lane(Arc::new(Published::new("test"))));
    (aggregator, cutter, lanes)
}

fn metric(line: &str, then: &mut dyn FnMut(&Metric<'_>)) {
    let options = Options { dialect: Dialect::Statsd, ..Options::default() };
    parse::each(line.as_bytes(), &options, &mut |parsed| {
        if let Ok(Record::Metric(metric)) = parsed.record {
            then(&metric);
        }
    });
}

fn record(aggregator: &Aggregator, lane: &mut Lane, line: &str) {
    metric(line, &mut |metric| lane.record(&aggregator.registry, metric, aggregator.ticket()));
}

#[test]
fn changes_of_gauges_are_added_up_as_they_come_and_a_set_that_comes_late_keeps_its_place() {
    let (aggregator, mut cutter, lanes) = cutter();
    const BATCH: usize = 1_024;
    let batches = 5 * DELTAS_MAX / BATCH;
    let (mut most, mut late) = (0, None);
    for batch in 0..batches {
        let stamp = aggregator.ticket();
        metric("g:+1|g", &mut |metric| {
            (0..BATCH as u64).for_each(|at| lanes[0].lock().record(&aggregator.registry, metric, stamp + at));
        });
        if batch == batches / 2 {
            late = Some((aggregator.ticket(), cutter.deltas.begun));
        }
        cutter.fold_next(Duration::ZERO, &mut |_| None);
        // The batch of the other lane is recorded only when lanes have been asked since it began.
        if let Some((stamp, _)) = late.take_if(|(_, before)| cutter.deltas.begun != *before) {
            metric("g:1000000|g", &mut |metric| lanes[1].lock().record(&aggregator.registry, metric, stamp));
        }
        most = most.max(cutter.deltas.waiting.len());
    }
    let (window, _) = cutter.cut(10_000, Duration::from_secs(10), Vec::new(), &mut |_| None);
    let Some((_, Column::Gauge { value, .. })) = window.families().next() else { panic!("a gauge") };
    assert_eq!(value, &[1_000_000.0 + ((batches - 1 - batches / 2) * BATCH) as f64]);
    assert!(most <= 2 * DELTAS_MAX + 4 * 16_384, "{most}");
    assert_eq!((late, cutter.deltas.waiting.capacity()), (None, 0));
}

#[test]
fn a_cut_that_waits_for_a_lane_asks_it_again_after_each_hand_over_of_others() {
    let (aggregator, mut cutter, [slow, busy]) = cutter();
    let bring = |number: usize| {
        let mut busy = busy.lock();
        record(&aggregator, &mut busy, &format!("busy.{number}:1|c"));
        let handed = busy.take();
        busy.hand_over(handed);
    };
    record(&aggregator, &mut slow.lock(), "slow:1|c");
    bring(0);
    let (mut held, mut met) = (Some(slow.lock()), Vec::new());
    cutter.cut(10_000, Duration::from_secs(10), Vec::new(), &mut |series| {
        // Each hand-over that is added up makes place for one more, until the slow lane has had its turn.
        met.push(series.name().to_string());
        held = None;
        if met.len() < 100 && met.iter().all(|name| name != "slow") {
            bring(met.len());
        }
        None
    });
    assert_eq!(met, ["busy.0", "slow", "busy.1"]);
}
