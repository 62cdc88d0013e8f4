//! One evaluation of one rule: its expression's result to series and alerts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::rules::{Action, Alerting, Rule};
use super::state::{self, Alerts, Found, Timing};
use super::status::RuleHealth;
use super::template::Context;
use crate::model::labels::NAME;
use crate::model::{Alert, AlertState, Labels, Recorded, SampleValue, Select};
use crate::query::{self, Options, Value};

/// A rule and what it remembers.
pub(super) struct RuleState {
    pub(super) rule: Rule,
    pub(super) fingerprint: u64,
    pub(super) memory: Memory,
}

/// What a rule keeps between evaluations, and over a reload.
pub(super) struct Memory {
    pub(super) alerts: Alerts,
    /// Series it wrote last time.
    pub(super) written: BTreeSet<Labels>,
    pub(super) health: RuleHealth,
    pub(super) error: Option<String>,
    pub(super) evaluation_time: Duration,
    pub(super) last_evaluation: Option<i64>,
}

impl Default for Memory {
    fn default() -> Self {
        Memory {
            alerts: Alerts::new(),
            written: BTreeSet::new(),
            health: RuleHealth::Unknown,
            error: None,
            evaluation_time: Duration::ZERO,
            last_evaluation: None,
        }
    }
}

impl Memory {
    /// Takes up an alert of an earlier process; the series that show it are taken up too, so that they end.
    pub(super) fn restore(&mut self, alert: Alert) {
        self.written.extend(shown(&alert).into_iter().map(|recorded| recorded.labels));
        self.alerts.insert(alert.labels.clone(), alert);
    }
}

/// What a rule is evaluated with.
pub(super) struct Turn<'a> {
    /// Unix milliseconds.
    pub(super) now: i64,
    /// Where the expression looks: `now` less the group's offset.
    pub(super) at: i64,
    pub(super) limit: usize,
    pub(super) select: &'a dyn Select,
    pub(super) options: &'a Options,
    pub(super) external_url: &'a str,
}

impl RuleState {
    /// Evaluates the rule. Gives the samples to write, ends of series among them.
    ///
    /// After an error the rule stands as before, save that too many alerts are all forgotten.
    pub(super) fn evaluate(&mut self, turn: &Turn<'_>) -> (Vec<Recorded>, Result<(), String>) {
        let outcome = match &self.rule.action {
            Action::Record => recorded(&self.rule, turn),
            Action::Alert(alerting) => alerts(&self.rule, alerting, &mut self.memory.alerts, turn),
        };
        match outcome {
            Ok(samples) => (self.with_ends(samples), Ok(())),
            Err(Failed::Before(error)) => (Vec::new(), Err(error)),
            Err(Failed::Limit(error)) => (self.with_ends(Vec::new()), Err(error)),
        }
    }

    /// The samples, and a stale mark for every series of last time that is not among them.
    fn with_ends(&mut self, mut samples: Vec<Recorded>) -> Vec<Recorded> {
        let now: BTreeSet<Labels> = samples.iter().map(|sample| sample.labels.clone()).collect();
        let ended = self.memory.written.difference(&now).map(|labels| Recorded { labels: labels.clone(), value: None });
        samples.extend(ended);
        self.memory.written = now;
        samples
    }
}

enum Failed {
    /// Nothing changed.
    Before(String),
    /// There were too many: nothing is left.
    Limit(String),
}

/// Samples by their labels without the name.
fn result(rule: &Rule, turn: &Turn<'_>) -> Result<Vec<(Labels, f64, bool)>, String> {
    let answer = query::instant(&rule.expr, turn.at, turn.select, turn.options).map_err(|error| error.to_string())?;
    let samples = match answer.value {
        Value::Scalar(value) => vec![(Labels::default(), value, false)],
        Value::Vector(samples) => samples
            .into_iter()
            .filter_map(|sample| match sample.value {
                SampleValue::Float(value) => Some((sample.labels, value, false)),
                SampleValue::Histogram(_) => Some((sample.labels, 0.0, true)),
                SampleValue::Stale => None,
            })
            .collect(),
        Value::String(_) | Value::Matrix(_) => return Err("the expression gives no instant vector and no scalar".into()),
    };
    Ok(samples.into_iter().map(|(labels, value, histogram)| (labels.without(|name| name == NAME), value, histogram)).collect())
}

