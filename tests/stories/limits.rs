//! A flood of new series takes nothing from the known ones, and memory stays within its limit.

use std::time::Instant;

use crate::relay::{Home, Relay, wait_for};
use crate::sender::send_paced;

const KNOWN: u64 = 1_000;
const MEMORY: u64 = 256 << 20;
const LIMITS: &str = "limits: { series: 100000, memory: 256MiB }";

/// Windows long enough that a build without optimisation is done with one of 100,000 series before the next ends, on a
/// busy machine as well: else some are always on their way, and the ledger of windows never comes out even.
fn start(home: &Home) -> Relay {
    let mut command = home.command();
    command.args(["--set", "aggregate.interval=4s"]);
    Relay::start(command, &home.path("log"))
}

/// Unique series of the flood. The acceptance figure is 10 million in 60 s: `STATSD_RELAY_FLOOD=10000000`, with a release build.
fn flood() -> u64 {
    std::env::var("STATSD_RELAY_FLOOD").map_or(300_000, |text| text.parse().unwrap())
}

/// Half of the flood are tags of one name, half are names; every hundredth line is one of a known series.
fn line(number: u64) -> String {
    match number % 100 {
        0 => format!("known.hits:1|c|#of:{}", number / 100 % KNOWN),
        odd if odd % 2 == 1 => format!("flood.wide:1|c|#request:{number:010}"),
        _ => format!("flood.name.{number:010}:1|c"),
    }
}

#[test]
fn a_flood_of_new_series_leaves_the_known_ones_exact_and_the_memory_within_its_limit() {
    let home = Home::new(LIMITS);
    let relay = start(&home);
    let known = send_paced(relay.udp, KNOWN, |number| format!("known.hits:1|c|#of:{number}"), |_| true);
    relay.wait_for_sum("known_hits", &[], KNOWN as f64);

    let begun = Instant::now();
    let sent = send_paced(relay.udp, flood(), line, |_| true);
    eprintln!("{} lines in {:?}", sent.lines, begun.elapsed());
    let lines = (known.lines + sent.lines) as f64;
    let numbers = 0..sent.lines;
    let (wide, named) =
        (numbers.clone().filter(|number| number % 2 == 1).count(), numbers.filter(|number| number % 2 == 0 && number % 100 != 0).count());
    let hits = sent.lines.div_ceil(100);
    // The store, the rules and the page are a window or more behind the lines.
    let page = relay.wait_for_page(|page| {
        let found = (page.sum("statsd_relay_lines_seen_total", &[]), page.sum("flood_wide", &[]), page.sum("known_hits", &[]));
        let expected = (lines, wide as f64, (KNOWN + hits) as f64);
        (found != expected).then(|| format!("{found:?}, not {expected:?}")).into_iter().collect()
    });
    assert_eq!(page.sum("statsd_relay_datagrams_kernel_dropped_total", &[]), 0.0);
    for of in [0, 1, KNOWN / 2, KNOWN - 1] {
        let expected = 1 + (0..hits).filter(|hit| hit % KNOWN == of).count();
        assert_eq!(page.value("known_hits", &[("of", &of.to_string())]), Some(expected as f64), "{of}");
    }

    // To the last sample: what has no series of its own is in the one that overflows, or shed.
    let own = page.select("flood_wide", &[]).iter().filter(|sample| sample.labels.contains_key("request")).count();
    let overflow = page.sum("flood_wide", &[("overflow", "true")]);
    assert_eq!(overflow, (wide - own) as f64);
    let admitted = page.samples.iter().filter(|sample| sample.name.starts_with("flood_name_")).count();
    let shed = page.sum("statsd_relay_lines_shed_total", &[]);
    assert_eq!(shed, (named - admitted) as f64);
    assert_eq!(page.sum("statsd_relay_series_limited_total", &[]), overflow + shed);
    let live = page.sum("statsd_relay_series", &[]);
    eprintln!("{live} series live: {own} wide, {admitted} names; peak {} MiB", relay.peak_memory() >> 20);
    assert!(live <= 100_001.0, "{live}");
    let peak = relay.peak_memory();
    assert!(peak <= MEMORY, "the process took {} MiB", peak >> 20);

    let top = relay.ask(&["top", "--once", "--limit", "1"]);
    assert!(top.stdout.contains("flood.wide") && top.stdout.contains("request"), "{top:?}");
    relay.assert_balanced(known.datagrams + sent.datagrams);
    relay.stop();
}

/// Sends `count` lines of a kind that costs more than most, in bursts over several windows, and holds the limit against the peak.
fn peak_under(what: &str, count: u64, line: impl Fn(u64) -> String) {
    let count = count * flood().div_ceil(300_000);
    let home = Home::new(LIMITS);
    let relay = start(&home);
    let sent = send_paced(relay.udp, count, line, |_| true);
    let windows = relay.wait_for_sum("statsd_relay_lines_seen_total", &[], sent.lines as f64).sum("statsd_relay_windows_total", &[]);
    // The store comes to it a little later.
    let page = relay.wait_for_page(|page| {
        let stored = page.sum("statsd_relay_windows_committed_total", &[]);
        (stored < windows + 2.0).then(|| format!("{stored} windows are stored, of {windows} and two more")).into_iter().collect()
    });
    let limited: Vec<(String, f64)> = page
        .select("statsd_relay_series_limited_total", &[])
        .iter()
        .filter(|sample| sample.value > 0.0)
        .map(|sample| (sample.labels["limit"].clone(), sample.value))
        .collect();
    let peak = relay.peak_memory();
    eprintln!("{what}: {} series live, {limited:?}, peak {} MiB", page.sum("statsd_relay_series", &[]), peak >> 20);
    assert!(peak <= MEMORY, "{what}: the process took {} MiB", peak >> 20);
    relay.assert_balanced(sent.datagrams);
    relay.stop();
}

