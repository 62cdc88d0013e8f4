//! Which series a lane holds, under which spellings, and how it makes room for one that it meets.

use hashbrown::HashTable;

use super::entry::{Entry, idle_value};
use super::line::members;
use super::{Lane, Line};
use crate::aggregate::keys::OtherSpelling;
use crate::aggregate::{Registry, Resolved};
use crate::model::Series;
use crate::model::series::Spelling;
use crate::parse::ToleratedSet;

/// Entries a table holds before it is handed over whole: small enough to stay in the cache.
const TABLE_MAX: usize = 57_344;
/// Bytes of further spellings a lane owns, and the longest it owns.
const FURTHER_BYTES: usize = 8 << 20;
const FURTHER_LONGEST: usize = 4_096;
/// Of these in one window, those that a limit refused a series of their own: a flood of new ones is not held.
const OVERFLOWING_MAX: usize = 4_096;

/// Where an entry lies.
pub(super) enum At {
    Own(usize),
    Further(usize),
}

impl Lane {
    /// Where the line's series lies in the table, ready to be added to.
    pub(super) fn find(&mut self, line: &Line<'_>) -> Option<usize> {
        let at = self.table.find_bucket_index(line.hash, |entry| entry.is_of(line))?;
        let entry = self.table.get_bucket_mut(at)?;
        if entry.stamp != 0 || entry.series.meet(self.window) {
            return Some(at);
        }
        // The series has left since this lane last met it.
        if let Ok(gone) = self.table.find_entry(line.hash, |entry| entry.is_of(line)) {
            gone.remove();
        }
        None
    }

    /// Finds a line that is not in the table: under a further spelling, else by the registry, and makes room for it.
    ///
    /// For a line whose spelling is not held also gives its scale, which is not that of the entry.
    #[cold]
    pub(super) fn admit(&mut self, registry: &Registry, line: &Line<'_>) -> Option<(At, Option<f64>)> {
        if let Some(at) = self.find_further(line) {
            return Some((At::Further(at), None));
        }
        loop {
            let route = registry.resolve(&line.spelling);
            let held = match route.resolved {
                Resolved::Series(series) if series.spelling() == line.spelling => {
                    self.hold(registry, series, route.scale, route.tolerated).map(|at| (At::Own(at), None))
                }
                // One that is too long to be held asks each time.
                Resolved::Series(series) if !is_short(&line.spelling) => {
                    self.counts.tolerate(route.tolerated);
                    self.hold_for_another(registry, series).map(|at| (At::Own(at), Some(route.scale)))
                }
                Resolved::Series(series) => {
                    self.hold_further(registry, series, line, (route.scale, route.tolerated)).map(|at| (At::Further(at), None))
                }
                Resolved::Overflow(series, limit) if self.overflowing < OVERFLOWING_MAX && is_short(&line.spelling) => {
                    let held = self.hold_further(registry, series, line, (route.scale, route.tolerated));
                    if let Some((_, entry)) = held.and_then(|at| self.further.get_bucket_mut(at)) {
                        entry.limited = Some(limit);
                        self.overflowing += 1;
                        self.counts.limited[limit as usize] += members(line.values);
                    }
                    held.map(|at| (At::Further(at), None))
                }
                Resolved::Overflow(series, limit) => {
                    self.counts.limited[limit as usize] += members(line.values);
                    self.counts.tolerate(route.tolerated);
                    self.hold_for_another(registry, series).map(|at| (At::Own(at), Some(route.scale)))
                }
                Resolved::Shed(limit) => {
                    self.count_shed(limit, members(line.values));
                    return None;
                }
                Resolved::Dropped(reason) => {
                    self.counts.dropped[reason as usize] += 1;
                    return None;
                }
            };
            if held.is_some() {
                return held;
            }
        }
    }

