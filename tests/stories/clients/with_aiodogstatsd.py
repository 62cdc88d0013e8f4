"""Every call of aiodogstatsd, with numbers that the story knows."""
import asyncio
import sys

import aiodogstatsd
import aiodogstatsd.client

# A client that samples throws dice; here each die says "send".
aiodogstatsd.client.random = lambda: 0.0


async def main():
    options = {"host": "127.0.0.1", "port": int(sys.argv[1]), "namespace": "aio", "constant_tags": {"client": "aiodogstatsd"}}
    async with aiodogstatsd.Client(**options) as client:
        for _ in range(10):
            client.increment("hits", tags={"page": "home"})
        client.increment("hits", value=5, tags={"page": "cart"})
        client.decrement("hits", value=2, tags={"page": "cart"})
        client.increment("sampled", sample_rate=0.25)
        client.gauge("load", value=7)
        client.gauge("load", value=-2.5)
        client.timing("request", value=250)
        client.timing("request", value=500)
        client.histogram("size", value=1024)
        client.histogram("size", value=512, sample_rate=0.5)
        client.distribution("latency", value=0.125)
        client.distribution("latency", value=0.375)


asyncio.run(main())
