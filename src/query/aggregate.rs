//! Aggregations: many elements to one per group, or a choice of them.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::ast::{Aggregate, AggregateOp};
use super::element::{Element, Val};
use super::error::QueryError;
use super::eval::Eval;
use super::histogram;
use super::print::number;
use super::sum::{Mean, Sum, Variance, quantile};
use crate::model::labels::NAME;
use crate::model::{ExpHist, Labels, SampleValue};

struct Members {
    labels: Labels,
    drop_name: bool,
    elements: Vec<Element>,
}

impl Eval<'_> {
    pub(super) fn aggregate(&self, aggregate: &Aggregate, at: i64) -> Result<Vec<Element>, QueryError> {
        use AggregateOp::*;
        let elements = self.vector(&aggregate.inner, at)?;
        let param = match &aggregate.param {
            Some(node) => Some((self.eval(node, at)?, node.span.start)),
            None => None,
        };
        let groups = grouped(aggregate, elements);
        match (aggregate.op, param) {
            (Topk | Bottomk | Limitk, Some((Val::Scalar(k), _))) => self.choose(aggregate, groups, k),
            (LimitRatio, Some((Val::Scalar(ratio), byte))) => self.choose_ratio(groups, ratio, byte),
            (CountValues, Some((Val::Text(label), _))) => count_values(groups, label),
            (Quantile, Some((Val::Scalar(q), byte))) => {
                if q.is_nan() || !(0.0..=1.0).contains(&q) {
                    self.warn(byte, format_args!("quantile value should be between 0 and 1, got {}", number(q)));
                }
                Ok(self.fold(aggregate, groups, q))
            }
            _ => Ok(self.fold(aggregate, groups, f64::NAN)),
        }
    }

    /// One element per group.
    fn fold(&self, aggregate: &Aggregate, groups: Vec<Members>, q: f64) -> Vec<Element> {
        let one = |group: Members| {
            let value = self.folded(aggregate, &group.elements, q)?;
            Some(Element { labels: group.labels, drop_name: group.drop_name, value })
        };
        groups.into_iter().filter_map(one).collect()
    }

    fn folded(&self, aggregate: &Aggregate, elements: &[Element], q: f64) -> Option<SampleValue> {
        use AggregateOp::*;
        let value = match aggregate.op {
            Count => elements.len() as f64,
            Group => 1.0,
            Sum | Avg => return self.added(aggregate, elements),
            _ => {
                let mut floats = self.only_floats(aggregate, elements);
                if floats.is_empty() {
                    return None;
                }
                let extreme = |better: fn(f64, f64) -> bool| {
                    floats.iter().copied().reduce(|best, next| if better(next, best) || best.is_nan() { next } else { best })
                };
                match aggregate.op {
                    Min => extreme(|next, best| next < best)?,
                    Max => extreme(|next, best| next > best)?,
                    Quantile => quantile(q, &mut floats),
                    op => {
                        let mut variance = Variance::default();
                        floats.iter().for_each(|value| variance.add(*value));
                        if op == Stddev { variance.variance().sqrt() } else { variance.variance() }
                    }
                }
            }
        };
        Some(SampleValue::Float(value))
    }

    fn added(&self, aggregate: &Aggregate, elements: &[Element]) -> Option<SampleValue> {
        let histograms: Vec<&ExpHist> = elements.iter().filter_map(as_histogram).collect();
        let average = aggregate.op == AggregateOp::Avg;
        if histograms.is_empty() {
            let floats = elements.iter().filter_map(Element::as_float);
            let value = if average {
                let mut mean = Mean::default();
                floats.for_each(|value| mean.add(value));
                mean.mean()
            } else {
                let mut sum = Sum::default();
                floats.for_each(|value| sum.add(value));
                sum.total()
            };
            return Some(SampleValue::Float(value));
        }
        if histograms.len() < elements.len() {
            self.warn(aggregate.inner.span.start, "encountered a mix of histograms and floats for aggregation");
            return None;
        }
        let (first, rest) = histograms.split_first()?;
        let sum = rest.iter().fold((*first).clone(), |sum, next| histogram::added(&sum, next));
        let value = if average { histogram::scaled(&sum, 1.0 / histograms.len() as f64) } else { sum };
        Some(SampleValue::Histogram(value.into()))
    }

    fn only_floats(&self, aggregate: &Aggregate, elements: &[Element]) -> Vec<f64> {
        let floats: Vec<f64> = elements.iter().filter_map(Element::as_float).collect();
        if floats.len() < elements.len() {
            self.inform(aggregate.inner.span.start, format_args!("ignored histogram in {} aggregation", aggregate.op.as_str()));
        }
        floats
    }

    /// The first, highest or lowest `k` of each group.
    fn choose(&self, aggregate: &Aggregate, groups: Vec<Members>, k: f64) -> Result<Vec<Element>, QueryError> {
        if k.is_nan() {
            return Err(QueryError::execution("Parameter value is NaN"));
        }
        if k.abs() >= i64::MAX as f64 {
            let side = if k > 0.0 { "overflows" } else { "underflows" };
            return Err(QueryError::execution(format!("Scalar value {} {side} int64", number(k))));
        }
        let k = k.max(0.0) as usize;
        let mut out = Vec::new();
        for mut group in groups {
            if aggregate.op != AggregateOp::Limitk && k > 0 {
                self.only_floats(aggregate, &group.elements);
                group.elements.retain(|element| element.as_float().is_some());
                let highest = aggregate.op == AggregateOp::Topk;
                group.elements.sort_by(|a, b| {
                    let (a, b) = (a.as_float().unwrap_or(f64::NAN), b.as_float().unwrap_or(f64::NAN));
                    let order = if highest { b.total_cmp(&a) } else { a.total_cmp(&b) };
                    if a.is_nan() || b.is_nan() { a.is_nan().cmp(&b.is_nan()) } else { order }
                });
            }
            out.extend(group.elements.into_iter().take(k));
        }
        Ok(out)
    }

    /// A share of the elements, always the same ones; a negative ratio chooses the complement.
    fn choose_ratio(&self, groups: Vec<Members>, ratio: f64, byte: usize) -> Result<Vec<Element>, QueryError> {
        if ratio.is_nan() {
            return Err(QueryError::execution("Ratio value is NaN"));
        }
        let capped = ratio.clamp(-1.0, 1.0);
        if capped != ratio {
            let message = format_args!("ratio value should be between -1 and 1, got {}, capping to {}", number(ratio), number(capped));
            self.warn(byte, message);
        }
        let chosen = |element: &Element| {
            let mut hasher = DefaultHasher::new();
            element.labels.hash(&mut hasher);
            let place = hasher.finish() as f64 / u64::MAX as f64;
            if capped >= 0.0 { place < capped } else { place >= 1.0 + capped }
        };
        Ok(groups.into_iter().flat_map(|group| group.elements).filter(chosen).collect())
    }
}

