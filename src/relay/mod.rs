//! Assembly: builds the parts, connects them along the one line, and takes them down in its order.

mod commits;
mod cutting;
mod data_dir;
mod error;
mod fan_out;
mod inside;
mod own;
mod receiving;
mod service_checks;
mod sockets;
mod start;
mod stop;
mod systemd;

pub use error::{ExitStatus, StartError};
pub use inside::explainer;
pub use start::{Relay, start};
