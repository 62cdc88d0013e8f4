//! What template expressions evaluate to.

use std::fmt;

use super::format::float;
use crate::model::Labels;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Labels(Labels),
    /// One element of what `query` gives.
    Sample(Labels, f64),
    List(Vec<Value>),
    /// The dot at the top: `.Labels`, `.Value`, `.ExternalLabels`, `.ExternalURL`.
    Root,
}

impl Value {
    /// Whether `if` takes it for true: anything but nil, false, zero and the empty.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Value::Nil => false,
            Value::Bool(truth) => *truth,
            Value::Int(number) => *number != 0,
            Value::Float(number) => *number != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::Labels(labels) => !labels.is_empty(),
            Value::List(items) => !items.is_empty(),
            Value::Sample(..) | Value::Root => true,
        }
    }

    /// Its Go type's name, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Nil => "nil",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float64",
            Value::Text(_) => "string",
            Value::Labels(_) => "labels",
            Value::Sample(..) => "sample",
            Value::List(_) => "list",
            Value::Root => "data",
        }
    }

    /// As a number; texts are read.
    pub(super) fn number(&self) -> Result<f64, String> {
        match self {
            Value::Int(number) => Ok(*number as f64),
            Value::Float(number) => Ok(*number),
            Value::Text(text) => text.trim().parse().map_err(|_| format!("{text:?} is not a number")),
            other => Err(format!("a {} is not a number", other.kind())),
        }
    }

    pub(super) fn text(&self) -> Result<&str, String> {
        match self {
            Value::Text(text) => Ok(text),
            other => Err(format!("expected a string, not a {}", other.kind())),
        }
    }
}

impl fmt::Display for Value {
    /// As Go's `%v` writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Nil | Value::Root => f.write_str("<no value>"),
            Value::Bool(truth) => write!(f, "{truth}"),
            Value::Int(number) => write!(f, "{number}"),
            Value::Float(number) => f.write_str(&float(*number)),
            Value::Text(text) => f.write_str(text),
            Value::Labels(labels) => {
                let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}:{value}")).collect();
                write!(f, "map[{}]", pairs.join(" "))
            }
            Value::Sample(labels, value) => write!(f, "{labels} {}", float(*value)),
            Value::List(items) => {
                let items: Vec<String> = items.iter().map(Value::to_string).collect();
                write!(f, "[{}]", items.join(" "))
            }
        }
    }
}
