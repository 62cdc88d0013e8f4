use super::*;
use crate::aggregate::{CutterOptions, LimitsConfig, Published};
use crate::ingest::Producer;
use crate::model::Column;
use crate::parse::Options;
use crate::shape::Presentation;
use crate::telemetry::Telemetry;

const INTERVAL: Duration = Duration::from_secs(1);
const START: i64 = 1_700_000_000_000;

/// A cut thread that is given its turns by hand, with one client.
struct Bench {
    cutting: Cutting,
    client: Producer,
    waiting: Receiver<Arc<Window>>,
    clock: Clock,
    /// Intervals gone by; in each the client sent one more count than in the one before.
    gone_by: i64,
}

impl Bench {
    fn new() -> Bench {
        let clock = Clock::manual(START);
        let (aggregator, inbox) = Aggregator::new(LimitsConfig::default(), Arc::default());
        let options = CutterOptions {
            interval: INTERVAL,
            expire_windows: 0,
            timers_in_seconds: true,
            counter_suffix: false,
            dd_sketches: false,
            presentation: Presentation::default(),
        };
        let (out, waiting) = windows();
        let client = Producer::new(aggregator.clone(), Arc::new(Published::new("test")), Options::default(), clock.clone());
        let cutting = Cutting {
            cutter: Cutter::new(aggregator.clone(), inbox, options),
            aggregator,
            schedule: Schedule::new(INTERVAL.as_millis() as i64, START, None),
            clock: clock.clone(),
            own: Own::new(Telemetry::install()),
            checks: ServiceChecks::new(Duration::ZERO),
            base: Box::new(|_| None),
            out,
            held: None,
            held_at: None,
            stop: Arc::default(),
            cuts: Arc::default(),
        };
        Bench { cutting, client, waiting, clock, gone_by: 0 }
    }

    /// Intervals go by in which the fan-out takes nothing; answers how many windows there are by then.
    fn stand_still_for(&mut self, intervals: i64) -> u64 {
        for _ in 0..intervals {
            self.gone_by += 1;
            self.client.batch().frame(format!("c:{}|c", self.gone_by).as_bytes());
            self.clock.set(START + self.gone_by * INTERVAL.as_millis() as i64);
            self.cutting.cut_what_is_due(false);
        }
        self.cutting.cuts.load(Ordering::Acquire)
    }

    /// Every interval is in one of the windows, and so is every count.
    fn assert_complete(&self, windows: &[Arc<Window>]) {
        let mut end = START;
        let mut counted = 0.0;
        for window in windows {
            assert_eq!(window.start(), end);
            end = window.end;
            let (_, column) = window.families().next().unwrap();
            let Column::Counter { gain, .. } = column else { panic!("a counter") };
            counted += gain[0];
        }
        assert!(end >= self.clock.now_ms());
        assert_eq!(counted, (1..=self.gone_by).sum::<i64>() as f64);
    }
}

#[test]
fn while_the_fan_out_stands_still_windows_are_bounded_and_every_count_is_in_one() {
    let mut bench = Bench::new();
    assert_eq!(bench.stand_still_for(5), 5, "four wait, one more is held");
    assert_eq!(bench.stand_still_for(20), 5, "the next one is longer instead");
    let mut taken = Vec::new();
    for _ in 0..3 {
        taken.extend(bench.waiting.try_iter());
        bench.cutting.cut_what_is_due(false);
    }
    assert_eq!(bench.cutting.cuts.load(Ordering::Acquire), 6);
    assert_eq!(taken.iter().map(|window| window.length.as_secs()).collect::<Vec<_>>(), [1, 1, 1, 1, 1, 20]);
    bench.assert_complete(&taken);
}

#[test]
fn a_clock_that_never_went_back_is_on_the_page_as_well() {
    let page = Telemetry::install();
    let _way = windows();
    let families = page.families();
    assert!(families.iter().any(|family| family.name == telemetry::CLOCK_STEPS.name));
}

#[test]
fn a_stop_waits_until_the_fan_out_has_taken_every_window() {
    let mut bench = Bench::new();
    bench.stand_still_for(9);
    bench.clock.set(bench.clock.now_ms() + 500);
    let (cutting, waiting) = (&mut bench.cutting, &bench.waiting);
    let taken: Vec<_> = std::thread::scope(|scope| {
        let stopping = scope.spawn(|| cutting.cut_what_is_due(true));
        // Time enough for one that does not wait.
        std::thread::sleep(Duration::from_millis(100));
        assert!(!stopping.is_finished());
        let taken = (0..7).map(|_| waiting.recv_timeout(Duration::from_secs(60)).unwrap()).collect();
        stopping.join().unwrap();
        taken
    });
    assert_eq!(taken.iter().map(|window| window.length.as_secs()).collect::<Vec<_>>(), [1, 1, 1, 1, 1, 4, 1]);
    bench.assert_complete(&taken);
}
