//! The HTTP server: scrape page, Prometheus API, health.

mod body;
mod config;
mod page;
mod recents;

pub use body::Body;
pub use config::*;
pub use page::{Page, Rendered};
