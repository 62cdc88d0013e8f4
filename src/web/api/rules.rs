//! Rules and alerts, as the rule engine shows them.

use serde_json::{Map, Value, json};

use super::{Call, Data};
use crate::alert::{GroupStatus, RuleHealth, RuleKind, RuleStatus};
use crate::encode::number;
use crate::model::units::rfc3339;
use crate::model::{Alert, Labels, Matcher};
use crate::query;
use crate::web::reply::ApiError;

/// Every pending and firing alert.
pub(super) fn alerts(call: &Call<'_>) -> Data {
    let groups = (call.app.rules)();
    let alerts: Vec<Value> = groups
        .iter()
        .flat_map(|group| &group.rules)
        .filter_map(|rule| match &rule.kind {
            RuleKind::Alerting { alerts, .. } => Some(alerts),
            RuleKind::Recording => None,
        })
        .flatten()
        .map(alert)
        .collect();
    json!({ "alerts": alerts }).into()
}

/// Which rules are asked for.
struct Filter<'a> {
    kind: Option<&'a str>,
    names: Vec<&'a str>,
    groups: Vec<&'a str>,
    files: Vec<&'a str>,
    selectors: Vec<Vec<Matcher>>,
    alerts: bool,
}

/// Groups with the rules that pass the filter.
pub(super) fn rules(call: &Call<'_>) -> Result<Data, ApiError> {
    let filter = Filter::read(call)?;
    let most = call.params.limit("group_limit")?;
    let from = call.params.get("group_next_token");
    let all = (call.app.rules)();
    let mut groups: Vec<Value> = Vec::new();
    let mut next = None;
    let mut reached = from.is_none();
    for group in &all {
        reached |= from == Some(token(group).as_str());
        if !reached || !filter.group(group) {
            continue;
        }
        let rules: Vec<Value> = group.rules.iter().filter(|rule| filter.rule(rule)).map(|one| rule(one, filter.alerts)).collect();
        if rules.is_empty() && filter.narrows_rules() {
            continue;
        }
        if most > 0 && groups.len() == most {
            next = Some(token(group));
            break;
        }
        groups.push(group_json(group, rules));
    }
    if let (false, Some(token)) = (reached, from) {
        return Err(ApiError::parameter("group_next_token", format!("no group begins at {token:?}; rules may have changed: start anew")));
    }
    let mut data = json!({ "groups": groups });
    if let Some(next) = next {
        data["groupNextToken"] = json!(next);
    }
    Ok(data.into())
}

impl<'a> Filter<'a> {
    fn read(call: &Call<'a>) -> Result<Filter<'a>, ApiError> {
        let params = call.params;
        let kind = params.get("type");
        if let Some(other) = kind.filter(|kind| !matches!(*kind, "alert" | "record")) {
            return Err(ApiError::parameter("type", format!("not supported value {other:?}")));
        }
        let selectors = params.all("match[]");
        let selectors = selectors.iter().map(|text| query::matchers(text).map_err(|error| ApiError::parameter("match[]", error)));
        let alerts = match params.get("exclude_alerts") {
            None | Some("false" | "0") => true,
            Some("true" | "1") => false,
            Some(other) => return Err(ApiError::parameter("exclude_alerts", format!("{other:?} is neither true nor false"))),
        };
        Ok(Filter {
            kind,
            names: params.all("rule_name[]"),
            groups: params.all("rule_group[]"),
            files: params.all("file[]"),
            selectors: selectors.collect::<Result<_, _>>()?,
            alerts,
        })
    }

    fn group(&self, group: &GroupStatus) -> bool {
        let among = |names: &[&str], name: &str| names.is_empty() || names.contains(&name);
        among(&self.groups, &group.name) && among(&self.files, &group.file)
    }

    fn rule(&self, rule: &RuleStatus) -> bool {
        let alerting = matches!(rule.kind, RuleKind::Alerting { .. });
        let selected = |matchers: &Vec<Matcher>| matchers.iter().all(|matcher| matcher.matches(rule.labels.get(&matcher.name)));
        self.kind.is_none_or(|kind| (kind == "alert") == alerting)
            && (self.names.is_empty() || self.names.contains(&rule.name.as_str()))
            && (self.selectors.is_empty() || self.selectors.iter().any(selected))
    }

    fn narrows_rules(&self) -> bool {
        self.kind.is_some() || !self.names.is_empty() || !self.selectors.is_empty()
    }
}

fn token(group: &GroupStatus) -> String {
    format!("{};{}", group.file, group.name)
}

fn group_json(group: &GroupStatus, rules: Vec<Value>) -> Value {
    json!({
        "name": group.name, "file": group.file, "rules": rules,
        "interval": group.interval.as_secs_f64(), "limit": group.limit,
        "evaluationTime": group.evaluation_time.as_secs_f64(), "lastEvaluation": rfc3339(group.last_evaluation),
    })
}

fn rule(rule: &RuleStatus, with_alerts: bool) -> Value {
    let health = match rule.health {
        RuleHealth::Unknown => "unknown",
        RuleHealth::Ok => "ok",
        RuleHealth::Err => "err",
    };
    let mut out = json!({
        "name": rule.name, "query": rule.query, "labels": labels(&rule.labels), "health": health,
        "evaluationTime": rule.evaluation_time.as_secs_f64(), "lastEvaluation": rfc3339(rule.last_evaluation), "type": "recording",
    });
    if let Some(error) = &rule.last_error {
        out["lastError"] = json!(error);
    }
    if let RuleKind::Alerting { state, hold, keep_firing_for, annotations, alerts } = &rule.kind {
        out["type"] = json!("alerting");
        out["state"] = json!(state.as_str());
        out["duration"] = json!(hold.as_secs_f64());
        out["keepFiringFor"] = json!(keep_firing_for.as_secs_f64());
        out["annotations"] = labels(annotations);
        out["alerts"] = if with_alerts { alerts.iter().map(alert).collect() } else { json!([]) };
    }
    out
}

fn alert(alert: &Alert) -> Value {
    let mut value = String::new();
    number::write_exponent(&mut value, alert.value);
    let mut out = json!({
        "labels": labels(&alert.labels), "annotations": labels(&alert.annotations), "state": alert.state.as_str(),
        "activeAt": rfc3339(Some(alert.active_at)), "value": value,
    });
    if let Some(since) = alert.keep_since {
        out["keepFiringSince"] = json!(rfc3339(Some(since)));
    }
    out
}

fn labels(labels: &Labels) -> Value {
    Value::Object(labels.iter().map(|(name, value)| (name.to_string(), json!(value))).collect::<Map<_, _>>())
}
