//! How the relay and its parts are.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use serde::Serialize;

use crate::telemetry::DEGRADED;

/// How a part is. Ordered from well to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Ok,
    /// In trouble, and still doing its work.
    Degraded,
    Down,
}

/// The state of every part. Shared by the server and by whoever runs the parts.
#[derive(Debug, Default)]
pub struct Health(Mutex<Parts>);

#[derive(Debug, Default)]
struct Parts {
    ready: bool,
    parts: BTreeMap<String, Part>,
}

#[derive(Clone, Debug, Serialize)]
struct Part {
    state: State,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    /// Whether it says how the relay is; a check of something else does not.
    #[serde(skip)]
    own: bool,
}

/// What `/health` shows.
#[derive(Debug, Serialize)]
pub struct Report {
    state: State,
    reasons: Vec<String>,
    parts: BTreeMap<String, Part>,
    /// Whether what was asked for is well.
    #[serde(skip)]
    pub well: bool,
}

impl Health {
    /// Nothing is known and the relay is not ready.
    pub fn new() -> Health {
        Health::default()
    }

    /// Says how a part of the relay is; `reason` is empty when it is well. Also sets `statsd_relay_degraded`.
    pub fn set(&self, part: &str, state: State, reason: String) {
        DEGRADED.gauge(&[("part", part)]).set(if state == State::Ok { 0.0 } else { 1.0 });
        self.put(part, Part { state, reason, own: true });
    }

    /// Says how something is that the relay looks after. It counts only for who requires it by name.
    pub fn set_check(&self, name: &str, state: State, reason: String) {
        self.put(name, Part { state, reason, own: false });
    }

    /// Whether queries and pages can be answered.
    pub fn set_ready(&self, ready: bool) {
        self.0.lock().ready = ready;
    }

    pub fn ready(&self) -> bool {
        self.0.lock().ready
    }

    /// The state of everything. It is well when no part is down and the relay is ready; or, with names in
    /// `require`, when each of these is ok. An unknown name is an error that says which there are.
    pub fn report(&self, require: &[String]) -> Result<Report, String> {
        let health = self.0.lock();
        let parts = health.parts.clone();
        if let Some(name) = require.iter().find(|name| !parts.contains_key(*name)) {
            let known: Vec<&str> = parts.keys().map(String::as_str).collect();
            return Err(format!("unknown part {name:?}: there are {}", known.join(", ")));
        }
        let counts = |name: &str, part: &Part| if require.is_empty() { part.own } else { require.iter().any(|one| one == name) };
        let counted: Vec<(&String, &Part)> = parts.iter().filter(|(name, part)| counts(name, part)).collect();
        let mut state = counted.iter().map(|(_, part)| part.state).max().unwrap_or(State::Ok);
        let mut reasons: Vec<String> = Vec::new();
        if !health.ready && require.is_empty() {
            state = State::Down;
            reasons.push("starting: not ready yet".to_string());
        }
        reasons.extend(counted.iter().filter(|(_, part)| part.state != State::Ok).map(|(name, part)| format!("{name}: {}", part.reason)));
        let well = if require.is_empty() { state != State::Down } else { state == State::Ok };
        Ok(Report { state, reasons, parts, well })
    }

    fn put(&self, name: &str, part: Part) {
        self.0.lock().parts.insert(name.to_string(), part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_own_part_is_the_state_and_checks_count_when_required() {
        let health = Health::new();
        assert!(!health.report(&[]).unwrap().well, "not before it is ready");
        health.set_ready(true);
        health.set("store", State::Degraded, "disk full".into());
        health.set_check("db", State::Down, "refused".into());
        let report = health.report(&[]).unwrap();
        assert_eq!((report.state, report.well, report.reasons), (State::Degraded, true, vec!["store: disk full".to_string()]));
        let required = |name: &str| health.report(&[name.to_string()]);
        assert_eq!((required("db").unwrap().well, required("store").unwrap().well), (false, false));
        health.set("store", State::Ok, String::new());
        assert!(required("store").unwrap().well);
        assert_eq!(required("dbx").unwrap_err(), r#"unknown part "dbx": there are db, store"#);
        health.set("sink", State::Down, "gone".into());
        assert!(!health.report(&[]).unwrap().well);
    }
}