#[test]
fn memory_stays_within_its_limit_whatever_the_series_are() {
    let pad = "x".repeat(1_000);
    peak_under("long tags", 60_000, |number| format!("long.tags:1|c|#id:{number:08}{pad}"));
    peak_under("long names", 60_000, |number| format!("long.{pad}.{number:08}:1|c"));
    peak_under("timers", 60_000, |number| format!("timer.{number:08}:{}|ms", number % 977));
    peak_under("many tags", 60_000, |number| {
        format!("tags:1|c|#{}", (0..12).map(|tag| format!("k{tag}:v{number}")).collect::<Vec<_>>().join(","))
    });
    peak_under("stamped", 100_000, |number| format!("own.{number:08}:1|c|#{}|T{}", "x".repeat(200), crate::look_inside::now() - 60));
    peak_under("events", 5_000, |number| format!("_e{{8,1200}}:{number:08}|{}", "x".repeat(1_200)));
    peak_under("spellings", 100_000, |number| {
        format!("spelled:1|c|#{}{},x", "a,".repeat((number % 50) as usize), " ".repeat((number / 50 % 400) as usize))
    });
}

#[test]
fn series_that_expire_make_room_and_go_on_when_they_return() {
    let home = Home::new("");
    home.configure_expiring("6s");
    let relay = home.start();
    relay.send("come.back:5|c\nstay.here:1|c");
    relay.wait_for_sum("come_back", &[], 5.0);
    let page = wait_for("its leave", || {
        relay.send("stay.here:1|c");
        relay.try_page().filter(|page| page.value("come_back", &[]).is_none())
    });
    assert_eq!(page.sum("statsd_relay_series", &[]), 1.0);
    assert!(page.sum("statsd_relay_series_expired_total", &[]) >= 1.0);
    relay.send("come.back:2|c");
    relay.wait_for_sum("come_back", &[], 7.0);
    relay.stop();
}

#[test]
fn series_that_expire_give_their_memory_back() {
    let home = Home::new("");
    home.configure_expiring("20s");
    let mut command = home.command();
    command.arg("--set").arg("store.enabled=false");
    let relay = Relay::start(command, &home.path("log"));
    relay.wait_for_sum("statsd_relay_windows_total", &[], 2.0);
    let bare = relay.resident_memory();
    let sent = send_paced(
        relay.udp,
        50_000,
        |number| format!("leaves:{}|{}|#request:{number:060}", number % 97, ["c", "g", "ms"][number as usize % 3]),
        |_| true,
    );
    relay.wait_for_sum("statsd_relay_series", &[], sent.lines as f64);
    // The lowest of some readings: what a window or a page takes for a moment is no part of it.
    let reading = |windows: f64| {
        relay.wait_for_page(|page| {
            let cut = page.sum("statsd_relay_windows_total", &[]);
            (cut < windows).then(|| format!("{cut} windows")).into_iter().collect()
        });
        relay.resident_memory()
    };
    let cut = relay.page().sum("statsd_relay_windows_total", &[]);
    let full = (1..=3).map(|windows| reading(cut + f64::from(windows))).min().unwrap();
    let last = wait_for("two fifths of the memory that the series took", || {
        let page = relay.page();
        let left =
            page.sum("statsd_relay_series", &[]) + page.samples.iter().filter(|sample| sample.name.starts_with("leaves")).count() as f64;
        let resident = relay.resident_memory();
        (left == 0.0 && resident < bare + (full - bare) * 3 / 5).then_some(resident)
    });
    eprintln!("{} MiB bare, {} MiB full, {} MiB after all left", bare >> 20, full >> 20, last >> 20);
    relay.stop();
}

#[test]
fn each_limit_is_counted_under_its_name_and_drop_sheds() {
    let home = Home::new("limits: { series_per_metric: 2, tags_per_series: 3, key_bytes: 40, on_limit: drop }");
    let relay = home.start();
    relay.send("a:1|c|#t:1\na:1|c|#t:2\na:1|c|#t:3\na:1|c|#t:1");
    relay.send(format!("b:1:2|c|#w,x,y,z\n{}:1|c", "n".repeat(41)));
    let page = relay.wait_for_sum("statsd_relay_lines_seen_total", &[], 6.0);
    for (limit, lines, samples) in
        [("series_per_metric", 1.0, 1.0), ("tags_per_series", 1.0, 2.0), ("key_bytes", 1.0, 1.0), ("memory", 0.0, 0.0)]
    {
        assert_eq!(page.sum("statsd_relay_lines_shed_total", &[("reason", limit)]), lines, "{limit}");
        assert_eq!(page.sum("statsd_relay_series_limited_total", &[("limit", limit)]), samples, "{limit}");
    }
    relay.wait_for_sum("a", &[], 3.0);
    relay.assert_balanced(2);
    relay.stop();
}
