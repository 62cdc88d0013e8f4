//! `kill -9` under load: the next start opens, nothing that was shown is taken back, and only the newest is missing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::relay::{Home, PATIENCE, Relay, wait_for};
use crate::sender::{is_bound, send_paced};

/// The total on the page. Where a commit takes longer than a second, the page may be ahead of the disk and says so:
/// that total counts for nothing.
fn total(relay: &Relay) -> f64 {
    let page = relay.try_page().filter(|page| page.sum("statsd_relay_degraded", &[]) == 0.0);
    page.map_or(0.0, |page| page.sum("load_hits", &[]))
}

/// Loads the relay until the page has grown `windows` times, and then shows all that was sent by that time, `before` and
/// since; kills it when the page has grown once more. Returns the last total that was shown and the lines that were sent.
fn load_and_kill(relay: Relay, before: f64, windows: usize) -> (f64, u64) {
    let (so_far, address) = (AtomicU64::new(0), relay.udp);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let line = |number| format!("load.hits:1|c|#shard:{}", number % 16);
            send_paced(address, u64::MAX, line, |sent| {
                so_far.store(sent.lines, Ordering::Relaxed);
                // About 100,000 lines a second: work for a debug build, but not all of a machine.
                std::thread::sleep(Duration::from_millis(10));
                is_bound(address)
            })
        });
        let mut shown = total(&relay);
        for _ in 0..windows {
            shown = wait_for("the page to grow", || Some(total(&relay)).filter(|now| *now > shown));
        }
        let earlier = before + so_far.load(Ordering::Relaxed) as f64;
        shown = wait_for("all that was sent by now", || Some(total(&relay)).filter(|now| *now >= earlier));
        // Asked without a pause: what is shown before it is on disk is caught in between.
        let start = Instant::now();
        let last = std::iter::repeat_with(|| total(&relay)).find(|now| *now > shown || start.elapsed() > PATIENCE);
        relay.kill();
        (last.unwrap_or(shown).max(shown), sender.join().unwrap().lines)
    })
}

#[test]
fn no_total_goes_back_and_only_the_newest_is_missing() {
    let home = Home::new("");
    let mut before = 0.0;
    for round in 1..=3 {
        let (shown, sent) = load_and_kill(home.start(), before, round);
        let relay = home.start();
        let after = wait_for("the totals after the restart", || relay.try_page()?.value("load_hits", &[]));
        assert!(after >= shown, "round {round}: {shown} was shown, {after} is left");
        assert!(after <= before + sent as f64, "round {round}: {sent} lines were sent, {} are counted", after - before);
        assert_eq!(relay.query("sum(load_hits)").first().map(|sample| sample.value), Some(after));
        relay.wait_for_sum("statsd_relay_degraded", &[], 0.0);
        before = after;
        relay.stop();
    }
}
