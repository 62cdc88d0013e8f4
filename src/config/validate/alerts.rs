//! Who is told what: routes, receivers, checks.

use std::time::Duration;

use super::{Findings, name, time, url};
use crate::config::Config;
use crate::model::nearest;
use crate::notify::{self, RouteConfig};

pub(super) fn check(config: &Config, findings: &mut Findings) {
    let receivers: Vec<&str> = config.notify.receivers.iter().map(|receiver| receiver.name.as_str()).collect();
    findings.distinct("notify.receivers", ".name", receivers.iter().copied());
    for (index, receiver) in receivers.iter().enumerate() {
        findings.check(format!("notify.receivers[{index}].name"), name(receiver));
    }
    if let Some(root) = &config.notify.route {
        let path = "notify.route";
        findings.require(root.receiver.is_some(), format!("{path}.receiver"), "the first route needs a receiver");
        findings.require(
            root.matchers.is_empty(),
            format!("{path}.matchers"),
            "the first route takes every alert; matchers go into its routes",
        );
        findings.require(!root.r#continue, format!("{path}.continue"), "the first route has no sibling to go on to");
        route(root, path, &receivers, findings);
    }
    for (index, rule) in config.notify.inhibit_rules.iter().enumerate() {
        let path = format!("notify.inhibit_rules[{index}]");
        matchers(&rule.source_matchers, &format!("{path}.source_matchers"), findings);
        matchers(&rule.target_matchers, &format!("{path}.target_matchers"), findings);
    }
    for (index, address) in config.alertmanagers.iter().enumerate() {
        findings.check(format!("alertmanagers[{index}]"), url(address));
    }
    if let Some(heartbeat) = &config.notify.heartbeat {
        findings.require(heartbeat.every >= Duration::from_secs(1), "notify.heartbeat.every", "expected at least 1s");
    }
    checks(config, findings);
}

fn checks(config: &Config, findings: &mut Findings) {
    findings.distinct("checks", ".name", config.checks.iter().map(|check| check.name.as_str()));
    for (index, check) in config.checks.iter().enumerate() {
        let path = |key: &str| format!("checks[{index}].{key}");
        findings.check(path("name"), name(&check.name));
        findings.require(!check.target.is_empty(), path("target"), "expected an address or a URL");
        time(check.every, &path("every"), findings);
        time(check.timeout, &path("timeout"), findings);
        findings.require(check.fail_after > 0, path("fail_after"), "expected at least 1");
    }
}

/// One node of the tree; a file's depth is bounded where it is read.
fn route(route: &RouteConfig, path: &str, receivers: &[&str], findings: &mut Findings) {
    if let Some(receiver) = route.receiver.as_deref().filter(|receiver| !receivers.contains(receiver)) {
        let known = match nearest(receiver, receivers) {
            Some(known) => format!("did you mean {known:?}?"),
            None if receivers.is_empty() => "notify.receivers is empty".to_string(),
            None => format!("expected {}", receivers.join(", ")),
        };
        findings.add(format!("{path}.receiver"), format!("no receiver is named {receiver:?}; {known}"));
    }
    for (index, label) in route.group_by.iter().flatten().enumerate() {
        findings.require(
            label == "..." || is_label(label),
            format!("{path}.group_by[{index}]"),
            "expected a label name, or ... for all labels",
        );
    }
    for (key, timing) in [("group_interval", route.group_interval), ("repeat_interval", route.repeat_interval)] {
        if let Some(timing) = timing {
            time(timing, &format!("{path}.{key}"), findings);
        }
    }
    matchers(&route.matchers, &format!("{path}.matchers"), findings);
    for (index, child) in route.routes.iter().enumerate() {
        self::route(child, &format!("{path}.routes[{index}]"), receivers, findings);
    }
}

fn matchers(texts: &[String], path: &str, findings: &mut Findings) {
    for (index, text) in texts.iter().enumerate() {
        findings.check(format!("{path}[{index}]"), notify::matcher(text));
    }
}

fn is_label(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.bytes().all(word) && text.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}
