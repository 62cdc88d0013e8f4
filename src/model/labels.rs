//! Prometheus labels, and the one function that derives them from a series as received.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Label pairs sorted by name, names distinct, no empty value. `__name__` is one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Arc<[(Arc<str>, Arc<str>)]>);

/// The label that holds the metric name.
pub const NAME: &str = "__name__";
/// The label of a summary's quantiles, and that of a histogram's upper bounds.
pub const QUANTILE: &str = "quantile";
pub const LE: &str = "le";

impl Labels {
    /// Sorts the pairs; of two with one name the later wins; pairs with an empty value vanish.
    pub fn new<N: Into<Arc<str>>, V: Into<Arc<str>>>(pairs: impl IntoIterator<Item = (N, V)>) -> Labels {
        let mut sorted: Vec<(Arc<str>, Arc<str>)> = Vec::new();
        for (name, value) in pairs {
            let (name, value) = (name.into(), value.into());
            match sorted.binary_search_by(|(have, _)| have.cmp(&name)) {
                Ok(at) => sorted[at].1 = value,
                Err(at) => sorted.insert(at, (name, value)),
            }
        }
        sorted.retain(|(_, value)| !value.is_empty());
        Labels(sorted.into())
    }

    /// The value of a label; empty when it is absent, which PromQL treats as the same.
    pub fn get(&self, name: &str) -> &str {
        self.0.binary_search_by(|(have, _)| have.as_ref().cmp(name)).map_or("", |at| &self.0[at].1)
    }

    /// The metric name, or empty.
    pub fn name(&self) -> &str {
        self.get(NAME)
    }

    /// The pairs in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// The pairs in order, shared.
    pub fn pairs(&self) -> &[(Arc<str>, Arc<str>)] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same labels with one set; an empty value removes it.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Labels {
        Labels::new(self.0.iter().cloned().chain([(Arc::from(name), Arc::from(value))]))
    }

    /// The same labels without those the predicate names.
    #[must_use]
    pub fn without(&self, drop: impl Fn(&str) -> bool) -> Labels {
        Labels(self.0.iter().filter(|(name, _)| !drop(name)).cloned().collect())
    }
}

impl FromIterator<(Arc<str>, Arc<str>)> for Labels {
    /// Of pairs that are what labels are already: sorted by distinct names, no value empty.
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Arc<str>)>>(pairs: I) -> Labels {
        let pairs: Arc<[(Arc<str>, Arc<str>)]> = pairs.into_iter().collect();
        debug_assert!(pairs.is_sorted_by(|a, b| a.0 < b.0) && pairs.iter().all(|(_, value)| !value.is_empty()));
        Labels(pairs)
    }
}

impl fmt::Display for Labels {
    /// `name{a="b"}`, as PromQL writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        let mut rest = self.iter().filter(|(name, _)| *name != NAME).peekable();
        if rest.peek().is_none() {
            return if self.name().is_empty() { f.write_str("{}") } else { Ok(()) };
        }
        for (at, (name, value)) in rest.enumerate() {
            write!(f, "{}{name}={value:?}", if at == 0 { "{" } else { ", " })?;
        }
        f.write_str("}")
    }
}

/// A metric name in Prometheus' alphabet: others become `_`, a leading digit gets one in front.
pub fn metric_name(received: &str) -> String {
    sanitised(received)
}

/// A label name in Prometheus' alphabet.
pub fn label_name(key: &str) -> String {
    sanitised(key)
}

/// Whether a tag becomes no label: names that begin `__` are Prometheus' own.
pub fn is_reserved(tag: &str) -> bool {
    let key = tag.split_once(':').map_or(tag, |(key, _)| key);
    let mut chars = key.chars().map(|c| c.is_ascii_alphanumeric());
    (chars.next(), chars.next()) == (Some(false), Some(false))
}

fn sanitised(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 1);
    if text.starts_with(|first: char| first.is_ascii_digit()) || text.is_empty() {
        out.push('_');
    }
    out.extend(text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }));
    out
}

fn is_clean(text: &str) -> bool {
    let starts_well = text.as_bytes().first().is_some_and(|first| !first.is_ascii_digit());
    starts_well && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Derives the labels of a series: `name` is its family's Prometheus name, `tags` are as received.
///
/// A tag without a value gets `true`; several values of one key are joined with `,` in their sorted
/// order; [reserved](is_reserved) ones are left out.
pub fn derive<'a>(name: &'a str, tags: impl Iterator<Item = &'a str>) -> Labels {
    Labels::new(pairs(name, tags))
}

/// Frees a label for what the family tells apart by it: a client's own `quantile` under a summary becomes
/// `exported_quantile`.
pub fn moved_aside(labels: Labels, reserved: &str) -> Labels {
    if labels.get(reserved).is_empty() {
        return labels;
    }
    let mut free = format!("exported_{reserved}");
    while !labels.get(&free).is_empty() {
        free.insert_str(0, "exported_");
    }
    labels.with(&free, labels.get(reserved)).with(reserved, "")
}

/// The pairs that [`derive()`] makes labels of; names are distinct.
pub fn pairs<'a>(name: &'a str, tags: impl Iterator<Item = &'a str>) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    let mut pairs = vec![(Cow::Borrowed(NAME), Cow::Borrowed(name))];
    for tag in tags.filter(|tag| !is_reserved(tag)) {
        let (key, value) = tag.split_once(':').unwrap_or((tag, "true"));
        let key = if is_clean(key) { Cow::Borrowed(key) } else { Cow::Owned(label_name(key)) };
        match pairs.iter_mut().find(|(have, _)| *have == key) {
            Some((_, values)) if !value.is_empty() => {
                let values = values.to_mut();
                if !values.is_empty() {
                    values.push(',');
                }
                values.push_str(value);
            }
            Some(_) => {}
            None => pairs.push((key, Cow::Borrowed(value))),
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_follow_the_rules_of_the_page() {
        let tags = ["bare", "env:prod", "k.x:1", "k.x:2", "k:", "__hidden:1", "9lives:yes"];
        let labels = derive("web_hits", tags.into_iter());
        assert_eq!(labels.to_string(), r#"web_hits{_9lives="yes", bare="true", env="prod", k_x="1,2"}"#);
    }

    #[test]
    fn a_label_moves_aside_to_the_first_free_name() {
        for (pairs, expected) in [
            (&[("le", "1")][..], r#"{exported_le="1"}"#),
            (&[("le", "1"), ("exported_le", "2")], r#"{exported_exported_le="1", exported_le="2"}"#),
            (&[("quantile", "1")], r#"{quantile="1"}"#),
        ] {
            assert_eq!(moved_aside(Labels::new(pairs.iter().copied()), LE).to_string(), expected);
        }
    }

    #[test]
    fn a_tag_is_reserved_when_its_label_would_begin_with_two_underscores() {
        for tag in ["__name__:x", "__", "..a", "-.:1", "é€", "_.x:__", "env:__x", "_a", "_", "9_", "", ":__", "a__"] {
            let key = tag.split_once(':').map_or(tag, |(key, _)| key);
            assert_eq!(is_reserved(tag), label_name(key).starts_with("__"), "{tag}");
        }
    }

    #[test]
    fn names_are_rewritten_as_statsd_exporter_does() {
        for (received, expected) in [("a.b-c", "a_b_c"), ("9x", "_9x"), ("héé", "h__"), ("a:b", "a_b")] {
            assert_eq!(metric_name(received), expected);
        }
    }
}
