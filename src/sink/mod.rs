//! Windows out of the house: queue, retry, count.

mod config;

pub use config::*;
