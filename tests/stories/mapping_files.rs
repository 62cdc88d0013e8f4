//! A mapping file and filters move in unchanged, and every line they drop is counted.

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
    assert!(end.stdout.contains("mapping.yml:3:15: defaults.quantiles: warning: has no effect yet"), "{end:?}");

    let relay = home.start();
    for _ in 0..3 {
        relay.send("checkout.eu.pay.count:2|c\ncheckout.eu.pay.count:1|c|#env:dev\nnoise.a:1|c\nnoise.b:1|g");
        relay.send("debug.x:1|c\ndebug.y:1|ms\nlatency_us:250|ms|#request_id:7,svc:cart\ndatadog.dogstatsd.client.metrics:1|c");
    }
    let page = relay.wait_for_sum("shop_checkouts_total", &[("region", "eu"), ("step", "pay"), ("env", "prod")], 6.0, 15);
    let none: [(&str, &str); 0] = [];
    assert_eq!(page.value("shop_checkouts_total", &[("env", "dev"), ("region", "eu")]), Some(3.0));
    assert_eq!(page.value("shop_latency_us_count", &[("service", "cart"), ("env", "prod")]), Some(3.0));
    let sum = page.value("shop_latency_us_sum", &[("service", "cart")]).unwrap();
    assert!((sum - 0.00075).abs() < 1e-12, "{sum}");
    assert!(page.select("shop_latency_us_sum", &[("request_id", "7")]).is_empty());
    assert_eq!(page.value("datadog_dogstatsd_client_metrics", &[("env", "prod")]), Some(3.0));
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
