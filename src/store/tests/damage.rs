//! Files that are damaged, foreign or in use.

use super::*;

/// Overwrites the frame of a window.
fn damage(dir: &TempDir, n: i64) {
    let database = Database::create(dir.path().join("relay.tsdb")).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(disk::FRAMES).unwrap().insert(((START + n * STEP) as u64, 0), [1u8; 40].as_slice()).unwrap();
    write.commit().unwrap();
}

#[test]
fn a_second_relay_is_refused() {
    let dir = TempDir::new().unwrap();
    let (_store, _writer) = open(dir.path());
    let error = try_open(dir.path(), &StoreConfig::default()).err().unwrap();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("another relay"));
}

#[test]
fn files_that_are_not_ours_are_refused_and_stay_as_they_are() {
    let foreign_database = |path: &Path| {
        let database = Database::create(path).unwrap();
        let write = database.begin_write().unwrap();
        write.open_table(redb::TableDefinition::<u64, u64>::new("other")).unwrap().insert(1, 1).unwrap();
        write.commit().unwrap();
    };
    let newer = |path: &Path| {
        let database = Database::create(path).unwrap();
        let write = database.begin_write().unwrap();
        write.open_table(disk::META).unwrap().insert("format", 99).unwrap();
        write.commit().unwrap();
    };
    type Make<'a> = &'a dyn Fn(&Path);
    let table: [(&str, Make<'_>, &str); 4] = [
        ("text", &|path| std::fs::write(path, "not a store").unwrap(), "foreign"),
        ("short", &|path| std::fs::write(path, "r").unwrap(), "foreign"),
        ("other tables", &foreign_database, "foreign"),
        ("newer", &newer, "newer"),
    ];
    for (case, make, reason) in table {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("relay.tsdb");
        make(&path);
        let before = std::fs::read(&path).unwrap();
        let error = try_open(dir.path(), &StoreConfig::default()).err().unwrap();
        assert_eq!(error.reason(), reason, "{case}: {error}");
        assert!(error.to_string().contains("relay.tsdb"), "{error}");
        if !matches!(case, "other tables" | "newer") {
            assert_eq!(std::fs::read(&path).unwrap(), before, "{case}");
        }
    }
}

#[test]
fn what_is_no_file_is_refused_with_its_place_and_a_way_out() {
    for (make, reason) in [("mkdir", "it is a directory"), ("mkfifo", "it is not a plain file")] {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("relay.tsdb");
        assert!(std::process::Command::new(make).arg(&path).status().unwrap().success());
        let error = try_open(dir.path(), &StoreConfig::default()).err().unwrap();
        let expected = format!("{}: not a store of this relay ({reason}); move it away, or choose another data_dir", path.display());
        assert_eq!(error.to_string(), expected);
        assert!(path.exists());
    }
}

#[test]
fn a_file_of_no_bytes_is_a_fresh_start() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("relay.tsdb"), "").unwrap();
    let (store, _writer) = open(dir.path());
    assert_eq!(store.last_window(), None);
    assert!(store.bytes() > 0);
}

#[test]
fn a_damaged_frame_is_named_and_gives_no_wrong_value() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let (hits, heat) = (family(vec![series(0, Kind::Counter, "hits", &[])]), family(vec![series(1, Kind::Gauge, "heat", &[])]));
    for n in 1..=4 * 360 {
        store.append(&window(START + n * STEP, vec![(hits.clone(), counter(1.0, n as f64)), (heat.clone(), gauge(n as f64))]));
    }
    writer.commit(START).unwrap();
    drop((store, writer));
    let database = Database::create(dir.path().join("relay.tsdb")).unwrap();
    let key = ((START + 10 * STEP) as u64, 0);
    let mut part = database.begin_read().unwrap().open_table(disk::FRAMES).unwrap().get(key).unwrap().unwrap().value().to_vec();
    *part.last_mut().unwrap() ^= 1;
    let write = database.begin_write().unwrap();
    write.open_table(disk::FRAMES).unwrap().insert(key, part.as_slice()).unwrap();
    write.commit().unwrap();
    drop(database);
    let (store, _writer) = open(dir.path());
    let range = TimeRange { start: START, end: START + 400 * STEP };
    let selected = store.select(&[], range).unwrap();
    assert!(selected.warnings[0].contains("damaged") && selected.warnings[0].contains(&(START + 10 * STEP).to_string()));
    let found = texts(selected);
    assert!(found.iter().all(|(_, samples)| samples.iter().all(|&(at, value)| value == ((at - START) / STEP) as f64)));
    let (gauges, counters) = (found[0].1.len(), found[1].1.len());
    assert_eq!((gauges, counters), (399, 9 + 40), "the next hour begins with totals");
}

#[test]
fn flipped_bits_of_rows_never_panic_and_never_give_a_wrong_value() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let hits = family(vec![series(0, Kind::Counter, "hits", &["a:b"])]);
    for n in 1..=5 {
        store.append(&window(START + n * STEP, vec![(hits.clone(), counter(1.0, n as f64))]));
    }
    store.append(&window(START + 6 * STEP, Vec::new()));
    writer.commit(START).unwrap();
    drop((store, writer));
    let path = dir.path().join("relay.tsdb");
    let whole = std::fs::read(&path).unwrap();
    for (table, key) in [(disk::NAMES, 0), (disk::SERIES, 0), (disk::TOTALS, 0)] {
        for bit in 0..64 {
            std::fs::write(&path, &whole).unwrap();
            let database = Database::open(&path).unwrap();
            let write = database.begin_write().unwrap();
            {
                let mut rows = write.open_table(table).unwrap();
                let mut row = rows.get(key).unwrap().unwrap().value().to_vec();
                let at = bit * 7 % (row.len() * 8);
                row[at / 8] ^= 1 << (at % 8);
                rows.insert(key, row.as_slice()).unwrap();
            }
            write.commit().unwrap();
            drop(database);
            let (store, _writer) = open(dir.path());
            for (labels, samples) in select(&store, &[], START, START + 5 * STEP) {
                assert_eq!(labels, r#"hits{a="b"}"#);
                assert!(samples.iter().all(|&(at, value)| value == ((at - START) / STEP) as f64));
            }
        }
    }
}

