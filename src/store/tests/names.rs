//! Names of families, and what Prometheus calls them.

use super::*;

fn named(prom_name: &str, series: Vec<Series>) -> Arc<Family> {
    let (name, kind) = (series[0].name().to_string(), series[0].kind());
    Arc::new(Family { name: name.into(), prom_name: prom_name.into(), kind, help: None, form: Form::default(), series })
}

fn rows_of<K: redb::Key + 'static>(dir: &Path, table: redb::TableDefinition<'static, K, &'static [u8]>) -> usize {
    let database = Database::open(dir.join("relay.tsdb")).unwrap();
    let read = database.begin_read().unwrap().open_table(table).unwrap();
    read.iter().unwrap().count()
}

#[test]
fn a_family_takes_a_new_prometheus_name_with_its_old_samples() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let hits = |slot, tag| series(slot, Kind::Counter, "hits", &[tag]);
    let mut first = window(START + STEP, vec![(named("hits", vec![hits(0, "n:left")]), counter(1.0, 1.0))]);
    first.stamped = vec![Stamped { series: hits(9, "n:own"), at: (START / 1_000) as u64 + 1, value: 2.0 }];
    store.append(&first);
    writer.commit(START).unwrap();
    store.append(&window(START + 2 * STEP, vec![(named("hits_total", vec![hits(1, "n:stays")]), counter(1.0, 1.0))]));
    let (start, end) = (START, START + 9 * STEP);
    let metrics = |store: &Store| -> Vec<String> { select(store, &[], start, end).into_iter().map(|(labels, _)| labels).collect() };
    let expected = [r#"hits_total{n="left"}"#, r#"hits_total{n="own", stamped="true"}"#, r#"hits_total{n="stays"}"#];
    assert_eq!(metrics(&store), expected);
    assert_eq!(select(&store, &[("__name__", "hits")], start, end), []);
    assert_eq!(one(&store, "hits_total", start, end).len(), 1);
    writer.commit(START).unwrap();
    drop((store, writer));
    let (store, _writer) = open(dir.path());
    assert_eq!(metrics(&store), expected);
    assert_eq!(store.names(), [("hits".into(), Kind::Counter, "hits_total".into())]);
}

#[test]
fn names_without_a_series_are_forgotten_and_their_indices_never_used_again() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let ids = |from: u32| (from..from + 5).map(|id| (family(vec![series(id, Kind::Gauge, &format!("job.{id}"), &[])]), gauge(1.0)));
    let keeps = family(vec![series(100, Kind::Gauge, "keeps", &[])]);
    let rows = |from| ids(from).chain([(keeps.clone(), gauge(2.0))]).collect();
    store.append(&window(START + STEP, rows(0)));
    writer.commit(START).unwrap();
    store.append(&window(START + 2 * STEP, rows(10)));
    store.0.head.write().forget(5);
    writer.commit(START).unwrap();
    assert_eq!(store.names().len(), 6);
    drop((store, writer));
    assert_eq!((rows_of(dir.path(), disk::NAMES), rows_of(dir.path(), disk::SERIES)), (6, 6));
    let (store, mut writer) = open(dir.path());
    store.0.head.write().last_window = Some(START + 2 * STEP);
    store.append(&window(START + 3 * STEP, vec![(keeps, gauge(2.0))]));
    store.0.head.write().forget(5);
    assert_eq!(store.names(), [("keeps".into(), Kind::Gauge, "keeps".into())]);
    writer.commit(START).unwrap();
    drop((store, writer));
    let (store, mut writer) = open(dir.path());
    store.append(&window(START + 4 * STEP, vec![ids(20).next().unwrap()]));
    let indices: Vec<u64> = store.0.head.read().names.iter().map(|(index, _)| index).collect();
    assert_eq!(indices, [5, 11]);
    writer.commit(START).unwrap();
    drop((store, writer));
    let (store, _writer) = open(dir.path());
    assert_eq!(one(&store, "job_20", START, START + 9 * STEP), [(START + 4 * STEP, 1.0)]);
}

#[test]
fn samples_with_their_own_time_get_the_names_of_the_page() {
    let dir = TempDir::new().unwrap();
    let (store, _writer) = open(dir.path());
    store.suffix_counters(true);
    let own = |kind, name: &str| Stamped { series: series(5, kind, name, &[]), at: (START / 1_000) as u64 + 1, value: 1.0 };
    let wait = family(vec![series(0, Kind::Timer, "wait", &[])]);
    let heat = family(vec![series(1, Kind::Gauge, "heat_total", &[])]);
    let mut first = window(START + STEP, vec![(wait, timer(sketches(&[1.0]), 1.0, 1.0)), (heat, gauge(1.0))]);
    first.own = vec![Recorded { labels: Labels::new([("__name__", "ruled")]), value: Some(1.0) }];
    store.append(&first);
    let mut second = window(START + 2 * STEP, Vec::new());
    second.stamped = vec![
        own(Kind::Gauge, "statsd_relay_lines_total"),
        own(Kind::Counter, "statsd_relay_lines"),
        own(Kind::Counter, "hits"),
        own(Kind::Counter, "heat"),
        own(Kind::Gauge, "wait_count"),
        own(Kind::Gauge, "ruled"),
    ];
    store.append(&second);
    let names: Vec<(Kind, String)> = store.names().into_iter().skip(2).map(|(_, kind, prom_name)| (kind, prom_name)).collect();
    let expected = [
        (Kind::Gauge, "client_statsd_relay_lines_total"),
        (Kind::Counter, "client_statsd_relay_lines_total_counter"),
        (Kind::Counter, "hits_total"),
        (Kind::Counter, "heat_total_counter"),
        (Kind::Gauge, "wait_count_gauge"),
        (Kind::Gauge, "ruled_gauge"),
    ];
    assert_eq!(names, expected.map(|(kind, name)| (kind, name.to_string())));
    assert_eq!(select(&store, &[("__name__", "~statsd_relay_.*")], START, START + 9 * STEP), []);
}
