//! What the store costs at 100,000 series: append, commit, memory, file, reopening and a query.
//!
//! Plain figures of one run, not statistics: `cargo bench --bench store`. `STORE_SERIES`, `STORE_WINDOWS` and
//! `STORE_KIND` (`counter`, `gauge` or `timer` instead of the mix) change the load.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use statsd_relay::clock::Clock;
use statsd_relay::model::series::{NameStyle, Spelling};
use statsd_relay::model::{Column, ExpHist, Family, Form, Kind, MatchOp, Matcher, Select, Series, Sketches, TimeRange, Window};
use statsd_relay::store::{Lock, Store, StoreConfig};

const STEP: i64 = 10_000;
const START: i64 = 1_700_002_800_000;

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn family(slot: &mut u32, kind: Kind, name: &str, rows: usize) -> Arc<Family> {
    let mut series = Vec::with_capacity(rows);
    for row in 0..rows {
        let tags = [Cow::Owned(format!("host:web-{row}")), Cow::Borrowed("region:eu-west-1")];
        let spelling = Spelling { name: name.as_bytes(), tags: b"", kind, style: NameStyle::Plain };
        series.extend(Series::new(*slot, spelling, name, &tags));
        *slot += 1;
    }
    Arc::new(Family { name: name.into(), prom_name: name.into(), kind, help: None, form: Form::default(), series })
}

/// Half counters, a quarter gauges, the rest timers of which one in ten receives something; or all of one kind.
struct Load {
    roster: Arc<[Arc<Family>]>,
    totals: Vec<Vec<f64>>,
    ever: Vec<Vec<(f64, f64)>>,
}

impl Load {
    fn new(series: usize) -> Load {
        let (mut slot, mut roster, rows) = (0, Vec::new(), 500);
        let only = std::env::var("STORE_KIND").ok();
        let only = Kind::ALL.into_iter().find(|kind| only.as_deref() == Some(kind.as_str()));
        for n in 0..series / rows {
            let kind = only.unwrap_or([Kind::Counter, Kind::Gauge, Kind::Counter, Kind::Timer][n % 4]);
            roster.push(family(&mut slot, kind, &format!("{}_{n}", kind.as_str()), rows));
        }
        let totals = roster.iter().map(|family| vec![0.0; family.series.len()]).collect();
        let ever = roster.iter().map(|family| vec![(0.0, 0.0); family.series.len()]).collect();
        Load { roster: roster.into(), totals, ever }
    }

    fn window(&mut self, n: i64) -> Window {
        let mut rows = Vec::new();
        for ((family, totals), ever) in self.roster.iter().zip(&mut self.totals).zip(&mut self.ever) {
            let len = totals.len();
            let age = vec![0; len];
            let column = match family.kind {
                Kind::Counter => {
                    let gain: Vec<f64> = (0..len).map(|_| f64::from(fastrand::u32(0..40)) * f64::from(fastrand::u32(0..2))).collect();
                    totals.iter_mut().zip(&gain).for_each(|(total, gain)| *total += gain);
                    Column::Counter { gain, total: totals.clone(), age }
                }
                Kind::Gauge => {
                    for total in totals.iter_mut() {
                        *total = ((*total * 10.0).round() + f64::from(fastrand::i32(-3..4))) / 10.0;
                    }
                    Column::Gauge { value: totals.clone(), age }
                }
                _ => {
                    let window: Vec<Option<Arc<Sketches>>> = ever.iter_mut().map(received).collect();
                    let (count, sum) = ever.iter().copied().unzip();
                    Column::Timer { count, sum, window, buckets: Vec::new(), age }
                }
            };
            rows.push((family.clone(), column));
        }
        Window::of(START + n * STEP, Duration::from_millis(STEP as u64), rows)
    }
}

fn received(ever: &mut (f64, f64)) -> Option<Arc<Sketches>> {
    if fastrand::u32(0..10) > 0 {
        return None;
    }
    let mut exp = ExpHist::default();
    for _ in 0..5 {
        exp.record(f64::from(fastrand::u32(1..2_000)) / 1_000.0, 1.0);
    }
    *ever = (ever.0 + exp.count, ever.1 + exp.sum);
    Some(Arc::new(Sketches { exp, ..Sketches::default() }))
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok()).unwrap_or(0) * 1_024
}

/// Time this thread has spent on a processor: other load on the machine does not count.
fn on_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(text.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).unwrap_or(0))
}

/// The same of all threads, those that ended too, to ten milliseconds.
fn process_on_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    // User and system time, in ticks.
    let ticks: u64 = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Wall time and processor time of a call.
fn timed<T>(clock: &Clock, call: impl FnOnce() -> T) -> (T, Duration, Duration) {
    let (wall, cpu) = (clock.instant(), on_cpu());
    let done = call();
    (done, wall.elapsed(), on_cpu() - cpu)
}

fn report(what: &str, times: &[(Duration, Duration)]) {
    let (mut wall, mut cpu): (Vec<Duration>, Vec<Duration>) = times.iter().copied().unzip();
    for (clock, times) in [("wall", &mut wall), ("cpu", &mut cpu)] {
        times.sort_unstable();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        println!("{what}, {clock}: p50 {:?}, p99 {:?}, most {:?}", at(0.5), at(0.99), at(1.0));
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (series, windows) = (setting("STORE_SERIES", 100_000), setting("STORE_WINDOWS", 360));
    let (clock, dir) = (Clock::system(), tempfile::tempdir()?);
    let interval = Duration::from_millis(STEP as u64);
    let open = || Store::open(Lock::take(dir.path())?, &StoreConfig::default(), interval, &[0.5, 0.99], START);
    let mut load = Load::new(series);
    let (store, mut writer) = open()?;
    let before = resident();
    let (mut appends, mut commits) = (Vec::new(), Vec::new());
    for n in 1..=windows as i64 {
        let window = load.window(n);
        let ((), wall, cpu) = timed(&clock, || store.append(&window));
        appends.push((wall, cpu));
        let (committed, wall, cpu) = timed(&clock, || writer.commit(START + n * STEP));
        committed?;
        commits.push((wall, cpu));
    }
    println!("{series} series, {windows} windows");
    println!("first append {:?}, first commit {:?}", appends[0], commits[0]);
    report("append", &appends[1..]);
    report("commit", &commits[1..]);
    println!("file: {} bytes, {:.2} a sample", store.bytes(), store.bytes() as f64 / (series * windows) as f64);
    println!("memory: about {} bytes a series", (resident() - before) / series);
    let (start, end) = (START, START + windows as i64 * STEP);
    let named = |name: &str| Matcher { name: "__name__".into(), value: name.into(), op: MatchOp::Equal };
    let (found, wall, cpu) = timed(&clock, || store.select(&[named("counter_0")], TimeRange { start, end }));
    println!("select of {} series from memory: {wall:?}, cpu {cpu:?}", found?.series.len());
    drop((store, writer));
    let before = process_on_cpu();
    let (opened, wall, cpu) = timed(&clock, open);
    let all = process_on_cpu() - before;
    println!("open after a crash: {wall:?}, cpu {cpu:?} of {all:?} on all threads, {} live", opened?.0.live().len());
    Ok(())
}
