//! Tags as `key:value` texts.

use std::borrow::Cow;

use crate::model::labels::label_name;

/// The text before the first colon.
pub(super) fn key_of(tag: &str) -> &str {
    tag.split_once(':').map_or(tag, |(key, _)| key)
}

/// A tag of a key and a value; without a value it is bare.
pub(super) fn tag(key: &str, value: &str) -> String {
    if value.is_empty() { key.to_string() } else { [key, ":", value].concat() }
}

/// Takes away every tag of a key.
pub(super) fn drop_key(tags: &mut Vec<Cow<'_, str>>, key: &str) {
    tags.retain(|tag| key_of(tag) != key);
}

/// Whether a tag becomes the Prometheus label `label`.
pub(super) fn is_label(tag: &str, label: &str) -> bool {
    let first = |text: &str| text.bytes().next();
    // A letter is written as it is, so most are told apart by their first bytes.
    if first(tag).is_some_and(|byte| byte.is_ascii_alphabetic()) && first(tag) != first(label) {
        return false;
    }
    let key = key_of(tag);
    let clean = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') && !key.starts_with(|c: char| c.is_ascii_digit());
    if clean { key == label } else { label_name(key) == label }
}

/// Whether a configured key and value are a tag that a sender could have sent.
pub(super) fn check(key: &str, value: &str) -> Result<(), &'static str> {
    let blank = |text: &str| text.starts_with([' ', '\t']) || text.ends_with([' ', '\t']);
    if key.is_empty() || key.contains([':', ',', '|', '\n']) || key.starts_with('#') || blank(key) {
        Err("a tag's key is not empty, has no : , | or newline, and no blank or # before it")
    } else if value.contains([',', '|', '\n']) || blank(value) {
        Err("a tag's value has no , | or newline, and no blank at its ends")
    } else {
        Ok(())
    }
}
