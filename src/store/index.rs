//! Identities and labels of the series the store knows. In memory only; rebuilt at start.

use std::collections::HashMap;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::role::{Number, Role};
use super::symbols::{Symbolic, Symbols};
use crate::model::Labels;
use crate::model::labels::{self, NAME};

/// Ways to find series.
#[derive(Debug, Default)]
pub(super) struct Index {
    hasher: RandomState,
    /// By role, name and tags as received. The hash stands beside, so that growing needs no look.
    identities: HashTable<(u64, Number)>,
    recorded: HashMap<Labels, Number, RandomState>,
    /// By metric name.
    pub(super) metrics: HashMap<Arc<str>, Vec<Number>, RandomState>,
    pub(super) symbols: Symbols,
}

impl Index {
    /// The hash of an identity.
    pub(super) fn hash<'a>(&self, role: Role, name: u64, tags: impl Iterator<Item = &'a str>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u8(role as u8);
        hasher.write_u64(name);
        for tag in tags {
            hasher.write(tag.as_bytes());
            hasher.write_u8(0xff);
        }
        hasher.finish()
    }

    /// The series with this hash that `is` the one.
    pub(super) fn find(&self, hash: u64, is: impl Fn(Number) -> bool) -> Option<Number> {
        self.identities.find(hash, |&(have, number)| have == hash && is(number)).map(|&(_, number)| number)
    }

    pub(super) fn find_recorded(&self, labels: &Labels) -> Option<Number> {
        self.recorded.get(labels).copied()
    }

    /// The labels of a series as received.
    pub(super) fn derive<'a>(&mut self, role: Role, prom_name: &'a str, tags: impl Iterator<Item = &'a str>) -> Symbolic {
        let pairs = labels::pairs(prom_name, tags);
        let stamped = (role == Role::Stamped).then_some(("stamped", "true"));
        self.symbols.intern(pairs.iter().map(|(name, value)| (&**name, &**value)).chain(stamped))
    }

    /// Makes a series as received findable.
    pub(super) fn insert(&mut self, hash: u64, number: Number, labels: &Symbolic) {
        self.identities.insert_unique(hash, (hash, number), |&(hash, _)| hash);
        self.list(number, labels);
    }

    /// Makes a recorded series findable; answers its labels.
    pub(super) fn insert_recorded(&mut self, number: Number, labels: &Labels) -> Symbolic {
        let labels = self.symbols.intern(labels.iter());
        self.recorded.insert(self.symbols.labels(&labels), number);
        self.list(number, &labels);
        labels
    }

    /// Lists a series under its metric.
    pub(super) fn list(&mut self, number: Number, labels: &Symbolic) {
        let name = self.symbols.get(labels, NAME);
        match self.metrics.get_mut(name) {
            Some(numbers) => numbers.push(number),
            None => {
                self.metrics.insert(name.into(), vec![number]);
            }
        }
    }

    /// Takes series off the list of a metric: they are listed anew under their new labels.
    pub(super) fn unlist(&mut self, metric: &str, numbers: &HashSet<Number>) {
        if let Some(listed) = self.metrics.get_mut(metric) {
            listed.retain(|number| !numbers.contains(number));
            if listed.is_empty() {
                self.metrics.remove(metric);
            }
        }
    }

    /// Forgets series for good.
    pub(super) fn forget(&mut self, dead: &HashSet<Number>) {
        self.identities.retain(|(_, number)| !dead.contains(number));
        self.recorded.retain(|_, number| !dead.contains(number));
        self.metrics.retain(|_, numbers| {
            numbers.retain(|number| !dead.contains(number));
            !numbers.is_empty()
        });
    }
}
