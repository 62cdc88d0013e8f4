//! The frames of the last hour, read back into the shelves.

use std::collections::{BTreeSet, HashMap};

use redb::{Database, ReadableDatabase};

use super::backlog::Backlog;
use super::bytes::Reader;
use super::disk::{CLOSING_PARTS, FRAMES, RECORDED_PARTS};
use super::frame::{Column, Unpacker, What, columns};
use super::role::{Number, Role};
use super::shelf::{Shelf, total_after};
use super::sketch::{read_sketch, read_sketch_into};
use super::timeline::{PARTITION_MS, Timeline, partition_of};
use crate::model::ExpHist;

/// One reading of the frames, for some of the shelves.
pub(super) struct Reading<'a> {
    shelves: Vec<&'a mut Shelf>,
    interval: i64,
    /// Timers are read back from here on, for their summaries.
    warm: i64,
    windows: Timeline,
    recorded: Timeline,
    /// What this window says of where totals and sketches stand, of counts and of sums.
    standings: ByNumber<Standing>,
    counts: ByNumber<f64>,
    sums: ByNumber<f64>,
    /// By role and place: whether it is known where a running total stands.
    told: [Vec<bool>; Role::ALL.len()],
    damaged: BTreeSet<(i64, u16)>,
    unpacker: Unpacker,
    /// The window at hand of a timer.
    window: ExpHist,
    /// Windows of timers from before `warm`.
    backlog: Backlog,
}

type ByNumber<T> = HashMap<Number, T, foldhash::fast::RandomState>;

/// Where a running total or sketch stands after a window.
enum Standing {
    Total(f64),
    Sketch(Box<ExpHist>),
}

/// What was found beside the samples.
pub(super) struct Read {
    pub(super) windows: Timeline,
    pub(super) recorded: Timeline,
    /// Window ends and parts.
    pub(super) damaged: BTreeSet<(i64, u16)>,
}

