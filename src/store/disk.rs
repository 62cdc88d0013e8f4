//! The file: its tables, how it is opened, and what it is never allowed to overwrite.

use std::fs::{File, TryLockError};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, ReadableDatabase, TableDefinition, TableHandle, WriteTransaction};

use super::{StoreError, at_work};

/// `format`, `created` (unix milliseconds), `last_window` (unix milliseconds), `next_` + role, `next_name`.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Name index to kind, name as received, name in Prometheus' alphabet.
pub(super) const NAMES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("names");
/// Series number to name index, creation, tags.
pub(super) const SERIES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("series");
/// (Window end, part) to a part of the frame.
pub(super) const FRAMES: TableDefinition<'_, (u64, u16), &[u8]> = TableDefinition::new("frames");
/// Partition to the bytes of its frames' parts.
pub(super) const HOURS: TableDefinition<'_, u64, u64> = TableDefinition::new("hours");
/// Number of a series that left to when it did and where it stood.
pub(super) const TOTALS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("totals");
/// (Unix second, series number) to a sample with a time of its own.
pub(super) const STAMPED: TableDefinition<'_, (u64, u64), f64> = TableDefinition::new("stamped");
/// (Arrival in unix milliseconds, sequence) to an event or a check.
pub(super) const EVENTS: TableDefinition<'_, (u64, u32), &[u8]> = TableDefinition::new("events");
/// (Rule, labels) fingerprints to the state of an alert, as the rule engine spells it.
pub(super) const ALERTS: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("alerts");
/// (Target, group) fingerprints to what was told of the group last, as the notifier spells it. Files of before it have none.
pub(super) const NOTIFIED: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("notified");

/// Frame parts from here on hold what rules recorded, from the next on what was said at the close.
pub(super) const RECORDED_PARTS: u16 = 0x8000;
pub(super) const CLOSING_PARTS: u16 = 0xf000;

/// The format this version writes and reads.
pub(super) const FORMAT: u64 = 1;
/// Page cache of the database.
const CACHE: usize = 8 << 20;
/// How every redb file begins.
const MAGIC: &[u8] = b"redb";

/// Opens the database; replaced by tests that need a sick disk.
pub(super) type Opener = Arc<dyn Fn(&Path) -> Result<Database, redb::DatabaseError> + Send + Sync>;

/// Where the store's file is, and what it is opened with.
pub(super) struct Disk {
    pub(super) path: PathBuf,
    pub(super) opener: Opener,
    /// What a panic at work on the file leaves behind; `None` without a file.
    pub(super) mark: Option<Arc<Path>>,
    /// Held for as long as anyone uses the store; `None` without a file.
    _lock: Option<Lock>,
}

impl Disk {
    /// The file in a data directory.
    pub(super) fn of(lock: Lock) -> Disk {
        let path = lock.dir.join("relay.tsdb");
        let opener: Opener = Arc::new(|path| Database::builder().set_cache_size(CACHE).create(path));
        Disk { mark: Some(at_work::mark_of(&path)), path, opener, _lock: Some(lock) }
    }

    /// No file: what is written is gone with the process.
    pub(super) fn memory() -> Disk {
        let memory = || Database::builder().set_cache_size(CACHE).create_with_backend(redb::backends::InMemoryBackend::new());
        Disk { path: PathBuf::from("(memory)"), opener: Arc::new(move |_| memory()), mark: None, _lock: None }
    }

    /// Opens the file or makes a new one; refuses what is not ours before anything is written.
    pub(super) fn open(&self, now_ms: i64) -> Result<Database, StoreError> {
        let path = &self.path;
        refuse_foreign(path).map_err(StoreError::at_opening)?;
        let database = (self.opener)(path).map_err(|error| StoreError::database(path, error).at_opening())?;
        match format_of(path, &database)? {
            Some(found) if found > FORMAT => Err(StoreError::Newer { path: path.clone(), found, known: FORMAT }),
            Some(_) => Ok(database),
            None => {
                initialise(&database, now_ms).map_err(|error| StoreError::database(path, error))?;
                // Makes the new name durable too; where directories cannot be synced it is already.
                let _ = path.parent().map(File::open).and_then(Result::ok).map(|dir| dir.sync_all());
                Ok(database)
            }
        }
    }

