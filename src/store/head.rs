//! What the store holds in memory: every known series, the samples of this hour and the one before, and
//! what is not yet on disk.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use super::glance::Glance;
use super::index::Index;
use super::journal::{Note, read_note};
use super::names::Names;
use super::queue::Queue;
use super::role::{Number, Role};
use super::shelf::{Known, LIVE, Shelf};
use super::symbols::Symbolic;
use super::timeline::Timeline;
use super::tracks::Track;
use crate::model::labels::NAME;
use crate::model::{ExpHist, Family, Kind, Series, TimeRange};

/// Roles whose series come with windows.
pub(super) const WINDOWED: [Role; 4] = [Role::Counter, Role::Gauge, Role::Set, Role::Sketch];

/// What summaries look back on, and a little more.
pub(super) const WARM_MS: i64 = 12 * 60_000;

/// Registry slots remembered; beyond them a series is found by its identity.
const SLOTS: usize = 1 << 24;

/// Known series there may be for each live one, and at least.
const KNOWN_PER_LIVE: usize = 4;
const KNOWN_AT_LEAST: usize = 400_000;

/// The memory side of the store.
#[derive(Debug)]
pub(super) struct Head {
    /// Milliseconds.
    pub(super) interval: i64,
    pub(super) names: Names,
    pub(super) index: Index,
    pub(super) shelves: [Shelf; Role::ALL.len()],
    /// Times of windows.
    pub(super) windows: Timeline,
    /// Times of recorded samples.
    pub(super) recorded: Timeline,
    /// End of the last window appended.
    pub(super) last_window: Option<i64>,
    /// The next frame must say where every running total stands.
    pub(super) checkpoint_due: bool,
    pub(super) queue: Queue,
    /// Series without a sample of late that may be known.
    pub(super) dead_max: usize,
    /// Series that left or returned since the last commit.
    pub(super) moved: BTreeSet<Number>,
    /// Series forgotten since the last commit.
    pub(super) forgotten: Vec<Number>,
    pub(super) rows: HashMap<usize, (Arc<Family>, Arc<[u32]>)>,
    slots: Vec<u32>,
    pub(super) scratch: [Scratch; WINDOWED.len()],
    pub(super) serial: u32,
    /// Series that found no number, and so are not kept, since it was last asked.
    pub(super) homeless: u64,
    pub(super) suffix_counters: bool,
    /// Without a file: which families are kept.
    pub(super) glance: Option<Arc<Glance>>,
    /// Ends of windows that were damaged when they were read back.
    pub(super) damaged: BTreeSet<i64>,
}

/// A window's values by place on the shelf.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The serial of the last window each place was in.
    pub(super) mark: Vec<u32>,
    pub(super) value: Vec<f64>,
    /// Where in `spelled` the window of each timer is.
    pub(super) sketch: Vec<Range<usize>>,
    pub(super) spelled: Vec<u8>,
    /// Places whose standing must be written, and those whose count and sum must.
    pub(super) standing: Vec<u32>,
    pub(super) exact: Vec<u32>,
}

impl Head {
    pub(super) fn new(interval: i64) -> Head {
        Head {
            interval,
            names: Names::default(),
            index: Index::default(),
            shelves: Role::ALL.map(Shelf::new),
            windows: Timeline::default(),
            recorded: Timeline::default(),
            last_window: None,
            checkpoint_due: false,
            queue: Queue::default(),
            dead_max: usize::MAX,
            moved: BTreeSet::new(),
            forgotten: Vec::new(),
            rows: HashMap::new(),
            slots: Vec::new(),
            scratch: Default::default(),
            // Beyond every mark plus one: in the first window nobody was in the one before.
            serial: 1,
            homeless: 0,
            suffix_counters: false,
            glance: None,
            damaged: BTreeSet::new(),
        }
    }

    pub(super) fn shelf(&self, role: Role) -> &Shelf {
        &self.shelves[role as usize]
    }

    pub(super) fn shelf_mut(&mut self, role: Role) -> &mut Shelf {
        &mut self.shelves[role as usize]
    }

    pub(super) fn get(&self, number: Number) -> Option<&Known> {
        self.shelf(number.role()?).get(number)
    }

    /// What is in memory of a series.
    pub(super) fn track(&self, number: Number) -> Option<Track> {
        let shelf = self.shelf(number.role()?);
        shelf.find(number).map(|place| shelf.tracks.track(place))
    }

    /// All that a timer, histogram or distribution ever received.
    pub(super) fn ever(&self, number: Number) -> Option<&ExpHist> {
        let shelf = self.shelf(number.role()?);
        shelf.find(number).and_then(|place| shelf.tracks.ever(place))
    }

