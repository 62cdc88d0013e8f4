//! `$1` and `${1}` in names and label values.

use super::MatchType;

/// A text with references to what a rule captured; `$0` is the whole match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Capture(usize),
}

impl Template {
    /// Reads a template of a rule whose captures have these names (the first, of the whole match, has none).
    ///
    /// Also gives the references that name no capture: they are always empty.
    pub(super) fn read(text: &str, kind: MatchType, captures: &[Option<&str>]) -> (Template, Vec<String>) {
        let (mut template, mut dangling) = (Template::default(), Vec::new());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            template.push_text(&rest[..at]);
            let from = &rest[at..];
            let (reference, length) = match kind {
                MatchType::Glob => glob_reference(from),
                MatchType::Regex => regex_reference(from),
            };
            match reference {
                Reference::None => template.push_text(&from[..length]),
                Reference::Dollar => template.push_text("$"),
                Reference::To(name) => match capture(name, kind, captures) {
                    Some(number) => template.parts.push(Part::Capture(number)),
                    None => dangling.push(from[..length].to_string()),
                },
            }
            rest = &from[length..];
        }
        template.push_text(rest);
        (template, dangling)
    }

    fn push_text(&mut self, text: &str) {
        if let Some(Part::Text(last)) = self.parts.last_mut() {
            last.push_str(text);
        } else if !text.is_empty() {
            self.parts.push(Part::Text(text.to_string()));
        }
    }

    /// The text with the captures put in.
    pub(super) fn fill(&self, captures: &[&str]) -> String {
        self.fill_behind("", captures)
    }

    /// The same behind another text.
    pub(super) fn fill_behind(&self, before: &str, captures: &[&str]) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.len(),
            Part::Capture(number) => captures.get(*number).map_or(0, |capture| capture.len()),
        };
        let mut out = String::with_capacity(before.len() + self.parts.iter().map(part).sum::<usize>());
        out.push_str(before);
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Capture(number) => out.push_str(captures.get(*number).copied().unwrap_or_default()),
            }
        }
        out
    }
}

enum Reference<'a> {
    /// A `$` that begins none.
    None,
    /// `$$`
    Dollar,
    To(&'a str),
}

/// In glob rules a reference is as long as letters, digits, `_` and `$` go, so that `$1$2` is none of both.
fn glob_reference(text: &str) -> (Reference<'_>, usize) {
    let open = if text[1..].starts_with('{') { 2 } else { 1 };
    let name = &text[open..];
    let name = &name[..name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '$').unwrap_or(name.len())];
    let end = open + name.len();
    match name {
        "" => (Reference::None, open),
        name => (Reference::To(name), end + usize::from(text[end..].starts_with('}'))),
    }
}

/// In regex rules `$$` is a dollar, and a brace that opens must close.
fn regex_reference(text: &str) -> (Reference<'_>, usize) {
    if text[1..].starts_with('$') {
        return (Reference::Dollar, 2);
    }
    let open = if text[1..].starts_with('{') { 2 } else { 1 };
    let name = &text[open..];
    let name = &name[..name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len())];
    let end = open + name.len();
    match (name, open) {
        ("", _) => (Reference::None, 1),
        (name, 2) if text[end..].starts_with('}') => (Reference::To(name), end + 1),
        (_, 2) => (Reference::None, 1),
        (name, _) => (Reference::To(name), end),
    }
}

fn capture(name: &str, kind: MatchType, captures: &[Option<&str>]) -> Option<usize> {
    let leading_zero = kind == MatchType::Regex && name.len() > 1 && name.starts_with('0');
    if !leading_zero && name.bytes().all(|byte| byte.is_ascii_digit()) {
        return name.parse().ok().filter(|&number| number < captures.len());
    }
    captures.iter().position(|have| *have == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_statsd_exporter_reads_them() {
        let captures = ["whole", "one", "two"];
        for (kind, text, filled, dangling) in [
            (MatchType::Glob, "plain", "plain", &[][..]),
            (MatchType::Glob, "$1", "one", &[]),
            (MatchType::Glob, "a_${1}_b_$2", "a_one_b_two", &[]),
            (MatchType::Glob, "$1-$2", "one-two", &[]),
            (MatchType::Glob, "$0", "whole", &[]),
            (MatchType::Glob, "$1_b", "", &["$1_b"]),
            (MatchType::Glob, "$1$2", "", &["$1$2"]),
            (MatchType::Glob, "${1}${2}", "onetwo", &[]),
            (MatchType::Glob, "$3x", "", &["$3x"]),
            (MatchType::Glob, "[${9}]", "[]", &["${9}"]),
            (MatchType::Glob, "cost $ 5", "cost $ 5", &[]),
            (MatchType::Glob, "$", "$", &[]),
            (MatchType::Glob, "${", "${", &[]),
            (MatchType::Regex, "$1$2", "onetwo", &[]),
            (MatchType::Regex, "${1}_b", "one_b", &[]),
            (MatchType::Regex, "$1_b", "", &["$1_b"]),
            (MatchType::Regex, "$who", "two", &[]),
            (MatchType::Regex, "$$1", "$1", &[]),
            (MatchType::Regex, "${1", "${1", &[]),
            (MatchType::Regex, "$-", "$-", &[]),
            (MatchType::Regex, "$01", "", &["$01"]),
            (MatchType::Regex, "$9", "", &["$9"]),
        ] {
            let (template, found) = Template::read(text, kind, &[None, None, Some("who")]);
            assert_eq!((template.fill(&captures).as_str(), found), (filled, dangling.iter().map(ToString::to_string).collect()), "{text}");
        }
    }
}
