//! Alerts that are not told of while a greater one fires.

use super::NotifyConfig;
use super::route::{all_match, matchers};
use crate::model::{Alert, AlertState, Matcher};

/// `notify.inhibit_rules`, read.
#[derive(Debug, Default)]
pub(super) struct Inhibitions(Vec<Inhibition>);

#[derive(Debug)]
struct Inhibition {
    source: Vec<Matcher>,
    target: Vec<Matcher>,
    equal: Vec<String>,
}

impl Inhibitions {
    /// Reads the rules. The error names the key.
    pub(super) fn new(config: &NotifyConfig) -> Result<Inhibitions, String> {
        let rules = config.inhibit_rules.iter().enumerate().map(|(at, rule)| {
            let path = format!("notify.inhibit_rules[{at}]");
            Ok(Inhibition {
                source: matchers(&rule.source_matchers, &format!("{path}.source_matchers"))?,
                target: matchers(&rule.target_matchers, &format!("{path}.target_matchers"))?,
                equal: rule.equal.clone(),
            })
        });
        rules.collect::<Result<_, String>>().map(Inhibitions)
    }

    /// For each alert whether it is inhibited by another that fires.
    pub(super) fn muted(&self, alerts: &[Alert]) -> Vec<bool> {
        let mut muted = vec![false; alerts.len()];
        for rule in &self.0 {
            let both = |alert: &Alert| (all_match(&rule.source, &alert.labels), all_match(&rule.target, &alert.labels));
            let key = |alert: &Alert| -> Vec<String> { rule.equal.iter().map(|name| alert.labels.get(name).to_string()).collect() };
            // With the flag whether the source is a target as well: such sources do not inhibit such targets.
            let mut sources = std::collections::BTreeSet::new();
            for alert in alerts.iter().filter(|alert| alert.state == AlertState::Firing) {
                if let (true, also_target) = both(alert) {
                    sources.insert((key(alert), also_target));
                }
            }
            for (alert, muted) in alerts.iter().zip(&mut muted) {
                if let (also_source, true) = both(alert) {
                    let key = key(alert);
                    *muted |= sources.contains(&(key.clone(), false)) || !also_source && sources.contains(&(key, true));
                }
            }
        }
        muted
    }
}