    /// Opens the hour of `at` for windows, when it is a later one.
    pub(super) fn turn_windows(&mut self, at: i64) -> bool {
        let turned = self.windows.turn(at);
        if turned {
            WINDOWED.into_iter().for_each(|role| self.shelf_mut(role).tracks.turn());
        }
        turned
    }

    /// The same for recorded samples.
    pub(super) fn turn_recorded(&mut self, at: i64) {
        if self.recorded.turn(at) {
            self.shelf_mut(Role::Recorded).tracks.turn();
        }
    }

    /// Lets go of the hour before the open one, when summaries no longer look there and the file has it all.
    pub(super) fn let_go(&mut self, at: i64) {
        let waits_since = self.queue.iter().map(|pending| pending.at).min().unwrap_or(at);
        let through = at.min(waits_since);
        if self.windows.let_go(through, WARM_MS) {
            WINDOWED.into_iter().for_each(|role| self.shelf_mut(role).tracks.let_go());
        }
        if self.recorded.let_go(through, WARM_MS) {
            self.shelf_mut(Role::Recorded).tracks.let_go();
        }
    }

    /// Whether samples of a family are kept at all.
    pub(super) fn keeps(&self, kind: Kind, prom_name: &str) -> bool {
        self.glance.as_ref().is_none_or(|glance| glance.keeps(kind, prom_name))
    }

    /// Where the series of a family stand on their shelf, if it is kept. New ones are put there.
    pub(super) fn places(&mut self, family: &Family, start: i64) -> Arc<[u32]> {
        if !self.keeps(family.kind, &family.prom_name) {
            return Arc::default();
        }
        let name = match self.names.get(family.kind, &family.name) {
            Some(name) => {
                self.rename(name, family.kind, &family.prom_name);
                name
            }
            None => self.names.add(family.kind, &family.name, &family.prom_name),
        };
        self.names.present(family);
        family.series.iter().map(|series| self.place(Role::of(family.kind), name, series, start, LIVE)).collect()
    }

    /// Shows the series of a name under another Prometheus name from now on, old samples too.
    fn rename(&mut self, name: u64, kind: Kind, prom_name: &str) {
        if !self.names.rename(name, prom_name) {
            return;
        }
        let roles: &[Role] = if kind == Kind::Counter { &[Role::Counter, Role::Stamped] } else { &[Role::of(kind)] };
        for &role in roles {
            let shelf = &mut self.shelves[role as usize];
            let mut of_name: Vec<_> = shelf.numbers.iter().zip(&mut shelf.known).filter(|(_, known)| known.name == name).collect();
            let Some((_, first)) = of_name.first() else { continue };
            let numbers: HashSet<Number> = of_name.iter().map(|(number, _)| **number).collect();
            let before = self.index.symbols.get(&first.labels, NAME).to_string();
            self.index.unlist(&before, &numbers);
            for (number, known) in &mut of_name {
                if let Some(series) = &known.series {
                    known.labels = self.index.derive(role, prom_name, series.tags());
                    self.index.list(**number, &known.labels);
                }
            }
        }
    }

    fn place(&mut self, role: Role, name: u64, series: &Series, start: i64, left: i64) -> u32 {
        let slot = series.slot() as usize;
        if let Some(&place) = self.slots.get(slot) {
            let known = self.shelf(role).known.get(place as usize);
            if known.and_then(|known| known.series.as_ref()).is_some_and(|have| have.same(series)) {
                return place;
            }
        }
        let place = match self.find(role, name, series.tags()) {
            Some(place) => {
                self.shelf_mut(role).known[place].series = Some(series.clone());
                place as u32
            }
            None => self.birth(role, name, series, start, left),
        };
        if left == LIVE && slot < SLOTS {
            if self.slots.len() <= slot {
                self.slots.resize(slot + 1, u32::MAX);
            }
            self.slots[slot] = place;
        }
        place
    }

