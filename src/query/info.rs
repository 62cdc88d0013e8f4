//! `info()`: gives series the labels of the info metrics that describe the same target.

use std::collections::HashMap;

use super::ast::*;
use super::element::{Element, Val};
use super::error::QueryError;
use super::eval::Eval;
use super::load::Times;
use super::selector;
use crate::model::labels::NAME;
use crate::model::{Labels, MatchOp, Matcher, Sample, SampleValue};

/// The labels that say what a series is about.
const IDENTITY: [&str; 2] = ["instance", "job"];

/// Which info metrics are asked, and for which labels.
struct Wanted {
    names: Vec<Matcher>,
    data: Vec<Matcher>,
}

/// What `info` asks of the names of info metrics.
pub(super) fn names(call: &Call) -> Vec<Matcher> {
    Wanted::new(call).names
}

impl Wanted {
    fn new(call: &Call) -> Wanted {
        let matchers = match call.args.get(1).map(|arg| &arg.kind) {
            Some(NodeKind::Selector(selector)) => selector.matchers.clone(),
            _ => Vec::new(),
        };
        let (mut names, data): (Vec<_>, Vec<_>) = matchers.into_iter().partition(|matcher| matcher.name == NAME);
        if names.is_empty() {
            names.push(selector::named("target_info"));
        } else if !names.iter().any(|matcher| matches!(matcher.op, MatchOp::Equal | MatchOp::Matches(_))) {
            // Only exclusions: of all metrics that are named as info metrics.
            names.extend(selector::matcher(NAME.to_string(), "=~", ".+_info".to_string()));
        }
        Wanted { names, data }
    }

    fn is_info(&self, labels: &Labels) -> bool {
        self.names.iter().all(|matcher| matcher.matches(labels.name()))
    }

    fn wants(&self, label: &str) -> bool {
        self.data.is_empty() || self.data.iter().any(|matcher| matcher.name == label)
    }
}

impl Eval<'_> {
    /// Reads the info metrics for evaluations within `times`.
    pub(super) fn load_info(&self, call: &Call, source: usize, times: Times) -> Result<(), QueryError> {
        let wanted = Wanted::new(call);
        let matchers: Vec<Matcher> = wanted.names.into_iter().chain(wanted.data).collect();
        let times = Times { first: self.reference(&call.args[0], times.first)?, last: self.reference(&call.args[0], times.last)? };
        self.select(source, &matchers, times, self.options.lookback.as_millis() as i64, true)
    }

    /// The time the first selector of `node` looks at when the query is at `at`.
    fn reference(&self, node: &Node, at: i64) -> Result<i64, QueryError> {
        match &node.kind {
            NodeKind::Number(_) | NodeKind::Text(_) => Ok(at),
            NodeKind::Paren(inner) | NodeKind::Unary(_, inner) => self.reference(inner, at),
            NodeKind::Binary(binary) => match binary.left.value_type() {
                Type::Scalar => self.reference(&binary.right, at),
                _ => self.reference(&binary.left, at),
            },
            NodeKind::Aggregate(aggregate) => self.reference(&aggregate.inner, at),
            NodeKind::Call(call) => {
                let data = call.args.iter().find(|arg| matches!(arg.value_type(), Type::Vector | Type::Matrix));
                data.map_or(Ok(at), |arg| self.reference(arg, at))
            }
            NodeKind::Selector(selector) => self.shifted(&selector.shift, at),
            NodeKind::Range(range) => self.shifted(&range.selector.shift, at),
            NodeKind::Subquery(subquery) => self.reference(&subquery.inner, self.shifted(&subquery.shift, at)?),
        }
    }
}

pub(super) fn info<'e>(eval: &'e Eval<'_>, call: &'e Call, at: i64) -> Result<Val<'e>, QueryError> {
    let wanted = Wanted::new(call);
    let Some(source) = call.info else { return Ok(Val::Vector(Vec::new())) };
    let infos = by_identity(eval, source, eval.reference(&call.args[0], at)?)?;
    let may_lack = wanted.data.iter().all(|matcher| matcher.matches(""));
    let mut out = Vec::new();
    for element in eval.vector(&call.args[0], at)? {
        let known = infos.get(&identity(&element.labels)).filter(|_| !wanted.is_info(&element.labels));
        match known {
            Some(known) => out.push(enriched(element, known, &wanted)?),
            None if may_lack || wanted.is_info(&element.labels) => out.push(element),
            None => {}
        }
    }
    Ok(Val::Vector(out))
}

fn identity(labels: &Labels) -> Labels {
    labels.without(|label| !IDENTITY.contains(&label))
}

/// The current info series of each target, of each name the one with the latest sample.
fn by_identity<'e>(eval: &'e Eval<'_>, source: usize, at: i64) -> Result<HashMap<Labels, Vec<&'e Labels>>, QueryError> {
    let mut latest: HashMap<Labels, (&Labels, &Sample)> = HashMap::new();
    for (labels, sample) in eval.current_of(source, at) {
        if !matches!(sample.value, SampleValue::Float(_)) {
            return Err(QueryError::execution(format!("this should be an info metric, with float samples: {labels}")));
        }
        let key = labels.without(|label| label != NAME && !IDENTITY.contains(&label));
        let newest = latest.entry(key).or_insert((labels, sample));
        if sample.at > newest.1.at {
            *newest = (labels, sample);
        }
    }
    let mut targets: HashMap<Labels, Vec<&Labels>> = HashMap::new();
    for (labels, _) in latest.into_values() {
        let target = identity(labels);
        if !target.is_empty() {
            targets.entry(target).or_default().push(labels);
        }
    }
    Ok(targets)
}

/// Labels that the series has itself stay as they are.
fn enriched(mut element: Element, infos: &[&Labels], wanted: &Wanted) -> Result<Element, QueryError> {
    let mut added: HashMap<&str, &str> = HashMap::new();
    for (label, value) in infos.iter().flat_map(|labels| labels.iter()) {
        let is_data = label != NAME && !IDENTITY.contains(&label) && wanted.wants(label);
        if !is_data || !element.labels.get(label).is_empty() {
            continue;
        }
        if added.insert(label, value).is_some_and(|other| other != value) {
            return Err(QueryError::execution(format!("conflicting label {label:?} in the info metrics of {}", element.labels)));
        }
    }
    let own = element.labels.pairs().iter().cloned();
    element.labels = Labels::new(own.chain(added.into_iter().map(|(label, value)| (label.into(), value.into()))));
    Ok(element)
}
