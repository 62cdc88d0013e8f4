//! Walks a template's tree and writes its text.

use super::parse::{Base, Node, Operand, Pipe};
use super::value::Value;
use super::{Context, MAX_TEXT};
use crate::model::Labels;

/// Nodes and commands one expansion may visit.
const MAX_STEPS: usize = 100_000;
/// Queries one expansion may make.
const MAX_QUERIES: usize = 16;

pub(super) struct Eval<'a> {
    pub(super) context: &'a Context<'a>,
    out: String,
    variables: Vec<(String, Value)>,
    steps: usize,
    queries: usize,
}

/// Whether the enclosing loop goes on.
enum Flow {
    On,
    Break,
    Continue,
}

pub(super) fn run(nodes: &[Node], context: &Context<'_>) -> Result<String, String> {
    let variables = [
        ("$", Value::Root),
        ("$labels", Value::Labels(context.labels.clone())),
        ("$value", Value::Float(context.value)),
        ("$externalLabels", Value::Labels(Labels::default())),
        ("$externalURL", Value::Text(context.external_url.into())),
    ];
    let variables = variables.map(|(name, value)| (name.to_string(), value)).to_vec();
    let mut eval = Eval { context, out: String::new(), variables, steps: 0, queries: 0 };
    eval.nodes(nodes, &Value::Root)?;
    Ok(eval.out)
}

