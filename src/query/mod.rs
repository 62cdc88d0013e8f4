//! PromQL over anything that can Select.
//!
//! ```text
//! text -> lex -> parse -> check -> Expr;   Expr + Select -> load (once a selector) -> eval (once a step) -> Answer
//! ```

mod aggregate;
mod ast;
mod binary;
mod call;
mod check;
mod classic;
mod date;
mod duration;
mod element;
mod error;
mod eval;
mod functions;
mod histogram;
mod info;
mod lex;
mod load;
mod over_time;
mod parse;
mod print;
mod rate;
mod reads;
mod selector;
mod sum;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use crate::model::{Labels, SampleValue, Select, SeriesSlice};

pub use ast::Expr;
pub use error::{ErrorKind, QueryError};
pub use parse::parse;
pub use selector::matchers;

/// What an evaluation may use, and what a query leaves open.
#[derive(Clone, Debug)]
pub struct Options {
    /// How old a sample may be and still answer an instant selector.
    pub lookback: Duration,
    /// Samples held at once, read and computed.
    pub max_samples: usize,
    /// Series one query may read.
    pub max_series: usize,
    /// When the evaluation gives up with [`ErrorKind::Timeout`].
    pub deadline: Option<Instant>,
    /// The step of a subquery that names none.
    pub default_step: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            lookback: Duration::from_secs(300),
            max_samples: 20_000_000,
            max_series: 50_000,
            deadline: None,
            default_step: Duration::from_secs(60),
        }
    }
}

/// What an evaluation gave.
#[derive(Clone, Debug)]
pub struct Answer {
    pub value: Value,
    /// Each begins with `PromQL warning: ` and ends with `(line:column)`, or names damage in the store.
    pub warnings: Vec<String>,
    /// Each begins with `PromQL info: ` and ends with `(line:column)`.
    pub infos: Vec<String>,
}

/// A result. A matrix is sorted by labels.
#[derive(Clone, Debug)]
pub enum Value {
    Scalar(f64),
    String(String),
    Vector(Vec<VectorSample>),
    Matrix(Vec<SeriesSlice>),
}

/// One element of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSample {
    pub labels: Labels,
    /// Unix milliseconds: the time of the evaluation.
    pub at: i64,
    pub value: SampleValue,
}

/// Evaluates at one time (unix milliseconds). A range selector gives a matrix.
pub fn instant(expr: &Expr, at_ms: i64, select: &dyn Select, options: &Options) -> Result<Answer, QueryError> {
    eval::instant(expr, at_ms, select, options)
}

/// Evaluates at `start`, `start + step`, ... up to `end` (unix milliseconds). Always gives a matrix.
pub fn range(expr: &Expr, start_ms: i64, end_ms: i64, step_ms: i64, select: &dyn Select, options: &Options) -> Result<Answer, QueryError> {
    eval::range(expr, start_ms, end_ms, step_ms, select, options)
}
