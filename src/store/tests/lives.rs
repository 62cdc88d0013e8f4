//! Series that come, go and return.

use super::*;

#[test]
fn a_series_that_leaves_ends_and_goes_on_when_it_returns() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let hits = |slot| family(vec![series(slot, Kind::Counter, "hits", &[])]);
    store.append(&window(START + STEP, vec![(hits(0), counter(5.0, 5.0))]));
    store.append(&window(START + 2 * STEP, Vec::new()));
    writer.commit(START).unwrap();
    assert_eq!(store.live(), []);
    let all = TimeRange { start: i64::MIN, end: i64::MAX };
    assert_eq!(store.select(&[], all).unwrap().series.len(), 1);
    assert_eq!(store.label_sets(&[], TimeRange { start: START + 2 * STEP, end: START + 9 * STEP }).unwrap(), []);
    drop((store, writer));
    let (store, mut writer) = open(dir.path());
    assert_eq!(store.live(), []);
    assert_eq!(store.base(Kind::Counter, "hits", &mut std::iter::empty()).unwrap().total, 5.0);
    store.append(&window(START + 3 * STEP, vec![(hits(7), counter(1.0, 6.0))]));
    writer.commit(START).unwrap();
    drop((store, writer));
    let (store, _writer) = open(dir.path());
    let samples = one(&store, "hits", START, START + 9 * STEP);
    assert_eq!((samples[0], samples[1].0, samples[2]), ((START + STEP, 5.0), START + 2 * STEP, (START + 3 * STEP, 6.0)));
    assert!(samples[1].1.is_nan());
    assert_eq!(store.live().len(), 1);
}

#[test]
fn totals_of_births_and_returns_within_an_hour_are_read_from_the_file() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let (hits, heat) = (family(vec![series(0, Kind::Counter, "hits", &[])]), family(vec![series(1, Kind::Gauge, "heat", &[])]));
    // Born in the second window of an hour, gone after it, back in the second of the next, and both hours long past.
    for n in [1, 2, 3, 361, 362, 1_000, 1_500, 2_000] {
        let mut rows = vec![(heat.clone(), gauge(1.0))];
        if n == 2 || n == 362 {
            rows.push((hits.clone(), counter(5.0, if n == 2 { 5.0 } else { 10.0 })));
        }
        store.append(&window(START + n * STEP, rows));
    }
    writer.commit(START).unwrap();
    drop((store, writer));
    let (store, _writer) = open(dir.path());
    let samples = one(&store, "hits", START, START + 999 * STEP);
    assert_eq!((samples[0], samples[2]), ((START + 2 * STEP, 5.0), (START + 362 * STEP, 10.0)));
    assert!(samples[1].1.is_nan() && samples.len() == 3);
}

#[test]
fn a_clean_stop_leaves_no_end_and_keeps_ages() {
    let dir = TempDir::new().unwrap();
    let (store, writer) = open(dir.path());
    let heat = family(vec![series(0, Kind::Gauge, "heat", &[])]);
    for n in 1..=3 {
        let column = Column::Gauge { value: vec![20.0], age: vec![n as u16 - 1] };
        store.append(&window(START + n * STEP, vec![(heat.clone(), column)]));
    }
    writer.close(START + 3 * STEP).unwrap();
    drop(store);
    let (store, _writer) = open(dir.path());
    assert_eq!(store.live()[0].age, 2);
    assert_eq!(one(&store, "heat", START, START + 9 * STEP).len(), 3);
}

