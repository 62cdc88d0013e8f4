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
    let (store, mut writer) = open_with(opener, dir.path());
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
    store.save_notified([((1, 1), Some(b"old".to_vec())), ((1, 2), Some(b"kept".to_vec()))]);
    assert_eq!(writer.commit_notified(START).unwrap_err().reason(), "full");
    store.save_notified([((1, 1), Some(b"new".to_vec()))]);
    sick.store(false, Ordering::SeqCst);
    writer.commit_notified(START).unwrap();
    assert_eq!(store.notified().unwrap(), [((1, 1), b"new".to_vec()), ((1, 2), b"kept".to_vec())]);
    append(5);
    assert_eq!(writer.commit(START).unwrap(), Committed { through: START + 5 * STEP, windows: 4, dropped: 0 });
    drop((store, writer));
    let (store, _writer) = open(dir.path());
    assert_eq!(one(&store, "hits", START, START + 9 * STEP).len(), 5);
}

#[test]
fn a_file_that_was_deleted_is_written_anew_and_no_total_is_lost() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("relay.tsdb");
    let (store, mut writer) = open(dir.path());
    let (hits, gone) = (family(vec![series(0, Kind::Counter, "hits", &[])]), family(vec![series(1, Kind::Counter, "gone", &[])]));
    let wait = family(vec![series(2, Kind::Timer, "wait", &[])]);
    let append = |n: i64| {
        let waited = timer(sketches(&[0.5]), n as f64, 0.5 * n as f64);
        store.append(&window(START + n * STEP, vec![(hits.clone(), counter(10.0, 10.0 * n as f64)), (wait.clone(), waited)]));
    };
    store.append(&window(START + STEP, vec![(hits.clone(), counter(10.0, 10.0)), (gone, counter(3.0, 3.0))]));
    append(2);
    writer.commit(START).unwrap();
    append(3);
    // As after a failed commit: the handle is dead, and windows wait.
    *store.0.database.write() = None;
    std::fs::remove_file(&path).unwrap();
    append(4);
    writer.commit(START + 1).unwrap();
    let base = |store: &Store, name| store.base(Kind::Counter, name, &mut std::iter::empty()).unwrap().total;
    drop((store, writer));
    for next in 5..7 {
        let (store, mut writer) = open(dir.path());
        assert_eq!((base(&store, "hits"), base(&store, "gone")), (10.0 * (next - 1) as f64, 3.0));
        let live: Vec<String> = store.live().into_iter().map(|live| live.name).collect();
        assert_eq!(live, ["hits", "wait"]);
        assert_eq!(store.base(Kind::Timer, "wait", &mut std::iter::empty()).unwrap().count, (next - 1) as f64);
        let shown = one(&store, "hits", START, START + 99 * STEP);
        assert!(shown.iter().all(|&(at, total)| total == 10.0 * ((at - START) / STEP) as f64), "{shown:?}");
        let waited = timer(sketches(&[0.5]), next as f64, 0.5 * next as f64);
        let rows = vec![(hits.clone(), counter(10.0, 10.0 * next as f64)), (wait.clone(), waited)];
        store.append(&window(START + next * STEP, rows));
        writer.commit(START).unwrap();
    }
}

#[test]
fn a_file_that_makes_the_database_panic_is_set_aside_and_kept() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("relay.tsdb");
    let (store, mut writer) = open(dir.path());
    store.append(&window(START + STEP, vec![(family(vec![series(0, Kind::Counter, "hits", &[])]), counter(1.0, 1.0))]));
    writer.commit(START).unwrap();
    writer.close(START).unwrap();
    drop(store);
    let before = std::fs::read(&path).unwrap();
    // A build that unwinds stands for one that aborts: what counts is what the hook leaves behind.
    let opener: Opener = Arc::new(|_| panic!("a page that cannot be"));
    let opened = || open_with(opener.clone(), dir.path());
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(opened)).is_err());
    let (store, writer) = open(dir.path());
    let aside = dir.path().join(format!("relay.tsdb.damaged-{START}"));
    assert_eq!((store.set_aside(), store.last_window()), (Some(aside.as_path()), None));
    assert_eq!(std::fs::read(&aside).unwrap(), before);
    drop((store, writer));
    let (store, writer) = open(dir.path());
    assert_eq!(store.set_aside(), None);
    drop((store, writer));
    // A panic elsewhere is not the file's.
    assert!(std::panic::catch_unwind(|| panic!("elsewhere")).is_err());
    assert_eq!(open(dir.path()).0.set_aside(), None);
}
