//! Operators, and how the elements of two vectors find each other.

use std::collections::{HashMap, HashSet};

use super::ast::*;
use super::element::{Element, Val};
use super::error::QueryError;
use super::eval::Eval;
use super::histogram;
use crate::model::labels::NAME;
use crate::model::{Labels, SampleValue};

/// What an operator makes of two values: nothing when types do not go together.
enum Outcome {
    Value(SampleValue),
    /// A comparison, and the value it lets through.
    Compared(bool, SampleValue),
    Incompatible,
}

impl Eval<'_> {
    pub(super) fn unary<'e>(&'e self, negative: bool, inner: &'e Node, at: i64) -> Result<Val<'e>, QueryError> {
        let value = self.eval(inner, at)?;
        if !negative {
            return Ok(value);
        }
        Ok(match value {
            Val::Scalar(value) => Val::Scalar(-value),
            Val::Vector(elements) => Val::Vector(elements.iter().map(|element| element.becomes(negated(&element.value))).collect()),
            other => other,
        })
    }

    pub(super) fn binary<'e>(&'e self, binary: &'e Binary, node: &'e Node, at: i64) -> Result<Val<'e>, QueryError> {
        let left = self.eval(&binary.left, at)?;
        let right = self.eval(&binary.right, at)?;
        let byte = node.span.start;
        Ok(match (left, right) {
            (Val::Scalar(left), Val::Scalar(right)) => Val::Scalar(of_floats(binary.op, left, right)),
            (Val::Vector(left), Val::Scalar(right)) => Val::Vector(self.with_scalar(binary, byte, left, right, false)),
            (Val::Scalar(left), Val::Vector(right)) => Val::Vector(self.with_scalar(binary, byte, right, left, true)),
            (Val::Vector(left), Val::Vector(right)) => Val::Vector(match binary.op {
                BinaryOp::And | BinaryOp::Unless => filtered(binary, left, right),
                BinaryOp::Or => joined(binary, left, right),
                _ => self.matched(binary, byte, left, right)?,
            }),
            _ => Val::Vector(Vec::new()),
        })
    }

    fn with_scalar(&self, binary: &Binary, byte: usize, elements: Vec<Element>, scalar: f64, swapped: bool) -> Vec<Element> {
        let scalar = SampleValue::Float(scalar);
        let mut out = Vec::with_capacity(elements.len());
        for mut element in elements {
            let outcome = match swapped {
                true => self.apply(binary.op, byte, &scalar, &element.value),
                false => self.apply(binary.op, byte, &element.value, &scalar),
            };
            match outcome {
                Outcome::Value(value) => {
                    element.drop_name |= binary.op.drops_name();
                    element.value = value;
                }
                Outcome::Compared(holds, _) if binary.returns_bool => {
                    element = element.becomes(SampleValue::Float(f64::from(u8::from(holds))))
                }
                Outcome::Compared(true, _) => {}
                Outcome::Compared(false, _) | Outcome::Incompatible => continue,
            }
            out.push(element);
        }
        out
    }

    /// Arithmetic and comparison between two vectors.
    fn matched(&self, binary: &Binary, byte: usize, left: Vec<Element>, right: Vec<Element>) -> Result<Vec<Element>, QueryError> {
        let matching = &binary.matching;
        // Below, `many` is the side that decides the result's labels; without grouping that is the left one.
        let swapped = matching.group == Some(Group::Right);
        let (mut many, one) = if swapped { (right, left) } else { (left, right) };
        // As upstream has it, fill_left is for the side that decides the labels, also when that is the right one.
        let (fill_many, fill_one) = (matching.fill_left, matching.fill_right);
        let mut ones: HashMap<Labels, &Element> = HashMap::with_capacity(one.len());
        for element in &one {
            let key = signature(matching, &element.labels);
            if let Some(other) = ones.insert(key.clone(), element) {
                let (side, key) = (if swapped { "left" } else { "right" }, braces(&key));
                let (a, b) = (braces(&element.labels), braces(&other.labels));
                return Err(QueryError::execution(format!(
                    "found duplicate series for the match group {key} on the {side} hand-side of the operation: [{a}, {b}];many-to-many matching not allowed: matching labels must be unique on one side"
                )));
            }
        }
        if let Some(fill) = fill_many {
            let keys: HashSet<Labels> = many.iter().map(|element| signature(matching, &element.labels)).collect();
            let missing = one.iter().map(|element| signature(matching, &element.labels)).filter(|key| !keys.contains(key));
            many.extend(missing.map(|key| Element::float(key, fill)).collect::<Vec<_>>());
        }
        let mut seen: HashSet<Labels> = HashSet::new();
        let mut out = Vec::with_capacity(many.len());
        for element in many {
            let key = signature(matching, &element.labels);
            let filled;
            let partner = match (ones.get(&key), fill_one) {
                (Some(partner), _) => *partner,
                (None, Some(fill)) => {
                    filled = Element::float(key.clone(), fill);
                    &filled
                }
                (None, None) => continue,
            };
            let (left, right) = if swapped { (&partner.value, &element.value) } else { (&element.value, &partner.value) };
            let (value, drop_name) = match self.apply(binary.op, byte, left, right) {
                Outcome::Value(value) => (value, element.drop_name),
                Outcome::Compared(holds, _) if binary.returns_bool => (SampleValue::Float(f64::from(u8::from(holds))), true),
                Outcome::Compared(true, value) => (value, element.drop_name),
                Outcome::Compared(false, _) | Outcome::Incompatible => continue,
            };
            let labels = result_labels(binary, &element.labels, &partner.labels);
            if matching.group.is_none() && !seen.insert(key) {
                let text = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
                return Err(QueryError::execution(text));
            }
            if matching.group.is_some() && !seen.insert(labels.clone()) {
                return Err(QueryError::execution("multiple matches for labels: grouping labels must ensure unique matches"));
            }
            out.push(Element { labels, drop_name, value });
        }
        Ok(out)
    }

    fn apply(&self, op: BinaryOp, byte: usize, left: &SampleValue, right: &SampleValue) -> Outcome {
        let outcome = outcome(op, left, right);
        if matches!(outcome, Outcome::Incompatible) {
            let kind = |value: &SampleValue| if matches!(value, SampleValue::Float(_)) { "float" } else { "histogram" };
            let (op, left, right) = (op.as_str(), kind(left), kind(right));
            self.inform(byte, format_args!("incompatible sample types encountered for binary operator {op:?}: {left} {op} {right}"));
        }
        outcome
    }
}

