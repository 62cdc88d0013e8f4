//! What the store holds in memory: every known series, the samples of this hour and the one before, and
//! what is not yet on disk.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::frame::{FrameWriter, What};
use super::index::{Index, Names};
use super::journal::{put_check, put_event};
use super::queue::{OwnTime, Pending, Queue};
use super::role::{Number, Role};
use super::shelf::{Known, LIVE, Shelf, Track, total_after};
use super::timeline::Timeline;
use crate::model::{Column, ExpHist, Family, Kind, Labels, Recorded, Series, Sketches, Stamped, Window};

/// Roles whose series come with windows.
pub(super) const WINDOWED: [Role; 4] = [Role::Counter, Role::Gauge, Role::Set, Role::Sketch];

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
    /// Series that left or returned since the last commit.
    pub(super) moved: BTreeSet<Number>,
    /// Series forgotten since the last commit.
    pub(super) forgotten: Vec<Number>,
    rows: HashMap<usize, (Arc<Family>, Arc<[u32]>)>,
    slots: Vec<u32>,
    scratch: [Scratch; WINDOWED.len()],
    serial: u32,
}

/// A window's values by place on the shelf.
#[derive(Debug, Default)]
struct Scratch {
    /// The serial of the last window each place was in.
    mark: Vec<u32>,
    value: Vec<f64>,
    sketch: Vec<Option<Arc<Sketches>>>,
    seen: usize,
    /// Places whose standing must be written, and those whose count and sum must.
    standing: Vec<u32>,
    exact: Vec<u32>,
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
            moved: BTreeSet::new(),
            forgotten: Vec::new(),
            rows: HashMap::new(),
            slots: Vec::new(),
            scratch: Default::default(),
            // Beyond every mark plus one: in the first window nobody was in the one before.
            serial: 1,
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

    /// Takes a window in: into memory, and into the queue for the disk.
    pub(super) fn append(&mut self, window: &Window) -> Taken {
        if self.last_window.is_some_and(|last| window.end <= last) {
            return Taken::Late;
        }
        let turned = self.turn_windows(window.end);
        let Some(slot) = self.windows.slot(window.end) else { return Taken::Late };
        self.last_window = Some(window.end);
        self.serial = self.serial.wrapping_add(1);
        self.take_rows(window, slot);
        let mut frame = FrameWriter::new(window.length.as_millis() as u64);
        self.write_ends(&mut frame, slot, window.end);
        let checkpoint = turned || self.checkpoint_due;
        self.write_standings(&mut frame, checkpoint);
        self.write_samples(&mut frame);
        self.record_into(&mut frame, window.end, &window.own);
        let stamped = window.stamped.iter().filter_map(|stamped| self.stamp(stamped, window)).collect();
        let pending = Pending { at: window.end, is_window: true, parts: frame.finish(), stamped, notes: notes(window) };
        self.bound_known();
        // A frame that is not kept breaks the chain of gains: the next one starts it anew.
        self.checkpoint_due = !self.queue.push(pending);
        if self.checkpoint_due { Taken::Lost } else { Taken::Queued }
    }

    /// Takes samples with labels of their own; answers how many were too late for their series.
    pub(super) fn record(&mut self, at: i64, samples: &[Recorded]) -> (usize, bool) {
        let mut frame = FrameWriter::new(self.interval as u64);
        let late = self.record_into(&mut frame, at, samples);
        let queued = self.queue.push(Pending { at, parts: frame.finish(), ..Pending::default() });
        (late, queued)
    }

    /// Opens the hour of `at` for windows, when it is a later one.
    pub(super) fn turn_windows(&mut self, at: i64) -> bool {
        let turned = self.windows.turn(at);
        if turned {
            WINDOWED.into_iter().for_each(|role| self.shelf_mut(role).turn());
        }
        turned
    }

    /// The same for recorded samples.
    pub(super) fn turn_recorded(&mut self, at: i64) {
        if self.recorded.turn(at) {
            self.shelf_mut(Role::Recorded).turn();
        }
    }

    fn take_rows(&mut self, window: &Window, slot: u16) {
        let mut rows = HashMap::with_capacity(window.roster.len());
        for (family, column) in window.roster.iter().zip(&window.columns) {
            let key = Arc::as_ptr(family) as usize;
            let (held, places) = match self.rows.remove(&key) {
                Some(known) => known,
                None => (family.clone(), self.places(family, window.start())),
            };
            self.take_column(&places, column, slot, window);
            rows.insert(key, (held, places));
        }
        self.rows = rows;
    }

