# Every call of Ruby's statsd, with numbers that the story knows. Over TCP it sends no newlines, so it is not asked to.
require 'statsd'

# A client that samples throws dice; here each die says "send".
class Statsd
  def rand(*) = 0
end

client = Statsd.new('127.0.0.1', Integer(ARGV[0]))
client.namespace = 'ruby'
10.times { client.increment('hits') }
client.decrement('hits')
client.count('hits', 5)
client.increment('sampled', 0.25)
client.gauge('load', 7)
client.timing('request', 250)
client.timing('request', 500, 0.5)
client.set('users', 'ann')
client.set('users', 'bob')
client.batch do |batch|
  batch.count('batched', 2)
  batch.count('batched', 3)
end
