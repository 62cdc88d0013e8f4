//! Sockets that lines arrive on.

mod config;
mod drops;
mod udp;

pub use config::{Endpoint, ListenConfig, Threads, UnixEndpoint};
pub use udp::{DropCounter, Heartbeat, UdpListener};