impl<'a> Reading<'a> {
    /// Timers up to `warm` and floats up to `floats` (unix milliseconds) only count for where totals stand: queries read
    /// those samples from the file.
    pub(super) fn new(shelves: Vec<&'a mut Shelf>, interval: i64, warm: i64, floats: i64) -> Reading<'a> {
        let mut told: [Vec<bool>; Role::ALL.len()] = Default::default();
        shelves.iter().for_each(|shelf| told[shelf.role as usize].resize(shelf.known.len(), false));
        Reading {
            shelves,
            interval,
            warm,
            windows: Timeline::since(floats),
            recorded: Timeline::since(floats),
            standings: HashMap::default(),
            counts: HashMap::default(),
            sums: HashMap::default(),
            told,
            damaged: BTreeSet::new(),
            unpacker: Unpacker::default(),
            window: ExpHist::default(),
            backlog: Backlog::default(),
        }
    }

    /// Reads the open hour, and the one before too while summaries still look there.
    pub(super) fn read(mut self, database: &Database) -> Result<Read, redb::Error> {
        let from = partition_of(self.warm).max(0) * PARTITION_MS + 1;
        let (mut window, mut slot, mut broken) = (0, None, false);
        for row in database.begin_read()?.open_table(FRAMES)?.range((from as u64, 0)..)? {
            let (key, part) = row?;
            let (end, part_number) = key.value();
            if std::mem::replace(&mut window, end) != end {
                self.end_window();
                (slot, broken) = (None, false);
            }
            let end = end as i64;
            if part_number < RECORDED_PARTS && end > self.warm {
                slot = self.slot(end);
                broken |= slot.is_none();
            }
            let closing = part_number >= CLOSING_PARTS;
            let whole = columns(part.value(), window)
                .and_then(|columns| columns.iter().try_for_each(|column| self.column(column, end, slot, closing)));
            if whole.is_none() {
                broken = true;
                self.damaged.insert((end, part_number));
            }
            if broken {
                // Whose gains are missing is not known: no total is shown until it is told again.
                self.told.iter_mut().for_each(|told| told.fill(false));
                self.shelves.iter_mut().for_each(|shelf| shelf.tracks.break_off());
            }
        }
        self.end_window();
        self.end_backlog();
        Ok(Read { windows: self.windows, recorded: self.recorded, damaged: self.damaged })
    }

    /// Standings that came without a sample count from here on.
    fn end_window(&mut self) {
        self.counts.clear();
        self.sums.clear();
        if !self.standings.is_empty() {
            self.end_backlog();
        }
        for (number, standing) in self.standings.drain() {
            let Some(shelf) = self.shelves.iter_mut().find(|shelf| Some(shelf.role) == number.role()) else { continue };
            let Some(place) = shelf.find(number) else { continue };
            match (standing, shelf.tracks.sketched(place)) {
                (Standing::Total(total), None) => shelf.known[place].value = total,
                (Standing::Sketch(ever), Some((sketched, _))) => sketched.ever = *ever,
                _ => continue,
            }
            self.told[shelf.role as usize][place] = true;
        }
    }

    fn end_backlog(&mut self) {
        if let Some(shelf) = self.shelves.iter_mut().find(|shelf| shelf.role == Role::Sketch) {
            self.backlog.merge_into(&mut shelf.tracks);
        }
    }

    /// The slot of a window that is read back.
    fn slot(&mut self, end: i64) -> Option<u16> {
        if self.windows.turn(end) {
            self.shelves.iter_mut().filter(|shelf| shelf.role != Role::Recorded).for_each(|shelf| shelf.tracks.turn());
        }
        self.windows.slot(end)
    }

    fn recorded_slot(&mut self, end: i64) -> Option<u16> {
        if self.recorded.turn(end) {
            self.shelves.iter_mut().filter(|shelf| shelf.role == Role::Recorded).for_each(|shelf| shelf.tracks.turn());
        }
        self.recorded.slot(end)
    }

    fn column(&mut self, column: &Column<'_>, end: i64, slot: Option<u16>, closing: bool) -> Option<()> {
        let Some(at) = self.shelves.iter().position(|shelf| shelf.role == column.role) else { return Some(()) };
        let slot = match column.role {
            Role::Sketch => slot,
            Role::Recorded if end > self.recorded.from => Some(self.recorded_slot(end)?),
            Role::Recorded => None,
            _ => slot.filter(|_| end > self.windows.from),
        };
        match (column.what, column.role) {
            (What::Sample, Role::Sketch) => self.sketches(at, column, slot, end)?,
            (What::Sample, Role::Counter) => self.gains(at, column, slot, end)?,
            (What::Sample, _) => self.values(at, column, slot, end)?,
            (What::Stale, _) => {
                let shelf = &mut self.shelves[at];
                for number in column.numbers()? {
                    if let (Some(place), Some(slot)) = (shelf.find(number), slot) {
                        shelf.end(place, slot, end);
                    }
                }
            }
            (What::Standing, Role::Sketch) => {
                let rows = column.numbers()?.zip(column.sketches(&mut self.unpacker)?);
                for (number, spelled) in rows.filter(|(_, spelled)| !spelled.is_empty()) {
                    let ever = Box::new(read_sketch(&mut Reader(spelled))?);
                    self.standings.insert(number, Standing::Sketch(ever));
                }
            }
            (What::Standing, _) => self.standings.extend(column.numbers()?.zip(column.floats()?.into_iter().map(Standing::Total))),
            // At the close ages are of the last window; at a checkpoint the samples behind set gauges anew: whether a
            // gauge was set to what it was cannot be seen in frames, so it counts as touched.
            (What::Age, Role::Gauge) if !closing => {}
            (What::Age, _) => {
                let (shelf, interval) = (&mut self.shelves[at], self.interval);
                for (number, age) in column.numbers()?.zip(column.floats()?) {
                    if let Some(place) = shelf.find(number) {
                        shelf.known[place].touched = end - age as i64 * interval;
                    }
                }
            }
            (What::Count, _) => self.counts.extend(column.numbers()?.zip(column.floats()?)),
            (What::Sum, _) => self.sums.extend(column.numbers()?.zip(column.floats()?)),
        }
        Some(())
    }

    fn gains(&mut self, at: usize, column: &Column<'_>, slot: Option<u16>, end: i64) -> Option<()> {
        let (shelf, told, mut near) = (&mut self.shelves[at], &mut self.told[column.role as usize], 0);
        for (number, gain) in column.numbers()?.zip(column.floats()?) {
            let standing = if self.standings.is_empty() { None } else { self.standings.remove(&number) };
            if slot.is_none() && standing.is_none() && gain == 0.0 {
                near += 1;
                continue;
            }
            let Some(place) = shelf.find_near(number, &mut near) else { continue };
            shelf.revive(place);
            let known = &mut shelf.known[place];
            if gain != 0.0 {
                known.touched = end;
            }
            // What it goes on from is at least this; it is shown only if it is right.
            known.value = match standing {
                Some(Standing::Total(total)) => {
                    told[place] = true;
                    total
                }
                _ => total_after(known.value, gain),
            };
            if let (true, Some(slot)) = (told[place], slot) {
                let total = known.value;
                shelf.push(place, slot, total);
            }
        }
        Some(())
    }

    fn values(&mut self, at: usize, column: &Column<'_>, slot: Option<u16>, end: i64) -> Option<()> {
        if slot.is_none() && column.role != Role::Set {
            // The samples to come say the same; of a set they do not say when it last received something.
            return Some(());
        }
        let (shelf, mut near) = (&mut self.shelves[at], 0);
        for (number, value) in column.numbers()?.zip(column.floats()?) {
            let Some(place) = shelf.find_near(number, &mut near) else { continue };
            shelf.revive(place);
            if value != 0.0 || column.role != Role::Set {
                shelf.known[place].touched = end;
            }
            if let Some(slot) = slot {
                shelf.push(place, slot, value);
            }
        }
        Some(())
    }

    fn sketches(&mut self, at: usize, column: &Column<'_>, slot: Option<u16>, end: i64) -> Option<()> {
        let (shelf, told, mut near) = (&mut self.shelves[at], &mut self.told[column.role as usize], 0);
        for (number, spelled) in column.numbers()?.zip(column.sketches(&mut self.unpacker)?) {
            let standing = if self.standings.is_empty() { None } else { self.standings.remove(&number) };
            let exact = if self.counts.is_empty() { None } else { self.counts.remove(&number).zip(self.sums.remove(&number)) };
            if slot.is_none() && standing.is_none() && exact.is_none() && spelled.is_empty() {
                near += 1;
                continue;
            }
            let Some(place) = shelf.find_near(number, &mut near) else { continue };
            shelf.revive(place);
            let mut received = None;
            if !spelled.is_empty() {
                read_sketch_into(&mut self.window, &mut Reader(spelled))?;
                shelf.known[place].touched = end;
                received = Some((&self.window, spelled));
            }
            if slot.is_none() && standing.is_none() && exact.is_none() {
                self.backlog.push(&mut shelf.tracks, place, spelled);
                continue;
            }
            self.backlog.merge_into(&mut shelf.tracks);
            let standing = match standing {
                Some(Standing::Sketch(ever)) => Some(*ever),
                _ => None,
            };
            told[place] |= standing.is_some();
            if let Some((sketched, pile)) = shelf.tracks.sketched(place) {
                sketched.restore(pile, slot.filter(|_| told[place]), standing, received, exact);
            }
        }
        Some(())
    }
}
