//! The HTTP server: scrape page, Prometheus API, health.

mod config;

pub use config::*;
