//! The part of Go's template language that labels and annotations of rules are written in.

mod eval;
mod format;
mod functions;
mod parse;
mod value;

use crate::model::Labels;

/// Longest text a template may make, in bytes; also of every value on the way.
const MAX_TEXT: usize = 64 << 10;

/// Answers a PromQL expression with samples, or says why not.
pub(super) type Query<'a> = dyn Fn(&str) -> Result<Vec<(Labels, f64)>, String> + 'a;

/// What a template sees, and may ask.
pub(super) struct Context<'a> {
    /// `$labels`: the labels of the sample the rule found.
    pub(super) labels: &'a Labels,
    /// `$value`
    pub(super) value: f64,
    /// `$externalURL`, without a slash at its end.
    pub(super) external_url: &'a str,
    /// The evaluation's time, unix milliseconds.
    pub(super) now_ms: i64,
    /// Answers `query "EXPR"`.
    pub(super) query: &'a Query<'a>,
}

/// A template that was read without error.
#[derive(Clone, Debug)]
pub(super) struct Template(Vec<parse::Node>);

impl Template {
    /// Reads a template. The error names what is wrong or not supported, and the byte it stands at.
    pub(super) fn parse(text: &str) -> Result<Template, String> {
        if text.len() > MAX_TEXT {
            return Err(format!("it is longer than {MAX_TEXT} bytes"));
        }
        parse::parse(text).map(Template)
    }

    /// Fills it in. What goes wrong is part of the text, so that the alert is sent all the same.
    pub(super) fn expand(&self, context: &Context<'_>) -> String {
        eval::run(&self.0, context).unwrap_or_else(|error| format!("<error expanding template: {error}>"))
    }
}

#[cfg(test)]
mod tests;
