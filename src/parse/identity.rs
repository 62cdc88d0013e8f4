//! The canonical name and tags of a spelling, found once per new spelling and never on the hot path.

use std::borrow::Cow;

use crate::model::series::{NameStyle, Spelling};

use super::text::{repaired, trim_blanks};
use super::{Identity, Metric, Tolerated, ToleratedSet};

impl<'a> Metric<'a> {
    /// The canonical identity of the line's spelling.
    pub fn identity(&self) -> Identity<'a> {
        identity(self.spelling)
    }
}

/// The canonical identity of a spelling: name tags taken out of the name and merged with the tags, which are
/// repaired, trimmed, distinct and sorted by bytes.
///
/// Parts that stand in the spelling are borrowed from it. In strict mode the parser has refused whatever would
/// be dropped or repaired here, so `tolerated` is then empty.
pub fn identity(spelling: Spelling<'_>) -> Identity<'_> {
    let NameParts { before, list, after, .. } = NameParts::of(spelling.name, spelling.style);
    let mut tolerated = ToleratedSet::default();
    let mut tags = Vec::new();
    for item in items(list) {
        match name_tag(item) {
            Some(tag) => tags.push(Cow::Owned(tag)),
            None => tolerated.insert(Tolerated::TagDropped),
        }
    }
    canonical_tags(spelling.tags, &mut tags, &mut tolerated);
    let name = match (before, after) {
        (name, []) | ([], name) => repaired(name),
        (before, after) => Cow::Owned(format!("{}{}", repaired(before), repaired(after))),
    };
    Identity { name, tags, tolerated }
}

/// Adds the tags of a `#` field to `tags` and leaves them all distinct and sorted by bytes.
pub(super) fn canonical_tags<'a>(field: &'a [u8], tags: &mut Vec<Cow<'a, str>>, tolerated: &mut ToleratedSet) {
    for item in items(field) {
        let tag = repaired(item);
        if matches!(tag, Cow::Owned(_)) {
            tolerated.insert(Tolerated::TagRepaired);
        }
        tags.push(tag);
    }
    tags.sort_unstable();
    tags.dedup();
}

/// The tags of an event or a check.
pub(super) fn owned_tags(field: &[u8], tolerated: &mut ToleratedSet) -> Vec<String> {
    let mut tags = Vec::new();
    canonical_tags(field, &mut tags, tolerated);
    tags.into_iter().map(Cow::into_owned).collect()
}

/// The items of a list: trimmed, without the one `#` that some clients repeat, none empty.
fn items(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&byte| byte == b',').map(trim_blanks).map(|item| item.strip_prefix(b"#").unwrap_or(item)).filter(|item| !item.is_empty())
}

/// `key=value` as `key:value`; nothing when either is missing.
fn name_tag(item: &[u8]) -> Option<String> {
    let (key, value) = key_and_value(item)?;
    Some(format!("{}:{}", repaired(key), repaired(value)))
}

fn key_and_value(item: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = item.iter().position(|&byte| byte == b'=')?;
    let (key, value) = (&item[..at], &item[at + 1..]);
    (!key.is_empty() && !value.is_empty()).then_some((key, value))
}

/// A wire name in pieces: what stands before and after its list of tags.
pub(super) struct NameParts<'a> {
    before: &'a [u8],
    list: &'a [u8],
    after: &'a [u8],
    /// False for brackets without their partner.
    balanced: bool,
}

impl<'a> NameParts<'a> {
    #[inline]
    pub(super) fn of(name: &'a [u8], style: NameStyle) -> NameParts<'a> {
        let find = |from: usize, wanted: u8| memchr::memchr(wanted, &name[from..]).map(|at| from + at);
        let verbatim = |balanced| NameParts { before: name, list: &[], after: &[], balanced };
        let split = |open: usize, close: usize, end: usize| NameParts {
            before: &name[..open],
            list: &name[open + 1..close],
            after: &name[end..],
            balanced: true,
        };
        match style {
            NameStyle::Plain | NameStyle::Canonical => verbatim(true),
            NameStyle::Influx => find(0, b',').map_or(verbatim(true), |at| split(at, name.len(), name.len())),
            NameStyle::Librato => find(0, b'#').map_or(verbatim(true), |at| split(at, name.len(), name.len())),
            NameStyle::SignalFx => match find(0, b'[').map(|open| (open, find(open, b']'))) {
                Some((open, Some(close))) => split(open, close, close + 1),
                Some((_, None)) => verbatim(false),
                None => verbatim(find(0, b']').is_none()),
            },
        }
    }

    /// Whether nothing is left without the tags.
    pub(super) fn is_nameless(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }

    /// Whether the brackets match and every tag has a key and a value.
    pub(super) fn is_well_formed(&self) -> bool {
        self.balanced && items(self.list).all(|item| key_and_value(item).is_some())
    }

    /// Whether the name carries tags.
    pub(super) fn has_tags(&self) -> bool {
        items(self.list).next().is_some()
    }

    /// The bytes of the name without its tags.
    pub(super) fn name_bytes(&self) -> impl Iterator<Item = u8> {
        self.before.iter().chain(self.after).copied()
    }
}
