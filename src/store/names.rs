//! Names with their kinds, as families have them: each once, under an index that is never used again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::model::{Family, Form, Kind};

/// A name with its kind.
#[derive(Clone, Debug)]
pub(super) struct Name {
    pub(super) name: Arc<str>,
    pub(super) kind: Kind,
    pub(super) prom_name: Arc<str>,
    /// How its timers are shown, once that was told. In memory only.
    pub(super) form: Option<Form>,
}

/// Names by index, which is the order of their first appearance.
#[derive(Debug, Default)]
pub(super) struct Names {
    all: BTreeMap<u64, Name>,
    by_kind: [HashMap<Arc<str>, u64, RandomState>; Kind::ALL.len()],
    /// The index the next name gets.
    pub(super) next: u64,
    /// Names whose rows are to be written.
    pub(super) unsaved: BTreeSet<u64>,
    /// Names whose rows are to be deleted.
    pub(super) forgotten: Vec<u64>,
}

impl Names {
    pub(super) fn get(&self, kind: Kind, name: &str) -> Option<u64> {
        self.by_kind[kind as usize].get(name).copied()
    }

    pub(super) fn at(&self, index: u64) -> Option<&Name> {
        self.all.get(&index)
    }

    /// Oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Name)> {
        self.all.iter().map(|(index, name)| (*index, name))
    }

    /// A name as the file has it.
    pub(super) fn restore(&mut self, index: u64, kind: Kind, name: &str, prom_name: &str) {
        let name: Arc<str> = name.into();
        self.by_kind[kind as usize].insert(name.clone(), index);
        self.all.insert(index, Name { name, kind, prom_name: prom_name.into(), form: None });
        self.next = self.next.max(index.saturating_add(1));
    }

    /// Adds a new name.
    pub(super) fn add(&mut self, kind: Kind, name: &str, prom_name: &str) -> u64 {
        let index = self.next;
        self.restore(index, kind, name, prom_name);
        self.unsaved.insert(index);
        index
    }

    /// Gives a name another Prometheus name; false when it has that one.
    pub(super) fn rename(&mut self, index: u64, prom_name: &str) -> bool {
        let Some(name) = self.all.get_mut(&index).filter(|name| *name.prom_name != *prom_name) else { return false };
        name.prom_name = prom_name.into();
        self.unsaved.insert(index);
        true
    }

    /// Notes how a family is shown.
    pub(super) fn present(&mut self, family: &Family) {
        let Some(name) = self.get(family.kind, &family.name).and_then(|index| self.all.get_mut(&index)) else { return };
        name.form = Some(family.form.clone());
    }

    /// Forgets the names that are not `used`.
    pub(super) fn forget_unused(&mut self, used: &BTreeSet<u64>) {
        let unused: Vec<u64> = self.all.keys().filter(|index| !used.contains(index)).copied().collect();
        for index in &unused {
            if let Some(name) = self.all.remove(index) {
                self.by_kind[name.kind as usize].remove(&name.name);
            }
            self.unsaved.remove(index);
        }
        self.forgotten.extend(unused);
    }

    /// What of `written` is unchanged since is on disk now.
    pub(super) fn saved(&mut self, written: &[(u64, Arc<str>)]) {
        for (index, prom_name) in written {
            if self.all.get(index).is_none_or(|name| Arc::ptr_eq(&name.prom_name, prom_name)) {
                self.unsaved.remove(index);
            }
        }
    }
}
