//! The side that writes: one durable transaction per turn, on the store's own thread.

use std::sync::Arc;

use redb::{Database, ReadableDatabase, ReadableTable, Table, WriteTransaction};

use super::catalog::{put_name, put_series, put_total};
use super::disk::{self, ALERTS, CLOSING_PARTS, EVENTS, FRAMES, META, NAMES, RECORDED_PARTS, SERIES, STAMPED, TOTALS};
use super::frame::FrameWriter;
use super::queue::Pending;
use super::replay::next_key;
use super::role::{Number, Role};
use super::timeline::{PARTITION_MS, partition_of};
use super::{Shared, StoreError};

/// Notes kept, in bytes.
const NOTES: u64 = 64 << 20;

/// Writes what was appended. There is one per store.
pub struct Writer {
    shared: Arc<Shared>,
    /// Milliseconds the finest tier keeps.
    keep: i64,
    max_size: u64,
    /// Names and sequences that are on disk.
    saved_names: u32,
    saved: [u32; Role::ALL.len()],
    notes_bytes: u64,
    note_sequence: u32,
    /// The partition whose retention was last seen to.
    cleaned: i64,
}

/// What one commit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// End of the last window on disk, unix milliseconds; 0 before the first.
    pub through: i64,
    /// Windows this call made durable.
    pub windows: usize,
    /// Windows deleted because the file was larger than `store.max_size`.
    pub dropped: usize,
}

/// What one transaction is to write.
struct Batch {
    pending: Vec<Arc<Pending>>,
    names: Vec<(u32, Vec<u8>)>,
    series: Vec<(Number, Vec<u8>)>,
    /// `None` takes the row away: the series is back.
    totals: Vec<(Number, Option<Vec<u8>>)>,
    forgotten: Vec<Number>,
    next: [u32; Role::ALL.len()],
    alerts: Option<Arc<Alerts>>,
}

