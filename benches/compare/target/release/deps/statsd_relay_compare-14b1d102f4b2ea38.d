/work/w/compare/benches/compare/target/release/deps/statsd_relay_compare-14b1d102f4b2ea38.d: src/main.rs src/ceiling.rs src/collect.rs src/load.rs src/measure.rs src/peers.rs src/receiver.rs src/send.rs src/settings.rs src/tables.rs src/../peers/relay.yaml src/../peers/netdata.conf src/../peers/statsdproxy.yaml src/../peers/collectd.conf src/../peers/statsd.js

/work/w/compare/benches/compare/target/release/deps/statsd_relay_compare-14b1d102f4b2ea38: src/main.rs src/ceiling.rs src/collect.rs src/load.rs src/measure.rs src/peers.rs src/receiver.rs src/send.rs src/settings.rs src/tables.rs src/../peers/relay.yaml src/../peers/netdata.conf src/../peers/statsdproxy.yaml src/../peers/collectd.conf src/../peers/statsd.js

src/main.rs:
src/ceiling.rs:
src/collect.rs:
src/load.rs:
src/measure.rs:
src/peers.rs:
src/receiver.rs:
src/send.rs:
src/settings.rs:
src/tables.rs:
src/../peers/relay.yaml:
src/../peers/netdata.conf:
src/../peers/statsdproxy.yaml:
src/../peers/collectd.conf:
src/../peers/statsd.js:

# env-dep:CARGO_MANIFEST_DIR=/work/w/compare/benches/compare
