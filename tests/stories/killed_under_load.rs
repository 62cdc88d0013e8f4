//! `kill -9` under load: the next start opens, nothing that was shown is taken back, and only the newest is missing.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::relay::{Home, Relay, wait_for};
use crate::sender::send_paced;

/// A window of 1 s is on disk this long after its last line came, on a machine that is busy with other stories.
const COMMITTED_AFTER: Duration = Duration::from_secs(6);

/// Lines sent so far, and when that was so.
type Timeline = Mutex<Vec<(Instant, u64)>>;

fn sent_by(timeline: &Timeline, moment: Instant) -> u64 {
    timeline.lock().unwrap().iter().take_while(|(at, _)| *at <= moment).last().map_or(0, |(_, lines)| *lines)
}

fn total(relay: &Relay) -> f64 {
    relay.try_page().map_or(0.0, |page| page.sum("load_hits", &[]))
}

/// Loads the relay until the page has grown `windows` times, kills it, and returns the last total shown and the least and the
/// most that may be in the store, beyond what was there before.
fn load_and_kill(relay: Relay, windows: usize) -> (f64, u64, u64) {
    let (timeline, stop) = (Timeline::default(), AtomicBool::new(false));
    let address = relay.udp;
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            send_paced(
                address,
                u64::MAX,
                |number| format!("load.hits:1|c|#shard:{}", number % 16),
                |sent| {
                    timeline.lock().unwrap().push((Instant::now(), sent.lines));
                    // About 100,000 lines a second: work for a debug build, but not all of a machine.
                    std::thread::sleep(Duration::from_millis(10));
                    !stop.load(Ordering::Relaxed)
                },
            )
        });
        let mut shown = total(&relay);
        for _ in 0..windows {
            shown = wait_for("the page to grow", 20, || Some(total(&relay)).filter(|now| *now > shown));
        }
        // Long enough that something must be in the store.
        wait_for("a line older than a commit takes", 30, || (sent_by(&timeline, Instant::now() - COMMITTED_AFTER) > 0).then_some(()));
        shown = total(&relay).max(shown);
        let killed = Instant::now();
        relay.kill();
        stop.store(true, Ordering::Relaxed);
        let sent = sender.join().unwrap();
        (shown, sent_by(&timeline, killed - COMMITTED_AFTER), sent.lines)
    })
}

#[test]
fn no_total_goes_back_and_only_the_newest_is_missing() {
    let home = Home::new("");
    let mut before = 0.0;
    for round in 1..=3 {
        let (shown, least, most) = load_and_kill(home.start(), round);
        let relay = home.start();
        let after = wait_for("the totals after the restart", 20, || relay.try_page()?.value("load_hits", &[]));
        assert!(after >= shown, "round {round}: {shown} was shown, {after} is left");
        assert!(after >= before + least as f64, "round {round}: {least} lines came long before the kill, {} are left", after - before);
        assert!(after <= before + most as f64, "round {round}: {most} lines were sent, {} are counted", after - before);
        assert_eq!(relay.query("sum(load_hits)").first().map(|sample| sample.value), Some(after));
        assert_eq!(relay.page().sum("statsd_relay_degraded", &[]), 0.0);
        before = after;
        relay.stop();
    }
}
