//! The route tree: which receivers hear of an alert, and in which groups.

use std::time::Duration;

use regex::Regex;

use super::{NotifyConfig, RouteConfig};
use crate::model::{Labels, MatchOp, Matcher};

/// Deepest nesting of routes.
const MAX_DEPTH: usize = 32;

/// A node of the tree with everything it inherits.
#[derive(Debug)]
pub(super) struct Route {
    /// Unique in the tree; the first half of group keys.
    pub(super) key: String,
    pub(super) receiver: String,
    /// `None` groups by all labels (`...`).
    pub(super) group_by: Option<Vec<String>>,
    pub(super) group_wait: Duration,
    pub(super) group_interval: Duration,
    pub(super) repeat_interval: Duration,
    matchers: Vec<Matcher>,
    goes_on: bool,
    routes: Vec<Route>,
}

impl Route {
    /// Builds the tree of `notify.route`; `None` without one. The error names the key.
    pub(super) fn tree(config: &NotifyConfig) -> Result<Option<Route>, String> {
        let Some(top) = &config.route else { return Ok(None) };
        if !top.matchers.is_empty() || top.r#continue {
            return Err("notify.route: the top route takes every alert; it has no matchers and no continue".into());
        }
        let receiver = top.receiver.clone().ok_or("notify.route: the top route needs a receiver")?;
        let above = Route {
            key: String::new(),
            receiver,
            group_by: Some(vec!["alertname".into()]),
            group_wait: Duration::from_secs(30),
            group_interval: Duration::from_secs(300),
            repeat_interval: Duration::from_secs(4 * 3_600),
            matchers: Vec::new(),
            goes_on: false,
            routes: Vec::new(),
        };
        let names: Vec<&str> = config.receivers.iter().map(|receiver| receiver.name.as_str()).collect();
        Route::below(top, &above, "notify.route", &names, 0).map(Some)
    }

    fn below(config: &RouteConfig, parent: &Route, path: &str, receivers: &[&str], depth: usize) -> Result<Route, String> {
        if depth > MAX_DEPTH {
            return Err(format!("{path}: nested deeper than {MAX_DEPTH} routes"));
        }
        let matchers = matchers(&config.matchers, &format!("{path}.matchers"))?;
        let shown: Vec<String> = matchers.iter().map(shown).collect();
        let group_by = config.group_by.as_ref().map(|names| {
            let mut names = names.clone();
            names.sort_unstable();
            names.dedup();
            (!names.iter().any(|name| name == "...")).then_some(names)
        });
        let mut route = Route {
            key: format!("{}{}{{{}}}", parent.key, if depth == 0 { "" } else { "/" }, shown.join(",")),
            receiver: config.receiver.clone().unwrap_or_else(|| parent.receiver.clone()),
            group_by: group_by.unwrap_or_else(|| parent.group_by.clone()),
            group_wait: config.group_wait.unwrap_or(parent.group_wait),
            group_interval: config.group_interval.unwrap_or(parent.group_interval),
            repeat_interval: config.repeat_interval.unwrap_or(parent.repeat_interval),
            matchers,
            goes_on: config.r#continue,
            routes: Vec::new(),
        };
        if !receivers.contains(&route.receiver.as_str()) {
            return Err(format!("{path}.receiver: there is no receiver {:?}; known: {}", route.receiver, receivers.join(", ")));
        }
        for (key, span) in [("group_interval", route.group_interval), ("repeat_interval", route.repeat_interval)] {
            if span.is_zero() {
                return Err(format!("{path}.{key}: it must be more than 0s"));
            }
        }
        for (at, child) in config.routes.iter().enumerate() {
            let mut child = Route::below(child, &route, &format!("{path}.routes[{at}]"), receivers, depth + 1)?;
            if route.routes.iter().any(|other| other.key == child.key) {
                child.key.push_str(&format!("#{at}"));
            }
            route.routes.push(child);
        }
        Ok(route)
    }

    /// The deepest routes that take an alert with these labels: of the children the first that matches,
    /// with `continue` also the next; where none does, the route itself.
    pub(super) fn taking(&self, labels: &Labels) -> Vec<&Route> {
        let mut found = Vec::new();
        for child in self.routes.iter().filter(|child| all_match(&child.matchers, labels)) {
            found.extend(child.taking(labels));
            if !child.goes_on {
                break;
            }
        }
        if found.is_empty() { vec![self] } else { found }
    }

    /// The labels an alert shares with its group.
    pub(super) fn group_labels(&self, labels: &Labels) -> Labels {
        match &self.group_by {
            Some(names) => labels.without(|name| !names.iter().any(|by| by == name)),
            None => labels.clone(),
        }
    }
}

pub(super) fn all_match(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches(labels.get(&matcher.name)))
}

/// Reads matchers; `path` is the key that errors name.
pub(super) fn matchers(texts: &[String], path: &str) -> Result<Vec<Matcher>, String> {
    texts.iter().enumerate().map(|(at, text)| matcher(text).map_err(|error| format!("{path}[{at}]: {error}"))).collect()
}

/// Reads `name="value"`, `name!="value"`, `name=~"regex"` or `name!~"regex"`; quotes may be left out.
pub fn matcher(text: &str) -> Result<Matcher, String> {
    let wrong = || format!("invalid matcher {text:?}: expected name=\"value\", with =, !=, =~ or !~");
    let text_trimmed = text.trim();
    let split = text_trimmed.find(['=', '!']).ok_or_else(wrong)?;
    let (name, rest) = (text_trimmed[..split].trim(), &text_trimmed[split..]);
    if name.is_empty() || crate::model::labels::label_name(name) != name {
        return Err(wrong());
    }
    let (operator, value) = ["=~", "!~", "!=", "="]
        .iter()
        .find_map(|operator| rest.strip_prefix(operator).map(|value| (*operator, value.trim())))
        .ok_or_else(wrong)?;
    let value = if value.starts_with('"') {
        serde_json::from_str::<String>(value)
            .map_err(|error| format!("invalid matcher {text:?}: the quoted value cannot be read: {error}"))?
    } else if value.contains('"') {
        return Err(wrong());
    } else {
        value.to_string()
    };
    let anchored = || Regex::new(&format!("^(?:{value})$")).map_err(|error| format!("invalid regex in matcher {text:?}: {error}"));
    let op = match operator {
        "=~" => MatchOp::Matches(anchored()?),
        "!~" => MatchOp::NotMatches(anchored()?),
        "!=" => MatchOp::NotEqual,
        _ => MatchOp::Equal,
    };
    Ok(Matcher { name: name.into(), value, op })
}

fn shown(matcher: &Matcher) -> String {
    let operator = match matcher.op {
        MatchOp::Equal => "=",
        MatchOp::NotEqual => "!=",
        MatchOp::Matches(_) => "=~",
        MatchOp::NotMatches(_) => "!~",
    };
    format!("{}{operator}{:?}", matcher.name, matcher.value)
}