#[test]
fn a_start_soon_after_an_hour_ended_finds_both_hours_as_they_were() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let of = |slot, kind, name: &str| family(vec![series(slot, kind, name, &["a:b"])]);
    let (hits, heat) = (of(0, Kind::Counter, "hits"), of(1, Kind::Gauge, "heat"));
    let (users, wait) = (of(2, Kind::Set, "users"), of(3, Kind::Timer, "wait"));
    let (mut total, mut count, mut sum) = (0.0, 0.0, 0.0);
    for n in 1..=400i32 {
        let (gain, size, waited) = (f64::from(n % 3), f64::from(n % 2), f64::from(n) / 8.0);
        let received = (n % 7 != 0).then(|| sketches(&[waited])).flatten();
        total += gain;
        (count, sum) = if received.is_some() { (count + 1.0, sum + waited) } else { (count, sum) };
        let rows = vec![
            (hits.clone(), counter(gain, total)),
            (heat.clone(), gauge(waited)),
            (users.clone(), Column::Set { count: vec![size], age: vec![u16::from(size == 0.0)] }),
            (wait.clone(), timer(received, count, sum)),
        ];
        store.append(&window(START + i64::from(n) * STEP, rows));
    }
    writer.commit(START).unwrap();
    let seen = |store: &Store| {
        let quantiles = select(store, &[("__name__", "wait"), ("quantile", "~.*")], START, START + 400 * STEP);
        (select(store, &[], START, START + 400 * STEP), quantiles, store.live())
    };
    let before = seen(&store);
    assert!(before.0.len() == 6 && before.1.len() == 2 && before.0.iter().all(|(_, samples)| samples.len() == 400));
    drop((store, writer));
    assert_eq!(seen(&open(dir.path()).0), before);
}

#[test]
fn forgotten_series_leave_memory_and_file() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let some =
        |from: u32, n: u32| family((from..from + n).map(|slot| series(slot, Kind::Gauge, "heat", &[&format!("n:{slot}")])).collect());
    let column = |n: usize| Column::Gauge { value: vec![1.0; n], age: vec![0; n] };
    store.append(&window(START + STEP, vec![(some(0, 10), column(10))]));
    store.append(&window(START + 2 * STEP, vec![(some(10, 5), column(5))]));
    writer.commit(START).unwrap();
    store.0.head.write().forget(4);
    store.append(&window(START + 3 * STEP, vec![(some(10, 5), column(5))]));
    writer.commit(START).unwrap();
    let before = select(&store, &[], START, START + 9 * STEP);
    assert_eq!(before.len(), 11);
    drop((store, writer));
    let (store, _writer) = open(dir.path());
    // Ends are NaN here, which equals nothing.
    assert_eq!(format!("{:?}", select(&store, &[], START, START + 9 * STEP)), format!("{before:?}"));
    assert_eq!(store.live().len(), 5);
}

#[test]
fn numbers_suffice_for_more_births_than_32_bits_and_the_end_of_them_is_told() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let hits = |slot: u32| family(vec![series(slot, Kind::Counter, "hits", &[&format!("n:{slot}")])]);
    let own = |name: &str| vec![Recorded { labels: Labels::new([("__name__", name)]), value: Some(1.0) }];
    let first = 1 << 32;
    store.0.head.write().shelves.iter_mut().for_each(|shelf| shelf.next = first);
    let mut second = window(START + STEP, vec![(hits(0), counter(5.0, 5.0))]);
    second.own = own("own");
    store.append(&second);
    writer.commit(START).unwrap();
    drop((store, writer));
    let (store, _writer) = open(dir.path());
    assert_eq!(one(&store, "hits", START, START + STEP), [(START + STEP, 5.0)]);
    assert_eq!(one(&store, "own", START, START + STEP), [(START + STEP, 1.0)]);
    let mut head = store.0.head.write();
    assert_eq!(head.shelves[0].next, first + 1);
    head.shelves.iter_mut().for_each(|shelf| shelf.next = role::Number::SEQUENCES);
    let mut third = window(START + 2 * STEP, vec![(hits(1), counter(1.0, 1.0))]);
    third.own = own("other");
    head.append(&third);
    assert_eq!(head.homeless, 2);
}

#[test]
fn a_gauge_that_returns_begins_at_nothing() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let heat = family(vec![series(0, Kind::Gauge, "heat", &[])]);
    let base = |store: &Store| store.base(Kind::Gauge, "heat", &mut std::iter::empty()).unwrap().gauge;
    store.append(&window(START + STEP, vec![(heat, gauge(7.0))]));
    assert_eq!(base(&store), Some(7.0));
    store.append(&window(START + 2 * STEP, Vec::new()));
    assert_eq!(base(&store), None);
    writer.commit(START).unwrap();
    drop((store, writer));
    assert_eq!(base(&open(dir.path()).0), None);
}

