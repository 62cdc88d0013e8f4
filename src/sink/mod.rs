//! Windows out of the house: queue, retry, count.

mod config;
mod datadog;
mod driver;
mod ledger;
mod line;
mod queue;

pub use config::*;
pub use line::{SinkHandle, SinkHealth, SinkState};

use std::time::Duration;

use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::shape::MatchConfig;

/// What a sink needs to know of the relay around it.
#[derive(Clone, Debug)]
pub struct SinkContext {
    /// Nominal length of windows.
    pub interval: Duration,
    pub clock: Clock,
    /// The machine's name, for sinks that name none.
    pub hostname: String,
}

/// How a Datadog sink encodes. `None` for any other, and where its configuration is wrong.
pub fn datadog_options(config: &SinkConfig, context: &SinkContext) -> Option<crate::encode::datadog::Options> {
    (config.r#type == SinkType::Datadog).then(|| datadog::options(config, context).ok()).flatten()
}

/// Starts the sink's tasks in `tasks`. Called within a tokio runtime.
///
/// The error names the key of relay.yaml and what to do.
pub fn start(config: &SinkConfig, context: &SinkContext, tasks: &mut JoinSet<()>) -> Result<SinkHandle, String> {
    let unbuilt = |key: &str| Err(format!("sinks.{}.{key}: not built yet; leave it out", config.name));
    let everything = MatchConfig { name: vec!["*".to_string()], ..MatchConfig::default() };
    if config.r#match.as_ref().is_some_and(|matched| *matched != everything) {
        return unbuilt("match");
    }
    if config.self_metrics {
        return unbuilt("self_metrics");
    }
    match config.r#type {
        SinkType::Datadog => datadog::start(config, context, tasks),
        SinkType::RemoteWrite => unbuilt("type: remote_write"),
        SinkType::Statsd => unbuilt("type: statsd"),
    }
}
