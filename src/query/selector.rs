//! Label matchers from text.

use regex::{Regex, RegexBuilder};

use super::error::QueryError;
use super::parse::parse_selector;
use crate::model::labels::NAME;
use crate::model::{MatchOp, Matcher};

/// The matchers of a plain series selector such as `up{job="x"}`, as `match[]=` takes them.
///
/// At least one of them must refuse the empty value.
pub fn matchers(selector: &str) -> Result<Vec<Matcher>, QueryError> {
    Ok(parse_selector(selector)?.matchers)
}

/// The matcher of a metric name.
pub(super) fn named(name: &str) -> Matcher {
    Matcher { name: NAME.to_string(), value: name.to_string(), op: MatchOp::Equal }
}

/// A matcher from its parts; the error says why a regex is refused.
pub(super) fn matcher(name: String, op: &str, value: String) -> Result<Matcher, String> {
    let regex = || anchored(&value).map_err(|why| format!("error parsing regexp: {why}"));
    let op = match op {
        "=" => MatchOp::Equal,
        "!=" => MatchOp::NotEqual,
        "=~" => MatchOp::Matches(regex()?),
        _ => MatchOp::NotMatches(regex()?),
    };
    Ok(Matcher { name, value, op })
}

/// Regular expressions one query may hold; with the size of each they bound its memory.
pub(super) const MAX_REGEXES: usize = 100;
/// Bytes of a compiled regular expression.
const MAX_REGEX_SIZE: usize = 1 << 20;

/// A regex that must match from end to end.
pub(super) fn anchored(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&format!("^(?s:{pattern})$")).size_limit(MAX_REGEX_SIZE).dfa_size_limit(MAX_REGEX_SIZE).build()
}
