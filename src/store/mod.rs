//! The local store: one redb file and a head in memory.
//!
//! [`Store`] is the side that reads and takes windows in, [`Writer`] the one that makes them durable. The
//! file's format is in `docs/format.md`.

mod at_work;
mod backlog;
mod bytes;
mod catalog;
mod chunk;
mod config;
mod disk;
mod error;
mod floats;
mod frame;
mod gather;
mod glance;
mod head;
mod history;
mod index;
mod journal;
mod names;
mod pick;
mod queue;
mod reading;
mod recall;
mod record;
mod replay;
mod retention;
mod role;
mod select;
mod shelf;
mod sketch;
mod strand;
mod symbols;
mod tables;
mod take;
#[cfg(test)]
mod tests;
mod timeline;
mod tracks;
mod twins;
mod writer;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use redb::{Database, ReadableDatabase};

pub use config::{StoreConfig, Tier};
pub use disk::Lock;
pub use error::StoreError;
pub use journal::Note;
pub use writer::{Committed, Writer};

use at_work::AtWork;
use disk::Disk;
use glance::Glance;
use head::{Head, WINDOWED};
use history::Point;
use retention::Retention;
use shelf::Shelf;
use take::Taken;

use crate::model::{Buckets, Family, Kind, Matcher, Recent, Recorded, TimeRange, Window};
use crate::telemetry::{STORE_ERRORS, WINDOWS_COMMITTED, WINDOWS_STORE_FAILED};

/// Why a window is not kept.
const LOST: &str = "queue_full";
const LATE: &str = "late";

/// The reading side, cheap to clone. Implements [`crate::model::Select`].
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    disk: Disk,
    set_aside: Option<PathBuf>,
    /// `None` while the disk is sick.
    database: RwLock<Option<Arc<Database>>>,
    head: RwLock<Head>,
    /// States to write with the next commit.
    alerts: Mutex<Option<Arc<writer::Alerts>>>,
    /// Rows of the notification log to write, or to take away.
    notified: Mutex<writer::Notified>,
    interval: i64,
    percentiles: Vec<f64>,
    persist_totals: bool,
}

/// A series that was live at the last window.
#[derive(Clone, Debug, PartialEq)]
pub struct Restored {
    pub name: String,
    pub prom_name: String,
    pub kind: Kind,
    /// Canonical: trimmed, distinct, sorted.
    pub tags: Vec<String>,
    /// The name in its first line, where shaping gave it another.
    pub sent_name: Option<String>,
    pub base: Base,
    /// Windows since it received something.
    pub age: u16,
}

/// What a series goes on from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Base {
    /// A counter's running total.
    pub total: f64,
    /// The last value of a gauge that has not left: one that returns begins at 0 again.
    pub gauge: Option<f64>,
    /// A timer's running count and sum, in the unit of outputs.
    pub count: f64,
    pub sum: f64,
    /// Its running weights within the bounds it was shown in.
    pub buckets: Option<Arc<Buckets>>,
    /// Start of the window of its birth, unix milliseconds.
    pub created_ms: i64,
}

/// Alert states by rule fingerprint and labels fingerprint, as the rule engine spells them.
pub type AlertRows = Vec<((u64, u64), Vec<u8>)>;

impl Store {
    /// Opens or creates the file in a data directory and reads the last hour back.
    ///
    /// A file that is newer, foreign or damaged is refused and left as it is. One that the last process died
    /// in is set aside: see [`Store::set_aside`].
    pub fn open(
        lock: Lock,
        config: &StoreConfig,
        interval: Duration,
        percentiles: &[f64],
        now_ms: i64,
    ) -> Result<(Store, Writer), StoreError> {
        Store::on(Disk::of(lock), config, interval, percentiles, now_ms)
    }