fn outcome(op: BinaryOp, left: &SampleValue, right: &SampleValue) -> Outcome {
    use SampleValue::{Float, Histogram};
    match (op, left, right) {
        (op, Float(a), Float(b)) if op.is_comparison() => Outcome::Compared(of_floats(op, *a, *b) == 1.0, left.clone()),
        (BinaryOp::TrimLower | BinaryOp::TrimUpper, Float(_), _) => Outcome::Incompatible,
        (op, Float(a), Float(b)) => Outcome::Value(Float(of_floats(op, *a, *b))),
        (BinaryOp::Equal, Histogram(a), Histogram(b)) => Outcome::Compared(histogram::equal(a, b), left.clone()),
        (BinaryOp::NotEqual, Histogram(a), Histogram(b)) => Outcome::Compared(!histogram::equal(a, b), left.clone()),
        (BinaryOp::Add, Histogram(a), Histogram(b)) => Outcome::Value(Histogram(histogram::added(a, b).into())),
        (BinaryOp::Sub, Histogram(a), Histogram(b)) => Outcome::Value(Histogram(histogram::subtracted(a, b).into())),
        (BinaryOp::Mul, Histogram(a), Float(b)) | (BinaryOp::Mul, Float(b), Histogram(a)) => {
            Outcome::Value(Histogram(histogram::scaled(a, *b).into()))
        }
        (BinaryOp::Div, Histogram(a), Float(b)) => Outcome::Value(Histogram(histogram::divided(a, *b).into())),
        _ => Outcome::Incompatible,
    }
}

/// Comparisons give 1 or 0.
fn of_floats(op: BinaryOp, a: f64, b: f64) -> f64 {
    let truth = |holds: bool| f64::from(u8::from(holds));
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Atan2 => a.atan2(b),
        BinaryOp::Equal => truth(a == b),
        BinaryOp::NotEqual => truth(a != b),
        BinaryOp::Less => truth(a < b),
        BinaryOp::Greater => truth(a > b),
        BinaryOp::LessEqual => truth(a <= b),
        BinaryOp::GreaterEqual => truth(a >= b),
        BinaryOp::Or | BinaryOp::And | BinaryOp::Unless | BinaryOp::TrimUpper | BinaryOp::TrimLower => f64::NAN,
    }
}

fn negated(value: &SampleValue) -> SampleValue {
    match value {
        SampleValue::Float(value) => SampleValue::Float(-value),
        SampleValue::Histogram(histogram) => SampleValue::Histogram(histogram::scaled(histogram, -1.0).into()),
        SampleValue::Stale => SampleValue::Stale,
    }
}

/// The labels by which elements find each other.
fn signature(matching: &Matching, labels: &Labels) -> Labels {
    let listed = |label: &str| matching.labels.iter().any(|listed| listed == label);
    if matching.on { labels.without(|label| !listed(label)) } else { labels.without(|label| label == NAME || listed(label)) }
}

fn result_labels(binary: &Binary, many: &Labels, one: &Labels) -> Labels {
    let matching = &binary.matching;
    let listed = |label: &str| matching.labels.iter().any(|listed| listed == label);
    let labels = many.without(|label| {
        let unmatched = matching.group.is_none() && listed(label) != matching.on;
        unmatched || label == NAME && binary.op.drops_name()
    });
    matching.include.iter().fold(labels, |labels, label| labels.with(label, one.get(label)))
}

fn filtered(binary: &Binary, left: Vec<Element>, right: Vec<Element>) -> Vec<Element> {
    let keys: HashSet<Labels> = right.iter().map(|element| signature(&binary.matching, &element.labels)).collect();
    let wanted = binary.op == BinaryOp::And;
    left.into_iter().filter(|element| keys.contains(&signature(&binary.matching, &element.labels)) == wanted).collect()
}

fn joined(binary: &Binary, mut left: Vec<Element>, right: Vec<Element>) -> Vec<Element> {
    let keys: HashSet<Labels> = left.iter().map(|element| signature(&binary.matching, &element.labels)).collect();
    left.extend(right.into_iter().filter(|element| !keys.contains(&signature(&binary.matching, &element.labels))));
    left
}

/// `{__name__="a", b="c"}`.
fn braces(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}
