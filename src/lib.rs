//! A StatsD and DogStatsD relay: lines in, windows out.
//!
//! A metric travels in one direction, through named functions, with no wiring at run time:
//!
//! ```text
//!  datagram, or a stream's frame or lines  receive thread, or a task; runs to completion
//!    |  listen::{datagram, stream}        a batch and its ticket
//!    v  ingest::Batch
//!    |  parse::each                       bytes -> Metric<'_> | Event | Check, borrowed
//!    v  aggregate::Lane::record           this thread's table: raw identity -> value of the open window
//!    |  on a miss only                    shape::Shaping::apply; aggregate::Registry::resolve: the sharded map of
//!    |                                    identities, limits
//!  --+------------------- the clock passes a multiple of the interval -------------------
//!    v  Lane::turn                        the lane hands over what it gained
//!    |  aggregate::Cutter::cut            adds it to the standings -> Arc<model::Window>
//!    v  relay::fan_out                    1. store::Store::append      memory
//!    |                                    2. alert::Engine::evaluate   on that memory; waits for no disk
//!    |                                    3. store::Writer::commit     its own thread, durable
//!    |                                    4. web::Page::show, sink::SinkHandle::offer
//!    +- sink::driver                      place in the window, retry, split
//!    +- notify::driver                    group, retry, repeat
//! ```
//!
//! One owner for each thing: a receive thread owns its lane, the cut thread owns the standings; the registry of
//! identities is shared and touched only when a lane meets a spelling it does not hold. What leaves is durable
//! by then, so a restart shows no total smaller than one that was seen.
//!
//! | part | what it is |
//! |---|---|
//! | [`model`] | series, windows, sketches, labels: the nouns |
//! | [`parse`] | the wire: five dialects, events, service checks |
//! | [`shape`] | names and tags as the configuration wants them: mapping files, filters |
//! | [`aggregate`], [`ingest`] | the hot core, and the one way into it |
//! | [`listen`] | sockets, and what the kernel dropped at them |
//! | [`store`] | one redb file and a head in memory |
//! | [`query`] | PromQL over anything that can [`model::Select`] |
//! | [`alert`], [`notify`] | rules on closed windows, and who hears of them |
//! | [`encode`], [`sink`] | windows to bytes, and out of the house |
//! | [`web`] | scrape page, Prometheus API, health |
//! | [`yaml`] | files of other programs, with the place of every key |
//! | [`config`], [`relay`], [`cli`] | the file, the assembly, the command line |
//!
//! A part uses only parts of lower rank; `tests/layers.rs` has the table and fails when an arrow points up.
#![forbid(unsafe_code)]
#![warn(unreachable_pub)]
// Release builds abort on panic: outside tests a value is unwrapped by a match, or it is not.
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used))]

pub mod aggregate;
pub mod alert;
pub mod cli;
pub mod clock;
pub mod config;
pub mod encode;
pub mod ingest;
pub mod listen;
pub mod model;
pub mod net;
pub mod notify;
pub mod parse;
pub mod probe;
pub mod query;
pub mod relay;
pub mod shape;
pub mod sink;
pub mod store;
pub mod telemetry;
pub mod web;
pub mod yaml;