    /// A store without a file: the last hour of the relay's own samples and of what rules read, gone with the process.
    ///
    /// `reads` are the matchers on names of each selector there is in rules. Of everything else queries see the window
    /// that was last [shown](Store::show).
    pub fn in_memory(
        interval: Duration,
        percentiles: &[f64],
        reads: Vec<Vec<Matcher>>,
        now_ms: i64,
    ) -> Result<(Store, Writer), StoreError> {
        let hour = Tier { step: "raw".into(), keep: Duration::from_secs(3_600) };
        let config = StoreConfig { tiers: vec![hour], ..StoreConfig::default() };
        let opened = Store::on(Disk::memory(), &config, interval, percentiles, now_ms)?;
        opened.0.0.head.write().glance = Some(Arc::new(Glance::new(reads)));
        Ok(opened)
    }

    fn on(disk: Disk, config: &StoreConfig, interval: Duration, percentiles: &[f64], now_ms: i64) -> Result<(Store, Writer), StoreError> {
        let set_aside = at_work::set_aside(&disk, now_ms)?;
        at_work::watch_panics();
        let _at_work = AtWork::on(&disk.mark);
        let database = disk.open(now_ms)?;
        let interval = interval.as_millis().max(1) as i64;
        let replayed = replay::replay(&database, interval, &disk.mark).map_err(|error| StoreError::database(&disk.path, error))?;
        let path = disk.path.display();
        if let Some(first) = replayed.damage.first() {
            tracing::error!(%path, damaged = replayed.damage.len(), first, "the store is damaged; the rest was read");
        }
        tracing::info!(%path, series = replayed.head.live(), last_window = replayed.head.last_window, "store opened");
        // The ledger of windows is whole from the start.
        WINDOWS_COMMITTED.counter(&[]).increment(0);
        for reason in [LOST, LATE] {
            WINDOWS_STORE_FAILED.counter(&[("reason", reason)]).increment(0);
        }
        let shared = Arc::new(Shared {
            disk,
            set_aside,
            database: RwLock::new(Some(Arc::new(database))),
            head: RwLock::new(replayed.head),
            alerts: Mutex::new(None),
            notified: Mutex::default(),
            interval,
            percentiles: percentiles.to_vec(),
            persist_totals: config.persist_totals,
        });
        let writer = Writer::new(shared.clone(), Retention::new(config))?;
        Ok((Store(shared), writer))
    }

    /// Bounds how many series that have left stay known, beside those that are live: what memory allows. One that is
    /// forgotten begins anew when it returns.
    pub fn bound_dead(&self, most: usize) {
        self.0.head.write().dead_max = most;
    }

    /// End of the last window taken in or read back, unix milliseconds.
    pub fn last_window(&self) -> Option<i64> {
        self.0.head.read().last_window
    }

    /// What was live at the last window, by the first appearance of its name, then of its own.
    pub fn live(&self) -> Vec<Restored> {
        let head = self.0.head.read();
        let mut live = Vec::new();
        for role in WINDOWED {
            let shelf = head.shelf(role);
            for (place, known) in shelf.known.iter().enumerate().filter(|(_, known)| known.is_live()) {
                if let (Some(series), Some(name)) = (&known.series, head.names.at(known.name)) {
                    let restored = Restored {
                        name: name.name.to_string(),
                        prom_name: name.prom_name.to_string(),
                        kind: name.kind,
                        tags: series.tags().map(str::to_string).collect(),
                        sent_name: catalog::sent_name(series).map(|sent| sent.into_owned()),
                        base: self.base_of(shelf, place, name.kind),
                        age: head.age(known),
                    };
                    live.push((known.name, restored));
                }
            }
        }
        live.sort_by_key(|(name, _)| *name);
        live.into_iter().map(|(_, restored)| restored).collect()
    }

    /// What a series that is born or returns goes on from, if the store knows it. Never touches the disk.
    pub fn base(&self, kind: Kind, name: &str, tags: &mut dyn Iterator<Item = &str>) -> Option<Base> {
        let tags: Vec<&str> = tags.collect();
        self.0.head.read().known(kind, name, &tags).map(|(shelf, place)| self.base_of(shelf, place, kind))
    }

