//! What is deleted, and what is not.

use super::*;

#[test]
fn the_raw_tier_forgets_and_totals_stay() {
    let dir = TempDir::new().unwrap();
    let config = StoreConfig { tiers: vec![Tier { step: "raw".into(), keep: Duration::from_secs(7_200) }], ..StoreConfig::default() };
    let (store, mut writer) = open_as(dir.path(), &config);
    let hits = family(vec![series(0, Kind::Counter, "hits", &[])]);
    for n in 1..=6 * 360 {
        store.append(&window(START + n * STEP, vec![(hits.clone(), counter(1.0, n as f64))]));
        writer.commit(START + n * STEP).unwrap();
    }
    let end = START + 6 * 3_600_000;
    drop((store, writer));
    let (store, _writer) = open_as(dir.path(), &config);
    let samples = one(&store, "hits", START, end);
    assert_eq!(samples[0], (START + 3 * 3_600_000 + STEP, 3.0 * 360.0 + 1.0));
    assert_eq!(samples.last(), Some(&(end, 2_160.0)));
}

#[test]
fn a_file_that_is_too_large_loses_its_oldest_hours() {
    let dir = TempDir::new().unwrap();
    let config = StoreConfig { max_size: crate::model::ByteSize(1), ..StoreConfig::default() };
    let (store, mut writer) = open_as(dir.path(), &config);
    let hits = family(vec![series(0, Kind::Counter, "hits", &[])]);
    let mut dropped = 0;
    for n in 1..=4 * 60 {
        store.append(&window(START + n * 60_000, vec![(hits.clone(), counter(1.0, n as f64))]));
        dropped += writer.commit(START + n * 60_000).unwrap().dropped;
    }
    assert_eq!(dropped, 3 * 60);
    drop((store, writer));
    let (store, _writer) = open_as(dir.path(), &config);
    assert_eq!(one(&store, "hits", START, START + 4 * 3_600_000)[0], (START + 3 * 3_600_000 + 60_000, 181.0));
}

#[test]
fn samples_with_times_of_their_own_count_against_the_size() {
    let dir = TempDir::new().unwrap();
    let config = StoreConfig { max_size: crate::model::ByteSize(4 << 20), ..StoreConfig::default() };
    let (store, mut writer) = open_as(dir.path(), &config);
    let hits = family(vec![series(0, Kind::Counter, "hits", &[])]);
    let own: Vec<Series> = (0..100).map(|n| series(n + 1, Kind::Gauge, &format!("own{n}"), &[])).collect();
    let mut dropped = 0;
    for n in 1..=4 * 60 {
        let end = START + n * 60_000;
        let mut window = window(end, vec![(hits.clone(), counter(1.0, n as f64))]);
        // From a day ago on, ten to a window.
        let seconds = (0..10).map(|part| (end / 1_000 - 86_400 - part * 6) as u64);
        window.stamped = seconds.flat_map(|at| own.iter().map(move |series| Stamped { series: series.clone(), at, value: 1.0 })).collect();
        store.append(&window);
        dropped += writer.commit(end).unwrap().dropped;
    }
    // What they fill is given back by the oldest of them, and no window has to go for it.
    let day = 86_400_000;
    let kept = one(&store, "own7", START - day, START - day + 4 * 3_600_000);
    assert_eq!(kept.last(), Some(&(START - day + 4 * 3_600_000, 1.0)));
    assert!(kept[0].0 > START - day + 3_600_000, "{:?}", kept[0]);
    assert_eq!((dropped, one(&store, "hits", START, START + 4 * 3_600_000).len()), (0, 240));
}

#[test]
fn a_leap_of_the_clock_deletes_nothing() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let hits = family(vec![series(0, Kind::Counter, "hits", &[])]);
    let event = Event { title: "deploy".into(), ..Event::default() };
    let mut total = 0.0;
    let mut append = |at: i64, now: i64| {
        total += 1.0;
        let mut window = window(at, vec![(hits.clone(), counter(1.0, total))]);
        window.stamped = vec![Stamped { series: series(1, Kind::Counter, "own", &[]), at: (at / 1_000) as u64, value: 1.0 }];
        window.events = vec![(at / 1_000, Arc::new(event.clone()))];
        store.append(&window);
        writer.commit(now).unwrap();
    };
    let minute = |n: i64| START + n * 60_000;
    (1..=300).for_each(|n| append(minute(n), minute(n)));
    let kept = |store: &Store| {
        let range = TimeRange { start: START, end: minute(300) };
        (
            one(store, "hits", START, minute(300)).len(),
            one(store, "own", START, minute(300)).len(),
            store.notes(range, 1_000).unwrap().len(),
        )
    };
    // The clock leaps ten years ahead for an hour, and the windows with it.
    let years = 10 * 365 * 86_400_000;
    append(minute(301), minute(301) + years);
    (302..=360).for_each(|n| append(minute(n) + years, minute(n) + years));
    assert_eq!(kept(&store), (300, 300, 300));
    // It is back, and windows go on behind the last one.
    (361..=800).for_each(|n| append(minute(n) + years, minute(n)));
    assert_eq!(kept(&store), (300, 300, 300));
    // At last it really is so late.
    (801..=1_000).for_each(|n| append(minute(n) + years, minute(n) + years));
    assert_eq!(kept(&store), (0, 0, 0));
}

#[test]
fn events_are_kept_as_long_as_the_minute_tier() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let mut first = window(START + STEP, Vec::new());
    first.events = vec![(START / 1_000 + 1, Arc::new(Event { title: "deploy".into(), ..Event::default() }))];
    store.append(&first);
    let range = TimeRange { start: START, end: START + STEP };
    let mut kept_at = |day: i64| {
        for minute in 0..180 {
            let end = START + day * 86_400_000 + minute * 60_000 + 2 * STEP;
            store.append(&window(end, Vec::new()));
            writer.commit(end).unwrap();
        }
        store.notes(range, 10).unwrap().len()
    };
    assert_eq!((kept_at(3), kept_at(13), kept_at(15)), (1, 1, 0));
}