#[test]
fn series_that_leave_again_in_each_others_slots_end_again() {
    let dir = TempDir::new().unwrap();
    let (store, _writer) = open(dir.path());
    let mut at = START;
    let mut total = 0.0;
    for life in 0..3 {
        total += 1.0;
        let of = |slot: u32, name: &str| family(vec![series(slot ^ (life & 1), Kind::Counter, name, &[])]);
        at += STEP;
        let (one, other) = (of(0, "one"), of(1, "other"));
        store.append(&window(at, vec![(one.clone(), counter(1.0, total)), (other.clone(), counter(1.0, total))]));
        at += STEP;
        store.append(&window(at, vec![(one, counter(0.0, total)), (other, counter(0.0, total))]));
        at += STEP;
        store.append(&window(at, vec![]));
        let now = TimeRange { start: at, end: at + STEP };
        assert!(store.label_sets(&matchers(&[("__name__", "~one|other")]), now).unwrap().is_empty(), "life {life}");
        for name in ["one", "other"] {
            let of_name = store.select(&matchers(&[("__name__", name)]), TimeRange { start: START, end: at }).unwrap();
            let ends = of_name.series[0].samples.iter().filter(|sample| matches!(sample.value, SampleValue::Stale)).count();
            assert_eq!(ends, life as usize + 1, "{name}, life {life}");
        }
        for _ in 0..4 {
            at += STEP;
            store.append(&window(at, vec![]));
        }
    }
}

#[test]
fn whoever_left_or_returned_is_told_to_the_file_and_counted() {
    let dir = TempDir::new().unwrap();
    let (mut store, mut writer) = open(dir.path());
    let (mut at, mut total) = (START, 0.0);
    for life in 1..=3 {
        total += 1.0;
        at += STEP;
        let one = |slot: u32, kind| family(vec![series(slot + life, kind, kind.as_str(), &[])]);
        let rows = vec![
            (one(0, Kind::Counter), counter(1.0, total)),
            (one(4, Kind::Gauge), gauge(total)),
            (one(8, Kind::Set), Column::Set { count: vec![1.0], age: vec![0] }),
            (one(12, Kind::Timer), timer(sketches(&[0.5]), total, total / 2.0)),
        ];
        store.append(&window(at, rows));
        let moved = |store: &Store| store.0.head.read().moved.len();
        // The first life is a birth: of that the file is told otherwise.
        assert_eq!((moved(&store), store.0.head.read().live()), (if life == 1 { 0 } else { 4 }, 4), "life {life}");
        writer.commit(START).unwrap();
        assert_eq!(moved(&store), 0);
        drop((store, writer));
        (store, writer) = open(dir.path());
        assert_eq!(store.live().len(), 4, "life {life}");
        at += STEP;
        store.append(&window(at, Vec::new()));
        assert_eq!((moved(&store), store.0.head.read().live()), (4, 0), "life {life}");
        writer.commit(START).unwrap();
        drop((store, writer));
        (store, writer) = open(dir.path());
        assert_eq!(store.live(), [], "life {life}");
    }
}

#[test]
fn a_timer_that_leaves_as_an_hour_begins_and_returns_in_it_goes_on() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let wait = family(vec![series(0, Kind::Timer, "wait", &[])]);
    let append = |n: i64, rows| store.append(&window(START + n * STEP, rows));
    append(360, vec![(wait.clone(), timer(sketches(&[1.0, 2.0]), 2.0, 3.0))]);
    append(361, Vec::new());
    append(362, vec![(wait.clone(), timer(None, 2.0, 3.0))]);
    append(363, vec![(wait, timer(sketches(&[4.0]), 3.0, 7.0))]);
    let sums = |store: &Store| one(store, "wait_sum", START + 361 * STEP, START + 363 * STEP);
    let expected = [(START + 362 * STEP, 3.0), (START + 363 * STEP, 7.0)];
    assert_eq!(sums(&store), expected);
    writer.commit(START).unwrap();
    drop((store, writer));
    assert_eq!(sums(&open(dir.path()).0), expected);
}
