//! Evaluates groups when their turn comes, right after a window has closed.

use std::collections::HashMap;
use std::time::Duration;

use metrics::{Counter, Histogram};

use super::fingerprint;
use super::group::{Memory, RuleState, Turn};
use super::rules::{Action, Group, Rule, RuleSet};
use super::saved::SavedAlert;
use super::state;
use super::status::{GroupStatus, RuleHealth, RuleKind, RuleStatus};
use crate::clock::Clock;
use crate::model::{Alert, AlertState, Labels, Recorded, Select};
use crate::query::Options;
use crate::telemetry;

/// What all rules share.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Length of a window, which is how often groups without an interval are evaluated; no group is
    /// evaluated more often.
    pub window: Duration,
    /// `$externalURL` of templates.
    pub external_url: String,
    /// Longest time one rule may take.
    pub rule_timeout: Duration,
    /// Samples and series one rule may read.
    pub max_samples: usize,
    pub max_series: usize,
    /// Measures spans only; the time of an evaluation is always its window's.
    pub clock: Clock,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            window: Duration::from_secs(10),
            external_url: String::new(),
            rule_timeout: Duration::from_secs(5),
            max_samples: 5_000_000,
            max_series: 50_000,
            clock: Clock::system(),
        }
    }
}

/// Every rule with its state.
pub struct Engine {
    settings: Settings,
    groups: Vec<GroupState>,
    /// Series of rules that are gone, to be ended.
    ending: Vec<Labels>,
}

/// What one evaluation gave.
#[derive(Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Every firing and every recently resolved alert, of all rules.
    pub alerts: Vec<Alert>,
    pub failures: Vec<Failure>,
}

/// A rule that could not be evaluated; its state is that of before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub file: String,
    pub group: String,
    pub rule: String,
    pub error: String,
}

struct GroupState {
    group: Group,
    /// Milliseconds, at least a window.
    interval: i64,
    /// Aligned: which multiple of the interval it was. Else its time.
    last_turn: Option<i64>,
    last_evaluation: Option<i64>,
    evaluation_time: Duration,
    rules: Vec<RuleState>,
    seconds: Histogram,
    failed: Counter,
    missed: Counter,
}

impl Engine {
    /// An engine whose alerts stand as they were saved; what belongs to no rule any more is left out.
    pub fn new(rules: RuleSet, settings: Settings, restored: Vec<SavedAlert>) -> Engine {
        let mut memories: HashMap<u64, Memory> = HashMap::new();
        for saved in restored {
            match saved.decode() {
                Some(alert) => memories.entry(saved.rule).or_default().restore(alert),
                None => tracing::warn!("a saved alert cannot be read and is left out"),
            }
        }
        let mut engine = Engine { settings, groups: Vec::new(), ending: Vec::new() };
        engine.adopt(rules, memories, &HashMap::new());
        engine
    }

    /// Puts other rules in place. Rules that are in both keep their alerts; series of the others end.
    pub fn reload(&mut self, rules: RuleSet, settings: Settings) {
        self.settings = settings;
        let mut memories = HashMap::new();
        let mut turns = HashMap::new();
        for group in std::mem::take(&mut self.groups) {
            if let Some(last) = group.last_turn {
                turns.insert((group.group.file, group.group.name), (group.interval, last));
            }
            memories.extend(group.rules.into_iter().map(|rule| (rule.fingerprint, rule.memory)));
        }
        self.adopt(rules, memories, &turns);
    }

