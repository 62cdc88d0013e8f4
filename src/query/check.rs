//! Types of expressions, checked as they are parsed.

use std::ops::Range;

use super::ast::*;
use super::error::QueryError;
use super::functions::Function;

impl Node {
    /// What this evaluates to.
    pub(crate) fn value_type(&self) -> Type {
        match &self.kind {
            NodeKind::Number(_) => Type::Scalar,
            NodeKind::Text(_) => Type::Text,
            NodeKind::Paren(inner) | NodeKind::Unary(_, inner) => inner.value_type(),
            NodeKind::Binary(binary) => match (binary.left.value_type(), binary.right.value_type()) {
                (Type::Scalar, Type::Scalar) => Type::Scalar,
                _ => Type::Vector,
            },
            NodeKind::Aggregate(_) | NodeKind::Selector(_) => Type::Vector,
            NodeKind::Call(call) => call.function.returns,
            NodeKind::Range(_) | NodeKind::Subquery(_) => Type::Matrix,
        }
    }
}

pub(super) fn unary(text: &str, inner: &Node) -> Result<(), QueryError> {
    match inner.value_type() {
        Type::Scalar | Type::Vector => Ok(()),
        other => Err(QueryError::parse(
            text,
            inner.span.clone(),
            format_args!("unary expression only allowed on expressions of type scalar or instant vector, got {:?}", other.as_str()),
        )),
    }
}

pub(super) fn subquery(text: &str, inner: &Node) -> Result<(), QueryError> {
    match inner.value_type() {
        Type::Vector => Ok(()),
        other => Err(QueryError::parse(
            text,
            inner.span.clone(),
            format_args!("subquery is only allowed on instant vector, got {} instead", other.as_str()),
        )),
    }
}

pub(super) fn aggregate(text: &str, aggregate: &Aggregate) -> Result<(), QueryError> {
    expect(text, &aggregate.inner, Type::Vector, "aggregation expression")?;
    match (&aggregate.param, aggregate.op.param()) {
        (Some(param), Some(want)) => expect(text, param, want, "aggregation parameter"),
        _ => Ok(()),
    }
}

pub(super) fn call(text: &str, span: Range<usize>, function: &'static Function, args: &[Node]) -> Result<(), QueryError> {
    let (name, least) = (function.name, function.required());
    let wrong = |words: &str, wanted: usize| {
        QueryError::parse(text, span.clone(), format_args!("expected {words}{wanted} argument(s) in call to {name:?}, got {}", args.len()))
    };
    match function.most() {
        Some(most) if most == least && args.len() != most => return Err(wrong("", most)),
        _ if args.len() < least => return Err(wrong("at least ", least)),
        Some(most) if args.len() > most => return Err(wrong("at most ", most)),
        _ => {}
    }
    let context = format!("call to function {name:?}");
    for (at, arg) in args.iter().enumerate() {
        expect(text, arg, function.args[at.min(function.args.len() - 1)], &context)?;
    }
    if name == "info"
        && let Some(selector) = args.get(1)
        && !matches!(selector.kind, NodeKind::Selector(_))
    {
        return Err(QueryError::parse(text, selector.span.clone(), "expected label selectors only"));
    }
    Ok(())
}

pub(super) fn binary(text: &str, op_at: Range<usize>, binary: &mut Binary) -> Result<(), QueryError> {
    let error = |span: &Range<usize>, message: String| Err(QueryError::parse(text, span.clone(), message));
    let Binary { op, left, right, returns_bool, matching } = binary;
    if matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower) {
        return Err(QueryError::unsupported(text, op_at, format_args!("the operator {:?}", op.as_str())));
    }
    let types = (left.value_type(), right.value_type());
    if *returns_bool && !op.is_comparison() {
        return error(&op_at, "bool modifier can only be used on comparison operators".into());
    }
    for side in [&*left, &*right] {
        if !matches!(side.value_type(), Type::Scalar | Type::Vector) {
            return error(&side.span, "binary expression must contain only scalar and instant vector types".into());
        }
    }
    if op.is_comparison() && !*returns_bool && types == (Type::Scalar, Type::Scalar) {
        return error(&op_at, "comparisons between scalars must use BOOL modifier".into());
    }
    if op.is_set() {
        if matching.group.is_some() {
            return error(&op_at, format!("no grouping allowed for {:?} operation", op.as_str()));
        }
        if matching.fill_left.is_some() || matching.fill_right.is_some() {
            return error(&op_at, format!("filling in missing series not allowed for set operators, found {:?}", op.as_str()));
        }
    }
    if matching.on
        && let Some(label) = matching.labels.iter().find(|label| matching.include.contains(label))
    {
        return error(&op_at, format!("label {label:?} must not occur in ON and GROUP clause at once"));
    }
    if types != (Type::Vector, Type::Vector) {
        if !matching.labels.is_empty() || matching.group.is_some() {
            return error(&op_at, "vector matching only allowed between instant vectors".into());
        }
        if op.is_set() {
            return error(&op_at, format!("set operator {:?} not allowed in binary scalar expression", op.as_str()));
        }
        if matching.fill_left.is_some() || matching.fill_right.is_some() {
            return error(&op_at, "filling in missing series only allowed between instant vectors".into());
        }
    }
    Ok(())
}

fn expect(text: &str, node: &Node, want: Type, context: &str) -> Result<(), QueryError> {
    let have = node.value_type();
    if have == want {
        return Ok(());
    }
    let message = format!("expected type {} in {context}, got {}", want.as_str(), have.as_str());
    Err(QueryError::parse(text, node.span.clone(), message))
}
