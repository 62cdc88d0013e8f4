//! The life of a rule's alerts: pending, firing, resolved. A function of what was found and the time.

use std::collections::BTreeMap;

use crate::model::{Alert, AlertState, Labels};

/// How long a resolved alert is kept, so that receivers hear of it, in milliseconds.
const KEEP_RESOLVED_MS: i64 = 15 * 60_000;

/// What one evaluation of an alerting rule found: labels to annotations and value.
pub(super) type Found = BTreeMap<Labels, (Labels, f64)>;

/// The alerts of one rule, by their labels.
pub(super) type Alerts = BTreeMap<Labels, Alert>;

/// A rule's `for` and `keep_firing_for` in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    pub(super) hold: i64,
    pub(super) keep: i64,
}

/// Brings the alerts to `now` (unix milliseconds).
pub(super) fn advance(alerts: &mut Alerts, found: Found, timing: Timing, now: i64) {
    for (labels, (annotations, value)) in &found {
        match alerts.get_mut(labels).filter(|alert| is_active(alert)) {
            Some(alert) => {
                alert.annotations = annotations.clone();
                alert.value = *value;
                alert.keep_since = None;
            }
            None => {
                alerts.insert(labels.clone(), newborn(labels, annotations, *value, now));
            }
        }
    }
    alerts.retain(|labels, alert| {
        // Of a clock that went back: a time that has not come yet is now.
        alert.active_at = alert.active_at.min(now);
        if !found.contains_key(labels) && !absent(alert, timing, now) {
            return false;
        }
        let held = now - alert.active_at >= timing.hold;
        match alert.state {
            AlertState::Pending if held => {
                alert.state = AlertState::Firing;
                alert.fired_at = Some(now);
            }
            // The rule's `for` has become longer.
            AlertState::Firing if !held => {
                alert.state = AlertState::Pending;
                alert.fired_at = None;
            }
            _ => {}
        }
        true
    });
}

/// Pending or firing.
pub(super) fn is_active(alert: &Alert) -> bool {
    matches!(alert.state, AlertState::Pending | AlertState::Firing)
}

fn newborn(labels: &Labels, annotations: &Labels, value: f64, now: i64) -> Alert {
    Alert {
        labels: labels.clone(),
        annotations: annotations.clone(),
        state: AlertState::Pending,
        active_at: now,
        fired_at: None,
        resolved_at: None,
        keep_since: None,
        value,
    }
}

/// What becomes of an alert whose expression does not hold. False when it is to be forgotten.
fn absent(alert: &mut Alert, timing: Timing, now: i64) -> bool {
    match alert.state {
        AlertState::Firing => {
            let since = alert.keep_since.map_or(now, |since| since.min(now));
            if now - since < timing.keep {
                alert.keep_since = Some(since);
            } else {
                alert.state = AlertState::Resolved;
                alert.resolved_at = Some(now);
            }
            true
        }
        AlertState::Resolved => alert.resolved_at.is_some_and(|at| now - at <= KEEP_RESOLVED_MS),
        AlertState::Pending | AlertState::Inactive => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a rule once a minute; `pattern` says whether its expression holds. Gives the states' initials.
    fn run(pattern: &str, hold: i64, keep: i64) -> String {
        let mut alerts = Alerts::new();
        let mut states = String::new();
        for (minute, c) in pattern.chars().enumerate() {
            let labels = Labels::new([("alertname", "a")]);
            let found = (c == '1').then(|| (labels.clone(), (Labels::default(), minute as f64)));
            let timing = Timing { hold: hold * 60_000, keep: keep * 60_000 };
            advance(&mut alerts, found.into_iter().collect(), timing, minute as i64 * 60_000);
            states.push(alerts.get(&labels).map_or('-', |alert| alert.state.as_str().chars().next().unwrap()));
        }
        states
    }

    #[test]
    fn alerts_live_as_in_prometheus() {
        for (pattern, hold, keep, expected) in [
            ("0110", 0, 0, "-ffr"),
            ("1111", 2, 0, "ppff"),
            ("1101111", 2, 0, "pp-ppff"),
            ("10000", 0, 2, "fffrr"),
            ("1001000", 0, 2, "ffffffr"),
            ("11100110", 1, 0, "pffrrpfr"),
            ("1000000000000000000", 0, 0, "frrrrrrrrrrrrrrrr--"),
        ] {
            assert_eq!(run(pattern, hold, keep), expected, "{pattern} for {hold}m keep {keep}m");
        }
    }

    #[test]
    fn a_longer_for_takes_a_firing_alert_back_to_pending() {
        let labels = Labels::new([("alertname", "a")]);
        let found: Found = [(labels.clone(), (Labels::default(), 1.0))].into_iter().collect();
        let mut alerts = Alerts::new();
        for (hold, now, state) in [(0, 0, AlertState::Firing), (5_000, 1_000, AlertState::Pending), (5_000, 5_000, AlertState::Firing)] {
            advance(&mut alerts, found.clone(), Timing { hold, keep: 0 }, now);
            assert_eq!(alerts[&labels].state, state, "at {now}");
        }
    }

    #[test]
    fn a_clock_that_went_back_does_not_hold_an_alert_forever() {
        let labels = Labels::new([("alertname", "a")]);
        let found: Found = [(labels.clone(), (Labels::default(), 1.0))].into_iter().collect();
        let mut alerts = Alerts::new();
        let timing = Timing { hold: 10_000, keep: 0 };
        advance(&mut alerts, found.clone(), timing, 3_600_000);
        advance(&mut alerts, found.clone(), timing, 5_000);
        advance(&mut alerts, found, timing, 15_000);
        assert_eq!(alerts[&labels].state, AlertState::Firing);
    }
}
