//! A mapping file and filters move in unchanged, and every line they drop is counted.

use crate::page::Page;
use crate::peers::Peer;
use crate::relay::{Home, outcome, relay};

const SHAPE: &str = "
shape:
  namespace: shop
  tags: { env: prod }
  mapping: mapping.yml
  filters:
    - drop: { name: [\"shop.debug.*\"] }
    - tags: { match: { type: [timer] }, drop: [request_id], rename: { svc: service } }
    - scale: { match: { name: [\"*_us\"] }, by: 0.001 }
";

const MAPPING: &str = "
defaults:
  quantiles: [{ quantile: 0.5, error: 0.05 }]
mappings:
  - match: checkout.*.*.count
    name: checkouts_total
    help: Checkouts by region.
    labels: { region: $1, step: $2 }
  - match: '^noise[.]'
    match_type: regex
    name: dropped
    action: drop
";

#[test]
fn a_mapping_file_and_filters_shape_what_the_page_shows() {
    let home = Home::new(SHAPE);
    home.write("mapping.yml", MAPPING);
    let mut check = relay();
    check.arg("check").arg(home.path("relay.yaml"));
    let end = outcome(check);
    assert_eq!(end.code, Some(0), "{end:?}");
    assert!(end.stdout.contains("mapping.yml:3:39: defaults.quantiles[0].error: warning: has no effect"), "{end:?}");

    let relay = home.start();
    for _ in 0..3 {
        relay.send("checkout.eu.pay.count:2|c\ncheckout.eu.pay.count:1|c|#env:dev\nnoise.a:1|c\nnoise.b:1|g");
        relay.send("debug.x:1|c\ndebug.y:1|ms\nlatency_us:250|ms|#request_id:7,svc:cart\ndatadog.dogstatsd.client.metrics:1|c");
    }
    let expected = [
        ("shop_checkouts_total", &[("region", "eu"), ("step", "pay"), ("env", "prod")][..], 6.0),
        ("shop_checkouts_total", &[("env", "dev"), ("region", "eu")], 3.0),
        ("shop_latency_us_count", &[("service", "cart"), ("env", "prod")], 3.0),
        ("datadog_dogstatsd_client_metrics", &[("env", "prod")], 3.0),
    ];
    let page = relay.wait_for_page(|page| {
        let wrong = expected.iter().filter(|(name, labels, value)| page.value(name, labels) != Some(*value));
        wrong.map(|wrong| format!("not {wrong:?}")).collect()
    });
    let none: [(&str, &str); 0] = [];
    let sum = page.value("shop_latency_us_sum", &[("service", "cart")]).unwrap();
    assert!((sum - 0.00075).abs() < 1e-12, "{sum}");
    assert!(page.select("shop_latency_us_sum", &[("request_id", "7")]).is_empty());
    assert_eq!(page.sum("statsd_relay_lines_shed_total", &[("reason", "mapping")]), 6.0);
    assert_eq!(page.sum("statsd_relay_lines_shed_total", &[("reason", "filter")]), 6.0);
    assert_eq!(page.sum("statsd_relay_filter_hits_total", &[("filter", "shape.filters[0]")]), 6.0);
    assert_eq!(page.sum("statsd_relay_filter_hits_total", &[("filter", "shape.filters[2]")]), 1.0);
    assert_eq!(page.sum("statsd_relay_mapping_hits_total", &[("rule", "mappings[0]")]), 2.0);
    assert_eq!(page.sum("statsd_relay_mapping_hits_total", &[("rule", "mappings[1]"), ("match", "^noise[.]")]), 6.0);
    assert!(page.sum("statsd_relay_mapping_unmapped_total", &none) >= 4.0);
    relay.assert_balanced(6);
    relay.stop();
}

const TIMINGS: &str = "
defaults:
  timer_type: summary
  quantiles: [{ quantile: 0.25, error: 0.05 }]
mappings:
  - match: api.*.time
    name: api_seconds
    help: Time of requests.
    labels: { service: $1 }
    ttl: 12s
    observer_type: histogram
    histogram_options: { buckets: [0.1, 0.25, 1] }
  - match: old.*
    name: old_seconds
    timer_type: histogram
    buckets: [0.5]
  - match: shares.*
    name: shares_seconds
    summary_options: { quantiles: [{ quantile: 0.75, error: 0.01 }, { quantile: 1, error: 0.01 }] }
";

/// What `le` tells apart, in the order of the page.
fn bounds(samples: &[crate::page::Sample]) -> Vec<(String, f64)> {
    let mut found: Vec<(String, f64)> = samples.iter().map(|sample| (sample.labels["le"].clone(), sample.value)).collect();
    let bound = |le: &str| le.parse::<f64>().unwrap();
    found.sort_by(|a, b| bound(&a.0).total_cmp(&bound(&b.0)));
    found
}

fn on_page(page: &Page, name: &str) -> Vec<(String, f64)> {
    bounds(&page.select(name, &[]).into_iter().cloned().collect::<Vec<_>>())
}

fn cumulative(weights: [f64; 4]) -> Vec<(String, f64)> {
    ["0.1", "0.25", "1", "+Inf"].map(String::from).into_iter().zip(weights).collect()
}

#[test]
fn a_timer_is_the_histogram_or_summary_that_its_rule_says_also_over_restarts() {
    let home = Home::new("shape: { mapping: mapping.yml, namespace: ns }\nscrape: { counter_suffix: true }");
    home.write("mapping.yml", TIMINGS);
    let relay = home.start();
    relay.send("api.web.time:100:250:251|ms|#env:a\napi.web.time:2000|ms|@0.1|#env:a\nold.x:500:501|ms\nshares.x:1000:2000|ms\nplain:1|h");
    let page = relay.wait_for_sum("ns_api_seconds_count", &[("service", "web"), ("env", "a")], 13.0);
    assert_eq!(on_page(&page, "ns_api_seconds_bucket"), cumulative([1.0, 2.0, 3.0, 13.0]));
    assert_eq!((page.kind("ns_api_seconds"), page.kind("ns_shares_seconds")), (Some("histogram"), Some("summary")));
    let shares = |name: &str| page.select(name, &[]).iter().map(|sample| sample.labels["quantile"].clone()).collect::<Vec<_>>();
    assert_eq!((shares("ns_shares_seconds"), shares("ns_plain")), (vec!["0.75".into(), "1".into()], vec!["0.25".into()]));
    assert_eq!(page.value("ns_old_seconds_bucket", &[("le", "0.5")]), Some(1.0));
    assert_eq!(bounds(&relay.query("ns_api_seconds_bucket")), on_page(&page, "ns_api_seconds_bucket"));
    assert_eq!(relay.query("count(ns_shares_seconds{quantile=~\".+\"})")[0].value, 2.0);
    assert_eq!(relay.query("histogram_quantile(0.5, ns_old_seconds_bucket)").len(), 1);
    let first = home.write("page", &page.text);
    relay.stop();

    let relay = home.start();
    let page = relay.page();
    assert_eq!(on_page(&page, "ns_api_seconds_bucket"), cumulative([1.0, 2.0, 3.0, 13.0]), "no count goes back");
    assert!(page.text.contains("# HELP ns_api_seconds Time of requests.\n"), "help is there before a line is");
    assert_eq!(bounds(&relay.query("ns_api_seconds_bucket")), on_page(&page, "ns_api_seconds_bucket"));
    assert_eq!(relay.query("count(ns_shares_seconds{quantile=~\".+\"})")[0].value, 2.0);
    relay.send("api.web.time:50|ms|#env:a");
    let page = relay.wait_for_sum("ns_api_seconds_count", &[], 14.0);
    assert_eq!(on_page(&page, "ns_api_seconds_bucket"), cumulative([2.0, 3.0, 4.0, 14.0]));
    // A stop that nobody announced: what was shown is on disk.
    relay.kill();

    let relay = home.start();
    assert_eq!(on_page(&relay.page(), "ns_api_seconds_bucket"), cumulative([2.0, 3.0, 4.0, 14.0]));
    relay.wait_for_page(|page| match page.select("ns_api_seconds_count", &[]).is_empty() {
        true => Vec::new(),
        false => vec!["the rule's ttl of 12 s is over".into()],
    });
    relay.send("api.web.time:50|ms|#env:a");
    let page = relay.wait_for_sum("ns_api_seconds_count", &[], 15.0);
    assert_eq!(on_page(&page, "ns_api_seconds_bucket"), cumulative([3.0, 4.0, 5.0, 15.0]), "counts go on when a series returns");
    assert_eq!(page.value("ns_old_seconds_count", &[]), Some(2.0), "series without a ttl stay");
    relay.stop();
    if let Some(folder) = Peer::Prometheus.get() {
        let mut check = std::process::Command::new(folder.join("usr/bin/promtool"));
        check.args(["check", "metrics"]).stdin(std::fs::File::open(first).unwrap());
        let end = outcome(check);
        assert_eq!((end.code, end.stdout.as_str(), end.stderr.as_str()), (Some(0), "", ""));
    }
}

#[test]
fn every_timer_is_a_histogram_where_the_configuration_says_so() {
    let home = Home::new("scrape: { timers: histogram, buckets: [0.25, 1], timers_in: milliseconds }");
    let relay = home.start();
    relay.send("t:1:0.25:2|ms");
    let page = relay.wait_for_sum("t_count", &[], 3.0);
    assert_eq!(on_page(&page, "t_bucket"), [("0.25".to_string(), 1.0), ("1".to_string(), 2.0), ("+Inf".to_string(), 3.0)]);
    relay.stop();
}

#[test]
fn a_name_that_a_limit_refuses_is_mapped_once_a_window() {
    let home = Home::new("shape: { mapping: mapping.yml }\nlimits: { series_per_metric: 1 }");
    home.write("mapping.yml", "mappings:\n- { match: in.*, name: all_total, labels: { who: $1 }, scale: 2 }\n");
    let relay = home.start();
    // One datagram, which is in one window.
    relay.send("in.first:1|c\nin.second:1|c\nin.second:1:1|c\nin.third:1|c\n".repeat(20));
    let page = relay.wait_for_sum("all_total", &[], 200.0);
    assert_eq!((page.sum("all_total", &[("who", "first")]), page.sum("all_total", &[("overflow", "true")])), (40.0, 160.0));
    assert_eq!(page.sum("statsd_relay_series_limited_total", &[("limit", "series_per_metric")]), 80.0);
    assert_eq!(page.sum("statsd_relay_mapping_hits_total", &[]), 3.0, "the rule was asked once for each name");
    relay.stop();
}