    /// Where the line's spelling lies among the further ones, ready to be added to.
    fn find_further(&mut self, line: &Line<'_>) -> Option<usize> {
        let same = |(spelling, entry): &(OtherSpelling, Entry)| {
            entry.hash == line.hash as u32 && spelling.of_kind(entry.series.kind()) == line.spelling
        };
        let at = self.further.find_bucket_index(line.hash, same)?;
        let (_, entry) = self.further.get_bucket_mut(at)?;
        if entry.stamp != 0 {
            if let Some(limit) = entry.limited {
                self.counts.limited[limit as usize] += members(line.values);
            }
            return Some(at);
        }
        // There may be room by now for what was refused.
        if entry.limited.is_none() && entry.series.meet(self.window) {
            return Some(at);
        }
        if let Ok(gone) = self.further.find_entry(line.hash, same) {
            gone.remove();
        }
        None
    }

    /// A place for a series under a spelling that is not in the table. `None`: it has just left.
    fn hold_further(&mut self, registry: &Registry, series: Series, line: &Line<'_>, of: (f64, ToleratedSet)) -> Option<usize> {
        if !series.meet(self.window) {
            return None;
        }
        let bytes = line.spelling.name.len() + line.spelling.tags.len();
        if self.further.len() >= TABLE_MAX || self.further_bytes + bytes > FURTHER_BYTES {
            let handed = self.take();
            self.hand_over(handed);
            self.further = HashTable::new();
            self.further_bytes = 0;
        }
        self.further_bytes += bytes;
        let entry = self.entry(series, line.hash, of.0, of.1);
        let rehash = |(spelling, entry): &(OtherSpelling, Entry)| registry.hash(&spelling.of_kind(entry.series.kind()));
        let placed = self.further.insert_unique(line.hash, (OtherSpelling::new(&line.spelling), entry), rehash);
        Some(placed.bucket_index())
    }

    /// The place of a series for a line of another spelling: lines of its own will find it as theirs.
    fn hold_for_another(&mut self, registry: &Registry, series: Series) -> Option<usize> {
        let (scale, tags) = registry.of_own_lines(&series);
        self.hold(registry, series, scale, tags)
    }

    /// The place of a series in the table, by the spelling it was born with. `None`: it has just left.
    fn hold(&mut self, registry: &Registry, series: Series, scale: f64, tags: ToleratedSet) -> Option<usize> {
        let hash = registry.hash(&series.spelling());
        let same = |entry: &Entry| entry.hash == hash as u32 && entry.series.spelling() == series.spelling();
        if let Some(at) = self.table.find_bucket_index(hash, same) {
            let entry = self.table.get_bucket_mut(at)?;
            if entry.stamp != 0 || entry.series.meet(self.window) {
                return Some(at);
            }
            if let Ok(gone) = self.table.find_entry(hash, same) {
                gone.remove();
            }
        }
        if !series.meet(self.window) {
            return None;
        }
        if self.table.len() >= TABLE_MAX {
            self.start_over();
        }
        let entry = self.entry(series, hash, scale, tags);
        let placed = self.table.insert_unique(hash, entry, |entry| registry.hash(&entry.series.spelling()));
        Some(placed.bucket_index())
    }

    fn entry(&mut self, series: Series, hash: u64, scale: f64, tags: ToleratedSet) -> Entry {
        if self.scales.len() >= usize::from(u16::MAX) {
            self.start_over();
        }
        let scale = self.scales.iter().position(|&have| have == scale).unwrap_or_else(|| {
            self.scales.push(scale);
            self.scales.len() - 1
        });
        Entry { value: idle_value(series.kind()), stamp: 0, hash: hash as u32, scale: scale as u16, tags, limited: None, series }
    }

    /// Hands over what was gained and forgets every series.
    fn start_over(&mut self) {
        let handed = self.take();
        self.hand_over(handed);
        self.forget();
    }

    /// Forgets every series; what they gained was taken.
    pub(super) fn forget(&mut self) {
        self.table = HashTable::new();
        self.further = HashTable::new();
        (self.further_bytes, self.departed) = (0, 0);
        self.scales.truncate(1);
    }
}

/// Whether a spelling may be held.
fn is_short(spelling: &Spelling<'_>) -> bool {
    spelling.name.len() + spelling.tags.len() <= FURTHER_LONGEST
}
