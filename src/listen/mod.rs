//! Sockets that lines arrive on: datagrams on threads of their own, streams as tasks.

mod allow;
mod batch;
mod config;
mod connection;
mod datagram;
mod drops;
mod heartbeat;
mod socket;
mod stream;
mod unix;

use std::time::Duration;

pub use allow::{AllowFrom, Prefix};
pub use config::{Endpoint, ListenConfig, Threads, UnixEndpoint};
pub use datagram::{DatagramKind, DatagramListener};
pub use drops::DropCounter;
pub use heartbeat::Heartbeat;
pub use stream::{Bounds, StreamListener};

/// How long a socket of our own is read on after the stop.
pub const DRAIN: Duration = Duration::from_secs(1);