impl Eval<'_> {
    fn step(&mut self) -> Result<(), String> {
        self.steps += 1;
        if self.steps > MAX_STEPS { Err(format!("it takes more than {MAX_STEPS} steps")) } else { Ok(()) }
    }

    fn write(&mut self, text: &str) -> Result<(), String> {
        if self.out.len() + text.len() > MAX_TEXT {
            return Err(format!("its text is longer than {MAX_TEXT} bytes"));
        }
        self.out.push_str(text);
        Ok(())
    }

    /// Runs a block; variables it declares end with it.
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, String> {
        let scope = self.variables.len();
        let mut flow = Flow::On;
        for node in nodes {
            flow = self.node(node, dot)?;
            if !matches!(flow, Flow::On) {
                break;
            }
        }
        self.variables.truncate(scope);
        Ok(flow)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<Flow, String> {
        self.step()?;
        match node {
            Node::Text(text) => self.write(text)?,
            Node::Pipe(pipe) => {
                let value = self.assign(pipe, dot)?;
                if pipe.targets.is_empty() {
                    self.write(&value.to_string())?;
                }
            }
            Node::If { arms, otherwise } => return self.branch(arms, otherwise, dot, false),
            Node::With { arms, otherwise } => return self.branch(arms, otherwise, dot, true),
            Node::Range { pipe, body, otherwise } => return self.range(pipe, body, otherwise, dot),
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn branch(&mut self, arms: &[(Pipe, Vec<Node>)], otherwise: &[Node], dot: &Value, moves_dot: bool) -> Result<Flow, String> {
        let scope = self.variables.len();
        for (pipe, body) in arms {
            let value = self.assign(pipe, dot)?;
            if value.is_true() {
                let flow = self.nodes(body, if moves_dot { &value } else { dot });
                self.variables.truncate(scope);
                return flow;
            }
        }
        let flow = self.nodes(otherwise, dot);
        self.variables.truncate(scope);
        flow
    }

    fn range(&mut self, pipe: &Pipe, body: &[Node], otherwise: &[Node], dot: &Value) -> Result<Flow, String> {
        let items: Vec<(Value, Value)> = match self.pipe(pipe, dot)? {
            Value::List(items) => items.into_iter().enumerate().map(|(at, item)| (Value::Int(at as i64), item)).collect(),
            Value::Labels(labels) => labels.iter().map(|(name, value)| (Value::Text(name.into()), Value::Text(value.into()))).collect(),
            Value::Nil => Vec::new(),
            other => return Err(format!("range cannot go over a {}", other.kind())),
        };
        if items.is_empty() {
            return self.nodes(otherwise, dot);
        }
        for (key, item) in items {
            self.step()?;
            let scope = self.variables.len();
            match pipe.targets.as_slice() {
                [] => {}
                [one] => self.set(one, item.clone(), pipe.declares),
                [first, second, ..] => {
                    self.set(first, key, pipe.declares);
                    self.set(second, item.clone(), pipe.declares);
                }
            }
            let flow = self.nodes(body, &item);
            self.variables.truncate(scope);
            if matches!(flow?, Flow::Break) {
                break;
            }
        }
        Ok(Flow::On)
    }

    fn set(&mut self, name: &str, value: Value, declares: bool) {
        match self.variables.iter_mut().rev().find(|(have, _)| have == name) {
            Some((_, slot)) if !declares => *slot = value,
            _ => self.variables.push((name.to_string(), value)),
        }
    }

    fn assign(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, String> {
        let value = self.pipe(pipe, dot)?;
        for name in &pipe.targets {
            self.set(name, value.clone(), pipe.declares);
        }
        Ok(value)
    }

    fn pipe(&mut self, pipe: &Pipe, dot: &Value) -> Result<Value, String> {
        let mut value = None;
        for command in &pipe.commands {
            value = Some(self.command(command, value, dot)?);
        }
        Ok(value.unwrap_or(Value::Nil))
    }

    fn command(&mut self, operands: &[Operand], piped: Option<Value>, dot: &Value) -> Result<Value, String> {
        self.step()?;
        let Some((first, rest)) = operands.split_first() else { return Ok(Value::Nil) };
        let Base::Function(function) = first.base else { return self.operand(first, dot) };
        let mut arguments = Vec::with_capacity(rest.len() + 1);
        for operand in rest {
            let value = self.operand(operand, dot)?;
            // What and, or leave undecided is not looked at, so it cannot fail.
            if matches!((function.name, value.is_true()), ("and", false) | ("or", true)) {
                return Ok(value);
            }
            arguments.push(value);
        }
        arguments.extend(piped);
        let value = function.call(self, &arguments)?;
        match &value {
            Value::Text(text) if text.len() > MAX_TEXT => Err(format!("{} makes a text longer than {MAX_TEXT} bytes", function.name)),
            _ => Ok(value),
        }
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, String> {
        let mut value = match &operand.base {
            Base::Dot => dot.clone(),
            Base::Variable(name) => {
                self.variables.iter().rev().find(|(have, _)| have == name).map_or(Value::Nil, |(_, value)| value.clone())
            }
            Base::Literal(value) => value.clone(),
            Base::Paren(pipe) => self.assign(pipe, dot)?,
            Base::Function(function) => function.call(self, &[])?,
        };
        for field in &operand.fields {
            value = self.field(&value, field)?;
        }
        Ok(value)
    }

    fn field(&self, value: &Value, field: &str) -> Result<Value, String> {
        match (value, field) {
            (Value::Labels(labels), _) => Ok(Value::Text(labels.get(field).into())),
            (Value::Root, "Labels") => Ok(Value::Labels(self.context.labels.clone())),
            (Value::Root, "Value") => Ok(Value::Float(self.context.value)),
            (Value::Root, "ExternalLabels") => Ok(Value::Labels(Labels::default())),
            (Value::Root, "ExternalURL") => Ok(Value::Text(self.context.external_url.into())),
            (Value::Sample(labels, _), "Labels") => Ok(Value::Labels(labels.clone())),
            (Value::Sample(_, value), "Value") => Ok(Value::Float(*value)),
            (value, _) => Err(format!("a {} has no field {field}", value.kind())),
        }
    }

    pub(super) fn query(&mut self, expr: &str) -> Result<Value, String> {
        self.queries += 1;
        if self.queries > MAX_QUERIES {
            return Err(format!("it makes more than {MAX_QUERIES} queries"));
        }
        let found = (self.context.query)(expr)?;
        Ok(Value::List(found.into_iter().map(|(labels, value)| Value::Sample(labels, value)).collect()))
    }
}
