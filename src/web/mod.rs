//! The HTTP server: scrape page, Prometheus API, health.

mod api;
mod body;
pub mod client;
mod config;
mod health;
mod index;
mod inside;
mod limits;
mod pace;
mod page;
mod params;
mod recents;
mod reply;
mod router;
mod server;
mod tap;

use std::sync::Arc;

use crate::alert::GroupStatus;
use crate::clock::Clock;
use crate::model::Select;
use crate::telemetry::Telemetry;

pub use body::Body;
pub use config::*;
pub use health::{Health, Report, State};
pub use inside::{Inside, SinkStatus};
pub use limits::Limits;
pub use page::{Page, Rendered};
pub use server::{serve, serve_connection, serve_within};

/// Everything requests are answered from.
pub struct App {
    pub config: HttpConfig,
    pub scrape: ScrapeConfig,
    pub page: Arc<Page>,
    pub telemetry: Telemetry,
    pub clock: Clock,
    pub health: Arc<Health>,
    pub select: Arc<dyn Select + Send + Sync>,
    /// What the rule engine shows now.
    pub rules: Arc<dyn Fn() -> Vec<GroupStatus> + Send + Sync>,
    /// The configuration in force, with secrets masked.
    pub config_yaml: String,
    pub inside: Inside,
}
