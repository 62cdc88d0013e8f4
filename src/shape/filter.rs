//! Filters: what is dropped, and what becomes of tags and values.

use std::borrow::Cow;

use super::pattern::TagPattern;
use super::tags::{drop_key, key_of, tag};
use super::{FilterConfig, MatchConfig, Pattern, ShapeError, TagFilter};
use crate::model::Kind;

/// One compiled filter.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) pattern: Pattern,
    pub(super) effect: Effect,
}

#[derive(Debug)]
pub(super) enum Effect {
    Drop,
    Tags(TagEdit),
    Scale(f64),
}

/// First drops, then keeps, renames and sets.
#[derive(Debug)]
pub(super) struct TagEdit {
    drop: Vec<TagPattern>,
    /// None keeps all.
    keep: Vec<TagPattern>,
    rename: Vec<(String, String)>,
    set: Vec<(String, String)>,
}

/// Compiles `shape.filters`.
pub(super) fn compile(filters: &[FilterConfig]) -> Result<Vec<Filter>, Vec<ShapeError>> {
    let (mut compiled, mut errors) = (Vec::new(), Vec::new());
    for (index, filter) in filters.iter().enumerate() {
        match one(filter, &format!("shape.filters[{index}]")) {
            Ok(filter) => compiled.push(filter),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(compiled) } else { Err(errors) }
}

fn one(filter: &FilterConfig, path: &str) -> Result<Filter, ShapeError> {
    match filter {
        FilterConfig { drop: Some(config), tags: None, scale: None } => {
            let pattern = pattern(config, &format!("{path}.drop"))?;
            if pattern.is_empty() {
                return Err(ShapeError::key(format!("{path}.drop"), "this drops everything; if it is meant, write { name: [\"*\"] }"));
            }
            Ok(Filter { pattern, effect: Effect::Drop })
        }
        FilterConfig { drop: None, tags: Some(config), scale: None } => {
            let pattern = pattern(&config.r#match, &format!("{path}.tags.match"))?;
            Ok(Filter { pattern, effect: Effect::Tags(edit(config, &format!("{path}.tags"))?) })
        }
        FilterConfig { drop: None, tags: None, scale: Some(config) } => {
            let pattern = pattern(&config.r#match, &format!("{path}.scale.match"))?;
            if !config.by.is_finite() || config.by == 0.0 {
                return Err(ShapeError::key(format!("{path}.scale.by"), "expected a number other than 0"));
            }
            Ok(Filter { pattern, effect: Effect::Scale(config.by) })
        }
        _ => Err(ShapeError::key(path.to_string(), "expected one of drop, tags and scale; a second one is a filter of its own")),
    }
}

fn pattern(config: &MatchConfig, path: &str) -> Result<Pattern, ShapeError> {
    Pattern::new(config).map_err(|(key, message)| ShapeError::key(format!("{path}.{key}"), message))
}

fn edit(config: &TagFilter, path: &str) -> Result<TagEdit, ShapeError> {
    for (list, map) in [("rename", &config.rename), ("set", &config.set)] {
        for (key, value) in map {
            let new = if list == "rename" { value } else { key };
            super::tags::check(new, value).map_err(|message| ShapeError::key(format!("{path}.{list}.{key}"), message))?;
        }
    }
    let patterns = |texts: &[String]| texts.iter().map(|text| TagPattern::new(text)).collect();
    let pairs = |map: &std::collections::BTreeMap<String, String>| map.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    Ok(TagEdit { drop: patterns(&config.drop), keep: patterns(&config.keep), rename: pairs(&config.rename), set: pairs(&config.set) })
}

impl Filter {
    pub(super) fn matches(&self, name: &str, kind: Kind, tags: &[Cow<'_, str>]) -> bool {
        self.pattern.matches(name, kind, tags.iter().map(AsRef::as_ref))
    }
}

impl TagEdit {
    /// Changes tags and leaves them distinct and sorted.
    pub(super) fn apply(&self, tags: &mut Vec<Cow<'_, str>>) {
        tags.retain(|tag| !self.drop.iter().any(|pattern| pattern.matches(tag)));
        if !self.keep.is_empty() {
            tags.retain(|tag| self.keep.iter().any(|pattern| pattern.matches(tag)));
        }
        for have in tags.iter_mut() {
            if let Some((_, new)) = self.rename.iter().find(|(old, _)| old == key_of(have)) {
                let rest = &have[key_of(have).len()..];
                *have = Cow::Owned(format!("{new}{rest}"));
            }
        }
        for (key, value) in &self.set {
            drop_key(tags, key);
            tags.push(Cow::Owned(tag(key, value)));
        }
        tags.sort_unstable();
        tags.dedup();
    }
}
