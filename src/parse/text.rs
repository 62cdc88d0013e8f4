//! Repair, trimming and unescaping of text.

use std::borrow::Cow;

/// Each maximal run of invalid bytes becomes one U+FFFD.
pub(super) fn repaired(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    let mut in_run = false;
    for chunk in bytes.utf8_chunks() {
        in_run &= chunk.valid().is_empty();
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() && !in_run {
            text.push(char::REPLACEMENT_CHARACTER);
            in_run = true;
        }
    }
    Cow::Owned(text)
}

/// At most `max` bytes of a line for people: what a terminal would act on, or show as nothing, is escaped.
pub fn escaped(bytes: &[u8], max: usize) -> String {
    let mut text = String::with_capacity(bytes.len().min(max));
    for chunk in bytes[..bytes.len().min(max)].utf8_chunks() {
        for c in chunk.valid().chars() {
            // Controls, and the marks that change the direction of text.
            if c.is_control()
                || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
            {
                text.extend(c.escape_default());
            } else {
                text.push(c);
            }
        }
        for byte in chunk.invalid() {
            text.extend(byte.escape_ascii().map(char::from));
        }
    }
    text
}

/// Without spaces and tabs at both ends.
pub(super) fn trim_blanks(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

/// Repaired text in which `\n`, the two characters, is a newline.
pub(super) fn with_newlines(bytes: &[u8]) -> String {
    repaired(bytes).replace("\\n", "\n")
}

/// Repaired text; empty is absent.
pub(super) fn optional(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| repaired(bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_invalid_bytes_is_one_replacement() {
        for (bytes, text) in [
            (&b"plain"[..], "plain"),
            (b"bad:\xff\xfe\xfd", "bad:\u{fffd}"),
            (b"a:\xffx\xff", "a:\u{fffd}x\u{fffd}"),
            (b"\xe2\x28\xa1", "\u{fffd}(\u{fffd}"),
            (b"\xff", "\u{fffd}"),
        ] {
            assert_eq!(repaired(bytes), text);
        }
    }

    #[test]
    fn a_line_for_people_commands_no_terminal() {
        for (bytes, text) in [
            (&b"plain \xc3\xa9"[..], "plain é"),
            (b"\x1b[2J\n\0", "\\u{1b}[2J\\n\\u{0}"),
            ("a\u{9b}b\u{202e}".as_bytes(), "a\\u{9b}b\\u{202e}"),
            (b"\xff\xfe:1|c", "\\xff\\xfe:1|c"),
        ] {
            assert_eq!(escaped(bytes, 200), text);
        }
        assert_eq!(escaped("aé".as_bytes(), 2), "a\\xc3");
    }

    #[test]
    fn blanks_are_trimmed_at_both_ends_only() {
        for (text, trimmed) in [(&b" \ta b\t "[..], &b"a b"[..]), (b"  ", b""), (b"", b""), (b"\ra\n", b"\ra\n")] {
            assert_eq!(trim_blanks(text), trimmed);
        }
    }
}
