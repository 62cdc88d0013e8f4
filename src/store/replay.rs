//! Start: from the file to a head.

use std::collections::HashMap;

use redb::{Database, ReadTransaction, ReadableDatabase};

use super::catalog::{SeriesRow, opened, read_name, read_series, read_total};
use super::disk::{CLOSING_PARTS, FRAMES, META, NAMES, SERIES, TOTALS};
use super::frame::{Column, What, columns};
use super::head::{Head, WARM_MS, WINDOWED};
use super::role::{Number, Role};
use super::shelf::{LIVE, Track, total_after};
use super::timeline::{PARTITION_MS, partition_of};
use crate::model::{ExpHist, Labels};

/// Windows whose floats are read back: in one of them a live series is sure to be whole.
const FLOAT_WINDOWS: i64 = 3;

/// What was read, and what could not be.
pub(super) struct Replayed {
    pub(super) head: Head,
    /// Rows and frame parts that are damaged, by name.
    pub(super) damage: Vec<String>,
}

/// Builds the head from the tables and the frames of the last hour.
pub(super) fn replay(database: &Database, interval: i64) -> Result<Replayed, redb::Error> {
    let read = database.begin_read()?;
    let mut replay = Replay {
        head: Head::new(interval),
        damage: Vec::new(),
        counts: HashMap::default(),
        sums: HashMap::default(),
        standings: HashMap::default(),
        told: Default::default(),
        warm: 0,
    };
    let meta = read.open_table(META)?;
    replay.head.last_window = meta.get("last_window")?.map(|end| end.value() as i64);
    replay.names(&read)?;
    replay.series(&read)?;
    for role in Role::ALL {
        if let Some(next) = meta.get(next_key(role))? {
            let shelf = replay.head.shelf_mut(role);
            shelf.next = shelf.next.max(next.value());
        }
    }
    if let Some(next) = meta.get("next_name")? {
        replay.head.names.next = replay.head.names.next.max(next.value());
    }
    replay.frames(&read)?;
    replay.totals(&read)?;
    let Replay { mut head, damage, .. } = replay;
    head.moved.clear();
    Ok(Replayed { head, damage })
}

/// The key of the next sequence of a role in `meta`.
pub(super) fn next_key(role: Role) -> &'static str {
    ["next_counter", "next_gauge", "next_set", "next_sketch", "next_recorded", "next_stamped"][role as usize]
}

struct Replay {
    head: Head,
    damage: Vec<String>,
    counts: HashMap<Number, f64, foldhash::fast::RandomState>,
    sums: HashMap<Number, f64, foldhash::fast::RandomState>,
    standings: HashMap<Number, Standing, foldhash::fast::RandomState>,
    /// By place, of counters and timers: whether it is known where they stand.
    told: [Vec<bool>; Role::ALL.len()],
    /// Timers are read back from here on, for their summaries.
    warm: i64,
}

/// Where a running total or sketch stands after a window.
enum Standing {
    Total(f64),
    Sketch(Box<ExpHist>),
}

impl Replay {
    fn names(&mut self, read: &ReadTransaction) -> Result<(), redb::Error> {
        for row in read.open_table(NAMES)?.range::<u64>(..)? {
            let (at, bytes) = row?;
            match opened(at.value(), bytes.value()).and_then(read_name) {
                Some((kind, name, prom_name)) => self.head.names.restore(at.value(), kind, name, prom_name),
                None => self.damage.push(format!("name {}", at.value())),
            }
        }
        Ok(())
    }

    fn series(&mut self, read: &ReadTransaction) -> Result<(), redb::Error> {
        for row in read.open_table(SERIES)?.range::<u64>(..)? {
            let (number, bytes) = row?;
            let (key, number) = (number.value(), Number(number.value()));
            let left = if number.role() == Some(Role::Stamped) { 0 } else { LIVE };
            let admitted = match opened(key, bytes.value()).and_then(|bytes| read_series(number, bytes, &self.head.names)) {
                Some(SeriesRow::Received { created, name, series }) => self.head.admit_at(number, name, series, created, left).is_some(),
                Some(SeriesRow::Recorded { created, labels }) => self.admit_recorded(number, &labels, created),
                None => false,
            };
            if !admitted {
                self.damage.push(format!("series {}", number.0));
            }
        }
        Ok(())
    }

    fn admit_recorded(&mut self, number: Number, labels: &Labels, created: i64) -> bool {
        self.head.admit_recorded(number, labels, created, LIVE).is_some()
    }

