//! Reads the keys of a mapping file one by one, so that none is overlooked.

use std::path::Path;
use std::time::Duration;

use super::super::ShapeError;
use crate::model::nearest;
use crate::yaml::{Content, Node, Place};

/// Where findings about one file go.
pub(super) struct Findings<'a> {
    pub(super) file: &'a Path,
    pub(super) errors: Vec<ShapeError>,
    pub(super) warnings: Vec<ShapeError>,
}

impl Findings<'_> {
    pub(super) fn error(&mut self, at: Place, path: &str, message: impl Into<String>) {
        let error = self.finding(at, path, message.into());
        self.errors.push(error);
    }

    pub(super) fn warn(&mut self, at: Place, path: &str, message: impl Into<String>) {
        let warning = self.finding(at, path, message.into());
        self.warnings.push(warning);
    }

    fn finding(&self, at: Place, path: &str, message: String) -> ShapeError {
        ShapeError { file: Some(self.file.to_path_buf()), line: at.line, column: at.column, path: path.into(), message }
    }
}

/// The entries of a mapping that have not been asked for yet.
pub(super) struct Fields {
    pub(super) at: Place,
    pub(super) path: String,
    entries: Vec<(Place, String, Node)>,
}

impl Fields {
    pub(super) fn new(node: Node, path: &str, findings: &mut Findings<'_>) -> Fields {
        let entries = match node.content {
            Content::Map(entries) => entries,
            Content::Null => Vec::new(),
            other => {
                findings.error(node.at, path, format!("expected a mapping, not {}", other.kind()));
                Vec::new()
            }
        };
        Fields { at: node.at, path: path.to_string(), entries }
    }

    /// The path of one key.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_string() } else { format!("{}.{key}", self.path) }
    }

    /// Whether a key is there that was not asked for yet.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(_, have, node)| have == key && !matches!(node.content, Content::Null))
    }

    /// The value of a key, unless it is empty.
    pub(super) fn take(&mut self, key: &str) -> Option<Node> {
        let at = self.entries.iter().position(|(_, have, _)| have == key)?;
        let (_, _, node) = self.entries.remove(at);
        (!matches!(node.content, Content::Null)).then_some(node)
    }

    pub(super) fn text(&mut self, key: &str, findings: &mut Findings<'_>) -> Option<(Place, String)> {
        match self.take(key)? {
            Node { at, content: Content::Text(text) } => Some((at, text)),
            node => {
                findings.error(node.at, &self.path_of(key), format!("expected a scalar, not {}", node.content.kind()));
                None
            }
        }
    }

    pub(super) fn value<T>(
        &mut self,
        key: &str,
        findings: &mut Findings<'_>,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<(Place, T)> {
        let (at, text) = self.text(key, findings)?;
        match read(&text) {
            Ok(value) => Some((at, value)),
            Err(message) => {
                findings.error(at, &self.path_of(key), message);
                None
            }
        }
    }

    pub(super) fn list(&mut self, key: &str, findings: &mut Findings<'_>) -> Vec<Node> {
        match self.take(key) {
            None => Vec::new(),
            Some(Node { content: Content::List(items), .. }) => items,
            Some(node) => {
                findings.error(node.at, &self.path_of(key), format!("expected a list, not {}", node.content.kind()));
                Vec::new()
            }
        }
    }

    /// A mapping below this one; without entries when the key is not there.
    pub(super) fn mapping(&mut self, key: &str, findings: &mut Findings<'_>) -> Option<Fields> {
        let path = self.path_of(key);
        self.take(key).map(|node| Fields::new(node, &path, findings))
    }

    /// Every entry, as text with its place.
    pub(super) fn into_texts(self, findings: &mut Findings<'_>) -> Vec<(Place, String, Place, String)> {
        let path = self.path;
        let text = |(at, key, node): (Place, String, Node)| match node.content {
            Content::Text(text) => Some((at, key, node.at, text)),
            Content::Null => Some((at, key, node.at, String::new())),
            other => {
                findings.error(node.at, &format!("{path}.{key}"), format!("expected a scalar, not {}", other.kind()));
                None
            }
        };
        self.entries.into_iter().filter_map(text).collect()
    }

    /// Refuses whatever was not asked for; `known` are all keys that could have been.
    pub(super) fn finish(self, known: &[&str], findings: &mut Findings<'_>) {
        for (at, key, _) in &self.entries {
            let hint = match nearest(key, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("expected {}", known.join(", ")),
            };
            findings.error(*at, &self.path_of(key), format!("unknown key; {hint}"));
        }
    }
}

/// Units of durations, from the shortest, in nanoseconds.
const UNITS: [(&str, f64); 8] =
    [("ns", 1.0), ("us", 1e3), ("\u{b5}s", 1e3), ("\u{3bc}s", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3_600e9)];

/// The longest duration: a hundred years.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Reads a duration as these files write it: `1m20s`, `1.5h`, `0`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let invalid = || format!("invalid duration {text:?}: expected numbers with units h, m, s, ms, us or ns, such as 1m20s");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut nanos) = (text, 0.0);
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(invalid)?;
        let (digits, tail) = rest.split_at(number);
        let letters = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| factor).ok_or_else(invalid)?;
        nanos += digits.parse::<f64>().map_err(|_| invalid())? * factor;
        rest = tail;
    }
    if text.is_empty() {
        return Err(invalid());
    }
    if nanos > LONGEST.as_nanos() as f64 {
        return Err(format!("{text} is longer than 100 years"));
    }
    Ok(Duration::from_nanos(nanos as u64))
}

pub(super) fn number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(format!("expected a number, not {text:?}")),
    }
}

pub(super) fn flag(text: &str) -> Result<bool, String> {
    match text {
        "true" | "True" | "TRUE" | "yes" | "on" => Ok(true),
        "false" | "False" | "FALSE" | "no" | "off" => Ok(false),
        _ => Err(format!("expected true or false, not {text:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, ms) in [("0", 0), ("1m20s", 80_000), ("1.5h", 5_400_000), ("300ms", 300), ("0s", 0), ("2h45m", 9_900_000), ("1000us", 1)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for wrong in ["", "10", "s", "1d", "-1s", "1..2s", ".", "1s ", "1e9s", "9999999999h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
