// Every call of statsd-client, with numbers that the story knows. Arguments: the port, and tcp if not UDP.
const StatsD = require('statsd-client');

const [port, transport] = process.argv.slice(2);
const client = new StatsD({ host: '127.0.0.1', port: Number(port), prefix: 'sc', tcp: transport === 'tcp', tags: { client: 'statsd-client' } });
for (let i = 0; i < 10; i++) client.increment('hits', 1, { page: 'home' });
client.increment('hits', 5, { page: 'cart' });
client.decrement('hits', 2, { page: 'cart' });
client.gauge('load', 7);
client.gaugeDelta('load', 3);
client.gaugeDelta('load', -1);
client.timing('request', 250);
client.timing('request', 500);
client.histogram('size', 1024);
client.distribution('latency', 0.125);
client.set('users', 'ann');
client.set('users', 'bob');
// What is buffered is sent by a timer, or with the close of a socket that is open by then.
setTimeout(() => client.close(), 1500);
