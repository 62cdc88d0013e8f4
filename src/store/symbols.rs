//! Label names and values, each once, and labels of a series as numbers of them.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::model::Labels;

/// Labels of a series: numbers of names and values, in the order of the names.
#[derive(Debug, Default)]
pub(super) struct Symbolic(Box<[(u32, u32)]>);

/// The texts by number.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    /// Those that are free are empty.
    texts: Vec<Arc<str>>,
    numbers: HashTable<u32>,
    free: Vec<u32>,
    hasher: RandomState,
}

impl Symbols {
    /// The pairs as [`Labels::new`] has them.
    pub(super) fn intern<'a>(&mut self, pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Symbolic {
        let mut pairs: Vec<(&str, &str)> = pairs.collect();
        pairs.sort_by_key(|&(name, _)| name);
        pairs.dedup_by(|later, pair| {
            let same = later.0 == pair.0;
            pair.1 = if same { later.1 } else { pair.1 };
            same
        });
        pairs.retain(|(_, value)| !value.is_empty());
        Symbolic(pairs.into_iter().map(|(name, value)| (self.number(name), self.number(value))).collect())
    }

    fn number(&mut self, text: &str) -> u32 {
        let hash = self.hasher.hash_one(text);
        if let Some(&number) = self.numbers.find(hash, |&number| *self.texts[number as usize] == *text) {
            return number;
        }
        // As many as a number can tell apart are more than memory holds.
        let number = self.free.pop().unwrap_or(self.texts.len() as u32);
        if number as usize == self.texts.len() {
            self.texts.push(text.into());
        } else {
            self.texts[number as usize] = text.into();
        }
        let (texts, hasher) = (&self.texts, &self.hasher);
        self.numbers.insert_unique(hash, number, |&number| hasher.hash_one(&*texts[number as usize]));
        number
    }

    fn text(&self, number: u32) -> &Arc<str> {
        &self.texts[number as usize]
    }

    /// The labels, their texts shared.
    pub(super) fn labels(&self, of: &Symbolic) -> Labels {
        of.0.iter().map(|&(name, value)| (self.text(name).clone(), self.text(value).clone())).collect()
    }

    /// The pairs in the order of names.
    pub(super) fn pairs<'a>(&'a self, of: &'a Symbolic) -> impl ExactSizeIterator<Item = (&'a str, &'a str)> {
        of.0.iter().map(|&(name, value)| (&**self.text(name), &**self.text(value)))
    }

    /// The value of a label; empty when it is absent.
    pub(super) fn get<'a>(&'a self, of: &'a Symbolic, name: &str) -> &'a str {
        self.pairs(of).find(|(have, _)| *have == name).map_or("", |(_, value)| value)
    }

    /// Forgets the texts that none of these has.
    pub(super) fn keep<'a>(&mut self, used: impl Iterator<Item = &'a Symbolic>) {
        let mut is_used = vec![false; self.texts.len()];
        used.flat_map(|labels| &labels.0).for_each(|&(name, value)| {
            is_used[name as usize] = true;
            is_used[value as usize] = true;
        });
        let (texts, free) = (&mut self.texts, &mut self.free);
        self.numbers.retain(|&mut number| {
            let is_used = is_used[number as usize];
            if !is_used {
                texts[number as usize] = Arc::default();
                free.push(number);
            }
            is_used
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_back_as_they_are_made_elsewhere() {
        let mut symbols = Symbols::default();
        for pairs in [
            &[][..],
            &[("__name__", "hits"), ("host", "a"), ("region", "hits")],
            &[("b", "1"), ("a", "2"), ("b", "3"), ("c", "")],
            &[("b", "1"), ("b", ""), ("a", "a")],
        ] {
            let labels = Labels::new(pairs.iter().copied());
            let interned = symbols.intern(pairs.iter().copied());
            assert_eq!(symbols.labels(&interned), labels);
            for name in ["a", "b", "c", "__name__"] {
                assert_eq!(symbols.get(&interned, name), labels.get(name), "{name} of {labels}");
            }
        }
    }

    #[test]
    fn a_text_is_kept_once_and_forgotten_with_its_last_series() {
        let mut symbols = Symbols::default();
        let kept = symbols.intern([("host", "a"), ("zone", "a")].into_iter());
        let gone = symbols.intern([("host", "b"), ("rack", "a")].into_iter());
        assert_eq!(symbols.texts.len(), 5);
        let labels = symbols.labels(&gone);
        drop(gone);
        symbols.keep([&kept].into_iter());
        let new = symbols.intern([("host", "c"), ("shelf", "a")].into_iter());
        assert_eq!((symbols.texts.len(), symbols.numbers.len()), (5, 5));
        assert_eq!(symbols.labels(&kept).to_string(), r#"{host="a", zone="a"}"#);
        assert_eq!(symbols.labels(&new).to_string(), r#"{host="c", shelf="a"}"#);
        assert_eq!(labels.to_string(), r#"{host="b", rack="a"}"#);
    }
}
