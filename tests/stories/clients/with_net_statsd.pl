# Every call of Net::Statsd, with numbers that the story knows.
use strict;
use warnings;

# A client that samples throws dice; here each die says "send".
BEGIN { *CORE::GLOBAL::rand = sub { 0 }; }
use Net::Statsd;

($Net::Statsd::HOST, $Net::Statsd::PORT) = ('127.0.0.1', $ARGV[0]);
Net::Statsd::increment('perl.hits') for 1 .. 10;
Net::Statsd::decrement('perl.hits');
Net::Statsd::update_stats(['perl.hits', 'perl.misses'], 5);
Net::Statsd::increment('perl.sampled', 0.25);
Net::Statsd::gauge('perl.load' => 7, 'perl.depth' => 2.5);
Net::Statsd::timing('perl.request', 250);
Net::Statsd::timing('perl.request', 500, 0.5);
