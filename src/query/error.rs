//! Why a query gives no answer.

use std::fmt;
use std::ops::Range;

use crate::model::SelectError;

/// What the caller does differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The text is wrong, or asks for too much.
    BadData,
    /// The text is right, the data does not allow an answer.
    Execution,
    Timeout,
    /// Valid PromQL that this engine does not evaluate; `BadData` to users.
    Unsupported,
}

/// An error with the place it is about, as bytes of the query text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    pub kind: ErrorKind,
    /// For errors found while parsing it begins with `line:column: parse error: `.
    pub message: String,
    pub span: Option<Range<usize>>,
}

impl QueryError {
    /// An error of the text, found while parsing it.
    pub(crate) fn parse(text: &str, span: Range<usize>, message: impl fmt::Display) -> QueryError {
        QueryError {
            kind: ErrorKind::BadData,
            message: format!("{}: parse error: {message}", position(text, span.start)),
            span: Some(span),
        }
    }

    /// Valid PromQL that is not evaluated here; `what` names it.
    pub(crate) fn unsupported(text: &str, span: Range<usize>, what: impl fmt::Display) -> QueryError {
        QueryError {
            kind: ErrorKind::Unsupported,
            message: format!("{}: parse error: {what} is not supported", position(text, span.start)),
            span: Some(span),
        }
    }

    pub(crate) fn execution(message: impl Into<String>) -> QueryError {
        QueryError { kind: ErrorKind::Execution, message: message.into(), span: None }
    }

    pub(crate) fn timeout() -> QueryError {
        QueryError { kind: ErrorKind::Timeout, message: "query timed out in expression evaluation".into(), span: None }
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for QueryError {}

impl From<SelectError> for QueryError {
    fn from(error: SelectError) -> QueryError {
        let kind = if matches!(error, SelectError::Timeout) { ErrorKind::Timeout } else { ErrorKind::Execution };
        QueryError { kind, message: error.to_string(), span: None }
    }
}

/// `line:column` of a byte, both from 1; columns count bytes.
pub(crate) fn position(text: &str, byte: usize) -> String {
    let before = &text.as_bytes()[..byte.min(text.len())];
    let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|&&b| b != b'\n').count() + 1;
    format!("{line}:{column}")
}
