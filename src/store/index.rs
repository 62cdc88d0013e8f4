//! Names, identities and labels of the series the store knows. In memory only; rebuilt at start.

use std::collections::HashMap;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::role::{Number, Role};
use crate::model::{Kind, Labels, labels};

/// Names there may be; a damaged key cannot ask for more.
const MAX_NAMES: usize = 1 << 24;

/// A name with its kind, as families have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) name: Arc<str>,
    pub(super) kind: Kind,
    pub(super) prom_name: Arc<str>,
}

/// Names in the order of their first appearance.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) all: Vec<Name>,
    by_kind: [HashMap<Arc<str>, u32, RandomState>; Kind::ALL.len()],
}

impl Names {
    pub(super) fn get(&self, kind: Kind, name: &str) -> Option<u32> {
        self.by_kind[kind as usize].get(name).copied()
    }

    /// Leaves out the names before `at` that cannot be read: their series are not known either.
    pub(super) fn skip_to(&mut self, at: u32) {
        while (self.all.len() as u32) < at && self.all.len() < MAX_NAMES {
            self.all.push(Name { name: "".into(), kind: Kind::Counter, prom_name: "".into() });
        }
    }

    /// The index of a name, which is added when it is new.
    pub(super) fn add(&mut self, kind: Kind, name: &str, prom_name: &str) -> u32 {
        if let Some(at) = self.get(kind, name) {
            return at;
        }
        let (at, name) = (self.all.len() as u32, Arc::<str>::from(name));
        self.by_kind[kind as usize].insert(name.clone(), at);
        self.all.push(Name { name, kind, prom_name: prom_name.into() });
        at
    }
}

/// Ways to find series.
#[derive(Debug, Default)]
pub(super) struct Index {
    hasher: RandomState,
    /// By role, name and tags as received. The hash stands beside, so that growing needs no look.
    identities: HashTable<(u64, Number)>,
    recorded: HashMap<Labels, Number, RandomState>,
    /// By metric name.
    pub(super) metrics: HashMap<Arc<str>, Vec<Number>, RandomState>,
    /// Label names and values, each once.
    texts: HashSet<Arc<str>, RandomState>,
}

impl Index {
    /// The hash of an identity.
    pub(super) fn hash<'a>(&self, role: Role, name: u32, tags: impl Iterator<Item = &'a str>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u64((role as u64) << 32 | u64::from(name));
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

    /// The labels of a series as received, their texts shared with all others.
    pub(super) fn derive<'a>(&mut self, role: Role, prom_name: &str, tags: impl Iterator<Item = &'a str>) -> Labels {
        let derived = labels::derive(prom_name, tags);
        let derived = if role == Role::Stamped { derived.with("stamped", "true") } else { derived };
        self.share(&derived)
    }

    fn share(&mut self, labels: &Labels) -> Labels {
        Labels::new(labels.pairs().iter().map(|(name, value)| (self.text(name), self.text(value))).collect::<Vec<_>>())
    }

    fn text(&mut self, text: &Arc<str>) -> Arc<str> {
        match self.texts.get(text) {
            Some(have) => have.clone(),
            None => {
                self.texts.insert(text.clone());
                text.clone()
            }
        }
    }

    /// Makes a series as received findable.
    pub(super) fn insert(&mut self, hash: u64, number: Number, labels: &Labels) {
        self.identities.insert_unique(hash, (hash, number), |&(hash, _)| hash);
        self.list(number, labels);
    }

    /// Makes a recorded series findable; answers its labels with shared texts.
    pub(super) fn insert_recorded(&mut self, number: Number, labels: &Labels) -> Labels {
        let labels = self.share(labels);
        self.recorded.insert(labels.clone(), number);
        self.list(number, &labels);
        labels
    }

    fn list(&mut self, number: Number, labels: &Labels) {
        match self.metrics.get_mut(labels.name()) {
            Some(numbers) => numbers.push(number),
            None => {
                let name = self.text(&Arc::from(labels.name()));
                self.metrics.insert(name, vec![number]);
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
        self.texts.retain(|text| Arc::strong_count(text) > 1);
    }
}
