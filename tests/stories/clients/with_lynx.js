// Every call of lynx, with numbers that the story knows.
const Lynx = require('lynx');

const client = new Lynx('127.0.0.1', Number(process.argv[2]), { scope: 'lynx' });
for (let i = 0; i < 10; i++) client.increment('hits');
client.decrement('hits');
client.count(['hits', 'misses'], 5);
client.gauge('load', 7);
client.timing('request', 250);
client.timing('request', 500);
client.set('users', 'ann');
client.set('users', 'bob');
client.send({ batched: '2|c', 'other.batched': '3|c' });
// Its socket closes by itself once it is idle.
