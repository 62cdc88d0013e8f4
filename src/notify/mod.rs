//! Alerts to people.

mod config;

pub use config::*;
