//! The tree of an expression. Every node knows its bytes in the text.

use std::ops::Range;

use super::functions::Function;
use crate::model::Matcher;

/// A parsed and checked expression. `Display` prints it canonically.
#[derive(Clone, Debug)]
pub struct Expr {
    pub(crate) text: String,
    pub(crate) root: Node,
    /// Selectors and subqueries are numbered from 0; this many there are.
    pub(crate) sources: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    pub(crate) span: Range<usize>,
    /// Levels of the tree from here down; bounded by the parser.
    pub(crate) height: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum NodeKind {
    Number(f64),
    Text(String),
    Paren(Box<Node>),
    /// `true` negates.
    Unary(bool, Box<Node>),
    Binary(Box<Binary>),
    Aggregate(Box<Aggregate>),
    Call(Call),
    Selector(Selector),
    Range(Box<RangeSelector>),
    Subquery(Box<Subquery>),
}

/// What an expression evaluates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Scalar,
    Text,
    Vector,
    Matrix,
}

impl Type {
    /// The words of Prometheus' documentation.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Type::Scalar => "scalar",
            Type::Text => "string",
            Type::Vector => "instant vector",
            Type::Matrix => "range vector",
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Selector {
    pub(crate) source: usize,
    /// The name written before the braces.
    pub(crate) name: Option<String>,
    /// Including the one of the name.
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) shift: Shift,
}

/// `offset` and `@`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shift {
    pub(crate) offset: Option<Length>,
    pub(crate) at: Option<At>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum At {
    /// Unix milliseconds.
    Time(i64),
    Start,
    End,
}

/// A length of time: written as one, or computed from the query's own step and range.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Length {
    /// Seconds.
    Fixed(f64),
    Step,
    Range,
    Paren(Box<Length>),
    Negative(Box<Length>),
    Pair(LengthOp, Box<Length>, Box<Length>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LengthOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Min,
    Max,
}

#[derive(Clone, Debug)]
pub(crate) struct RangeSelector {
    pub(crate) selector: Selector,
    pub(crate) range: Length,
}

#[derive(Clone, Debug)]
pub(crate) struct Subquery {
    pub(crate) source: usize,
    pub(crate) inner: Node,
    pub(crate) range: Length,
    pub(crate) step: Option<Length>,
    pub(crate) shift: Shift,
}

#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) function: &'static Function,
    pub(crate) args: Vec<Node>,
    /// Where `info` finds its info series.
    pub(crate) info: Option<usize>,
}

#[derive(Clone, Debug)]
pub(crate) struct Aggregate {
    pub(crate) op: AggregateOp,
    pub(crate) param: Option<Node>,
    pub(crate) inner: Node,
    pub(crate) without: bool,
    pub(crate) labels: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AggregateOp {
    Sum,
    Avg,
    Count,
    Min,
    Max,
    Group,
    Stddev,
    Stdvar,
    Topk,
    Bottomk,
    CountValues,
    Quantile,
    Limitk,
    LimitRatio,
}

impl AggregateOp {
    const NAMES: [(&'static str, AggregateOp); 14] = [
        ("sum", AggregateOp::Sum),
        ("avg", AggregateOp::Avg),
        ("count", AggregateOp::Count),
        ("min", AggregateOp::Min),
        ("max", AggregateOp::Max),
        ("group", AggregateOp::Group),
        ("stddev", AggregateOp::Stddev),
        ("stdvar", AggregateOp::Stdvar),
        ("topk", AggregateOp::Topk),
        ("bottomk", AggregateOp::Bottomk),
        ("count_values", AggregateOp::CountValues),
        ("quantile", AggregateOp::Quantile),
        ("limitk", AggregateOp::Limitk),
        ("limit_ratio", AggregateOp::LimitRatio),
    ];

    /// Keywords are read in any case.
    pub(crate) fn named(word: &str) -> Option<AggregateOp> {
        AggregateOp::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|&(_, op)| op)
    }

    pub(crate) fn as_str(self) -> &'static str {
        AggregateOp::NAMES.iter().find(|&&(_, op)| op == self).map_or("", |(name, _)| name)
    }

    /// The type of the parameter before the vector, if it takes one.
    pub(crate) fn param(self) -> Option<Type> {
        use AggregateOp::{Bottomk, CountValues, LimitRatio, Limitk, Quantile, Topk};
        match self {
            Topk | Bottomk | Quantile | Limitk | LimitRatio => Some(Type::Scalar),
            CountValues => Some(Type::Text),
            _ => None,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Binary {
    pub(crate) op: BinaryOp,
    pub(crate) left: Node,
    pub(crate) right: Node,
    pub(crate) returns_bool: bool,
    pub(crate) matching: Matching,
}

/// How the elements of two vectors find each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Matching {
    /// `on` was written (else `ignoring`, or nothing).
    pub(crate) on: bool,
    /// `on` or `ignoring` was written.
    pub(crate) written: bool,
    pub(crate) labels: Vec<String>,
    pub(crate) group: Option<Group>,
    /// Labels the many side takes from the one side.
    pub(crate) include: Vec<String>,
    pub(crate) fill_left: Option<f64>,
    pub(crate) fill_right: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Left,
    Right,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Or,
    And,
    Unless,
    Equal,
    NotEqual,
    Less,
    Greater,
    LessEqual,
    GreaterEqual,
    TrimUpper,
    TrimLower,
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Atan2,
    Pow,
}

impl BinaryOp {
    /// Loosest first. `^` alone binds to the right.
    pub(crate) fn precedence(self) -> u8 {
        use BinaryOp::*;
        match self {
            Or => 1,
            And | Unless => 2,
            Equal | NotEqual | Less | Greater | LessEqual | GreaterEqual | TrimUpper | TrimLower => 3,
            Add | Sub => 4,
            Mul | Div | Mod | Atan2 => 5,
            Pow => 6,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        use BinaryOp::*;
        match self {
            Or => "or",
            And => "and",
            Unless => "unless",
            Equal => "==",
            NotEqual => "!=",
            Less => "<",
            Greater => ">",
            LessEqual => "<=",
            GreaterEqual => ">=",
            TrimUpper => "</",
            TrimLower => ">/",
            Add => "+",
            Sub => "-",
            Mul => "*",
            Div => "/",
            Mod => "%",
            Atan2 => "atan2",
            Pow => "^",
        }
    }

    pub(crate) fn is_comparison(self) -> bool {
        use BinaryOp::*;
        matches!(self, Equal | NotEqual | Less | Greater | LessEqual | GreaterEqual)
    }

    pub(crate) fn is_set(self) -> bool {
        matches!(self, BinaryOp::Or | BinaryOp::And | BinaryOp::Unless)
    }

    /// Whether the result is another quantity, which loses its name.
    pub(crate) fn drops_name(self) -> bool {
        use BinaryOp::*;
        matches!(self, Add | Sub | Mul | Div | Mod | Pow | Atan2)
    }
}