/// The whole set of alert states.
pub(super) type Alerts = Vec<((u64, u64), Vec<u8>)>;

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, keep: i64, max_size: u64) -> Result<Writer, StoreError> {
        let saved = { std::array::from_fn(|role| shared.head.read().shelves[role].next) };
        let saved_names = shared.head.read().names.all.len() as u32;
        let mut writer = Writer { shared, keep, max_size, saved_names, saved, notes_bytes: 0, note_sequence: 0, cleaned: i64::MIN };
        let database = writer.database(0)?;
        writer.notes_bytes = notes_bytes(&database).map_err(|error| writer.error(error))?;
        Ok(writer)
    }

    fn error(&self, error: impl Into<redb::Error>) -> StoreError {
        StoreError::database(&self.shared.path, error)
    }

    /// Makes everything appended so far durable, in one transaction.
    ///
    /// After an error nothing is lost: what was appended waits, within a bound, and the next call opens the
    /// file anew. A commit that failed may still have happened; then the next call finds it there.
    pub fn commit(&mut self, now_ms: i64) -> Result<Committed, StoreError> {
        let done = self.database(now_ms).and_then(|database| self.transact(&database, now_ms));
        if done.is_err() {
            // The handle is dead after any failure; the next turn is the next try.
            *self.shared.database.write() = None;
        }
        done
    }

    fn database(&self, now_ms: i64) -> Result<Arc<Database>, StoreError> {
        if let Some(database) = self.shared.database.read().as_ref() {
            return Ok(database.clone());
        }
        let database = Arc::new(disk::open(&self.shared.path, &self.shared.opener, now_ms)?);
        *self.shared.database.write() = Some(database.clone());
        Ok(database)
    }

    fn transact(&mut self, database: &Database, now_ms: i64) -> Result<Committed, StoreError> {
        let mut committed = Committed::default();
        let batch = self.batch();
        let write = disk::begin(database).map_err(|error| self.error(error))?;
        let stored = self.write(&write, &batch, now_ms, &mut committed).map_err(|error| self.error(error))?;
        write.commit().map_err(|error| self.error(error))?;
        self.notes_bytes = stored;
        self.settle(&batch);
        Ok(committed)
    }

    fn batch(&self) -> Batch {
        let head = self.shared.head.read();
        let names = head.names.all.iter().enumerate().skip(self.saved_names as usize);
        let mut series = Vec::new();
        for (shelf, &saved) in head.shelves.iter().zip(&self.saved) {
            let first = shelf.numbers.partition_point(|number| number.sequence() < saved);
            series.extend(shelf.numbers[first..].iter().zip(&shelf.known[first..]).map(|(number, known)| (*number, put_series(known))));
        }
        let totals = head.moved.iter().filter_map(|&number| {
            let known = head.get(number)?;
            Some((number, (!known.is_live()).then(|| put_total(known))))
        });
        Batch {
            pending: head.queue.all(),
            names: names.map(|(at, name)| (at as u32, put_name(name))).collect(),
            series,
            totals: totals.collect(),
            forgotten: head.forgotten.clone(),
            next: std::array::from_fn(|role| head.shelves[role].next),
            alerts: self.shared.alerts.lock().clone(),
        }
    }

    /// Forgets what is on disk now.
    fn settle(&mut self, batch: &Batch) {
        let mut head = self.shared.head.write();
        head.queue.written(batch.pending.len());
        // A series that left and came back since has a row to write again.
        for (number, total) in &batch.totals {
            if head.get(*number).is_none_or(|known| known.is_live() == total.is_none()) {
                head.moved.remove(number);
            }
        }
        head.forgotten.drain(..batch.forgotten.len());
        self.saved_names += batch.names.len() as u32;
        self.saved = batch.next;
        let mut alerts = self.shared.alerts.lock();
        if let (Some(now), Some(written)) = (alerts.as_ref(), &batch.alerts)
            && Arc::ptr_eq(now, written)
        {
            *alerts = None;
        }
    }

    /// Writes a batch; answers the bytes of notes there are then.
    fn write(&mut self, write: &WriteTransaction, batch: &Batch, now_ms: i64, committed: &mut Committed) -> Result<u64, redb::Error> {
        let mut meta = write.open_table(META)?;
        let through = meta.get("last_window")?.map_or(0, |end| end.value() as i64);
        write_catalog(write, batch)?;
        let mut frames = write.open_table(FRAMES)?;
        let mut stamped = write.open_table(STAMPED)?;
        let mut events = write.open_table(EVENTS)?;
        let mut notes_bytes = self.notes_bytes;
        committed.through = through;
        for pending in &batch.pending {
            if pending.is_window {
                committed.windows += 1;
            }
            if pending.is_window && pending.at <= through {
                // It is there: an earlier commit failed only in its answer.
                continue;
            }
            let first = if pending.is_window { 0 } else { next_recorded_part(&frames, pending.at)? };
            for (part, bytes) in pending.parts.iter().enumerate() {
                frames.insert((pending.at as u64, first.saturating_add(part as u16)), bytes.as_slice())?;
            }
            for own in &pending.stamped {
                let key = (own.at, own.number.0);
                let before = match own.number.role() {
                    Some(Role::Stamped) => stamped.get(key)?.map_or(0.0, |before| before.value()),
                    _ => 0.0,
                };
                stamped.insert(key, before + own.value)?;
            }
            for (at, note) in &pending.notes {
                self.note_sequence = self.note_sequence.wrapping_add(1);
                events.insert(((*at).max(0) as u64, self.note_sequence), note.as_slice())?;
                notes_bytes += note.len() as u64;
            }
            if pending.is_window {
                committed.through = pending.at;
            }
        }
        meta.insert("last_window", committed.through as u64)?;
        for role in Role::ALL {
            meta.insert(next_key(role), u64::from(batch.next[role as usize]))?;
        }
        if let Some(alerts) = &batch.alerts {
            let mut table = write.open_table(ALERTS)?;
            table.retain(|_, _| false)?;
            for (key, state) in alerts.iter() {
                table.insert(*key, state.as_slice())?;
            }
        }
        let oldest = (now_ms - self.keep).max(0);
        if partition_of(oldest) != self.cleaned {
            self.cleaned = partition_of(oldest);
            // The hour of the last window holds where every total stands.
            let until = partition_of(oldest).min(partition_of(committed.through)) * PARTITION_MS;
            frames.retain_in(..=(until.max(0) as u64, u16::MAX), |_, _| false)?;
            stamped.retain_in(..((oldest / 1_000) as u64, 0), |_, _| false)?;
        }
        committed.dropped = self.make_room(&mut frames, committed.through)?;
        forget_notes(&mut events, oldest as u64, notes_bytes)
    }

    /// Deletes the oldest hour while the file is too large.
    fn make_room(&self, frames: &mut Table<'_, (u64, u16), &'static [u8]>, last: i64) -> Result<usize, redb::Error> {
        if self.shared.bytes() <= self.max_size {
            return Ok(0);
        }
        let Some(first) = frames.first()?.map(|(key, _)| key.value().0 as i64) else { return Ok(0) };
        if partition_of(first) >= partition_of(last) {
            return Ok(0);
        }
        let (until, mut dropped, mut window) = (((partition_of(first) + 1) * PARTITION_MS) as u64, 0, 0);
        frames.retain_in(..=(until, u16::MAX), |(end, _), _| {
            dropped += usize::from(std::mem::replace(&mut window, end) != end);
            false
        })?;
        Ok(dropped)
    }

    /// Writes what waits and how long each series has been idle, and closes the file.
    pub fn close(mut self, now_ms: i64) -> Result<(), StoreError> {
        self.commit(now_ms)?;
        let ages = {
            let head = self.shared.head.read();
            let mut frame = FrameWriter::new(head.interval as u64);
            head.write_ages(&mut frame);
            head.last_window.map(|end| (end, frame.finish()))
        };
        let database = self.shared.database.write().take();
        if let (Some(database), Some((end, parts))) = (database, ages) {
            let put = || -> Result<(), redb::Error> {
                let write = disk::begin(&database)?;
                {
                    let mut frames = write.open_table(FRAMES)?;
                    for (part, bytes) in (CLOSING_PARTS..u16::MAX).zip(&parts) {
                        frames.insert((end as u64, part), bytes.as_slice())?;
                    }
                }
                Ok(write.commit()?)
            };
            put().map_err(|error| self.error(error))?;
        }
        Ok(())
    }
}

