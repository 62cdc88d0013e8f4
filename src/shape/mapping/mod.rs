//! statsd_exporter's mapping files: rules that give a dotted name a new name and labels.
//!
//! Globs come before regexes. Of several globs that match, the first of the file wins, or with
//! `glob_disable_ordering` the one with a text where others have `*`; of several regexes the first.

mod fields;
mod file;
mod glob;
mod screen;
mod template;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use regex::Regex;

use self::fields::Findings;
use self::glob::{Component, GlobTree};
use self::screen::Screens;
use self::template::Template;
use super::{SeriesOptions, ShapeError};
use crate::model::Kind;
use crate::yaml::Place;

/// How a rule's match is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MatchType {
    Glob,
    Regex,
}

/// The types that rules tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Observed {
    Counter,
    Gauge,
    Observer,
}

#[derive(Debug)]
enum Match {
    Glob(Vec<Component>),
    Regex(Regex),
}

/// One rule.
#[derive(Debug)]
struct Rule {
    at: Place,
    /// The match as written.
    text: String,
    pattern: Match,
    /// The only types it matches; `None` is all of them, sets too.
    observed: Option<Observed>,
    drop: bool,
    name: Template,
    /// Each with the colon that stands before a tag's value.
    labels: Vec<(String, Template)>,
    honor_labels: bool,
    scale: f64,
    options: Option<Arc<SeriesOptions>>,
}

impl Rule {
    fn allows(&self, kind: Kind) -> bool {
        let observed = match kind {
            Kind::Counter => Some(Observed::Counter),
            Kind::Gauge => Some(Observed::Gauge),
            Kind::Timer | Kind::Histogram | Kind::Distribution => Some(Observed::Observer),
            Kind::Set => None,
        };
        self.observed.is_none() || self.observed == observed
    }
}

/// A mapping file, compiled.
#[derive(Debug)]
pub(super) struct Mapping {
    rules: Vec<Rule>,
    globs: GlobTree,
    regexes: Screens,
    /// What metrics get that no rule names.
    pub(super) defaults: Option<Arc<SeriesOptions>>,
    pub(super) warnings: Vec<ShapeError>,
}

/// A rule that matches a name.
#[derive(Debug)]
pub(super) struct Mapped<'m, 'n> {
    /// Its index in the file.
    pub(super) rule: usize,
    /// What it captured, after the whole match.
    pub(super) captures: Vec<&'n str>,
    rules: &'m [Rule],
}

impl Mapping {
    /// Reads a file's text; `file` is what errors call it. Errors are all that could be found at once.
    pub(super) fn read(file: &Path, text: &str) -> Result<Mapping, Vec<ShapeError>> {
        let mut findings = Findings { file, errors: Vec::new(), warnings: Vec::new() };
        let file = file::read(text, &mut findings);
        if !findings.errors.is_empty() {
            return Err(findings.errors);
        }
        let mut globs = GlobTree::new(file.globs_in_order);
        let mut regexes = Vec::new();
        for (index, rule) in file.rules.iter().enumerate() {
            match &rule.pattern {
                Match::Glob(components) => globs.add(components, index),
                Match::Regex(regex) => regexes.push((index, regex.clone())),
            }
        }
        let defaults = (file.defaults != SeriesOptions::default()).then(|| Arc::new(file.defaults));
        Ok(Mapping { rules: file.rules, globs, regexes: Screens::new(&regexes), defaults, warnings: findings.warnings })
    }

    /// The rule for a name of a kind.
    pub(super) fn find<'m, 'n>(&'m self, name: &'n str, kind: Kind) -> Option<Mapped<'m, 'n>> {
        let allowed = |rule: usize| self.rules[rule].allows(kind);
        if let Some(rule) = self.globs.find(name, allowed)
            && let Match::Glob(components) = &self.rules[rule].pattern
        {
            return Some(Mapped { rule, captures: glob::captures(components, name), rules: &self.rules });
        }
        let (rule, captures) = self.regexes.find(name, allowed)?;
        let captures = captures.iter().map(|capture| capture.map_or("", |capture| capture.as_str())).collect();
        Some(Mapped { rule, captures, rules: &self.rules })
    }

    /// Each rule's match as written, in the order of the file.
    pub(super) fn matches(&self) -> impl ExactSizeIterator<Item = &str> {
        self.rules.iter().map(|rule| rule.text.as_str())
    }

    /// Line and column of a rule.
    pub(super) fn place(&self, rule: usize) -> (usize, usize) {
        self.rules.get(rule).map_or((0, 0), |rule| (rule.at.line, rule.at.column))
    }
}

impl Mapped<'_, '_> {
    fn get(&self) -> &Rule {
        &self.rules[self.rule]
    }

    pub(super) fn drops(&self) -> bool {
        self.get().drop
    }

    /// The new name; empty when every capture in it is.
    pub(super) fn name(&self) -> String {
        self.get().name.fill(&self.captures)
    }

    /// The labels and their tags, in the order of the file; one without a tag takes the sender's away.
    pub(super) fn labels(&self) -> impl ExactSizeIterator<Item = (&str, Option<String>)> {
        self.get().labels.iter().map(|(key, value)| {
            let tag = value.fill_behind(key, &self.captures);
            (key.trim_end_matches(':'), (tag.len() > key.len()).then_some(tag))
        })
    }

    /// Whether the sender's tags win over the labels.
    pub(super) fn honors_labels(&self) -> bool {
        self.get().honor_labels
    }

    pub(super) fn scale(&self) -> f64 {
        self.get().scale
    }

    pub(super) fn options(&self) -> Option<Arc<SeriesOptions>> {
        self.get().options.clone()
    }
}
