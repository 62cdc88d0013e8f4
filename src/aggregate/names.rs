//! Names of the page.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{Kind, labels};

/// Families whose names are kept after they left.
const NAMES_MAX: usize = 100_000;

/// The names of the page that a family takes.
fn taken_by(base: &str, kind: Kind) -> Vec<String> {
    let suffixes: &[&str] = if kind.is_sketch() { &["", "_sum", "_count", "_bucket"] } else { &[""] };
    suffixes.iter().map(|suffix| format!("{base}{suffix}")).collect()
}

/// The Prometheus name a family gets unless another type has it.
pub fn page_name(name: &str, kind: Kind, counter_suffix: bool) -> String {
    let mut base = labels::metric_name(name);
    if base.starts_with("statsd_relay_") {
        base.insert_str(0, "client_");
    }
    if kind == Kind::Counter && counter_suffix && !base.ends_with("_total") {
        base.push_str("_total");
    }
    base
}

/// The name of a family that steps aside for another type.
fn aside(mut base: String, kind: Kind) -> String {
    base.push('_');
    base.push_str(kind.as_str());
    base
}

/// Whether a name of the page is `plain`, or one that a family of this type steps aside to from there.
fn comes_of(plain: &str, kind: Kind, name: &str) -> bool {
    let suffix = aside(String::new(), kind);
    name.strip_prefix(plain).is_some_and(|rest| rest.split(&suffix).all(str::is_empty))
}

/// Prometheus names: one name, one type. The first type has the name; a second gets itself as a suffix.
#[derive(Default)]
pub(super) struct Names {
    /// Which family's base and type has a name of the page.
    claims: HashMap<String, (String, Kind)>,
    kept: HashMap<(Kind, String), Arc<str>>,
}

impl Names {
    /// The name of a family, and whether it had to step aside for another type.
    pub(super) fn of(&mut self, name: &str, kind: Kind, counter_suffix: bool) -> (Arc<str>, bool) {
        if let Some(kept) = self.kept.get(&(kind, name.to_string())) {
            return (kept.clone(), false);
        }
        let mut base = page_name(name, kind, counter_suffix);
        let mut clashed = false;
        while !self.claim(&base, kind) {
            base = aside(base, kind);
            clashed = true;
        }
        let base: Arc<str> = base.into();
        self.kept.insert((kind, name.to_string()), base.clone());
        (base, clashed)
    }

    /// Gives families the names they had, as `(name, kind, Prometheus name)`. One that would not get such a name any
    /// more, as counters do when their suffix comes or goes, is named anew.
    pub(super) fn keep(&mut self, named: &[(String, Kind, String)], counter_suffix: bool) {
        for (name, kind, had) in named {
            if comes_of(&page_name(name, *kind, counter_suffix), *kind, had) && self.claim(had, *kind) {
                self.kept.insert((*kind, name.clone()), had.as_str().into());
            }
        }
        for (name, kind, _) in named {
            self.of(name, *kind, counter_suffix);
        }
    }

    /// The name a family has or would get now, and whether another type has the one it would get else.
    pub(super) fn foresee(&self, name: &str, kind: Kind, counter_suffix: bool) -> (String, bool) {
        let plain = page_name(name, kind, counter_suffix);
        let mut base = match self.kept.get(&(kind, name.to_string())) {
            Some(kept) => kept.to_string(),
            None => plain.clone(),
        };
        while !self.is_free(&taken_by(&base, kind), &base, kind) {
            base = aside(base, kind);
        }
        let clashes = base != plain;
        (base, clashes)
    }

    /// Names outlive their families, so that a clash is settled the same way when both return, until there
    /// are too many.
    pub(super) fn release(&mut self, name: &str, kind: Kind) {
        if self.kept.len() > NAMES_MAX
            && let Some(base) = self.kept.remove(&(kind, name.to_string()))
        {
            for name in taken_by(&base, kind) {
                self.claims.remove(&name);
            }
        }
    }

    fn claim(&mut self, base: &str, kind: Kind) -> bool {
        let names = taken_by(base, kind);
        let free = self.is_free(&names, base, kind);
        if free {
            self.claims.extend(names.into_iter().map(|name| (name, (base.to_string(), kind))));
        }
        free
    }

    fn is_free(&self, names: &[String], base: &str, kind: Kind) -> bool {
        names.iter().all(|name| self.claims.get(name).is_none_or(|(have, of)| have == base && *of == kind))
    }
}
