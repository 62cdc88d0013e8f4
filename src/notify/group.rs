//! Groups of alerts, and what is to be said of them when. Pure: the time is passed in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::decision::{Notified, Reason, decide};
use super::inhibit::Inhibitions;
use super::log::{self, Log, LogChanges, LogKey};
use super::route::Route;
use crate::alert::labels_fingerprint;
use crate::model::{Alert, AlertState, Labels};
use crate::net::Backoff;

/// What a receiver is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    pub receiver: String,
    pub group_key: String,
    pub group_labels: Labels,
    pub reason: Reason,
    /// Firing ones first, then by labels. Only firing and resolved ones.
    pub alerts: Vec<Alert>,
}

/// One place a receiver notifies.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) receiver: String,
    /// What the log calls it.
    pub(super) key: u64,
    pub(super) send_resolved: bool,
}

/// How one attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    Delivered,
    /// The receiver will never take it.
    Refused,
    /// Later may work; the receiver may have asked for a pause.
    Retry(Option<Duration>),
}

/// A notification that is to be sent now. Its outcome goes back with `key` and `target`.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) key: String,
    pub(super) target: usize,
    /// False for a further attempt at one that was due before.
    pub(super) fresh: bool,
    pub(super) notification: Notification,
}

/// A notification that came to its end, for the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Delivered,
    Refused,
    /// Its receiver did not answer for a whole repeat interval.
    Failed,
    /// What it was about was over before its receiver answered.
    Withdrawn,
}

impl Ended {
    pub(super) const ALL: [Ended; 4] = [Ended::Delivered, Ended::Refused, Ended::Failed, Ended::Withdrawn];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Ended::Delivered => "delivered",
            Ended::Refused => "refused",
            Ended::Failed => "failed",
            Ended::Withdrawn => "withdrawn",
        }
    }
}

/// Every group there is.
pub(super) struct Groups {
    tree: Route,
    inhibitions: Inhibitions,
    targets: Vec<Target>,
    groups: BTreeMap<String, Group>,
    log: Log,
}

struct Group {
    receiver: String,
    labels: Labels,
    wait: Duration,
    interval: Duration,
    repeat: Duration,
    /// Unix milliseconds.
    next_look: i64,
    /// Alerts by fingerprint.
    members: BTreeMap<u64, Alert>,
    /// Members that an inhibition silences now.
    muted: BTreeSet<u64>,
    /// By index of target.
    told: BTreeMap<usize, Told>,
}

/// How far one target is.
#[derive(Default)]
struct Told {
    last: Option<Notified>,
    open: Option<Open>,
    backoff: Backoff,
}

/// A notification that is due and not yet at its end.
struct Open {
    /// Unix milliseconds.
    since: i64,
    /// What the attempt on its way says; `None` while it waits for `retry_at`.
    sending: Option<Notified>,
    retry_at: i64,
}

impl Groups {
    pub(super) fn new(tree: Route, inhibitions: Inhibitions, targets: Vec<Target>, log: Log) -> Groups {
        Groups { tree, inhibitions, targets, groups: BTreeMap::new(), log }
    }

    /// What of the log is to be kept anew.
    pub(super) fn log_changes(&mut self) -> LogChanges {
        self.log.changes()
    }

    /// Takes every firing and recently resolved alert there is at `now`; a firing one that is missing has ended.
    pub(super) fn offer(&mut self, alerts: &[Alert], now: i64) {
        let mut seen: BTreeSet<(String, u64)> = BTreeSet::new();
        self.groups.values_mut().for_each(|group| group.muted.clear());
        for (alert, muted) in alerts.iter().zip(self.inhibitions.muted(alerts)) {
            let fingerprint = labels_fingerprint(&alert.labels);
            for route in self.tree.taking(&alert.labels) {
                let labels = route.group_labels(&alert.labels);
                let key = format!("{}:{}", route.key, labels);
                seen.insert((key.clone(), fingerprint));
                match (alert.state, self.groups.get_mut(&key)) {
                    (AlertState::Firing, group) if muted => {
                        group.map(|group| group.muted.insert(fingerprint));
                    }
                    (AlertState::Firing, Some(group)) => group.take(fingerprint, alert, now),
                    (AlertState::Firing, None) => {
                        let mut group = Group::new(route, labels, now);
                        group.recall(&key, &self.targets, &self.log);
                        group.take(fingerprint, alert, now);
                        self.groups.insert(key, group);
                    }
                    // Who was never told of it needs not hear that it is over.
                    (AlertState::Resolved, Some(group)) if group.knows(fingerprint) => group.take(fingerprint, alert, now),
                    // It ended while no process was there to see it.
                    (AlertState::Resolved, None) if self.log.has_earlier() => {
                        let mut group = Group::new(route, labels, now);
                        group.recall(&key, &self.targets, &self.log);
                        if group.knows(fingerprint) {
                            group.take(fingerprint, alert, now);
                            self.groups.insert(key, group);
                        }
                    }
                    _ => {}
                }
            }
        }
        for (key, group) in &mut self.groups {
            for (fingerprint, alert) in &mut group.members {
                if alert.state == AlertState::Firing && !seen.contains(&(key.clone(), *fingerprint)) {
                    alert.state = AlertState::Resolved;
                    alert.resolved_at = Some(now);
                }
            }
        }
    }

