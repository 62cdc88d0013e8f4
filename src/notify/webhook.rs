//! POSTs a group of alerts as JSON, in the form Alertmanager's webhook has (version 4).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::{Notification, Notify, NotifyError, WebhookConfig};
use crate::alert::labels_fingerprint;
use crate::model::units::rfc3339;
use crate::model::{Alert, AlertState, Labels};
use crate::net::{Http, Post, Url};

/// For one attempt, from the name's lookup to the answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// One webhook of a receiver.
#[derive(Clone)]
pub struct Webhook {
    url: Url,
    http: Http,
    max_alerts: usize,
    external_url: String,
}

impl Webhook {
    /// Reads the URL's secret and makes a client for it. Errors never show the URL's path.
    pub fn new(config: &WebhookConfig, external_url: &str) -> Result<Webhook, String> {
        let url = Url::parse(&config.url.read()?)?;
        Ok(Webhook { http: Http::for_url(&url)?, url, max_alerts: config.max_alerts, external_url: external_url.to_string() })
    }
}

impl Notify for Webhook {
    const KIND: &'static str = "webhook";

    async fn deliver(&self, notification: &Notification) -> Result<(), NotifyError> {
        let body = body(notification, self.max_alerts, &self.external_url).map_err(|error| NotifyError::Refused(error.to_string()))?;
        let post = Post {
            url: &self.url,
            content_type: "application/json",
            headers: Vec::new(),
            secret_headers: Vec::new(),
            body: body.into(),
            timeout: TIMEOUT,
        };
        let reply = match self.http.post(post).await {
            Ok(reply) => reply,
            Err(error) => return Err(NotifyError::Retry { after: None, why: error.to_string() }),
        };
        let why = || format!("{} answered {}", self.url, reply.status);
        match reply.status {
            200..=299 => Ok(()),
            429 | 500.. => Err(NotifyError::Retry { after: reply.retry_after, why: why() }),
            _ => Err(NotifyError::Refused(why())),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    version: &'static str,
    group_key: &'a str,
    truncated_alerts: usize,
    status: &'static str,
    receiver: &'a str,
    group_labels: Map<'a>,
    common_labels: Map<'a>,
    common_annotations: Map<'a>,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    #[serde(rename = "notification_reason")]
    reason: &'static str,
    alerts: Vec<Item<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    status: &'static str,
    labels: Map<'a>,
    annotations: Map<'a>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    fingerprint: String,
}

type Map<'a> = BTreeMap<&'a str, &'a str>;

fn body(notification: &Notification, max_alerts: usize, external_url: &str) -> serde_json::Result<Vec<u8>> {
    let alerts = &notification.alerts;
    let kept = if max_alerts == 0 { alerts.len() } else { alerts.len().min(max_alerts) };
    let firing = alerts.iter().any(|alert| alert.state == AlertState::Firing);
    serde_json::to_vec(&Body {
        version: "4",
        group_key: &notification.group_key,
        truncated_alerts: alerts.len() - kept,
        status: if firing { "firing" } else { "resolved" },
        receiver: &notification.receiver,
        group_labels: notification.group_labels.iter().collect(),
        common_labels: common(alerts.iter().map(|alert| &alert.labels)),
        common_annotations: common(alerts.iter().map(|alert| &alert.annotations)),
        external_url,
        reason: notification.reason.as_str(),
        alerts: alerts[..kept].iter().map(|alert| item(alert, external_url)).collect(),
    })
}

fn item<'a>(alert: &'a Alert, external_url: &'a str) -> Item<'a> {
    let resolved = alert.resolved_at.filter(|_| alert.state == AlertState::Resolved);
    Item {
        status: if resolved.is_some() { "resolved" } else { "firing" },
        labels: alert.labels.iter().collect(),
        annotations: alert.annotations.iter().collect(),
        starts_at: rfc3339(Some(alert.fired_at.unwrap_or(alert.active_at))),
        // The zero time: not over.
        ends_at: rfc3339(resolved),
        generator_url: external_url,
        fingerprint: format!("{:016x}", labels_fingerprint(&alert.labels)),
    }
}

/// The pairs that all sets have.
fn common<'a>(mut sets: impl Iterator<Item = &'a Labels>) -> Map<'a> {
    let mut shared: Map<'a> = sets.next().map(|labels| labels.iter().collect()).unwrap_or_default();
    for labels in sets {
        shared.retain(|name, value| labels.get(name) == *value);
    }
    shared
}
