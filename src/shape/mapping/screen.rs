//! Regex rules, screened before any is tried: by texts that a name must hold, else many at a time.

use std::collections::HashMap;

use aho_corasick::AhoCorasick;
use regex::{Captures, Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use regex_syntax::hir::{Hir, HirKind};

/// Compiled size of one rule, at most.
const RULE_BYTES: usize = 256 << 10;
/// Compiled size of one set, at most.
const SET_BYTES: usize = 4 << 20;
/// Rules of one set.
const SET_RULES: usize = 64;
/// Rules that are tried one by one; of more a set tells which match.
const TRIED: usize = 8;

/// Compiles a rule's match: found anywhere in a name unless it is anchored.
pub(super) fn compile(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text).size_limit(RULE_BYTES).build().map_err(|error| super::super::one_line(&error.to_string()))
}

/// All regex rules, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Screens {
    rules: Vec<(usize, Regex)>,
    /// A text for each rule that has one: without it in the name the rule does not match.
    required: Option<AhoCorasick>,
    /// The places of the rules that require each text.
    requiring: Vec<Vec<usize>>,
    /// The places of rules that require none.
    free: Vec<usize>,
    sets: Vec<Option<RegexSet>>,
}

impl Screens {
    pub(super) fn new(rules: &[(usize, Regex)]) -> Screens {
        let literals: Vec<Vec<Box<[u8]>>> = rules.iter().map(|(_, regex)| required(regex.as_str())).collect();
        let mut common: HashMap<&[u8], usize> = HashMap::new();
        for literal in literals.iter().flatten() {
            *common.entry(literal).or_default() += 1;
        }
        let (mut screens, mut texts) = (Screens { rules: rules.to_vec(), ..Screens::default() }, Vec::new());
        let mut places: HashMap<&[u8], usize> = HashMap::new();
        for (rule, literals) in literals.iter().enumerate() {
            // The text that tells most: few rules require it, and it is long.
            let Some(text) = literals.iter().min_by_key(|text| (common[&***text], std::cmp::Reverse(text.len()))) else {
                screens.free.push(rule);
                continue;
            };
            let place = *places.entry(text).or_insert(texts.len());
            if place == texts.len() {
                texts.push(text);
                screens.requiring.push(Vec::new());
            }
            screens.requiring[place].push(rule);
        }
        // Texts too many to search for at once are not searched for.
        screens.required = AhoCorasick::new(texts).ok();
        let set = |rules: &[(usize, Regex)]| {
            let texts = rules.iter().map(|(_, regex)| regex.as_str());
            RegexSetBuilder::new(texts).size_limit(SET_BYTES).build().ok()
        };
        screens.sets = rules.chunks(SET_RULES).map(set).collect();
        screens
    }

    /// The first rule that matches a name, among those `allowed`.
    pub(super) fn find<'n>(&self, name: &'n str, allowed: impl Fn(usize) -> bool) -> Option<(usize, Captures<'n>)> {
        let captures = |at: usize| {
            let (rule, regex) = self.rules.get(at).filter(|(rule, _)| allowed(*rule))?;
            Some((*rule, regex.captures(name)?))
        };
        match self.possible(name) {
            Some(possible) => possible.into_iter().find_map(captures),
            None => (0..self.sets.len()).find_map(|at| {
                let first = at * SET_RULES;
                match &self.sets[at] {
                    Some(set) => set.matches(name).iter().find_map(|at| captures(first + at)),
                    // Together they would be too large: each is asked.
                    None => (first..first + SET_RULES).find_map(captures),
                }
            }),
        }
    }

    /// The places of the rules whose texts a name holds, in order; `None` when these are many.
    fn possible(&self, name: &str) -> Option<Vec<usize>> {
        let required = self.required.as_ref().filter(|_| self.free.len() <= TRIED)?;
        let mut possible = self.free.clone();
        for found in required.find_overlapping_iter(name) {
            possible.extend(&self.requiring[found.pattern().as_usize()]);
            if possible.len() > 2 * TRIED {
                return None;
            }
        }
        possible.sort_unstable();
        possible.dedup();
        (possible.len() <= TRIED).then_some(possible)
    }
}

/// Texts that whatever a regex matches holds.
fn required(regex: &str) -> Vec<Box<[u8]>> {
    let mut texts = Vec::new();
    if let Ok(hir) = regex_syntax::parse(regex) {
        require(&hir, &mut texts);
    }
    texts
}

fn require(hir: &Hir, texts: &mut Vec<Box<[u8]>>) {
    match hir.kind() {
        HirKind::Literal(literal) => texts.push(literal.0.clone()),
        HirKind::Concat(parts) => parts.iter().for_each(|part| require(part, texts)),
        HirKind::Capture(group) => require(&group.sub, texts),
        HirKind::Repetition(repetition) if repetition.min > 0 => require(&repetition.sub, texts),
        HirKind::Repetition(_) | HirKind::Alternation(_) | HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_match_must_hold_is_found() {
        for (regex, expected) in [
            ("^service99[.]([^.]+)[.]requests[.]([0-9]+)$", &["service99.", ".requests."][..]),
            (r"a\.(b+|c)\.(d)(?:e|f)?g*", &["a.", ".", "d"]),
            ("(ab){2}c", &["ab", "c"]),
            ("(?i)ab[.]", &["."]),
            ("a|b", &[]),
            (".*", &[]),
            ("", &[]),
        ] {
            let found: Vec<String> = required(regex).iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect();
            assert_eq!(found, expected, "{regex}");
        }
    }

    fn parts() -> impl Strategy<Value = String> {
        let part = prop::sample::select(vec!["a", "b", "ab", "[.]", r"\.", "(a)", "(a|b)", "b?", "a*", "(ab)+", ".*", "[ab]", "^", "$"]);
        prop::collection::vec(part, 1..6).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn the_first_that_matches_is_found_however_it_is_screened(
            rules in prop::collection::vec((parts(), any::<bool>()), 0..80),
            names in prop::collection::vec("[ab.]{0,8}", 1..20),
        ) {
            let compiled: Vec<(usize, Regex)> = rules.iter().enumerate().map(|(at, (text, _))| (at, compile(text).unwrap())).collect();
            let screens = Screens::new(&compiled);
            for name in &names {
                let allowed = |rule: usize| rules[rule].1;
                let expected = compiled.iter().find(|(rule, regex)| allowed(*rule) && regex.is_match(name)).map(|(rule, _)| *rule);
                prop_assert_eq!(screens.find(name, allowed).map(|(rule, _)| rule), expected, "{} among {:?}", name, rules);
            }
        }
    }
}
