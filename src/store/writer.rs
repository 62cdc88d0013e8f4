//! The side that writes: one durable transaction per turn, on the store's own thread.

use std::collections::BTreeMap;
use std::sync::Arc;

use redb::{Database, ReadableDatabase, ReadableTable, WriteTransaction};

use super::at_work::AtWork;
use super::catalog::{put_name, put_series, put_total, sealed};
use super::disk::{self, ALERTS, EVENTS, META, NAMES, NOTIFIED, SERIES, TOTALS};
use super::names::Name;
use super::queue::Pending;
use super::replay::next_key;
use super::retention::Retention;
use super::role::{Number, Role};
use super::tables::Tables;
use super::timeline::partition_of;
use super::{Shared, StoreError};
use crate::telemetry::WINDOWS_COMMITTED;

/// Writes what was appended. There is one per store.
pub struct Writer {
    shared: Arc<Shared>,
    retention: Retention,
    /// Which file it is, and the last window it is known to have.
    file: (u64, i64),
    /// The file is another one than before: everything known is to be written to it.
    anew: bool,
    /// Sequences that are on disk.
    saved: [u64; Role::ALL.len()],
    notes_bytes: u64,
    note_sequence: u32,
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
    names: Vec<(u64, Vec<u8>)>,
    /// The same names' indices and Prometheus names.
    named: Vec<(u64, Arc<str>)>,
    forgotten_names: Vec<u64>,
    next_name: u64,
    series: Vec<(Number, Vec<u8>)>,
    /// When it left, and its row; `None` takes the row away: the series is back.
    totals: Vec<(Number, i64, Option<Vec<u8>>)>,
    forgotten: Vec<Number>,
    next: [u64; Role::ALL.len()],
    alerts: Option<Arc<Alerts>>,
    /// Where everything stands after the last window, if the file does not know.
    closing: Option<(i64, Vec<Vec<u8>>)>,
}

/// The whole set of alert states.
pub(super) type Alerts = Vec<((u64, u64), Vec<u8>)>;

