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
    fn blanks_are_trimmed_at_both_ends_only() {
        for (text, trimmed) in [(&b" \ta b\t "[..], &b"a b"[..]), (b"  ", b""), (b"", b""), (b"\ra\n", b"\ra\n")] {
            assert_eq!(trim_blanks(text), trimmed);
        }
    }
}
