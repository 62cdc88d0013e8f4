//! Assembly: builds the parts, connects them along the one line, and takes them down in its order.

mod commits;
mod cutting;
mod data_dir;
mod error;
mod fan_out;
mod own;
mod sockets;
mod start;
mod stop;
mod systemd;

pub use error::{ExitStatus, StartError};
pub use start::{Relay, start};