    /// The recent sketches of a timer, for its summary.
    pub fn recent(&self, kind: Kind, name: &str, tags: &mut dyn Iterator<Item = &str>) -> Option<Recent> {
        let tags: Vec<&str> = tags.collect();
        let head = self.0.head.read();
        let (shelf, place) = head.known(kind, name, &tags)?;
        let (track, windows) = (shelf.tracks.track(place), head.windows.clone());
        drop(head);
        let mut recent = Recent::default();
        track.points(&windows, |at, point| {
            if let Point::Sample { window: Some(window), .. } = point {
                recent.add((at - 1).div_euclid(self.0.interval) * self.0.interval, &window);
            }
        });
        Some(recent).filter(|recent| !recent.is_empty())
    }

    fn base_of(&self, shelf: &Shelf, place: usize, kind: Kind) -> Base {
        let known = &shelf.known[place];
        let mut base = Base { created_ms: known.created, ..Base::default() };
        match (kind, shelf.tracks.ever(place)) {
            (_, Some(ever)) if self.0.persist_totals => {
                (base.count, base.sum) = (ever.count, ever.sum);
                base.buckets = ever.buckets.as_ref().map(|buckets| Arc::new((**buckets).clone()));
            }
            (Kind::Counter, None) if self.0.persist_totals => base.total = known.value,
            (Kind::Gauge, None) if known.is_live() => base.gauge = Some(known.value),
            _ => {}
        }
        base
    }