    /// What is to be sent at `now`; and how notifications ended that were given up.
    pub(super) fn due(&mut self, now: i64) -> (Vec<Due>, Vec<(String, Ended)>) {
        let (mut due, mut ended) = (Vec::new(), Vec::new());
        for (key, group) in &mut self.groups {
            let looks = group.looks(now);
            for (index, target) in self.targets.iter().enumerate() {
                if target.receiver != group.receiver {
                    continue;
                }
                match group.ask(index, target, looks, now) {
                    Asked::Nothing => {}
                    Asked::Over(end) => ended.push((target.receiver.clone(), end)),
                    Asked::Send { reason, fresh } => {
                        let notification = group.notification(key, target, reason);
                        due.push(Due { key: key.clone(), target: index, fresh, notification });
                    }
                }
            }
        }
        self.forget();
        (due, ended)
    }

    /// Takes the outcome of an attempt. Gives how its notification ended, unless it is tried again.
    pub(super) fn attempted(&mut self, key: &str, target: usize, outcome: &Outcome, now: i64) -> Option<Ended> {
        let told = self.groups.get_mut(key)?.told.get_mut(&target)?;
        let open = told.open.take()?;
        let ended = match outcome {
            Outcome::Delivered => {
                told.backoff = Backoff::default();
                told.last = open.sending.map(|sent| Notified { at: now, ..sent });
                if let Some(last) = &told.last {
                    self.log.told(log_key(&self.targets[target], key), last);
                }
                Some(Ended::Delivered)
            }
            Outcome::Refused => Some(Ended::Refused),
            Outcome::Retry(asked) => {
                let wait = told.backoff.failed().max(asked.unwrap_or_default().min(Backoff::LONGEST_ASKED));
                told.open = Some(Open { since: open.since, sending: None, retry_at: now + wait.as_millis() as i64 });
                None
            }
        };
        self.forget();
        ended
    }

    /// Notifications that are due and not at their end.
    pub(super) fn open(&self) -> usize {
        self.groups.values().flat_map(|group| group.told.values()).filter(|told| told.open.is_some()).count()
    }

    /// Lets go of resolved alerts that everyone has heard of, and of empty groups.
    fn forget(&mut self) {
        let (targets, log) = (&self.targets, &mut self.log);
        self.groups.retain(|key, group| {
            let over = group.members.iter().filter(|(_, alert)| alert.state != AlertState::Firing).map(|(fingerprint, _)| *fingerprint);
            let over: Vec<u64> = over.collect();
            for fingerprint in over {
                let mut ours = targets.iter().enumerate().filter(|(_, target)| target.receiver == group.receiver);
                if ours.all(|(index, target)| group.told.get(&index).is_none_or(|told| told.heard_the_end(fingerprint, target))) {
                    group.members.remove(&fingerprint);
                    // Should it fire again it is news, also to those who do not want to hear of ends.
                    for (index, told) in &mut group.told {
                        if let Some(last) = told.last.as_mut().filter(|last| last.firing.contains(&fingerprint)) {
                            last.firing.remove(&fingerprint);
                            log.told(log_key(&targets[*index], key), last);
                        }
                    }
                }
            }
            let stays = !group.members.is_empty() || group.told.values().any(|told| told.open.is_some());
            if !stays {
                let heard = group.told.iter().filter(|(_, told)| told.last.is_some());
                heard.for_each(|(index, _)| log.forget(log_key(&targets[*index], key)));
            }
            stays
        });
    }
}

fn log_key(target: &Target, group: &str) -> LogKey {
    (target.key, log::group_key(group))
}

impl Told {
    /// Takes no time as later than it can be: a clock that was set back must not silence a target.
    fn bound(&mut self, now: i64) {
        if let Some(last) = &mut self.last {
            last.at = last.at.min(now);
        }
        if let Some(open) = &mut self.open {
            open.since = open.since.min(now);
            open.retry_at = open.retry_at.min(now + Backoff::LONGEST_ASKED.as_millis() as i64);
        }
    }

