"""Every call of the plain StatsD client, with numbers that the story knows. Arguments: the port, and tcp if not UDP."""
import random
import sys

import statsd

# A client that samples throws dice; here each die says "send".
random.random = lambda: 0.0

kind = statsd.TCPStatsClient if sys.argv[2:] == ["tcp"] else statsd.StatsClient
client = kind("127.0.0.1", int(sys.argv[1]), prefix="plain")
for _ in range(10):
    client.incr("hits")
client.decr("hits", 3)
client.incr("sampled", rate=0.25)
client.gauge("depth", 10)
client.gauge("depth", 5, delta=True)
client.gauge("depth", -2, delta=True)
client.timing("request", 250)
client.timing("request", 500)
client.set("users", "ann")
client.set("users", "bob")
with client.pipeline() as together:
    together.incr("batched", 2)
    together.incr("batched", 3)
