"""Every call of the DogStatsD client that leaves a trace, with numbers that the story knows. Argument: a port or a unix URL."""
import sys
import time

from datadog.dogstatsd import base

# A client that samples throws dice; here each die says "send".
base.random = lambda: 0.0

to = sys.argv[1]
where = {"host": "127.0.0.1", "port": int(to)} if to.isdigit() else {"socket_path": to, "socket_timeout": 5}
client = base.DogStatsd(**where, constant_tags=["client:datadog"], disable_telemetry=True)
for _ in range(10):
    client.increment("py.hits", tags=["page:home"])
client.increment("py.hits", 5, tags=["page:cart"])
client.decrement("py.hits", 2, tags=["page:cart"])
client.increment("py.sampled", sample_rate=0.25)
client.gauge("py.load", 7)
client.gauge("py.load", -2.5)
client.timing("py.request", 250)
client.timing("py.request", 500)
client.histogram("py.size", 1024)
client.histogram("py.size", 512, sample_rate=0.5)
client.distribution("py.latency", 0.125)
client.distribution("py.latency", 0.375)
client.set("py.users", "ann")
client.set("py.users", "bob")
client.gauge_with_timestamp("py.backfilled", 42, int(time.time()) - 30)
client.event("deployed", "version 2\nto production", alert_type="success", tags=["env:test"])
client.service_check("py.database", base.DogStatsd.WARNING, message="slow")
client.flush()
