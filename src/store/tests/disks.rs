//! Disks and files that fail while the store runs.

use super::*;

/// A disk that can fall sick.
#[derive(Debug)]
struct Sick(redb::backends::FileBackend, Arc<AtomicBool>);

impl Sick {
    fn well(&self) -> std::io::Result<()> {
        if self.1.load(Ordering::SeqCst) { Err(std::io::Error::from(std::io::ErrorKind::StorageFull)) } else { Ok(()) }
    }
}

impl StorageBackend for Sick {
    fn len(&self) -> std::io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.well().and_then(|()| self.0.set_len(len))
    }
    fn sync_data(&self) -> std::io::Result<()> {
        self.well().and_then(|()| self.0.sync_data())
    }
    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.well().and_then(|()| self.0.write(offset, data))
    }
}

#[test]
fn a_sick_disk_stops_nothing_and_heals_by_itself() {
    let dir = TempDir::new().unwrap();
    let sick = Arc::new(AtomicBool::new(false));
    let switch = sick.clone();
    let opener: Opener = Arc::new(move |path| {
        let file = std::fs::File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap();
        Database::builder().create_with_backend(Sick(redb::backends::FileBackend::new(file)?, switch.clone()))
    });
    let interval = Duration::from_millis(STEP as u64);
    let (store, mut writer) = Store::open_with(opener, dir.path(), &StoreConfig::default(), interval, &[], START).unwrap();
    let hits = family(vec![series(0, Kind::Counter, "hits", &[])]);
    let append = |n: i64| store.append(&window(START + n * STEP, vec![(hits.clone(), counter(1.0, n as f64))]));
    append(1);
    writer.commit(START).unwrap();
    sick.store(true, Ordering::SeqCst);
    for n in 2..5 {
        append(n);
        let error = writer.commit(START).unwrap_err();
        assert_eq!(error.reason(), "full", "{error}");
        assert_eq!(one(&store, "hits", START, START + 9 * STEP).len() as i64, n);
    }
    sick.store(false, Ordering::SeqCst);
    append(5);
    assert_eq!(writer.commit(START).unwrap(), Committed { through: START + 5 * STEP, windows: 4, dropped: 0 });
    drop((store, writer));
    let (store, _writer) = open(dir.path());
    assert_eq!(one(&store, "hits", START, START + 9 * STEP).len(), 5);
}