    /// Series that left: when, and where they stood.
    fn totals(&mut self, read: &ReadTransaction) -> Result<(), redb::Error> {
        for row in read.open_table(TOTALS)?.range::<u64>(..)? {
            let (number, bytes) = row?;
            let number = Number(number.value());
            let total = number.role().and_then(|role| read_total(role, opened(number.0, bytes.value())?));
            let Some((role, (left, value, ever))) = number.role().zip(total) else {
                self.damage.push(format!("total {}", number.0));
                continue;
            };
            let shelf = self.head.shelf_mut(role);
            let Some(place) = shelf.find(number) else { continue };
            let known = &mut shelf.known[place];
            shelf.live -= usize::from(known.is_live());
            (known.left, known.value) = (left, value);
            if let (Track::Sketches(sketched), Some(ever)) = (&mut known.track, ever) {
                sketched.ever = ever;
            }
        }
        Ok(())
    }

    /// The frames of the open hour, of the one before too while summaries still look there. Samples before the
    /// last windows only count for where totals stand: queries read them from the file.
    fn frames(&mut self, read: &ReadTransaction) -> Result<(), redb::Error> {
        let Some(last) = self.head.last_window else { return Ok(()) };
        let warm = (last - WARM_MS).max(0);
        self.warm = warm;
        let from = (last - FLOAT_WINDOWS * self.head.interval).max(warm);
        (self.head.windows.from, self.head.recorded.from) = (from, from);
        let from = partition_of(warm).max(0) * PARTITION_MS + 1;
        for (told, shelf) in self.told.iter_mut().zip(&self.head.shelves) {
            told.resize(shelf.known.len(), false);
        }
        let (mut window, mut broken) = (0, false);
        for row in read.open_table(FRAMES)?.range((from as u64, 0)..)? {
            let (key, part) = row?;
            let (end, part_number) = key.value();
            if std::mem::replace(&mut window, end) != end {
                self.end_window();
                broken = false;
            }
            let closing = part_number >= CLOSING_PARTS;
            let whole = columns(part.value(), end)
                .and_then(|columns| columns.iter().try_for_each(|column| self.column(column, end as i64, closing)));
            if whole.is_none() {
                broken = true;
                self.head.damaged.insert(end as i64);
                self.damage.push(format!("window {end}, part {part_number}"));
            }
            if broken {
                // Whose gains are missing is not known: no total is shown until it is told again.
                self.told.iter_mut().for_each(|told| told.fill(false));
            }
        }
        self.end_window();
        Ok(())
    }

    /// Standings that came without a sample count from here on.
    fn end_window(&mut self) {
        self.counts.clear();
        self.sums.clear();
        for (number, standing) in self.standings.drain() {
            let Some(role) = number.role() else { continue };
            let shelf = self.head.shelf_mut(role);
            let Some(place) = shelf.find(number) else { continue };
            let known = &mut shelf.known[place];
            match (standing, &mut known.track) {
                (Standing::Total(total), Track::Floats { .. }) => known.value = total,
                (Standing::Sketch(ever), Track::Sketches(sketched)) => sketched.ever = *ever,
                _ => continue,
            }
            self.told[role as usize][place] = true;
        }
    }

    fn column(&mut self, column: &Column<'_>, end: i64, closing: bool) -> Option<()> {
        let (numbers, mut near) = (column.numbers()?, 0);
        let slot = self.slot(column.role, end)?;
        match (column.what, column.role) {
            (What::Sample, Role::Sketch) => {
                for (number, window) in numbers.into_iter().zip(column.sketches()?) {
                    self.sketch(number, &mut near, slot, window, end);
                }
            }
            // The samples to come say the same.
            (What::Sample, Role::Gauge | Role::Recorded) if slot.is_none() => {}
            (What::Sample, _) => {
                for (number, value) in numbers.into_iter().zip(column.floats()?) {
                    self.float(number, &mut near, slot, value, end);
                }
            }
            (What::Stale, _) => {
                for number in numbers {
                    let shelf = self.head.shelf_mut(column.role);
                    if let (Some(place), Some(slot)) = (shelf.find(number), slot) {
                        shelf.end(place, slot, end);
                    }
                }
            }
            (What::Standing, Role::Sketch) => {
                let standings = column.sketches()?.into_iter().flatten().map(|ever| Standing::Sketch(Box::new(ever)));
                self.standings.extend(numbers.into_iter().zip(standings));
            }
            (What::Standing, _) => self.standings.extend(numbers.into_iter().zip(column.floats()?.into_iter().map(Standing::Total))),
            (What::Age, _) => {
                // At the close ages are of the last window; at a checkpoint the samples behind set gauges anew.
                for (number, age) in numbers.into_iter().zip(column.floats()?) {
                    self.age(number, end, age, closing);
                }
            }
            (What::Count, _) => self.counts.extend(numbers.into_iter().zip(column.floats()?)),
            (What::Sum, _) => self.sums.extend(numbers.into_iter().zip(column.floats()?)),
        }
        Some(())
    }