    /// Whether there is nothing more to say of a resolved alert.
    fn heard_the_end(&self, fingerprint: u64, target: &Target) -> bool {
        let knows = self.last.as_ref().is_some_and(|last| last.firing.contains(&fingerprint));
        self.open.is_none() && !(target.send_resolved && knows)
    }
}

enum Asked {
    Nothing,
    Over(Ended),
    Send { reason: Reason, fresh: bool },
}

impl Group {
    fn new(route: &Route, labels: Labels, now: i64) -> Group {
        Group {
            receiver: route.receiver.clone(),
            labels,
            wait: route.group_wait,
            interval: route.group_interval,
            repeat: route.repeat_interval,
            next_look: now + route.group_wait.as_millis() as i64,
            members: BTreeMap::new(),
            muted: BTreeSet::new(),
            told: BTreeMap::new(),
        }
    }

    /// Goes on where an earlier process stopped.
    fn recall(&mut self, key: &str, targets: &[Target], log: &Log) {
        for (index, target) in targets.iter().enumerate().filter(|(_, target)| target.receiver == self.receiver) {
            if let Some(last) = log.earlier(log_key(target, key)) {
                self.told.insert(index, Told { last: Some(last.clone()), ..Told::default() });
            }
        }
        if let Some(at) = self.told.values().filter_map(|told| Some(told.last.as_ref()?.at)).min() {
            self.next_look = at + self.interval.as_millis() as i64;
        }
    }

    /// Whether an alert is one of its own, or someone was told of it.
    fn knows(&self, fingerprint: u64) -> bool {
        let told = |told: &Told| told.last.as_ref().is_some_and(|last| last.firing.contains(&fingerprint));
        self.members.contains_key(&fingerprint) || self.told.values().any(told)
    }

    fn take(&mut self, fingerprint: u64, alert: &Alert, now: i64) {
        // It has waited long enough elsewhere, in a process before this one.
        if self.told.is_empty() && alert.fired_at.is_some_and(|at| at + (self.wait.as_millis() as i64) < now) {
            self.next_look = self.next_look.min(now);
        }
        self.members.insert(fingerprint, alert.clone());
    }

    /// Whether the group is looked at now; sets the next time.
    fn looks(&mut self, now: i64) -> bool {
        let longest = self.wait.max(self.interval).as_millis() as i64;
        // A clock that was set back must not silence a group.
        self.next_look = self.next_look.min(now + longest);
        let looks = now >= self.next_look;
        if looks {
            self.next_look = now + self.interval.as_millis() as i64;
        }
        looks
    }

    fn standing(&self, now: i64) -> Notified {
        let of = |state| {
            let heard = self.members.iter().filter(|(fingerprint, _)| !self.muted.contains(fingerprint));
            heard.filter(|(_, alert)| alert.state == state).map(|(fingerprint, _)| *fingerprint).collect()
        };
        Notified { at: now, firing: of(AlertState::Firing), resolved: of(AlertState::Resolved) }
    }

    fn ask(&mut self, index: usize, target: &Target, looks: bool, now: i64) -> Asked {
        let standing = self.standing(now);
        let repeat = self.repeat;
        let told = self.told.entry(index).or_default();
        told.bound(now);
        let since = match &told.open {
            Some(Open { sending: Some(_), .. }) => return Asked::Nothing,
            Some(open) if now - open.since >= repeat.as_millis() as i64 => {
                told.open = None;
                return Asked::Over(Ended::Failed);
            }
            Some(open) if now < open.retry_at => return Asked::Nothing,
            Some(open) => Some(open.since),
            None if !looks => return Asked::Nothing,
            None => None,
        };
        match decide(told.last.as_ref(), &standing, target.send_resolved, repeat) {
            Some(reason) => {
                told.open = Some(Open { since: since.unwrap_or(now), sending: Some(standing), retry_at: 0 });
                Asked::Send { reason, fresh: since.is_none() }
            }
            None => {
                told.open = None;
                if since.is_some() { Asked::Over(Ended::Withdrawn) } else { Asked::Nothing }
            }
        }
    }

    fn notification(&self, key: &str, target: &Target, reason: Reason) -> Notification {
        let shown = |alert: &&Alert| alert.state == AlertState::Firing || target.send_resolved;
        let heard = self.members.iter().filter(|(fingerprint, _)| !self.muted.contains(fingerprint)).map(|(_, alert)| alert);
        let mut alerts: Vec<Alert> = heard.filter(shown).cloned().collect();
        alerts.sort_by(|a, b| (a.state != AlertState::Firing, &a.labels).cmp(&(b.state != AlertState::Firing, &b.labels)));
        let (receiver, group_key) = (self.receiver.clone(), key.to_string());
        Notification { receiver, group_key, group_labels: self.labels.clone(), reason, alerts }
    }
}