/// Rows of the notification log that changed; `None` is taken away.
pub(super) type Notified = BTreeMap<(u64, u64), Option<Vec<u8>>>;

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, retention: Retention) -> Result<Writer, StoreError> {
        let saved = { std::array::from_fn(|role| shared.head.read().shelves[role].next) };
        let mut writer = Writer { shared, retention, file: (0, 0), anew: false, saved, notes_bytes: 0, note_sequence: 0 };
        let database = writer.database(0)?;
        let looked = notes_bytes(&database).and_then(|bytes| Ok((bytes, file_of(&database)?)));
        (writer.notes_bytes, writer.file) = looked.map_err(|error| writer.error(error))?;
        Ok(writer)
    }

    fn error(&self, error: impl Into<redb::Error>) -> StoreError {
        StoreError::database(&self.shared.disk.path, error)
    }

    /// Makes everything appended so far durable, in one transaction.
    ///
    /// After an error nothing is lost: what was appended waits, within a bound, and the next call opens the
    /// file anew. A commit that failed may still have happened; then the next call finds it there.
    pub fn commit(&mut self, now_ms: i64) -> Result<Committed, StoreError> {
        let _at_work = AtWork::on(&self.shared.disk.mark);
        let done = self.database(now_ms).and_then(|database| self.transact(&database, now_ms));
        if done.is_err() {
            // The handle is dead after any failure; the next turn is the next try.
            *self.shared.database.write() = None;
        }
        done
    }

    /// Makes changes of the notification log durable, and nothing else. After an error they wait for the next call.
    pub fn commit_notified(&mut self, now_ms: i64) -> Result<(), StoreError> {
        let changes = std::mem::take(&mut *self.shared.notified.lock());
        if changes.is_empty() {
            return Ok(());
        }
        let _at_work = AtWork::on(&self.shared.disk.mark);
        let done = self.database(now_ms).and_then(|database| write_notified(&database, &changes).map_err(|error| self.error(error)));
        if done.is_err() {
            *self.shared.database.write() = None;
            let mut waiting = self.shared.notified.lock();
            // What changed meanwhile is newer.
            for (key, row) in changes {
                waiting.entry(key).or_insert(row);
            }
        }
        done
    }

    fn database(&mut self, now_ms: i64) -> Result<Arc<Database>, StoreError> {
        if let Some(database) = self.shared.database.read().as_ref() {
            return Ok(database.clone());
        }
        let opened = self.shared.disk.open(now_ms).map_err(|error| match error {
            // The directory's lock is ours: it is a query that still reads the file as it was.
            StoreError::InUse { path } => StoreError::Io { path, source: std::io::Error::other("a query still reads the file") },
            error => error,
        });
        let database = Arc::new(opened?);
        let (created, last_window) = file_of(&database).map_err(|error| self.error(error))?;
        if created != self.file.0 || last_window < self.file.1 {
            self.begin_anew(&database).map_err(|error| self.error(error))?;
        }
        *self.shared.database.write() = Some(database.clone());
        Ok(database)
    }

    /// The file was deleted or replaced while it was not open: nothing that was saved is known to be in it.
    fn begin_anew(&mut self, database: &Database) -> Result<(), redb::Error> {
        tracing::warn!(path = %self.shared.disk.path.display(), "the store's file is another one than before; all that is known is written to it");
        self.notes_bytes = notes_bytes(database)?;
        self.anew = true;
        self.saved = [0; Role::ALL.len()];
        self.shared.head.write().write_all_anew();
        Ok(())
    }

    fn transact(&mut self, database: &Database, now_ms: i64) -> Result<Committed, StoreError> {
        let mut committed = Committed::default();
        let created = file_of(database).map_err(|error| self.error(error))?.0;
        let batch = self.batch();
        let write = disk::begin(database).map_err(|error| self.error(error))?;
        let notes_bytes = self.write(&write, &batch, now_ms, &mut committed).map_err(|error| self.error(error))?;
        write.commit().map_err(|error| self.error(error))?;
        WINDOWS_COMMITTED.counter(&[]).increment(committed.windows as u64);
        self.notes_bytes = notes_bytes;
        self.file = (created, committed.through);
        self.anew = false;
        self.settle(&batch);
        Ok(committed)
    }

    fn batch(&self) -> Batch {
        let head = self.shared.head.read();
        let names: Vec<(u64, &Name)> = head.names.unsaved.iter().filter_map(|&index| Some((index, head.names.at(index)?))).collect();
        let mut series = Vec::new();
        for (shelf, &saved) in head.shelves.iter().zip(&self.saved) {
            let first = shelf.numbers.partition_point(|number| number.sequence() < saved);
            series.extend(
                shelf.numbers[first..]
                    .iter()
                    .zip(&shelf.known[first..])
                    .map(|(number, known)| (*number, sealed(number.0, put_series(known, &head.index.symbols)))),
            );
        }
        let totals = head.moved.iter().filter_map(|&number| {
            let shelf = head.shelf(number.role()?);
            let place = shelf.find(number)?;
            let known = &shelf.known[place];
            Some((number, known.left, (!known.is_live()).then(|| sealed(number.0, put_total(shelf, place)))))
        });
        Batch {
            pending: head.queue.all(),
            names: names.iter().map(|&(index, name)| (index, sealed(index, put_name(name)))).collect(),
            named: names.iter().map(|(index, name)| (*index, name.prom_name.clone())).collect(),
            forgotten_names: head.names.forgotten.clone(),
            next_name: head.names.next,
            series,
            totals: totals.collect(),
            forgotten: head.forgotten.clone(),
            next: std::array::from_fn(|role| head.shelves[role].next),
            alerts: self.shared.alerts.lock().clone(),
            closing: if self.anew { head.closing(true) } else { None },
        }
    }

    /// Forgets what is on disk now.
    fn settle(&mut self, batch: &Batch) {
        let mut head = self.shared.head.write();
        head.queue.written(batch.pending.len());
        // A series that moved since has a row to write again.
        for (number, left, _) in &batch.totals {
            if head.get(*number).is_none_or(|known| known.left == *left) {
                head.moved.remove(number);
            }
        }
        head.forgotten.drain(..batch.forgotten.len());
        head.names.saved(&batch.named);
        head.names.forgotten.drain(..batch.forgotten_names.len());
        self.saved = batch.next;
        let mut alerts = self.shared.alerts.lock();
        if let (Some(now), Some(written)) = (alerts.as_ref(), &batch.alerts)
            && Arc::ptr_eq(now, written)
        {
            *alerts = None;
        }
    }

    /// Writes a batch and deletes what is too old; answers the bytes of notes there are then.
    fn write(&mut self, write: &WriteTransaction, batch: &Batch, now_ms: i64, committed: &mut Committed) -> Result<u64, redb::Error> {
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
            meta.insert(next_key(role), batch.next[role as usize])?;
        }
        meta.insert("next_name", batch.next_name)?;
        if let Some(alerts) = &batch.alerts {
            let mut table = write.open_table(ALERTS)?;
            table.retain(|_, _| false)?;
            for (key, state) in alerts.iter() {
                table.insert(*key, state.as_slice())?;
            }
        }
        if let Some((end, parts)) = &batch.closing {
            tables.put_closing(*end, parts)?;
        }
        let notes_from = self.retention.expire(&mut tables, committed.through, now_ms)?;
        if self.shared.disk.bytes() > self.retention.max_size {
            committed.dropped = tables.make_room(self.retention.max_size / 5 * 4, partition_of(committed.through))?;
        }
        tables.forget_notes(notes_from as u64, notes_bytes)
    }

    /// Writes what waits and how long each series has been idle, and closes the file.
    pub fn close(mut self, now_ms: i64) -> Result<(), StoreError> {
        self.commit(now_ms)?;
        self.commit_notified(now_ms)?;
        let _at_work = AtWork::on(&self.shared.disk.mark);
        let closing = {
            let head = self.shared.head.read();
            head.closing(head.checkpoint_due)
        };
        let database = self.shared.database.write().take();
        if let (Some(database), Some((end, parts))) = (database, closing) {
            let put = || -> Result<(), redb::Error> {
                let write = disk::begin(&database)?;
                Tables::open(&write)?.put_closing(end, &parts)?;
                Ok(write.commit()?)
            };
            put().map_err(|error| self.error(error))?;
        }
        Ok(())
    }
}