    /// The slot of a window; `None` inside when its samples are not read back.
    fn slot(&mut self, role: Role, end: i64) -> Option<Option<u16>> {
        let from = if role == Role::Sketch { self.warm } else { self.head.windows.from };
        if end <= from {
            return Some(None);
        }
        if role == Role::Recorded {
            self.head.turn_recorded(end);
            return self.head.recorded.slot(end).map(Some);
        }
        self.head.turn_windows(end);
        self.head.windows.slot(end).map(Some)
    }

    fn age(&mut self, number: Number, end: i64, age: f64, closing: bool) {
        let (interval, role) = (self.head.interval, number.role().unwrap_or(Role::Gauge));
        let shelf = self.head.shelf_mut(role);
        // Whether a gauge was set to what it was cannot be seen in frames: it counts as touched.
        if let (Some(place), true) = (shelf.find(number), closing || role != Role::Gauge) {
            shelf.known[place].touched = end - age as i64 * interval;
        }
    }

    fn float(&mut self, number: Number, near: &mut usize, slot: Option<u16>, value: f64, end: i64) {
        let standing = if self.standings.is_empty() { None } else { self.standings.remove(&number) };
        if slot.is_none() && standing.is_none() && value == 0.0 {
            return;
        }
        let Some(role) = number.role() else { return };
        let shelf = self.head.shelf_mut(role);
        let Some(place) = shelf.find_near(number, near) else { return };
        shelf.revive(place);
        let known = &mut shelf.known[place];
        if value != 0.0 || role == Role::Gauge || role == Role::Recorded {
            known.touched = end;
        }
        if role != Role::Counter {
            if let Some(slot) = slot {
                known.push(slot, value);
            }
            return;
        }
        let told = &mut self.told[role as usize][place];
        let value = match standing {
            Some(Standing::Total(total)) => {
                *told = true;
                total
            }
            _ => total_after(known.value, value),
        };
        // What it goes on from is at least this; it is shown only if it is right.
        known.value = value;
        if let (true, Some(slot)) = (*told, slot) {
            known.push(slot, value);
        }
    }

    fn sketch(&mut self, number: Number, near: &mut usize, slot: Option<u16>, window: Option<ExpHist>, end: i64) {
        let standing = if self.standings.is_empty() { None } else { self.standings.remove(&number) };
        let exact = if self.counts.is_empty() { None } else { self.counts.remove(&number).zip(self.sums.remove(&number)) };
        if slot.is_none() && standing.is_none() && exact.is_none() && window.is_none() {
            return;
        }
        let shelf = self.head.shelf_mut(Role::Sketch);
        let Some(place) = shelf.find_near(number, near) else { return };
        shelf.revive(place);
        let known = &mut shelf.known[place];
        if window.is_some() {
            known.touched = end;
        }
        if let Track::Sketches(sketched) = &mut known.track {
            let standing = match standing {
                Some(Standing::Sketch(ever)) => Some(*ever),
                _ => None,
            };
            let told = &mut self.told[Role::Sketch as usize][place];
            *told |= standing.is_some();
            sketched.restore(slot.filter(|_| *told), standing, window.as_ref(), exact);
        }
    }
}

impl Head {
    /// Puts a series that the file knows on its shelf.
    fn admit_at(&mut self, number: Number, name: u64, series: crate::model::Series, created: i64, left: i64) -> Option<u32> {
        let track = Track::new(number.role()?);
        let known = super::shelf::Known {
            series: Some(series),
            labels: Labels::default(),
            name,
            created,
            touched: created,
            left,
            value: 0.0,
            track,
        };
        self.admit(number, known)
    }

    /// Counts what is live.
    pub(super) fn live(&self) -> usize {
        WINDOWED.iter().map(|&role| self.shelf(role).live).sum()
    }
}