    fn adopt(&mut self, rules: RuleSet, mut memories: HashMap<u64, Memory>, turns: &HashMap<(String, String), (i64, i64)>) {
        let mut seen: HashMap<u64, usize> = HashMap::new();
        let window = self.settings.window.as_millis().max(1) as i64;
        for mut group in rules.groups {
            let interval = group.interval.map_or(window, |interval| (interval.as_millis() as i64).max(window));
            let rules = std::mem::take(&mut group.rules).into_iter().map(|rule| {
                let fingerprint = rule_fingerprint(&group, &rule, &mut seen);
                RuleState { rule, fingerprint, memory: memories.remove(&fingerprint).unwrap_or_default() }
            });
            let rules = rules.collect();
            let last_turn = turns.get(&(group.file.clone(), group.name.clone())).filter(|(had, _)| *had == interval).map(|(_, last)| *last);
            let label = [("group", group.name.as_str())];
            self.groups.push(GroupState {
                seconds: telemetry::RULE_EVALUATION_SECONDS.histogram(&label),
                failed: telemetry::RULE_FAILURES.counter(&label),
                missed: telemetry::RULE_MISSED.counter(&label),
                group,
                interval,
                last_turn,
                last_evaluation: None,
                evaluation_time: Duration::ZERO,
                rules,
            });
        }
        self.ending.extend(memories.into_values().flat_map(|memory| memory.written));
    }

    /// Evaluates the groups whose turn has come. Call it once for each closed window, with the window's end.
    ///
    /// `record` takes the samples of one rule, with their time, before the next rule is evaluated, so that
    /// `select` shows them.
    pub fn evaluate(&mut self, now_ms: i64, select: &dyn Select, record: &mut dyn FnMut(i64, Vec<Recorded>)) -> Evaluation {
        let ended = std::mem::take(&mut self.ending);
        if !ended.is_empty() {
            record(now_ms, ended.into_iter().map(|labels| Recorded { labels, value: None }).collect());
        }
        let mut evaluation = Evaluation::default();
        for group in &mut self.groups {
            if let Some(turn) = group.due(now_ms, self.settings.window) {
                group.evaluate(turn, &self.settings, select, record, &mut evaluation.failures);
            }
        }
        self.count_alerts();
        evaluation.alerts = self.alerts().filter(|alert| alert.state != AlertState::Pending).cloned().collect();
        evaluation
    }

    /// Every group as the API shows it.
    pub fn status(&self) -> Vec<GroupStatus> {
        self.groups.iter().map(GroupState::status).collect()
    }

    /// Every alert, to be given to [`Engine::new`] after a restart.
    pub fn saved(&self) -> Vec<SavedAlert> {
        let rules = self.groups.iter().flat_map(|group| &group.rules);
        rules.flat_map(|rule| rule.memory.alerts.values().map(|alert| SavedAlert::encode(rule.fingerprint, alert))).collect()
    }

    fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.groups.iter().flat_map(|group| &group.rules).flat_map(|rule| rule.memory.alerts.values())
    }

    fn count_alerts(&self) {
        for state in [AlertState::Pending, AlertState::Firing, AlertState::Resolved] {
            let count = self.alerts().filter(|alert| alert.state == state).count();
            telemetry::ALERTS.gauge(&[("state", state.as_str())]).set(count as f64);
        }
    }
}

/// A rule is the same while its file, group, name and labels are; equal ones go by their order.
fn rule_fingerprint(group: &Group, rule: &Rule, seen: &mut HashMap<u64, usize>) -> u64 {
    let kind = if matches!(rule.action, Action::Record) { "record" } else { "alert" };
    let texts =
        [group.file.as_str(), &group.name, kind, &rule.name].into_iter().chain(rule.labels.iter().flat_map(|(name, value)| [name, value]));
    let fingerprint = fingerprint::of_texts(texts);
    let before = seen.entry(fingerprint).or_default();
    *before += 1;
    fingerprint.wrapping_add(*before as u64 - 1)
}