fn write_catalog(write: &WriteTransaction, batch: &Batch) -> Result<(), redb::Error> {
    if !batch.names.is_empty() {
        let mut names = write.open_table(NAMES)?;
        for (at, name) in &batch.names {
            names.insert(at, name.as_slice())?;
        }
    }
    if !batch.series.is_empty() || !batch.forgotten.is_empty() {
        let mut series = write.open_table(SERIES)?;
        for (number, row) in &batch.series {
            series.insert(number.0, row.as_slice())?;
        }
        for number in &batch.forgotten {
            series.remove(number.0)?;
        }
    }
    if !batch.totals.is_empty() || !batch.forgotten.is_empty() {
        let mut totals = write.open_table(TOTALS)?;
        for (number, total) in &batch.totals {
            match total {
                Some(total) => totals.insert(number.0, total.as_slice())?,
                None => totals.remove(number.0)?,
            };
        }
        for number in &batch.forgotten {
            totals.remove(number.0)?;
        }
    }
    Ok(())
}

/// Rules may record several times at one instant: each time behind the parts that are there.
fn next_recorded_part(frames: &impl ReadableTable<(u64, u16), &'static [u8]>, at: i64) -> Result<u16, redb::Error> {
    let mut there = frames.range((at as u64, RECORDED_PARTS)..(at as u64, CLOSING_PARTS))?;
    let last = there.next_back().transpose()?.map(|(key, _)| key.value().1);
    Ok(last.map_or(RECORDED_PARTS, |last| last + 1))
}

/// Deletes notes that are too old, or the oldest while there are too many.
fn forget_notes(events: &mut Table<'_, (u64, u32), &'static [u8]>, oldest: u64, mut bytes: u64) -> Result<u64, redb::Error> {
    loop {
        let Some((key, len)) = events.first()?.map(|(key, note)| (key.value(), note.value().len() as u64)) else { return Ok(0) };
        if key.0 >= oldest && bytes <= NOTES {
            return Ok(bytes);
        }
        events.remove(key)?;
        bytes = bytes.saturating_sub(len);
    }
}

fn notes_bytes(database: &Database) -> Result<u64, redb::Error> {
    let mut bytes = 0;
    for row in database.begin_read()?.open_table(EVENTS)?.range::<(u64, u32)>(..)? {
        bytes += row?.1.value().len() as u64;
    }
    Ok(bytes)
}