#[test]
fn damage_in_the_last_hour_gives_no_wrong_value_after_a_start() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let (hits, wait) = (family(vec![series(0, Kind::Counter, "hits", &[])]), family(vec![series(1, Kind::Timer, "wait", &[])]));
    let append = |store: &Store, n: i64, total: f64| {
        let waited = timer(sketches(&[1.0]), total, total);
        store.append(&window(START + n * STEP, vec![(hits.clone(), counter(1.0, total)), (wait.clone(), waited)]));
    };
    (1..=30).for_each(|n| append(&store, n, n as f64));
    writer.commit(START).unwrap();
    drop((store, writer));
    damage(&dir, 10);
    let (store, mut writer) = open(dir.path());
    let right = |line: &[(i64, f64)]| line.iter().all(|&(at, value)| value == ((at - START) / STEP) as f64);
    for name in ["hits", "wait_count"] {
        let range = TimeRange { start: START, end: START + 99 * STEP };
        let selected = store.select(&matchers(&[("__name__", name)]), range).unwrap();
        assert!(selected.warnings[0].contains(&(START + 10 * STEP).to_string()));
        let line = texts(selected).remove(0).1;
        assert!(right(&line) && line.len() == 9, "{name}: {line:?}");
    }
    // What is missing is missing from the total too; from here on it is known again.
    let base = store.base(Kind::Counter, "hits", &mut std::iter::empty()).unwrap().total;
    assert_eq!(base, 29.0);
    append(&store, 31, base + 1.0);
    writer.commit(START).unwrap();
    drop((store, writer));
    let (store, _writer) = open(dir.path());
    let range = TimeRange { start: START + 10 * STEP, end: START + 99 * STEP };
    let selected = store.select(&matchers(&[("__name__", "hits")]), range).unwrap();
    assert_eq!(texts(selected).remove(0).1, [(START + 31 * STEP, 30.0)]);
    assert_eq!(store.base(Kind::Counter, "hits", &mut std::iter::empty()).unwrap().total, 30.0);
}

#[test]
fn the_file_is_read_for_what_memory_lacks_alone() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let hits = family(vec![series(0, Kind::Counter, "hits", &[])]);
    (1..=30).for_each(|n| store.append(&window(START + n * STEP, vec![(hits.clone(), counter(1.0, n as f64))])));
    writer.commit(START).unwrap();
    drop((store, writer));
    let (store, _writer) = open(dir.path());
    let write = disk::begin(store.0.database.read().as_ref().unwrap()).unwrap();
    write.open_table(disk::FRAMES).unwrap().insert(((START + 10 * STEP) as u64, 0), [1u8; 40].as_slice()).unwrap();
    write.commit().unwrap();
    let select = |first: i64| store.select(&[], TimeRange { start: START + first * STEP, end: START + 30 * STEP }).unwrap();
    assert_eq!(select(0).warnings.len(), 1, "the damage is met");
    let last = select(28);
    assert!(last.warnings.is_empty());
    assert_eq!(texts(last).remove(0).1, [(START + 29 * STEP, 29.0), (START + 30 * STEP, 30.0)]);
}

#[test]
fn a_timer_stands_where_the_windows_that_are_left_lead() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let wait = family(vec![series(0, Kind::Timer, "wait", &[])]);
    for n in 1..=100 {
        store.append(&window(START + n * STEP, vec![(wait.clone(), timer(sketches(&[2.0]), n as f64, 2.0 * n as f64))]));
    }
    writer.commit(START).unwrap();
    drop((store, writer));
    let database = Database::create(dir.path().join("relay.tsdb")).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(disk::FRAMES).unwrap().retain(|(end, _), _| end as i64 <= START + 20 * STEP).unwrap();
    write.commit().unwrap();
    drop(database);
    let (store, _writer) = open(dir.path());
    let base = store.base(Kind::Timer, "wait", &mut std::iter::empty()).unwrap();
    assert_eq!((base.count, base.sum), (20.0, 40.0));
}

#[test]
fn a_timer_goes_on_behind_damage_from_what_is_left() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let wait = family(vec![series(0, Kind::Timer, "wait", &[])]);
    let append = |store: &Store, n: i64, total: f64| {
        store.append(&window(START + n * STEP, vec![(wait.clone(), timer(sketches(&[1.0]), total, total))]));
    };
    (1..=30).for_each(|n| append(&store, n, n as f64));
    writer.commit(START).unwrap();
    drop((store, writer));
    damage(&dir, 10);
    let (store, _writer) = open(dir.path());
    assert_eq!(store.base(Kind::Timer, "wait", &mut std::iter::empty()).unwrap().count, 29.0);
    append(&store, 31, 30.0);
    let range = TimeRange { start: START + 30 * STEP, end: START + 31 * STEP };
    let counts = store.select(&matchers(&[("__name__", "wait_count")]), range).unwrap();
    assert_eq!(texts(counts).remove(0).1, [(START + 31 * STEP, 30.0)]);
}
