"""Every call of markus, through both of its StatsD backends, with numbers that the story knows."""
import sys

import markus

where = {"statsd_host": "127.0.0.1", "statsd_port": int(sys.argv[1])}
markus.configure([
    {"class": "markus.backends.datadog.DatadogMetrics", "options": {**where, "statsd_namespace": "dd"}},
    {"class": "markus.backends.statsd.StatsdMetrics", "options": {**where, "statsd_prefix": "plain"}},
])
metrics = markus.get_metrics("markus")
for _ in range(10):
    metrics.incr("hits", tags=["page:home"])
metrics.incr("hits", value=5, tags=["page:cart"])
metrics.gauge("load", value=7)
metrics.timing("request", value=250)
metrics.timing("request", value=500)
metrics.histogram("size", value=1024)
for backend in markus.main._get_metrics_backends():
    flush = getattr(backend.client, "flush", None)
    if flush:
        flush()
