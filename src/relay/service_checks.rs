//! The last status of every service check that clients report, by name, host and tags, until it expires.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Duration;

use crate::model::{Check, Labels, Recorded, Window, labels};
use crate::telemetry::{SERVICE_CHECK_STATUS, SERVICE_CHECKS_UNKEPT};

/// Statuses kept; beyond it a check is stored and forwarded, but not scraped.
const KEPT_MAX: usize = 10_000;
/// Bytes of name, host and tags of one that is kept.
const LABEL_BYTES_MAX: usize = 4_096;

/// Owned by the cut thread.
pub(super) struct ServiceChecks {
    /// Status, and when it was last reported: the end of the window, or the arrival if it was before a restart.
    kept: HashMap<Labels, (u8, i64)>,
    /// Milliseconds; 0 keeps them for good.
    expire: i64,
}

impl ServiceChecks {
    pub(super) fn new(expire: Duration) -> ServiceChecks {
        ServiceChecks { kept: HashMap::new(), expire: i64::try_from(expire.as_millis()).unwrap_or(i64::MAX) }
    }

    /// Since when a report still stands at `now`, unix milliseconds.
    pub(super) fn since(&self, now: i64) -> i64 {
        if self.expire == 0 { i64::MIN } else { now.saturating_sub(self.expire) }
    }

    /// Learns what was reported at `at` (unix milliseconds) before a restart. Reports come with the newest first; breaks
    /// when no more can be kept.
    pub(super) fn restore(&mut self, at: i64, check: &Check) -> ControlFlow<()> {
        if self.kept.len() >= KEPT_MAX {
            return ControlFlow::Break(());
        }
        if let Some(labels) = labels_of(check) {
            self.kept.entry(labels).or_insert((check.status as u8, at));
        }
        ControlFlow::Continue(())
    }

    /// Every status that stands.
    pub(super) fn standing(&self) -> Vec<Recorded> {
        self.kept.iter().map(|(labels, (status, _))| Recorded { labels: labels.clone(), value: Some(f64::from(*status)) }).collect()
    }

    /// Learns what the window reports, and has it show every status that stands.
    pub(super) fn show(&mut self, window: &mut Window) {
        let mut unkept = 0;
        for (_, check) in &window.checks {
            match labels_of(check) {
                Some(labels) if self.kept.len() < KEPT_MAX || self.kept.contains_key(&labels) => {
                    self.kept.insert(labels, (check.status as u8, window.end));
                }
                _ => unkept += 1,
            }
        }
        SERVICE_CHECKS_UNKEPT.counter(&[]).increment(unkept);
        let oldest = self.since(window.end);
        self.kept.retain(|labels, (status, last)| {
            let stands = *last > oldest;
            window.own.push(Recorded { labels: labels.clone(), value: stands.then_some(f64::from(*status)) });
            stands
        });
    }
}

fn labels_of(check: &Check) -> Option<Labels> {
    let host = check.hostname.as_deref().unwrap_or_default();
    let bytes = check.name.len() + host.len() + check.tags.iter().map(String::len).sum::<usize>();
    let derived = || labels::derive(SERVICE_CHECK_STATUS.name, check.tags.iter().map(String::as_str));
    (bytes <= LABEL_BYTES_MAX).then(|| {
        let labels = derived().with("check", &check.name);
        // A host of the tags stands when the check names none.
        if host.is_empty() { labels } else { labels.with("host", host) }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::CheckStatus;

    fn window(end: i64, checks: &[(&str, CheckStatus)]) -> Window {
        let check = |name: &str, status| Check {
            name: name.into(),
            status,
            timestamp: None,
            hostname: Some("a".into()),
            message: None,
            tags: vec!["env:x".into()],
        };
        let checks = checks.iter().map(|&(name, status)| (end / 1_000, Arc::new(check(name, status)))).collect();
        Window { checks, ..Window::of(end, Duration::from_secs(1), []) }
    }

    #[test]
    fn the_last_status_stands_until_it_expires() {
        let mut checks = ServiceChecks::new(Duration::from_secs(5));
        let mut shown = |mut window: Window| {
            checks.show(&mut window);
            window.own.iter().map(|own| (own.labels.to_string(), own.value)).collect::<Vec<_>>()
        };
        let name = r#"statsd_relay_service_check_status{check="db", env="x", host="a"}"#.to_string();
        let first = shown(window(1_000, &[("db", CheckStatus::Ok), ("db", CheckStatus::Critical)]));
        assert_eq!(first, [(name.clone(), Some(2.0))]);
        assert_eq!(shown(window(5_000, &[])), [(name.clone(), Some(2.0))]);
        assert_eq!(shown(window(6_000, &[])), [(name, None)]);
        assert_eq!(shown(window(7_000, &[])), []);
    }

    #[test]
    fn what_was_reported_before_a_restart_stands_as_long_as_it_would_have() {
        let mut checks = ServiceChecks::new(Duration::from_secs(5));
        assert_eq!(checks.since(7_000), 2_000);
        for (at, status) in [(4_000, CheckStatus::Critical), (3_000, CheckStatus::Ok)] {
            assert!(checks.restore(at, &window(at, &[("db", status)]).checks[0].1).is_continue());
        }
        let stood: Vec<Option<f64>> = checks.standing().iter().map(|own| own.value).collect();
        assert_eq!(stood, [Some(2.0)]);
        let mut shown = |mut window: Window| {
            checks.show(&mut window);
            window.own.iter().map(|own| own.value).collect::<Vec<_>>()
        };
        assert_eq!(shown(window(8_000, &[])), [Some(2.0)]);
        assert_eq!(shown(window(9_000, &[])), [None]);
    }

    #[test]
    fn statuses_are_few_and_short() {
        let mut checks = ServiceChecks::new(Duration::ZERO);
        let names: Vec<String> = (0..KEPT_MAX + 5).map(|number| format!("c{number}")).chain(["x".repeat(5_000)]).collect();
        let reports: Vec<(&str, CheckStatus)> = names.iter().map(|name| (name.as_str(), CheckStatus::Ok)).collect();
        checks.show(&mut window(1_000, &reports));
        assert_eq!(checks.kept.len(), KEPT_MAX);
    }
}