fn write_notified(database: &Database, changes: &Notified) -> Result<(), redb::Error> {
    let write = disk::begin(database)?;
    {
        let mut table = write.open_table(NOTIFIED)?;
        for (key, row) in changes {
            match row {
                Some(row) => table.insert(*key, row.as_slice())?,
                None => table.remove(*key)?,
            };
        }
    }
    Ok(write.commit()?)
}

fn write_catalog(write: &WriteTransaction, batch: &Batch) -> Result<(), redb::Error> {
    if !batch.names.is_empty() || !batch.forgotten_names.is_empty() {
        let mut names = write.open_table(NAMES)?;
        for (index, name) in &batch.names {
            names.insert(index, name.as_slice())?;
        }
        for index in &batch.forgotten_names {
            names.remove(index)?;
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
        for (number, _, total) in &batch.totals {
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

/// When the file was created, and the last window it has; unix milliseconds.
fn file_of(database: &Database) -> Result<(u64, i64), redb::Error> {
    let meta = database.begin_read()?.open_table(META)?;
    let value = |key: &str| Ok::<u64, redb::Error>(meta.get(key)?.map_or(0, |value| value.value()));
    Ok((value("created")?, value("last_window")? as i64))
}

fn notes_bytes(database: &Database) -> Result<u64, redb::Error> {
    let mut bytes = 0;
    for row in database.begin_read()?.open_table(EVENTS)?.range::<(u64, u32)>(..)? {
        bytes += row?.1.value().len() as u64;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{START, STEP, counter, family, open, series, window};
    use super::*;
    use crate::model::Kind;

    #[test]
    fn a_series_that_left_twice_during_a_commit_keeps_its_later_total() {
        let dir = tempfile::TempDir::new().unwrap();
        let (store, mut writer) = open(dir.path());
        let hits = family(vec![series(0, Kind::Counter, "hits", &[])]);
        store.append(&window(START + STEP, vec![(hits.clone(), counter(5.0, 5.0))]));
        store.append(&window(START + 2 * STEP, Vec::new()));
        let batch = writer.batch();
        store.append(&window(START + 3 * STEP, vec![(hits, counter(1.0, 6.0))]));
        store.append(&window(START + 4 * STEP, Vec::new()));
        let database = writer.database(START).unwrap();
        let write = disk::begin(&database).unwrap();
        writer.write(&write, &batch, START, &mut Committed::default()).unwrap();
        write.commit().unwrap();
        writer.settle(&batch);
        drop(database);
        writer.commit(START).unwrap();
        // Far enough on that only the row says where it stood.
        store.append(&window(START + 9_000 * STEP, Vec::new()));
        writer.commit(START).unwrap();
        drop((store, writer));
        let (store, _writer) = open(dir.path());
        assert_eq!(store.base(Kind::Counter, "hits", &mut std::iter::empty()).unwrap().total, 6.0);
    }
}
