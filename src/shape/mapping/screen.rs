//! Regex rules, screened many at a time.

use regex::{Captures, Regex, RegexBuilder, RegexSet, RegexSetBuilder};

/// Compiled size of one rule, at most.
const RULE_BYTES: usize = 256 << 10;
/// Compiled size of one screen, at most.
const SCREEN_BYTES: usize = 4 << 20;
/// Rules behind one screen.
const SCREEN_RULES: usize = 64;

/// Compiles a rule's match: found anywhere in a name unless it is anchored.
pub(super) fn compile(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(RULE_BYTES).build().map_err(|error| super::super::one_line(&error.to_string()))
}

/// All regex rules, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Screens(Vec<Screen>);

#[derive(Debug)]
struct Screen {
    /// `None` where together they would be too large: then each is asked.
    set: Option<RegexSet>,
    rules: Vec<(usize, Regex)>,
}

impl Screens {
    pub(super) fn new(rules: &[(usize, Regex)]) -> Screens {
        let screen = |rules: &[(usize, Regex)]| {
            let texts = rules.iter().map(|(_, regex)| regex.as_str());
            Screen { set: RegexSetBuilder::new(texts).size_limit(SCREEN_BYTES).build().ok(), rules: rules.to_vec() }
        };
        Screens(rules.chunks(SCREEN_RULES).map(screen).collect())
    }

    /// The first rule that matches a name, among those `allowed`.
    pub(super) fn find<'n>(&self, name: &'n str, allowed: impl Fn(usize) -> bool) -> Option<(usize, Captures<'n>)> {
        self.0.iter().find_map(|screen| screen.find(name, &allowed))
    }
}

impl Screen {
    fn find<'n>(&self, name: &'n str, allowed: impl Fn(usize) -> bool) -> Option<(usize, Captures<'n>)> {
        let captures = |at: usize| {
            let (rule, regex) = self.rules.get(at).filter(|(rule, _)| allowed(*rule))?;
            Some((*rule, regex.captures(name)?))
        };
        match &self.set {
            Some(set) => set.matches(name).iter().find_map(captures),
            None => (0..self.rules.len()).find_map(captures),
        }
    }
}
