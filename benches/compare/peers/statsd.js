{
  address: "127.0.0.1",
  port: @port@,
  mgmt_address: "127.0.0.1",
  mgmt_port: @aside@,
  flushInterval: @interval@ * 1000,
  deleteIdleStats: true,
  graphiteHost: "127.0.0.1",
  graphitePort: @upstream@,
  graphite: { legacyNamespace: false },
  backends: ["./backends/graphite"]
}
