//! Which series, labels and values there are.

use std::collections::BTreeSet;

use super::query::{TRUNCATED, failed};
use super::write::{self, string};
use super::{Call, Data};
use crate::model::{Labels, MatchOp, Matcher, TimeRange};
use crate::query::{self, QueryError};
use crate::web::reply::ApiError;
use crate::web::router::segment;

/// How far ahead of now a sample may be stamped; as far as an open end reaches.
const AHEAD_MS: i64 = 600_000;

pub(super) fn series(call: &Call<'_>) -> Result<Data, ApiError> {
    if call.params.all("match[]").is_empty() {
        return Err(ApiError::bad("no match[] parameter provided"));
    }
    let found = label_sets(call, None)?;
    cut(call, found.into_iter(), |out, labels| write::labels(out, &labels))
}

pub(super) fn labels(call: &Call<'_>) -> Result<Data, ApiError> {
    let found = label_sets(call, None)?;
    let names: BTreeSet<&str> = found.iter().flat_map(|labels| labels.iter().map(|(name, _)| name)).collect();
    cut(call, names.into_iter(), string)
}

pub(super) fn values(call: &Call<'_>, name: &str) -> Result<Data, ApiError> {
    let found = label_sets(call, Some(name))?;
    let values: BTreeSet<&str> = found.iter().map(|labels| labels.get(name)).filter(|value| !value.is_empty()).collect();
    cut(call, values.into_iter(), string)
}

/// The label a path segment names. `U__` begins an escaped name: `_2e_` is `.`, `__` is `_`.
pub(super) fn label_of(text: &str) -> Option<String> {
    let name = segment(text)?;
    Some(name.strip_prefix("U__").and_then(unescaped).unwrap_or(name))
}

fn unescaped(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('_') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let end = rest.find('_')?;
        match &rest[..end] {
            "" => out.push('_'),
            hex if hex.len() <= 6 => out.push(char::from_u32(u32::from_str_radix(hex, 16).ok()?)?),
            _ => return None,
        }
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    Some(out)
}

/// Every label set that some `match[]` names (or every one there is), sorted. With `having`, those that have it.
fn label_sets(call: &Call<'_>, having: Option<&str>) -> Result<BTreeSet<Labels>, ApiError> {
    let now = call.app.clock.now_ms();
    let start = call.params.time("start")?.unwrap_or(0);
    let end = call.params.time("end")?.unwrap_or(now + AHEAD_MS);
    if end < start {
        return Err(ApiError::parameter("end", "end timestamp must not be before start time"));
    }
    // The range is open on the left, the parameter is not.
    let range = TimeRange { start: start - 1, end };
    let texts = call.params.all("match[]");
    let mut selectors = texts
        .iter()
        .map(|text| query::matchers(text).map_err(|error| ApiError::parameter("match[]", error)))
        .collect::<Result<Vec<Vec<Matcher>>, _>>()?;
    if selectors.is_empty() {
        selectors.push(Vec::new());
    }
    let mut found = BTreeSet::new();
    for mut matchers in selectors {
        matchers.extend(having.map(|name| Matcher { name: name.to_string(), value: String::new(), op: MatchOp::NotEqual }));
        let sets = call.app.select.label_sets(&matchers, range).map_err(|error| failed(QueryError::from(error)))?;
        found.extend(sets);
    }
    Ok(found)
}

/// A JSON list of at most `limit` items.
fn cut<T>(call: &Call<'_>, items: impl ExactSizeIterator<Item = T>, item: impl FnMut(&mut String, T)) -> Result<Data, ApiError> {
    let limit = call.params.limit("limit")?;
    let most = if limit == 0 { usize::MAX } else { limit };
    let warnings = if items.len() > most { vec![TRUNCATED.to_string()] } else { Vec::new() };
    let mut json = String::new();
    write::list(&mut json, items.take(most), item);
    Ok(Data { json, warnings, ..Data::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_label_names_are_read() {
        let table = [
            ("job", Some("job")),
            ("U__http_2e_status__code", Some("http.status_code")),
            ("U__h_e9__", Some("U__h_e9__")),
            ("U__h_e9_", Some("hé")),
            ("a%2Fb", Some("a/b")),
            ("", None),
            ("%zz", None),
        ];
        for (text, expected) in table {
            assert_eq!(label_of(text).as_deref(), expected, "{text}");
        }
    }
}
