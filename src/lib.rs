//! A StatsD and DogStatsD relay.
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