    /// Where the series of a family stand on their shelf. New ones are put there.
    fn places(&mut self, family: &Family, start: i64) -> Arc<[u32]> {
        let name = self.names.add(family.kind, &family.name, &family.prom_name);
        family.series.iter().map(|series| self.place(Role::of(family.kind), name, series, start, LIVE)).collect()
    }

    fn place(&mut self, role: Role, name: u32, series: &Series, start: i64, left: i64) -> u32 {
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
        if left == LIVE {
            if self.slots.len() <= slot {
                self.slots.resize(slot + 1, u32::MAX);
            }
            self.slots[slot] = place;
        }
        place
    }

    /// Where the series with this identity stands.
    pub(super) fn find<'a>(&self, role: Role, name: u32, tags: impl Iterator<Item = &'a str> + Clone) -> Option<usize> {
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

    fn birth(&mut self, role: Role, name: u32, series: &Series, start: i64, left: i64) -> u32 {
        let Some(number) = self.shelf(role).next_number() else { return u32::MAX };
        let known = Known {
            series: Some(series.clone()),
            labels: Labels::default(),
            name,
            created: start,
            touched: start,
            left,
            value: 0.0,
            track: Track::new(role),
        };
        self.admit(number, known).unwrap_or(u32::MAX)
    }

    /// Puts a series as received on its shelf and into the index.
    pub(super) fn admit(&mut self, number: Number, mut known: Known) -> Option<u32> {
        let (role, series) = (number.role()?, known.series.clone()?);
        let prom_name = self.names.all.get(known.name as usize)?.prom_name.clone();
        known.labels = self.index.derive(role, &prom_name, series.tags());
        let hash = self.index.hash(role, known.name, series.tags());
        let labels = known.labels.clone();
        if known.left != LIVE {
            self.moved.insert(number);
        }
        let place = self.shelf_mut(role).add(number, known)?;
        self.index.insert(hash, number, &labels);
        u32::try_from(place).ok()
    }

    fn take_column(&mut self, places: &[u32], column: &Column, slot: u16, window: &Window) {
        let (role, ages) = match column {
            Column::Counter { age, .. } => (Role::Counter, age),
            Column::Gauge { age, .. } => (Role::Gauge, age),
            Column::Set { age, .. } => (Role::Set, age),
            Column::Timer { age, .. } => (Role::Sketch, age),
        };
        let (shelf, scratch) = (&mut self.shelves[role as usize], &mut self.scratch[role as usize]);
        scratch.grow(shelf.known.len(), role);
        let serial = self.serial;
        for (row, &place) in places.iter().enumerate() {
            let place = place as usize;
            let (Some(&age), true) = (ages.get(row), place < shelf.known.len()) else { continue };
            let mark = std::mem::replace(&mut scratch.mark[place], serial);
            scratch.seen += usize::from(mark != serial);
            // Whoever reads the gains must know what they are added to.
            let new = mark != serial.wrapping_sub(1);
            if shelf.revive(place) {
                self.moved.insert(shelf.numbers[place]);
            }
            let known = &mut shelf.known[place];
            known.touched = window.end - i64::from(age) * self.interval;
            match column {
                Column::Counter { gain, total, .. } => {
                    let odd = total_after(known.value, gain[row]).to_bits() != total[row].to_bits();
                    scratch.value[place] = gain[row];
                    known.push(slot, total[row]);
                    if odd || new {
                        scratch.standing.push(place as u32);
                    }
                }
                Column::Gauge { value, .. } | Column::Set { count: value, .. } => {
                    scratch.value[place] = value[row];
                    known.push(slot, value[row]);
                }
                Column::Timer { count, sum, window, .. } => {
                    if let Track::Sketches(sketched) = &mut known.track {
                        let received = window[row].as_ref().map(|sketches| &sketches.exp);
                        let (anew, odd) = sketched.push(slot, received, count[row], sum[row]);
                        if anew || new {
                            scratch.standing.push(place as u32);
                        } else if odd {
                            scratch.exact.push(place as u32);
                        }
                    }
                    scratch.sketch[place] = window[row].clone();
                }
            }
        }
    }

    /// Series that were live and are not in this window have left.
    fn write_ends(&mut self, frame: &mut FrameWriter, slot: u16, at: i64) {
        for role in WINDOWED {
            let (shelf, scratch) = (&mut self.shelves[role as usize], &mut self.scratch[role as usize]);
            scratch.grow(shelf.known.len(), role);
            if scratch.seen < shelf.live {
                let mut ended = Vec::new();
                for place in 0..shelf.known.len() {
                    if scratch.mark[place] != self.serial && shelf.end(place, slot, at) {
                        ended.push(shelf.numbers[place].sequence());
                        self.moved.insert(shelf.numbers[place]);
                    }
                }
                frame.ends(role, &ended);
            }
            scratch.seen = 0;
        }
    }

    /// Where totals stand: of all at a checkpoint, else of those that gains do not lead to.
    fn write_standings(&mut self, frame: &mut FrameWriter, checkpoint: bool) {
        for role in [Role::Counter, Role::Sketch] {
            let (shelf, scratch) = (&self.shelves[role as usize], &mut self.scratch[role as usize]);
            if checkpoint {
                let here = |place: &u32| scratch.mark[*place as usize] == self.serial;
                scratch.standing = (0..shelf.known.len() as u32).filter(here).collect();
                scratch.exact.clear();
            }
            scratch.standing.sort_unstable();
            scratch.exact.sort_unstable();
            shelf.write_standings(frame, &scratch.standing, &scratch.exact);
            scratch.standing.clear();
            scratch.exact.clear();
        }
        if checkpoint {
            self.write_ages(frame);
        }
    }

    /// For how many windows each live series has received nothing.
    pub(super) fn write_ages(&self, frame: &mut FrameWriter) {
        for role in WINDOWED {
            let shelf = self.shelf(role);
            let live = shelf.numbers.iter().zip(&shelf.known).filter(|(_, known)| known.is_live());
            let (ids, ages): (Vec<u32>, Vec<f64>) = live.map(|(number, known)| (number.sequence(), f64::from(self.age(known)))).unzip();
            frame.floats(What::Age, role, &ids, &ages);
        }
    }

    /// Windows since the series received something.
    pub(super) fn age(&self, known: &Known) -> u16 {
        let since = self.last_window.unwrap_or(known.touched) - known.touched;
        u16::try_from(since / self.interval.max(1)).unwrap_or(u16::MAX)
    }

    fn write_samples(&mut self, frame: &mut FrameWriter) {
        for role in WINDOWED {
            let (shelf, scratch) = (&self.shelves[role as usize], &mut self.scratch[role as usize]);
            let marks = &scratch.mark;
            let here = || (0..shelf.known.len()).filter(|&place| marks[place] == self.serial);
            if role == Role::Sketch {
                let sketches = &scratch.sketch;
                let rows = here().map(|place| (shelf.numbers[place].sequence(), sketches[place].as_ref().map(|sketches| &sketches.exp)));
                frame.sketches(What::Sample, rows);
                scratch.sketch.iter_mut().for_each(|sketch| *sketch = None);
            } else {
                let (ids, values): (Vec<u32>, Vec<f64>) =
                    here().map(|place| (shelf.numbers[place].sequence(), scratch.value[place])).unzip();
                frame.floats(What::Sample, role, &ids, &values);
            }
        }
    }

    fn record_into(&mut self, frame: &mut FrameWriter, at: i64, samples: &[Recorded]) -> usize {
        self.turn_recorded(at);
        let Some(slot) = self.recorded.slot(at) else { return samples.len() };
        let (mut values, mut ends, mut late) = (Vec::new(), Vec::new(), 0);
        for sample in samples {
            let Some(place) = self.recorded_place(&sample.labels, at) else { continue };
            let shelf = self.shelf_mut(Role::Recorded);
            let sequence = shelf.numbers[place].sequence();
            let taken = match sample.value {
                Some(value) => {
                    let returned = shelf.revive(place);
                    shelf.known[place].touched = at;
                    let taken = shelf.known[place].push(slot, value);
                    values.push((sequence, value));
                    if returned {
                        self.moved.insert(Number::new(Role::Recorded, sequence));
                    }
                    taken
                }
                None => {
                    let taken = shelf.end(place, slot, at);
                    ends.push(sequence);
                    self.moved.insert(Number::new(Role::Recorded, sequence));
                    taken
                }
            };
            late += usize::from(!taken);
        }
        values.sort_unstable_by_key(|&(id, _)| id);
        values.dedup_by_key(|&mut (id, _)| id);
        ends.sort_unstable();
        ends.dedup();
        let (ids, values): (Vec<u32>, Vec<f64>) = values.into_iter().unzip();
        frame.ends(Role::Recorded, &ends);
        frame.floats(What::Sample, Role::Recorded, &ids, &values);
        late
    }

    fn recorded_place(&mut self, labels: &Labels, at: i64) -> Option<usize> {
        if let Some(number) = self.index.find_recorded(labels) {
            return self.shelf(Role::Recorded).find(number);
        }
        let number = self.shelf(Role::Recorded).next_number()?;
        // Its life is open on the left, as a window's is.
        self.admit_recorded(number, labels, at - 1, LIVE)
    }

    /// Puts a recorded series on its shelf and into the index.
    pub(super) fn admit_recorded(&mut self, number: Number, labels: &Labels, created: i64, left: i64) -> Option<usize> {
        let labels = self.index.insert_recorded(number, labels);
        let track = Track::new(Role::Recorded);
        let known = Known { series: None, labels, name: 0, created, touched: created, left, value: f64::NAN, track };
        self.shelf_mut(Role::Recorded).add(number, known)
    }

    fn stamp(&mut self, stamped: &Stamped, window: &Window) -> Option<OwnTime> {
        let series = &stamped.series;
        let role = if series.kind() == Kind::Counter { Role::Stamped } else { Role::Gauge };
        let name = match self.names.get(series.kind(), series.name()) {
            Some(name) => name,
            None => {
                let family = window.roster.iter().find(|family| family.kind == series.kind() && *family.name == *series.name());
                let plain = crate::model::labels::metric_name(series.name());
                let prom_name = family.map_or(plain.as_str(), |family| &family.prom_name);
                self.names.add(series.kind(), series.name(), prom_name)
            }
        };
        let place = match self.find(role, name, series.tags()) {
            Some(place) => place,
            None => self.birth(role, name, series, window.start(), window.end) as usize,
        };
        let number = *self.shelf(role).numbers.get(place)?;
        Some(OwnTime { at: stamped.at, number, value: stamped.value })
    }

    /// Forgets the longest dead while there are too many.
    fn bound_known(&mut self) {
        let known: usize = self.shelves.iter().map(|shelf| shelf.known.len()).sum();
        let live: usize = self.shelves.iter().map(|shelf| shelf.live).sum();
        let most = (live * KNOWN_PER_LIVE).max(KNOWN_AT_LEAST);
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
        for shelf in &mut self.shelves {
            let mut kept = shelf.numbers.iter().map(|number| !dead.contains(number));
            shelf.known.retain(|_| kept.next().unwrap_or(true));
            shelf.numbers.retain(|number| !dead.contains(number));
        }
        self.index.forget(&dead);
        self.moved.retain(|number| !dead.contains(number));
        self.forgotten.extend(dead);
        // Places have moved.
        self.rows.clear();
        self.slots.clear();
        self.scratch = Default::default();
    }
}

