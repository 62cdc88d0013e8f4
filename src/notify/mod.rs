//! Alerts to people: grouped, routed, told once, tried again.

mod config;
mod decision;
mod driver;
mod group;
mod heartbeat;
mod inhibit;
mod log;
mod route;
mod webhook;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

pub use config::*;
pub use decision::Reason;
pub use driver::NotifyHandle;
pub use group::Notification;
pub use log::{LogChanges, LogKey, NotificationLog};
pub use route::matcher;
pub use webhook::Webhook;

use crate::clock::Clock;
use group::{Groups, Target};
use heartbeat::{Heartbeat, Pulse};
use inhibit::Inhibitions;
use log::Log;
use route::Route;

/// Somewhere a notification goes. The driver owns grouping, retry and telemetry.
pub trait Notify: Clone + Send + Sync + 'static {
    const KIND: &'static str;
    /// One attempt.
    fn deliver(&self, notification: &Notification) -> impl Future<Output = Result<(), NotifyError>> + Send;
}

/// Why an attempt failed. Texts never show a URL's path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotifyError {
    /// Later may work; the receiver may have asked for a pause.
    #[error("{why}")]
    Retry { after: Option<Duration>, why: String },
    /// The receiver will never take it.
    #[error("{0}")]
    Refused(String),
}

/// Checks `notify:` without reading secrets. The error names the key.
pub fn check(config: &NotifyConfig) -> Result<(), String> {
    Route::tree(config)?;
    Inhibitions::new(config)?;
    for (at, receiver) in config.receivers.iter().enumerate() {
        let kinds = [
            ("slack", &receiver.slack),
            ("pagerduty", &receiver.pagerduty),
            ("datadog", &receiver.datadog),
            ("sentry", &receiver.sentry),
            ("email", &receiver.email),
            ("exec", &receiver.exec),
        ];
        if let Some((kind, _)) = kinds.iter().find(|(_, entries)| !entries.is_empty()) {
            return Err(format!("notify.receivers[{at}].{kind}: this version has no {kind} receiver; use webhook"));
        }
    }
    if config.heartbeat.as_ref().is_some_and(|heartbeat| heartbeat.every < Duration::from_secs(1)) {
        return Err("notify.heartbeat.every: it must be at least 1s".into());
    }
    Ok(())
}

/// Starts the notifier. Without a route nobody is notified, without a heartbeat nobody is called. The error names the key.
pub fn start(
    config: &NotifyConfig,
    external_url: &str,
    log: NotificationLog,
    clock: Clock,
    tasks: &mut JoinSet<()>,
) -> Result<NotifyHandle, String> {
    check(config)?;
    let heartbeat = config.heartbeat.as_ref().map(Heartbeat::new).transpose().map_err(|error| format!("notify.heartbeat.url: {error}"))?;
    let mut handle = match Route::tree(config)? {
        Some(tree) => start_groups(config, tree, external_url, log, clock, tasks)?,
        None => NotifyHandle::default(),
    };
    if let Some(heartbeat) = heartbeat {
        driver::register(heartbeat::NAME);
        let pulse = Arc::new(Pulse::default());
        handle.pulse = Some(Arc::clone(&pulse));
        tasks.spawn(heartbeat.run(pulse));
    }
    Ok(handle)
}

fn start_groups(
    config: &NotifyConfig,
    tree: Route,
    external_url: &str,
    log: NotificationLog,
    clock: Clock,
    tasks: &mut JoinSet<()>,
) -> Result<NotifyHandle, String> {
    let (mut targets, mut webhooks) = (Vec::new(), Vec::new());
    for (at, receiver) in config.receivers.iter().enumerate() {
        driver::register(&receiver.name);
        for (index, webhook) in receiver.webhook.iter().enumerate() {
            let named = |error| format!("notify.receivers[{at}].webhook[{index}].url: {error}");
            webhooks.push(Webhook::new(webhook, external_url).map_err(named)?);
            let key = log::target_key(&receiver.name, Webhook::KIND, index);
            targets.push(Target { receiver: receiver.name.clone(), key, send_resolved: webhook.send_resolved });
        }
    }
    let groups = Groups::new(tree, Inhibitions::new(config)?, targets, Log::new(&log.rows, clock.now_ms()));
    Ok(driver::start(groups, webhooks, log.keep, clock, tasks))
}
