// Every call of hot-shots, with numbers that the story knows. Argument: a port or the path of a unix datagram socket.
const StatsD = require('hot-shots');

// A client that samples throws dice; here each die says "send".
Math.random = () => 0;

const to = process.argv[2];
const where = to.startsWith('/') ? { protocol: 'uds', path: to } : { host: '127.0.0.1', port: Number(to) };
const client = new StatsD({ ...where, prefix: 'js.', globalTags: { client: 'hot-shots' } });
for (let i = 0; i < 10; i++) client.increment('hits', 1, { page: 'home' });
client.increment('hits', 5, { page: 'cart' });
client.decrement('hits', 2, { page: 'cart' });
client.increment('sampled', 1, 0.25);
client.gauge('load', 7);
client.gaugeDelta('load', 3);
client.gaugeDelta('load', -1);
client.timing('request', 250);
client.timing('request', 500);
client.histogram('size', 1024);
client.histogram('size', 512, 0.5);
client.distribution('latency', 0.125);
client.distribution('latency', 0.375);
client.set('users', 'ann');
client.unique('users', 'bob');
client.event('déployé', 'version 2 ☂', { alert_type: 'success' });
client.check('database', client.CHECKS.WARNING, { message: 'slow' });
client.close((error) => { if (error) throw error; });
