//! Windows on their way into the store and back.

use super::*;

#[test]
fn a_window_is_seen_at_once_and_still_after_a_crash() {
    let dir = TempDir::new().unwrap();
    let hits = family(vec![series(0, Kind::Counter, "web.hits", &["env:prod"])]);
    let heat = family(vec![series(1, Kind::Gauge, "heat", &[])]);
    let (store, mut writer) = open(dir.path());
    let mut total = 0.0;
    for n in 1..=5 {
        total += 0.1 * n as f64;
        store
            .append(&window(START + n * STEP, vec![(hits.clone(), counter(0.1 * n as f64, total)), (heat.clone(), gauge(n as f64 / 2.0))]));
        let now = one(&store, "web_hits", START, START + n * STEP);
        assert_eq!(now.last(), Some(&(START + n * STEP, total)));
        assert_eq!(writer.commit(START + n * STEP).unwrap(), Committed { through: START + n * STEP, windows: 1, dropped: 0 });
    }
    let before = select(&store, &[], START, START + 9 * STEP);
    assert_eq!(before[1].0, r#"web_hits{env="prod"}"#);
    drop((store, writer));
    let (store, _writer) = open(dir.path());
    assert_eq!(select(&store, &[], START, START + 9 * STEP), before);
    assert_eq!(store.last_window(), Some(START + 5 * STEP));
    assert_eq!(store.names(), [("web.hits".into(), Kind::Counter, "web_hits".into()), ("heat".into(), Kind::Gauge, "heat".into())]);
    let live = store.live();
    assert_eq!((live[0].name.as_str(), live[0].tags.as_slice()), ("web.hits", ["env:prod".to_string()].as_slice()));
    assert_eq!((live[0].base.total, live[0].base.created_ms), (total, START));
    assert_eq!((live[1].base.gauge, live[1].kind), (Some(2.5), Kind::Gauge));
}

#[test]
fn what_was_not_committed_is_lost_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    let hits = family(vec![series(0, Kind::Counter, "hits", &[])]);
    let (store, mut writer) = open(dir.path());
    store.append(&window(START + STEP, vec![(hits.clone(), counter(1.0, 1.0))]));
    writer.commit(START).unwrap();
    store.append(&window(START + 2 * STEP, vec![(hits, counter(1.0, 2.0))]));
    drop((store, writer));
    let (store, _writer) = open(dir.path());
    assert_eq!(one(&store, "hits", START, START + 9 * STEP), [(START + STEP, 1.0)]);
}

#[test]
fn a_commit_that_failed_only_in_its_answer_is_not_written_twice() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let (hits, own) = (family(vec![series(0, Kind::Counter, "hits", &[])]), series(1, Kind::Counter, "own", &[]));
    let mut first = window(START + STEP, vec![(hits, counter(2.0, 2.0))]);
    first.stamped = vec![Stamped { series: own, at: (START / 1_000) as u64 + 1, value: 2.0 }];
    store.append(&first);
    let waiting = store.0.head.read().queue.all();
    writer.commit(START).unwrap();
    for pending in waiting {
        assert!(store.0.head.write().queue.push(Arc::into_inner(pending).unwrap()));
    }
    assert_eq!(writer.commit(START).unwrap(), Committed { through: START + STEP, windows: 1, dropped: 0 });
    drop((store, writer));
    let (store, _writer) = open(dir.path());
    assert_eq!(one(&store, "hits", START, START + STEP), [(START + STEP, 2.0)]);
    assert_eq!(one(&store, "own", START, START + STEP), [(START + 1_000, 2.0)]);
}

#[test]
fn a_window_that_is_not_later_changes_nothing() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let hits = family(vec![series(0, Kind::Counter, "hits", &[])]);
    store.append(&window(START + 2 * STEP, vec![(hits.clone(), counter(2.0, 2.0))]));
    store.append(&window(START + STEP, vec![(hits, counter(9.0, 11.0))]));
    assert_eq!(writer.commit(START).unwrap().windows, 1);
    assert_eq!(one(&store, "hits", START, START + 9 * STEP), [(START + 2 * STEP, 2.0)]);
}

#[test]
fn totals_go_on_exactly_over_a_million_increments_and_many_restarts() {
    let dir = TempDir::new().unwrap();
    let (mut total, mut end) = (0.0, START);
    for restart in 0..10u32 {
        let (store, mut writer) = open(dir.path());
        let hits = family(vec![series(restart, Kind::Counter, "hits", &["a:b"])]);
        let base = store.base(Kind::Counter, "hits", &mut ["a:b"].into_iter()).unwrap_or_default();
        assert_eq!(base.total, total, "restart {restart}");
        for _ in 0..100 {
            end += STEP;
            total += 1_000.0;
            store.append(&window(end, vec![(hits.clone(), counter(1_000.0, total))]));
        }
        writer.commit(end).unwrap();
        if restart % 2 == 0 {
            writer.close(end).unwrap();
        }
    }
    let (store, _writer) = open(dir.path());
    let samples = one(&store, "hits", START, end);
    assert_eq!(samples.len(), 1_000);
    assert!(samples.iter().enumerate().all(|(n, &(at, value))| at == START + (n as i64 + 1) * STEP && value == (n as f64 + 1.0) * 1_000.0));
    assert_eq!(samples.last().unwrap().1, 1e6);
}