    /// Where the series with this identity stands.
    pub(super) fn find<'a>(&self, role: Role, name: u64, tags: impl Iterator<Item = &'a str> + Clone) -> Option<usize> {
        let shelf = self.shelf(role);
        let hash = self.index.hash(role, name, tags.clone());
        let number = self.index.find(hash, |number| {
            number.role() == Some(role)
                && shelf
                    .get(number)
                    .is_some_and(|known| known.name == name && known.series.as_ref().is_some_and(|series| series.tags().eq(tags.clone())))
        })?;
        shelf.find(number)
    }

    pub(super) fn birth(&mut self, role: Role, name: u64, series: &Series, start: i64, left: i64) -> u32 {
        let Some(number) = self.shelf(role).next_number() else {
            self.homeless += 1;
            return u32::MAX;
        };
        let known =
            Known { series: Some(series.clone()), labels: Symbolic::default(), name, created: start, touched: start, left, value: 0.0 };
        self.admit(number, known).unwrap_or(u32::MAX)
    }

    /// Puts a series as received on its shelf and into the index.
    pub(super) fn admit(&mut self, number: Number, mut known: Known) -> Option<u32> {
        let (role, series) = (number.role()?, known.series.clone()?);
        let prom_name = self.names.at(known.name)?.prom_name.clone();
        known.labels = self.index.derive(role, &prom_name, series.tags());
        let hash = self.index.hash(role, known.name, series.tags());
        if known.left != LIVE {
            self.moved.insert(number);
        }
        let shelf = &mut self.shelves[role as usize];
        let place = shelf.add(number, known)?;
        self.index.insert(hash, number, &shelf.known[place].labels);
        u32::try_from(place).ok()
    }

    /// Notes of the range that a view of the file up to `committed` lacks, the newest first.
    pub(super) fn waiting_notes(&self, range: TimeRange, committed: Option<i64>) -> Vec<(i64, Note)> {
        let pending = self.queue.iter().filter(|pending| committed.is_none_or(|committed| pending.at > committed));
        let all = pending.flat_map(|pending| &pending.notes).filter(|(at, _)| range.start < *at && *at <= range.end);
        let mut notes: Vec<(i64, Note)> = all.filter_map(|(at, note)| read_note(note).map(|note| (*at, note))).collect();
        notes.reverse();
        notes
    }

    /// The series as received with this identity, in the role its samples in windows have: its shelf and place.
    pub(super) fn known(&self, kind: Kind, name: &str, tags: &[&str]) -> Option<(&Shelf, usize)> {
        let role = Role::of(kind);
        let place = self.find(role, self.names.get(kind, name)?, tags.iter().copied())?;
        Some((self.shelf(role), place))
    }

    /// What a file that knows nothing must be told with the next commit, beside series.
    pub(super) fn write_all_anew(&mut self) {
        self.checkpoint_due = true;
        self.names.unsaved = self.names.iter().map(|(index, _)| index).collect();
        self.moved = self.shelves.iter().flat_map(|shelf| &shelf.numbers).copied().collect();
    }

    /// Forgets the longest dead while there are too many.
    pub(super) fn bound_known(&mut self) {
        let known: usize = self.shelves.iter().map(|shelf| shelf.known.len()).sum();
        let live: usize = self.shelves.iter().map(|shelf| shelf.live()).sum();
        let most = (live * KNOWN_PER_LIVE).max(KNOWN_AT_LEAST).min(live.saturating_add(self.dead_max));
        if known > most {
            // A tenth more than needed, so that it is not done again at once.
            self.forget(known - most + most / 10);
        }
    }

    /// Forgets up to `n` dead series, the longest dead first.
    pub(super) fn forget(&mut self, n: usize) {
        let all = self.shelves.iter().flat_map(|shelf| shelf.numbers.iter().zip(&shelf.known));
        let mut dead: Vec<(i64, Number)> = all.filter(|(_, known)| !known.is_live()).map(|(number, known)| (known.left, *number)).collect();
        dead.sort_unstable();
        dead.truncate(n);
        let dead: HashSet<Number> = dead.into_iter().map(|(_, number)| number).collect();
        self.shelves.iter_mut().for_each(|shelf| shelf.retain(|number| !dead.contains(&number)));
        self.index.forget(&dead);
        self.index.symbols.keep(self.shelves.iter().flat_map(|shelf| &shelf.known).map(|known| &known.labels));
        let used =
            self.shelves.iter().filter(|shelf| shelf.role != Role::Recorded).flat_map(|shelf| shelf.known.iter().map(|known| known.name));
        self.names.forget_unused(&used.collect());
        self.moved.retain(|number| !dead.contains(number));
        self.forgotten.extend(dead);
        // Places have moved.
        self.rows.clear();
        self.slots.clear();
        self.scratch = Default::default();
    }
}

impl Scratch {
    pub(super) fn grow(&mut self, len: usize, role: Role) {
        if self.mark.len() < len {
            self.mark.resize(len, 0);
            match role {
                Role::Sketch => self.sketch.resize(len, 0..0),
                _ => self.value.resize(len, 0.0),
            }
        }
    }
}