impl GroupState {
    /// The time of the evaluation that is due at the end of a window; turns that were skipped are counted.
    fn due(&mut self, now: i64, window: Duration) -> Option<i64> {
        let (turn, time, last, step) = if self.group.eval_alignment {
            let turn = now.div_euclid(self.interval);
            let last = self.last_turn.unwrap_or_else(|| (now - window.as_millis() as i64).div_euclid(self.interval));
            (turn, turn * self.interval, last, 1)
        } else {
            (now, now, self.last_turn.unwrap_or(now - self.interval), self.interval)
        };
        // Less than a step forward is too early; backwards the clock was set, and it begins anew.
        if (last..last + step).contains(&turn) {
            return None;
        }
        self.missed.increment(((turn - last) / step - 1).max(0) as u64);
        self.last_turn = Some(turn);
        Some(time)
    }

    fn evaluate(
        &mut self,
        now: i64,
        settings: &Settings,
        select: &dyn Select,
        record: &mut dyn FnMut(i64, Vec<Recorded>),
        failures: &mut Vec<Failure>,
    ) {
        let began = settings.clock.instant();
        let at = now - self.group.query_offset.as_millis() as i64;
        for rule in &mut self.rules {
            let started = settings.clock.instant();
            let options = Options {
                max_samples: settings.max_samples,
                max_series: settings.max_series,
                deadline: Some(started + settings.rule_timeout),
                ..Options::default()
            };
            let limit = self.group.limit;
            let turn = Turn { now, at, limit, select, options: &options, external_url: &settings.external_url };
            let (samples, outcome) = rule.evaluate(&turn);
            if self.group.debug {
                tracing::info!(group = self.group.name, rule = rule.rule.name, samples = samples.len(), outcome = ?outcome, "rule evaluated");
            }
            if !samples.is_empty() {
                record(at, samples);
            }
            let memory = &mut rule.memory;
            memory.evaluation_time = settings.clock.instant().saturating_duration_since(started);
            memory.last_evaluation = Some(now);
            memory.error = outcome.err();
            let Some(error) = &memory.error else {
                memory.health = RuleHealth::Ok;
                continue;
            };
            if memory.health != RuleHealth::Err {
                tracing::warn!(file = self.group.file, group = self.group.name, rule = rule.rule.name, error, "a rule fails");
            }
            memory.health = RuleHealth::Err;
            self.failed.increment(1);
            let (file, group) = (self.group.file.clone(), self.group.name.clone());
            failures.push(Failure { file, group, rule: rule.rule.name.clone(), error: error.clone() });
        }
        self.evaluation_time = settings.clock.instant().saturating_duration_since(began);
        self.seconds.record(self.evaluation_time.as_secs_f64());
        self.last_evaluation = Some(now);
    }

    fn status(&self) -> GroupStatus {
        GroupStatus {
            name: self.group.name.clone(),
            file: self.group.file.clone(),
            interval: Duration::from_millis(self.interval as u64),
            limit: self.group.limit,
            evaluation_time: self.evaluation_time,
            last_evaluation: self.last_evaluation,
            rules: self.rules.iter().map(rule_status).collect(),
        }
    }
}

fn rule_status(state: &RuleState) -> RuleStatus {
    let memory = &state.memory;
    let kind = match &state.rule.action {
        Action::Record => RuleKind::Recording,
        Action::Alert(alerting) => {
            let alerts: Vec<Alert> = memory.alerts.values().filter(|alert| state::is_active(alert)).cloned().collect();
            let firing = alerts.iter().any(|alert| alert.state == AlertState::Firing);
            RuleKind::Alerting {
                state: match (alerts.is_empty(), firing) {
                    (true, _) => AlertState::Inactive,
                    (false, true) => AlertState::Firing,
                    (false, false) => AlertState::Pending,
                },
                hold: alerting.hold,
                keep_firing_for: alerting.keep_firing_for,
                annotations: alerting.annotations.clone(),
                alerts,
            }
        }
    };
    RuleStatus {
        name: state.rule.name.clone(),
        query: state.rule.expr.to_string(),
        labels: state.rule.labels.clone(),
        kind,
        health: memory.health,
        last_error: memory.error.clone(),
        evaluation_time: memory.evaluation_time,
        last_evaluation: memory.last_evaluation,
    }
}
