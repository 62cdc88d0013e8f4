//! Start: from the file to a head.

use std::path::Path;
use std::sync::Arc;

use redb::{Database, ReadTransaction, ReadableDatabase};

use super::at_work::AtWork;
use super::catalog::{SeriesRow, opened, read_name, read_series, read_total};
use super::disk::{META, NAMES, SERIES, TOTALS};
use super::head::{Head, WARM_MS, WINDOWED};
use super::reading::{Read, Reading};
use super::role::{Number, Role};
use super::shelf::{Known, LIVE, Shelf};
use super::symbols::Symbolic;
use crate::model::Series;

/// Windows whose floats are read back: in one of them a live series is sure to be whole.
const FLOAT_WINDOWS: i64 = 3;

/// What was read, and what could not be.
pub(super) struct Replayed {
    pub(super) head: Head,
    /// Rows and frame parts that are damaged, by name.
    pub(super) damage: Vec<String>,
}

/// Builds the head from the tables and the frames of the last hour. `mark` is what a panic leaves behind.
pub(super) fn replay(database: &Database, interval: i64, mark: &Option<Arc<Path>>) -> Result<Replayed, redb::Error> {
    let read = database.begin_read()?;
    let mut replayed = Replayed { head: Head::new(interval), damage: Vec::new() };
    let meta = read.open_table(META)?;
    replayed.head.last_window = meta.get("last_window")?.map(|end| end.value() as i64);
    replayed.names(&read)?;
    replayed.series(&read)?;
    for role in Role::ALL {
        if let Some(next) = meta.get(next_key(role))? {
            let shelf = replayed.head.shelf_mut(role);
            shelf.next = shelf.next.max(next.value());
        }
    }
    if let Some(next) = meta.get("next_name")? {
        replayed.head.names.next = replayed.head.names.next.max(next.value());
    }
    replayed.frames(database, mark)?;
    replayed.totals(&read)?;
    replayed.head.moved.clear();
    Ok(replayed)
}

/// The key of the next sequence of a role in `meta`.
pub(super) fn next_key(role: Role) -> &'static str {
    ["next_counter", "next_gauge", "next_set", "next_sketch", "next_recorded", "next_stamped"][role as usize]
}

impl Replayed {
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
                Some(SeriesRow::Recorded { created, labels }) => self.head.admit_recorded(number, &labels, created, LIVE).is_some(),
                None => false,
            };
            if !admitted {
                self.damage.push(format!("series {}", number.0));
            }
        }
        Ok(())
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
            (known.left, known.value) = (left, value);
            if let (Some((sketched, _)), Some(ever)) = (shelf.tracks.sketched(place), ever) {
                sketched.ever = ever;
            }
        }
        Ok(())
    }

    /// The frames of the last hour: timers on a thread of their own.
    fn frames(&mut self, database: &Database, mark: &Option<Arc<Path>>) -> Result<(), redb::Error> {
        let Some(last) = self.head.last_window else { return Ok(()) };
        let (interval, warm) = (self.head.interval, (last - WARM_MS).max(0));
        let floats = (last - FLOAT_WINDOWS * interval).max(warm);
        let (sketches, others): (Vec<&mut Shelf>, Vec<&mut Shelf>) =
            self.head.shelves.iter_mut().partition(|shelf| shelf.role == Role::Sketch);
        let (others, sketches) = std::thread::scope(|scope| {
            let builder = std::thread::Builder::new().name("store-open".into());
            let sketches = builder.spawn_scoped(scope, move || {
                let _at_work = AtWork::on(mark);
                Reading::new(sketches, interval, warm, floats).read(database)
            });
            let others = Reading::new(others, interval, warm, floats).read(database);
            (others, sketches.map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))))
        });
        let Read { windows, recorded, mut damaged } = others?;
        damaged.extend(sketches.map_err(redb::Error::Io)??.damaged);
        self.damage.extend(damaged.iter().map(|(end, part)| format!("window {end}, part {part}")));
        self.head.damaged.extend(damaged.into_iter().map(|(end, _)| end));
        (self.head.windows, self.head.recorded) = (windows, recorded);
        Ok(())
    }
}

impl Head {
    /// Puts a series that the file knows on its shelf.
    fn admit_at(&mut self, number: Number, name: u64, series: Series, created: i64, left: i64) -> Option<u32> {
        let labels = Symbolic::default();
        let known = Known { series: Some(series), labels, name, created, touched: created, left, value: 0.0 };
        self.admit(number, known)
    }

    /// Counts what is live.
    pub(super) fn live(&self) -> usize {
        WINDOWED.iter().map(|&role| self.shelf(role).live()).sum()
    }
}
