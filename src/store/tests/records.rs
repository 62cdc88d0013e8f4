//! What is no row of a window: samples with times or labels of their own, notes, alerts.

use super::*;

#[test]
fn samples_with_their_own_time_stand_apart() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let (heat, hits) = (series(0, Kind::Gauge, "heat", &[]), series(1, Kind::Counter, "hits", &["a:b"]));
    let second = (START / 1_000) as u64;
    let mut first = window(START + STEP, vec![(family(vec![heat.clone()]), gauge(1.0))]);
    first.stamped = vec![
        Stamped { series: heat, at: second + 3, value: 7.0 },
        Stamped { series: hits.clone(), at: second + 4, value: 2.0 },
        Stamped { series: hits, at: second + 4, value: 3.0 },
    ];
    store.append(&first);
    for _ in 0..2 {
        let found = select(&store, &[], START, START + STEP);
        assert_eq!(found[0], ("heat".into(), vec![(START + 3_000, 7.0), (START + STEP, 1.0)]));
        assert_eq!(found[1], (r#"hits{a="b", stamped="true"}"#.into(), vec![(START + 4_000, 5.0)]));
        writer.commit(START).unwrap();
    }
    drop((store, writer));
    let (store, _writer) = open(dir.path());
    assert_eq!(select(&store, &[("stamped", "true")], START, START + STEP)[0].1, [(START + 4_000, 5.0)]);
}

#[test]
fn recorded_samples_are_seen_at_once_and_kept() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let labels = |name: &str| Labels::new([("__name__", name), ("job", "a")]);
    let mut first = window(START + STEP, Vec::new());
    first.own = vec![Recorded { labels: labels("own"), value: Some(4.0) }];
    store.append(&first);
    store.record(START + STEP, &[Recorded { labels: labels("ALERTS"), value: Some(1.0) }]);
    store.record(START + 2 * STEP, &[Recorded { labels: labels("ALERTS"), value: None }]);
    for round in 0..2 {
        assert_eq!(one(&store, "own", START, START + STEP), [(START + STEP, 4.0)]);
        let alerts = one(&store, "ALERTS", START, START + 9 * STEP);
        assert!(alerts[0] == (START + STEP, 1.0) && alerts[1].1.is_nan() && alerts.len() == 2, "{round}: {alerts:?}");
        writer.commit(START).unwrap();
    }
    drop((store, writer));
    let (store, _writer) = open(dir.path());
    assert_eq!(one(&store, "own", START, START + STEP), [(START + STEP, 4.0)]);
    assert_eq!(one(&store, "ALERTS", START, START + 9 * STEP).len(), 2);
}

#[test]
fn notes_and_alert_states_are_kept() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let mut first = window(START + STEP, Vec::new());
    let event = Event { title: "deploy".into(), alert_type: AlertType::Success, ..Event::default() };
    first.events = vec![(START / 1_000 + 1, Arc::new(event.clone()))];
    let check = Check { name: "db".into(), status: CheckStatus::Ok, timestamp: None, hostname: None, message: None, tags: Vec::new() };
    first.checks = vec![(START / 1_000 + 2, Arc::new(check.clone()))];
    store.append(&first);
    store.save_alerts(vec![((1, 2), b"firing".to_vec())]);
    writer.commit(START).unwrap();
    drop((store, writer));
    let (store, mut writer) = open(dir.path());
    let range = TimeRange { start: START, end: START + STEP };
    assert_eq!(store.notes(range, 10).unwrap(), [(START + 2_000, Note::Check(check)), (START + 1_000, Note::Event(event))]);
    assert_eq!(store.alerts().unwrap(), [((1, 2), b"firing".to_vec())]);
    let mut seen = Vec::new();
    store
        .recall_notes(TimeRange { start: i64::MIN, end: i64::MAX }, &mut |at, _| {
            seen.push(at);
            ControlFlow::Break(())
        })
        .unwrap();
    assert_eq!(seen, [START + 2_000]);
    store.save_alerts(Vec::new());
    writer.commit(START).unwrap();
    assert_eq!(store.alerts().unwrap(), []);
}

#[test]
fn the_notification_log_is_kept_row_by_row_without_a_window() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    store.save_notified(vec![((1, 1), Some(b"a".to_vec())), ((1, 2), Some(b"b".to_vec()))]);
    writer.commit_notified(START).unwrap();
    store.save_notified(vec![((1, 1), None), ((2, 1), Some(b"c".to_vec()))]);
    store.append(&window(START + STEP, Vec::new()));
    writer.commit_notified(START).unwrap();
    drop((store, writer));
    let (store, _writer) = open(dir.path());
    assert_eq!(store.notified().unwrap(), [((1, 2), b"b".to_vec()), ((2, 1), b"c".to_vec())]);
    assert_eq!(store.last_window(), None, "a window waits for its own commit");
}

#[test]
fn a_file_of_before_the_notification_log_has_an_empty_one() {
    let dir = TempDir::new().unwrap();
    drop(open(dir.path()));
    let database = Database::create(dir.path().join("relay.tsdb")).unwrap();
    let write = database.begin_write().unwrap();
    assert!(write.delete_table(disk::NOTIFIED).unwrap());
    write.commit().unwrap();
    drop(database);
    let (store, mut writer) = open(dir.path());
    assert_eq!(store.notified().unwrap(), []);
    store.save_notified([((1, 1), Some(b"a".to_vec()))]);
    writer.commit_notified(START).unwrap();
    assert_eq!(store.notified().unwrap(), [((1, 1), b"a".to_vec())]);
}
