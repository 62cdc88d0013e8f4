//! Health probes.

mod config;

pub use config::{CheckConfig, CheckType};