/// What became of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// In memory, and waits for its commit.
    Queued,
    /// In memory, and will not be on disk: too much waits already.
    Lost,
    /// Not later than the one before: nothing changed.
    Late,
}

impl Scratch {
    fn grow(&mut self, len: usize, role: Role) {
        if self.mark.len() < len {
            self.mark.resize(len, 0);
            match role {
                Role::Sketch => self.sketch.resize(len, None),
                _ => self.value.resize(len, 0.0),
            }
        }
    }
}

impl Shelf {
    fn write_standings(&self, frame: &mut FrameWriter, standing: &[u32], exact: &[u32]) {
        let id = |place: &u32| self.numbers[*place as usize].sequence();
        let ever = |place: &u32| match &self.known[*place as usize].track {
            Track::Sketches(sketched) => &sketched.ever,
            Track::Floats { .. } => &EMPTY,
        };
        let ids: Vec<u32> = standing.iter().map(id).collect();
        if self.role == Role::Counter {
            let totals: Vec<f64> = standing.iter().map(|place| self.known[*place as usize].value).collect();
            return frame.floats(What::Standing, self.role, &ids, &totals);
        }
        frame.sketches(What::Standing, standing.iter().map(|place| (id(place), Some(ever(place)))));
        let ids: Vec<u32> = exact.iter().map(id).collect();
        let (counts, sums): (Vec<f64>, Vec<f64>) = exact.iter().map(ever).map(|ever| (ever.count, ever.sum)).unzip();
        frame.floats(What::Count, self.role, &ids, &counts);
        frame.floats(What::Sum, self.role, &ids, &sums);
    }
}

static EMPTY: ExpHist = ExpHist {
    schema: crate::model::sketch::START_SCHEMA,
    count: 0.0,
    sum: 0.0,
    min: f64::INFINITY,
    max: f64::NEG_INFINITY,
    zero: 0.0,
    positive: Vec::new(),
    negative: Vec::new(),
};

fn notes(window: &Window) -> Vec<(i64, Vec<u8>)> {
    let written = |put: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        put(&mut out);
        out
    };
    let events = window.events.iter().map(|(at, event)| (at * 1_000, written(&|out| put_event(out, event))));
    let checks = window.checks.iter().map(|(at, check)| (at * 1_000, written(&|out| put_check(out, check))));
    events.chain(checks).collect()
}
