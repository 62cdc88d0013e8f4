//! JSON written as it is made: answers may hold millions of samples.

use std::fmt::Write as _;

use crate::encode::number;
use crate::model::Labels;

/// Appends a JSON string.
pub(super) fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            // Not needed by JSON; keeps the answer harmless where it is pasted into HTML.
            '<' | '>' | '&' | '\u{0}'..='\u{1f}' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Appends `[a,b]`.
pub(super) fn list<T>(out: &mut String, items: impl IntoIterator<Item = T>, mut item: impl FnMut(&mut String, T)) {
    out.push('[');
    for (at, one) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        item(out, one);
    }
    out.push(']');
}

/// Appends `{"name":"value"}`.
pub(super) fn labels(out: &mut String, labels: &Labels) {
    out.push('{');
    for (at, (name, value)) in labels.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        string(out, name);
        out.push(':');
        string(out, value);
    }
    out.push('}');
}

/// Appends unix milliseconds as seconds, with decimals only when there are any.
pub(super) fn time(out: &mut String, at_ms: i64) {
    let (sign, ms) = (if at_ms < 0 { "-" } else { "" }, at_ms.unsigned_abs());
    let _ = write!(out, "{sign}{}", ms / 1_000);
    if ms % 1_000 != 0 {
        let decimals = format!(".{:03}", ms % 1_000);
        out.push_str(decimals.trim_end_matches('0'));
    }
}

/// Appends a number as a string, as the API gives values.
pub(super) fn value(out: &mut String, value: f64) {
    out.push('"');
    number::write(out, value);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_survive_a_json_parser() {
        let text = "a\"b\\c\nd\te\u{0}<script>&\u{2028}é";
        let mut out = String::new();
        string(&mut out, text);
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        assert!(!out.contains('<'));
    }

    #[test]
    fn times_have_the_decimals_they_need() {
        for (ms, expected) in [(0, "0"), (1_000, "1"), (1_500, "1.5"), (1_001, "1.001"), (-250, "-0.25"), (-1_000, "-1")] {
            let mut out = String::new();
            time(&mut out, ms);
            assert_eq!(out, expected);
        }
    }
}
