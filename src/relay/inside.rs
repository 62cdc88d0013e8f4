//! What the HTTP server lets one see of the relay at work.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::start::{LateStore, hostname, presentation, shaping};
use super::{StartError, sockets};
use crate::aggregate::Aggregator;
use crate::clock::Clock;
use crate::config::Config;
use crate::ingest::{Explainer, Reading, Views};
use crate::parse::Options;
use crate::shape::Shaping;
use crate::sink::{self, SinkContext, SinkHandle, SinkType};
use crate::web::{Inside, SinkStatus};

/// Sinks that run, with their types. They are started after the server.
pub(super) type Sinks = Arc<OnceLock<Vec<(SinkType, SinkHandle)>>>;

/// What a store without a file keeps.
const IN_MEMORY: Duration = Duration::from_secs(3_600);

/// How long raw samples are kept, and so how old one with a time of its own may be.
pub(super) fn raw_kept(config: &Config) -> Duration {
    match config.store.tiers.first() {
        Some(raw) if config.store.enabled => raw.keep,
        _ => IN_MEMORY,
    }
}

pub(super) fn inside(
    explainer: Explainer,
    aggregator: Arc<Aggregator>,
    views: Arc<Views>,
    store: Arc<LateStore>,
    sinks: Sinks,
    clock: Clock,
) -> Inside {
    let explainer = Explainer { live: Some(aggregator.clone()), ..explainer };
    Inside {
        views,
        notes: Box::new(move |range, limit| {
            let store = store.get().map_err(|error| error.to_string())?;
            store.notes(range, limit).map_err(|error| error.to_string())
        }),
        sinks: Box::new(move || sinks.get().into_iter().flatten().map(status).collect()),
        explain: Box::new(move |line| explainer.explain(line.as_bytes(), clock.now_ms())),
        senders: Box::new(move || aggregator.senders()),
    }
}

fn status((r#type, sink): &(SinkType, SinkHandle)) -> SinkStatus {
    SinkStatus { name: sink.name().to_string(), r#type: r#type.as_str(), health: sink.health() }
}

/// What explains a line under this configuration, as each kind of its listeners reads it. No relay is asked.
pub fn explainer(config: &Config) -> Result<Explainer, StartError> {
    Ok(explainer_by(config, Arc::new(shaping(config)?), sockets::readings(&config.listen)))
}

pub(super) fn explainer_by(config: &Config, shaping: Arc<Shaping>, readings: impl IntoIterator<Item = (String, Options)>) -> Explainer {
    let context = SinkContext { interval: config.aggregate.interval, clock: Clock::system(), hostname: hostname() };
    let datadog = config.sinks.iter().filter_map(|sink| Some((sink.name.clone(), sink::datadog_options(sink, &context)?)));
    Explainer {
        readings: Reading::all(readings, Options { dialect: config.listen.dialect, strict: config.listen.strict, eol_required: false }),
        shaping,
        limits: config.limits.clone(),
        back: raw_kept(config),
        counter_suffix: config.scrape.counter_suffix,
        presentation: presentation(config),
        store: config.store.enabled,
        datadog: datadog.collect(),
        live: None,
    }
}