fn as_histogram(element: &Element) -> Option<&ExpHist> {
    if let SampleValue::Histogram(histogram) = &element.value { Some(histogram) } else { None }
}

/// In order of first appearance.
fn grouped(aggregate: &Aggregate, elements: Vec<Element>) -> Vec<Members> {
    let mut rows: HashMap<Labels, usize> = HashMap::new();
    let mut groups: Vec<Members> = Vec::new();
    let listed = |label: &str| aggregate.labels.iter().any(|listed| listed == label);
    let keeps_name = !aggregate.without && listed(NAME);
    for element in elements {
        let labels = match (aggregate.without, aggregate.labels.is_empty()) {
            (true, _) => element.labels.without(|label| label == NAME || listed(label)),
            (false, true) => Labels::default(),
            (false, false) => element.labels.without(|label| !listed(label)),
        };
        let row = *rows.entry(labels.clone()).or_insert_with(|| {
            groups.push(Members { labels, drop_name: keeps_name && element.drop_name, elements: Vec::new() });
            groups.len() - 1
        });
        groups[row].elements.push(element);
    }
    groups
}

fn count_values(groups: Vec<Members>, label: &str) -> Result<Vec<Element>, QueryError> {
    if label.is_empty() {
        return Err(QueryError::execution(format!("invalid label name {label:?}")));
    }
    let mut out = Vec::new();
    for group in groups {
        let mut counts: Vec<(String, f64)> = Vec::new();
        let mut rows: HashMap<String, usize> = HashMap::new();
        for element in &group.elements {
            let text = match &element.value {
                SampleValue::Float(value) if value.is_infinite() => number(*value),
                SampleValue::Float(value) => value.to_string(),
                SampleValue::Histogram(histogram) => histogram::text(histogram),
                SampleValue::Stale => continue,
            };
            let row = *rows.entry(text.clone()).or_insert_with(|| {
                counts.push((text, 0.0));
                counts.len() - 1
            });
            counts[row].1 += 1.0;
        }
        let element = |(text, count): (String, f64)| Element {
            labels: group.labels.with(label, &text),
            drop_name: group.drop_name && label != NAME,
            value: SampleValue::Float(count),
        };
        out.extend(counts.into_iter().map(element));
    }
    Ok(out)
}
