//! Which metrics a filter means: name globs, a regex, types, tags.

use regex::{Regex, RegexBuilder};

use super::{MatchConfig, one_line};
use crate::model::{Glob, Kind};

/// Compiled size of a regex, at most.
const REGEX_BYTES: usize = 1 << 20;

/// A compiled `match`: every key that is set must hold.
#[derive(Debug, Default)]
pub struct Pattern {
    names: Vec<Glob>,
    regex: Option<Regex>,
    kinds: Vec<Kind>,
    tags: Vec<TagPattern>,
}

impl Pattern {
    /// Compiles a `match`. The error is the key that is wrong, and why.
    pub fn new(config: &MatchConfig) -> Result<Pattern, (&'static str, String)> {
        let regex = config.regex.as_ref().map(|text| RegexBuilder::new(text).size_limit(REGEX_BYTES).build()).transpose();
        Ok(Pattern {
            names: config.name.iter().map(|glob| Glob::new(glob)).collect(),
            regex: regex.map_err(|error| ("regex", one_line(&error.to_string())))?,
            kinds: config.r#type.clone(),
            tags: config.tags.iter().map(|tag| TagPattern::new(tag)).collect(),
        })
    }

    /// Whether a metric is meant. One of the names must match, and each of the tags.
    pub fn matches<'t>(&self, name: &str, kind: Kind, tags: impl Iterator<Item = &'t str> + Clone) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&kind))
            && (self.names.is_empty() || self.names.iter().any(|glob| glob.matches(name)))
            && self.regex.as_ref().is_none_or(|regex| regex.is_match(name))
            && self.tags.iter().all(|pattern| tags.clone().any(|tag| pattern.matches(tag)))
    }

    /// Whether it means every metric.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.regex.is_none() && self.kinds.is_empty() && self.tags.is_empty()
    }
}

/// `key`, or `key:glob` of the value; globs in both.
#[derive(Debug)]
pub(super) struct TagPattern {
    key: Glob,
    value: Option<Glob>,
}

impl TagPattern {
    pub(super) fn new(text: &str) -> TagPattern {
        match text.split_once(':') {
            Some((key, value)) => TagPattern { key: Glob::new(key), value: Some(Glob::new(value)) },
            None => TagPattern { key: Glob::new(text), value: None },
        }
    }

    pub(super) fn matches(&self, tag: &str) -> bool {
        let (key, value) = tag.split_once(':').unwrap_or((tag, ""));
        self.key.matches(key) && self.value.as_ref().is_none_or(|glob| glob.matches(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_that_is_set_must_hold() {
        let config = |yaml: &str| -> MatchConfig { serde_yaml::from_str(yaml).unwrap() };
        for (yaml, expected) in [
            ("{}", true),
            ("{ name: ['x.*', 'web.*'] }", true),
            ("{ name: ['x.*'] }", false),
            ("{ regex: 'req.*s$' }", true),
            ("{ regex: '^req' }", false),
            ("{ type: [gauge, counter] }", true),
            ("{ type: [gauge] }", false),
            ("{ tags: [env] }", true),
            ("{ tags: ['env:p*'] }", true),
            ("{ tags: ['env:q*'] }", false),
            ("{ tags: [bare, 'e*:prod'] }", true),
            ("{ tags: [env, none] }", false),
            ("{ tags: ['bare:'] }", true),
            ("{ name: ['web.*'], type: [gauge] }", false),
            ("{ name: ['web.*'], type: [counter], tags: [env], regex: requests }", true),
        ] {
            let pattern = Pattern::new(&config(yaml)).unwrap();
            let tags = ["bare", "env:prod"];
            assert_eq!(pattern.matches("web.requests", Kind::Counter, tags.into_iter()), expected, "{yaml}");
        }
    }

    #[test]
    fn a_regex_that_is_none_is_named() {
        let config = MatchConfig { regex: Some("(".into()), ..MatchConfig::default() };
        let (key, message) = Pattern::new(&config).unwrap_err();
        assert_eq!(key, "regex");
        assert!(message.contains("unclosed group") && !message.contains('\n'), "{message}");
    }
}
