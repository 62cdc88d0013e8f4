//! Sockets that lines arrive on.

mod config;

pub use config::{Endpoint, ListenConfig, Threads, UnixEndpoint};