fn recorded(rule: &Rule, turn: &Turn<'_>) -> Result<Vec<Recorded>, Failed> {
    let mut samples: BTreeMap<Labels, f64> = BTreeMap::new();
    for (labels, value, histogram) in result(rule, turn).map_err(Failed::Before)? {
        if histogram {
            return Err(Failed::Before("the expression gives a native histogram, which rules cannot record yet".into()));
        }
        let own = rule.overlay.iter().map(|(name, text)| (name.as_str(), text.as_str())).chain([(NAME, rule.name.as_str())]);
        let labels = Labels::new(labels.iter().chain(own));
        if samples.insert(labels.clone(), value).is_some() {
            return Err(Failed::Before(format!("two results have the same labels {labels} after the rule's were added")));
        }
    }
    check_limit(samples.len(), turn.limit).map_err(Failed::Before)?;
    Ok(samples.into_iter().map(|(labels, value)| Recorded { labels, value: Some(value) }).collect())
}

fn alerts(rule: &Rule, alerting: &Alerting, alerts: &mut Alerts, turn: &Turn<'_>) -> Result<Vec<Recorded>, Failed> {
    let ask = |text: &str| ask(text, turn);
    let mut found = Found::new();
    for (series, value, _) in result(rule, turn).map_err(Failed::Before)? {
        let context = Context { labels: &series, value, external_url: turn.external_url, now_ms: turn.now, query: &ask };
        let own = alerting.label_templates.iter().map(|(name, template)| (name.clone(), template.expand(&context)));
        let name = [("alertname".to_string(), rule.name.clone())];
        let labels = Labels::new(series.iter().map(|(name, value)| (name.to_string(), value.to_string())).chain(own).chain(name));
        let annotations = alerting.annotation_templates.iter().map(|(name, template)| (name.clone(), template.expand(&context)));
        if found.insert(labels.clone(), (Labels::new(annotations), value)).is_some() {
            return Err(Failed::Before(format!("two results have the same labels {labels} after the rule's were added")));
        }
    }
    let timing = Timing { hold: alerting.hold.as_millis() as i64, keep: alerting.keep_firing_for.as_millis() as i64 };
    state::advance(alerts, found, timing, turn.now);
    check_limit(alerts.values().filter(|alert| state::is_active(alert)).count(), turn.limit).map_err(|error| {
        alerts.clear();
        Failed::Limit(error)
    })?;
    Ok(alerts.values().flat_map(shown).collect())
}

fn check_limit(found: usize, limit: usize) -> Result<(), String> {
    if limit > 0 && found > limit { Err(format!("it has {found} instances; its group's limit is {limit}")) } else { Ok(()) }
}

/// The two series that show an alert; none once it is over.
fn shown(alert: &Alert) -> Vec<Recorded> {
    if !state::is_active(alert) {
        return Vec::new();
    }
    let state = if alert.state == AlertState::Firing { "firing" } else { "pending" };
    let seconds = alert.active_at.div_euclid(1_000) as f64;
    vec![
        Recorded { labels: alert.labels.with(NAME, "ALERTS").with("alertstate", state), value: Some(1.0) },
        Recorded { labels: alert.labels.with(NAME, "ALERTS_FOR_STATE"), value: Some(seconds) },
    ]
}

/// Answers a template's `query`.
fn ask(text: &str, turn: &Turn<'_>) -> Result<Vec<(Labels, f64)>, String> {
    let expr = query::parse(text).map_err(|error| error.to_string())?;
    let answer = query::instant(&expr, turn.at, turn.select, turn.options).map_err(|error| error.to_string())?;
    match answer.value {
        Value::Scalar(value) => Ok(vec![(Labels::default(), value)]),
        Value::Vector(samples) => Ok(samples
            .into_iter()
            .filter_map(|sample| match sample.value {
                SampleValue::Float(value) => Some((sample.labels, value)),
                _ => None,
            })
            .collect()),
        Value::String(_) | Value::Matrix(_) => Err("the query gives no instant vector and no scalar".into()),
    }
}