    /// Shows these families from now on as they are shown on the page, also before a window brings them.
    pub fn present<'a>(&self, families: impl Iterator<Item = &'a Family>) {
        let mut head = self.0.head.write();
        for family in families {
            head.names.present(family);
        }
    }

    /// `(name, kind, Prometheus name)` of every family that still has a series here, oldest first.
    pub fn names(&self) -> Vec<(String, Kind, String)> {
        let head = self.0.head.read();
        head.names.iter().map(|(_, name)| (name.name.to_string(), name.kind, name.prom_name.to_string())).collect()
    }

    /// Takes a closed window into memory; queries see it at once, the next commit makes it durable.
    pub fn append(&self, window: &Window) {
        let (taken, homeless) = {
            let mut head = self.0.head.write();
            (head.append(window), std::mem::take(&mut head.homeless))
        };
        tell_homeless(homeless);
        let failed = match taken {
            Taken::Queued => return,
            Taken::Lost => LOST,
            Taken::Late => LATE,
        };
        WINDOWS_STORE_FAILED.counter(&[("reason", failed)]).increment(1);
        tracing::warn!(window = window.end, reason = failed, "the store cannot keep a window");
    }

    /// Has queries see the last values of what is not kept; of no effect with a file.
    pub fn show(&self, window: &Arc<Window>) {
        if let Some(glance) = &self.0.head.read().glance {
            glance.show(window.clone());
        }
    }

    /// Takes samples that have labels of their own; visible at once, durable with the next commit. Times of
    /// one series ascend; a sample that does not is dropped and logged.
    pub fn record(&self, at_ms: i64, samples: &[Recorded]) {
        let (late, queued, homeless) = {
            let mut head = self.0.head.write();
            let (late, queued) = head.record(at_ms, samples);
            (late, queued, std::mem::take(&mut head.homeless))
        };
        tell_homeless(homeless);
        if late > 0 || !queued {
            tracing::warn!(at = at_ms, late, queued, "the store cannot keep recorded samples");
        }
    }

    /// Replaces all alert states, with the next commit.
    pub fn save_alerts(&self, states: AlertRows) {
        *self.0.alerts.lock() = Some(Arc::new(states));
    }

    /// The alert states last committed.
    pub fn alerts(&self) -> Result<AlertRows, StoreError> {
        self.rows(disk::ALERTS)
    }

    /// Writes rows of the notification log with [`Writer::commit_notified`], or takes them away.
    pub fn save_notified(&self, changes: impl IntoIterator<Item = ((u64, u64), Option<Vec<u8>>)>) {
        self.0.notified.lock().extend(changes);
    }

    /// The notification log as last committed: by target and group, as the notifier spells it.
    pub fn notified(&self) -> Result<AlertRows, StoreError> {
        self.rows(disk::NOTIFIED)
    }

    fn rows(&self, table: redb::TableDefinition<'_, (u64, u64), &'static [u8]>) -> Result<AlertRows, StoreError> {
        let mut rows = AlertRows::new();
        self.read(|read| {
            let table = match read.open_table(table) {
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
                table => table?,
            };
            for row in table.range::<(u64, u64)>(..)? {
                let (key, row) = row?;
                rows.push((key.value(), row.value().to_vec()));
            }
            Ok(())
        })?;
        Ok(rows)
    }

    /// Events and checks that arrived in the range, with unix milliseconds: at most `limit` from the newest back.
    pub fn notes(&self, range: TimeRange, limit: usize) -> Result<Vec<(i64, Note)>, StoreError> {
        let keys = (range.start.saturating_add(1).max(0) as u64, 0)..=(range.end.max(0) as u64, u32::MAX);
        let head = self.0.head.read();
        let mut notes = self.read(|read| {
            let mut notes = head.waiting_notes(range, disk::last_window(read));
            drop(head);
            notes.truncate(limit);
            for row in read.open_table(disk::EVENTS)?.range(keys)?.rev().take(limit) {
                let (key, note) = row?;
                notes.extend(journal::read_note(note.value()).map(|note| (key.value().0 as i64, note)));
            }
            Ok(notes)
        })?;
        notes.sort_by_key(|&(at, _)| std::cmp::Reverse(at));
        notes.truncate(limit);
        Ok(notes)
    }

    /// Shows the notes on disk that arrived in the range, the newest first, until `see` breaks off.
    pub fn recall_notes(&self, range: TimeRange, see: &mut dyn FnMut(i64, Note) -> ControlFlow<()>) -> Result<(), StoreError> {
        let keys = (range.start.saturating_add(1).max(0) as u64, 0)..=(range.end.max(0) as u64, u32::MAX);
        self.read(|read| {
            for row in read.open_table(disk::EVENTS)?.range(keys)?.rev() {
                let (key, note) = row?;
                if let Some(note) = journal::read_note(note.value())
                    && see(key.value().0 as i64, note).is_break()
                {
                    break;
                }
            }
            Ok(())
        })
    }

    fn read<T>(&self, look: impl FnOnce(&redb::ReadTransaction) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        let failed = |error: redb::Error| StoreError::database(&self.0.disk.path, error);
        let Some(database) = self.0.database.read().clone() else {
            let source = std::io::Error::other("the file is not open");
            return Err(StoreError::Io { path: self.0.disk.path.clone(), source });
        };
        let _at_work = AtWork::on(&self.0.disk.mark);
        database.begin_read().map_err(|error| failed(error.into())).and_then(|read| look(&read).map_err(failed))
    }

    /// Where the file is that the last process died in, if it did: it was renamed, and this store began empty.
    pub fn set_aside(&self) -> Option<&Path> {
        self.0.set_aside.as_deref()
    }

    /// Whether counters get `_total` where they lack it, as the page has it. Concerns counters that only ever
    /// had samples with times of their own; all others come with their names.
    pub fn suffix_counters(&self, suffix: bool) {
        self.0.head.write().suffix_counters = suffix;
    }

    /// Disk blocks allocated to the file, in bytes.
    pub fn bytes(&self) -> u64 {
        self.0.disk.bytes()
    }
}

/// Says that the samples of so many series are not kept.
fn tell_homeless(series: u64) {
    if series > 0 {
        STORE_ERRORS.counter(&[("reason", "no_number")]).increment(series);
        tracing::error!(series, "the store has no number left for new series; their samples are not kept");
    }
}