    /// Bytes of disk blocks that are allocated to the file.
    pub(super) fn bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |metadata| metadata.blocks() * 512)
    }
}

/// A data directory that this process alone uses, for as long as it holds this.
#[derive(Debug)]
pub struct Lock {
    dir: PathBuf,
    _file: File,
}

impl Lock {
    /// Takes the lock of a data directory, which is created when it is not there.
    pub fn take(dir: &Path) -> Result<Lock, StoreError> {
        lock(dir).map(|file| Lock { dir: dir.to_path_buf(), _file: file }).map_err(StoreError::at_opening)
    }
}

fn lock(dir: &Path) -> Result<File, StoreError> {
    std::fs::create_dir_all(dir).map_err(|error| StoreError::io(dir, error))?;
    let path = dir.join("relay.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(|error| StoreError::io(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: dir.to_path_buf() }),
        Err(TryLockError::Error(error)) => Err(StoreError::io(&path, error)),
    }
}

fn refuse_foreign(path: &Path) -> Result<(), StoreError> {
    let foreign = |reason: &str| Err(StoreError::Foreign { path: path.to_path_buf(), reason: reason.into() });
    // Looked at before it is opened: to open a pipe would wait for its other end.
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => return foreign("it is a directory"),
        Ok(found) if !found.is_file() => return foreign("it is not a plain file"),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::io(path, error)),
    }
    let mut file = File::open(path).map_err(|error| StoreError::io(path, error))?;
    let mut head = [0; MAGIC.len()];
    let mut read = 0;
    while read < head.len() {
        match file.read(&mut head[read..]).map_err(|error| StoreError::io(path, error))? {
            0 => break,
            n => read += n,
        }
    }
    if read == 0 || head == MAGIC {
        return Ok(());
    }
    foreign("it does not begin as one")
}

/// The format a database says it has; `None` for an empty one.
fn format_of(path: &Path, database: &Database) -> Result<Option<u64>, StoreError> {
    let look = || -> Result<(Option<u64>, usize), redb::Error> {
        let read = database.begin_read()?;
        let tables: Vec<String> = read.list_tables()?.map(|table| table.name().to_string()).collect();
        if !tables.iter().any(|name| name == META.name()) {
            return Ok((None, tables.len()));
        }
        let format = read.open_table(META)?.get("format")?.map(|format| format.value());
        Ok((format, tables.len()))
    };
    match look() {
        Ok((Some(format), _)) => Ok(Some(format)),
        Ok((None, 0)) => Ok(None),
        Ok((None, _)) | Err(redb::Error::TableTypeMismatch { .. } | redb::Error::TableIsMultimap(_)) => {
            Err(StoreError::Foreign { path: path.to_path_buf(), reason: "a database with other tables".into() })
        }
        Err(error) => Err(StoreError::database(path, error)),
    }
}

fn initialise(database: &Database, now_ms: i64) -> Result<(), redb::Error> {
    let write = begin(database)?;
    {
        let mut meta = write.open_table(META)?;
        meta.insert("format", FORMAT)?;
        meta.insert("created", now_ms as u64)?;
        write.open_table(NAMES)?;
        write.open_table(SERIES)?;
        write.open_table(FRAMES)?;
        write.open_table(HOURS)?;
        write.open_table(TOTALS)?;
        write.open_table(STAMPED)?;
        write.open_table(EVENTS)?;
        write.open_table(ALERTS)?;
        write.open_table(NOTIFIED)?;
    }
    Ok(write.commit()?)
}

/// Begins a durable transaction whose file opens quickly after a crash.
pub(super) fn begin(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut write = database.begin_write()?;
    write.set_quick_repair(true);
    Ok(write)
}

/// End of the last window in this view of the file, unix milliseconds.
pub(super) fn last_window(read: &redb::ReadTransaction) -> Option<i64> {
    read.open_table(META).ok()?.get("last_window").ok()?.map(|end| end.value() as i64)
}
