//! A million increments are a million: on the page, in the store after a restart, and at the upstream.

use crate::datadog_receives::Datadog;
use crate::relay::{Home, wait_for};
use crate::sender::send_paced;

const INCREMENTS: u64 = 1_000_000;

#[test]
fn a_million_increments_are_a_million_everywhere() {
    let datadog = Datadog::start();
    let home = Home::new(&datadog.sink());
    let relay = home.start();
    let sent = send_paced(relay.udp, INCREMENTS, |number| format!("exact.hits:1|c|#shard:{}", number % 8), |_| true);
    assert_eq!(sent.lines, INCREMENTS);

    let page = relay.wait_for_sum("exact_hits", &[], INCREMENTS as f64);
    assert_eq!(page.sum("statsd_relay_datagrams_kernel_dropped_total", &[]), 0.0);
    assert_eq!(page.sum("statsd_relay_lines_accepted_total", &[]), INCREMENTS as f64);
    assert_eq!(page.sum("statsd_relay_samples_total", &[("type", "counter")]), INCREMENTS as f64);
    wait_for("a million at the upstream", || (datadog.gained("exact.hits") == INCREMENTS as f64).then_some(()));
    relay.assert_balanced(sent.datagrams);
    relay.stop();
    assert_eq!(datadog.gained("exact.hits"), INCREMENTS as f64);

    let relay = home.start();
    relay.wait_for_sum("exact_hits", &[], INCREMENTS as f64);
    assert_eq!(relay.query("sum(exact_hits)").first().map(|sample| sample.value), Some(INCREMENTS as f64));
    relay.stop();
}
