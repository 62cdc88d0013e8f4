//! The side that writes: one durable transaction per turn, on the store's own thread.

use std::sync::Arc;

use redb::{Database, ReadableDatabase, ReadableTable, WriteTransaction};

use super::catalog::{put_name, put_series, put_total, sealed};
use super::disk::{self, ALERTS, CLOSING_PARTS, EVENTS, FRAMES, META, NAMES, SERIES, TOTALS};

use super::frame::FrameWriter;
use super::queue::Pending;
use super::replay::next_key;
use super::role::{Number, Role};
use super::tables::Tables;
use super::timeline::partition_of;
use super::{Shared, StoreError};
use crate::telemetry::WINDOWS_COMMITTED;

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
        let opened = disk::open(&self.shared.path, &self.shared.opener, now_ms).map_err(|error| match error {
            // The directory's lock is ours: it is a query that still reads the file as it was.
            StoreError::InUse { path } => StoreError::Io { path, source: std::io::Error::other("a query still reads the file") },
            error => error,
        });
        let database = Arc::new(opened?);
        *self.shared.database.write() = Some(database.clone());
        Ok(database)
    }

    fn transact(&mut self, database: &Database, now_ms: i64) -> Result<Committed, StoreError> {
        let mut committed = Committed::default();
        let batch = self.batch();
        let write = disk::begin(database).map_err(|error| self.error(error))?;
        let oldest = (now_ms - self.keep).max(0);
        let notes_bytes = self.write(&write, &batch, oldest, &mut committed).map_err(|error| self.error(error))?;
        write.commit().map_err(|error| self.error(error))?;
        WINDOWS_COMMITTED.counter(&[]).increment(committed.windows as u64);
        self.notes_bytes = notes_bytes;
        self.cleaned = partition_of(oldest);
        self.settle(&batch);
        Ok(committed)
    }

    fn batch(&self) -> Batch {
        let head = self.shared.head.read();
        let names = head.names.all.iter().enumerate().skip(self.saved_names as usize);
        let mut series = Vec::new();
        for (shelf, &saved) in head.shelves.iter().zip(&self.saved) {
            let first = shelf.numbers.partition_point(|number| number.sequence() < saved);
            series.extend(
                shelf.numbers[first..]
                    .iter()
                    .zip(&shelf.known[first..])
                    .map(|(number, known)| (*number, sealed(number.0, put_series(known)))),
            );
        }
        let totals = head.moved.iter().filter_map(|&number| {
            let known = head.get(number)?;
            Some((number, (!known.is_live()).then(|| sealed(number.0, put_total(known)))))
        });
        Batch {
            pending: head.queue.all(),
            names: names.map(|(at, name)| (at as u32, sealed(at as u32, put_name(name)))).collect(),
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

    /// Writes a batch and deletes what is older than `oldest`; answers the bytes of notes there are then.
    fn write(&mut self, write: &WriteTransaction, batch: &Batch, oldest: i64, committed: &mut Committed) -> Result<u64, redb::Error> {
        write_catalog(write, batch)?;
        let mut meta = write.open_table(META)?;
        committed.through = meta.get("last_window")?.map_or(0, |end| end.value() as i64);
        let mut tables = Tables::open(write)?;
        let mut notes_bytes = self.notes_bytes;
        for pending in &batch.pending {
            committed.windows += usize::from(pending.is_window);
            if pending.is_window && pending.at <= committed.through {
                // It is there: an earlier commit failed only in its answer.
                continue;
            }
            tables.put_frame(pending)?;
            tables.put_stamped(pending)?;
            for (at, note) in &pending.notes {
                self.note_sequence = self.note_sequence.wrapping_add(1);
                tables.events.insert(((*at).max(0) as u64, self.note_sequence), note.as_slice())?;
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
        if partition_of(oldest) != self.cleaned {
            // The hour of the last window stays: it says where every total stands.
            tables.forget_frames(partition_of(oldest).min(partition_of(committed.through)))?;
            tables.stamped.retain_in(..((oldest / 1_000) as u64, 0), |_, _| false)?;
        }
        if self.shared.bytes() > self.max_size {
            committed.dropped = tables.make_room(self.max_size / 5 * 4, partition_of(committed.through))?;
        }
        tables.forget_notes(oldest as u64, notes_bytes)
    }

    /// Writes what waits and how long each series has been idle, and closes the file.
    pub fn close(mut self, now_ms: i64) -> Result<(), StoreError> {
        self.commit(now_ms)?;
        let ages = {
            let head = self.shared.head.read();
            head.last_window.map(|end| {
                let mut frame = FrameWriter::new(end, head.interval as u64);
                head.write_ages(&mut frame);
                (end, frame.finish())
            })
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

fn notes_bytes(database: &Database) -> Result<u64, redb::Error> {
    let mut bytes = 0;
    for row in database.begin_read()?.open_table(EVENTS)?.range::<(u64, u32)>(..)? {
        bytes += row?.1.value().len() as u64;
    }
    Ok(bytes)
}
