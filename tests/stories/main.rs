//! The real relay, started as a user starts it, with real peers on the other side. One module per user's story.
//!
//! Peers come from `tests/peers/install` and lie in `tests/.peers`. A story whose peer cannot be had prints `SKIPPED: reason`;
//! with `CI` set that is a failure.
#![allow(clippy::disallowed_methods, reason = "stories run by the clock on the wall")]

#[path = "../intake/mod.rs"]
mod intake;

mod http;
mod page;
mod peers;
mod relay;
mod sender;

mod admission;
mod bad_input;
mod busy_clients;
mod clients_by_socket;
mod datadog_receives;
mod exactness;
mod existing_clients;
mod first_minute;
mod killed_under_load;
mod limits;
mod look_inside;
mod mapping_files;
mod prometheus_scrapes;
mod scripted_clients;
mod stops;
mod systemd_starts_us;
mod transports;
