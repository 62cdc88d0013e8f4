//! Stories of the whole store, over real files.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redb::{Database, ReadableDatabase, ReadableTable, StorageBackend};
use regex::Regex;
use tempfile::TempDir;

use super::disk::{self, Opener};
use super::*;
use crate::model::series::{NameStyle, Spelling};
use crate::model::{AlertType, Column, Event, Family, Labels, MatchOp, Matcher, SampleValue, Select, Series, Sketches, Stamped, TimeRange};

const STEP: i64 = 10_000;
/// Begins an hour.
const START: i64 = 1_700_002_800_000;

fn series(slot: u32, kind: Kind, name: &str, tags: &[&str]) -> Series {
    let spelling = Spelling { name: name.as_bytes(), tags: b"", kind, style: NameStyle::Plain };
    let tags: Vec<Cow<'_, str>> = tags.iter().map(|tag| Cow::Borrowed(*tag)).collect();
    Series::new(slot, spelling, name, &tags).unwrap()
}

fn family(series: Vec<Series>) -> Arc<Family> {
    let (name, kind) = (series[0].name().to_string(), series[0].kind());
    let prom_name = crate::model::labels::metric_name(&name).into();
    Arc::new(Family { name: name.into(), prom_name, kind, help: None, series })
}

fn window(end: i64, rows: Vec<(Arc<Family>, Column)>) -> Window {
    let (roster, columns): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    Window {
        end,
        length: Duration::from_millis(STEP as u64),
        roster: roster.into(),
        columns,
        births: Vec::new(),
        gone: Vec::new(),
        stamped: Vec::new(),
        events: Vec::new(),
        checks: Vec::new(),
        own: Vec::new(),
    }
}

fn counter(gain: f64, total: f64) -> Column {
    Column::Counter { gain: vec![gain], total: vec![total], age: vec![u16::from(gain == 0.0)] }
}

fn gauge(value: f64) -> Column {
    Column::Gauge { value: vec![value], age: vec![0] }
}

fn sketches(values: &[f64]) -> Option<Arc<Sketches>> {
    let mut sketches = Sketches::default();
    values.iter().for_each(|&value| sketches.exp.record(value, 1.0));
    Some(Arc::new(sketches))
}

fn timer(window: Option<Arc<Sketches>>, count: f64, sum: f64) -> Column {
    Column::Timer { count: vec![count], sum: vec![sum], window: vec![window], age: vec![0] }
}

fn open(dir: &Path) -> (Store, Writer) {
    open_as(dir, &StoreConfig::default())
}

fn open_as(dir: &Path, config: &StoreConfig) -> (Store, Writer) {
    Store::open(dir, config, Duration::from_millis(STEP as u64), &[0.5, 0.99], START).unwrap()
}

fn matchers(text: &[(&str, &str)]) -> Vec<Matcher> {
    text.iter()
        .map(|(name, value)| {
            let op = match value.strip_prefix('~') {
                Some(regex) => MatchOp::Matches(Regex::new(&format!("^(?:{regex})$")).unwrap()),
                None => MatchOp::Equal,
            };
            Matcher { name: name.to_string(), value: value.trim_start_matches('~').to_string(), op }
        })
        .collect()
}

fn select(store: &Store, text: &[(&str, &str)], start: i64, end: i64) -> Vec<SeriesText> {
    let selected = store.select(&matchers(text), TimeRange { start, end }).unwrap();
    assert_eq!(selected.warnings, Vec::<String>::new());
    texts(selected)
}

/// Labels, and samples as (time, value) with NaN for an end.
type SeriesText = (String, Vec<(i64, f64)>);

fn texts(selected: crate::model::Selected) -> Vec<SeriesText> {
    let value = |value: &SampleValue| match value {
        SampleValue::Float(value) => *value,
        SampleValue::Histogram(ever) => ever.count,
        SampleValue::Stale => f64::NAN,
    };
    let mut found: Vec<SeriesText> = selected
        .series
        .iter()
        .map(|slice| (slice.labels.to_string(), slice.samples.iter().map(|sample| (sample.at, value(&sample.value))).collect()))
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn one(store: &Store, name: &str, start: i64, end: i64) -> Vec<(i64, f64)> {
    select(store, &[("__name__", name)], start, end).pop().map(|(_, samples)| samples).unwrap_or_default()
}

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

#[test]
fn old_hours_are_answered_from_the_file_as_they_were_from_memory() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let hits = family(vec![series(0, Kind::Counter, "hits", &[])]);
    let wait = family(vec![series(1, Kind::Timer, "wait", &["q:a"])]);
    let mut seen: Vec<Vec<SeriesText>> = Vec::new();
    let names = ["hits", "wait", "wait_count", "wait_sum"];
    let hour = |hour: i64| (START + hour * 3_600_000, START + (hour + 1) * 3_600_000);
    let (mut total, mut count, mut sum) = (0.0, 0.0, 0.0);
    for n in 1..=4 * 360 {
        let end = START + n * STEP;
        total += 3.0;
        let received = (n % 7 != 0).then(|| sketches(&[n as f64, 0.25])).flatten();
        if let Some(received) = &received {
            (count, sum) = (count + received.exp.count, sum + received.exp.sum * 1.000_000_000_000_001);
        }
        store.append(&window(end, vec![(hits.clone(), counter(3.0, total)), (wait.clone(), timer(received, count, sum))]));
        writer.commit(end).unwrap();
        if n % 360 == 0 {
            let (start, end) = hour(n / 360 - 1);
            let mut found: Vec<SeriesText> = names.iter().flat_map(|name| select(&store, &[("__name__", name)], start, end)).collect();
            found.extend(select(&store, &[("__name__", "wait"), ("quantile", "~.*")], start, end));
            seen.push(found);
        }
    }
    drop((store, writer));
    let (store, _writer) = open(dir.path());
    for (n, before) in seen.iter().enumerate() {
        let (start, end) = hour(n as i64);
        let mut found: Vec<SeriesText> = names.iter().flat_map(|name| select(&store, &[("__name__", name)], start, end)).collect();
        found.extend(select(&store, &[("__name__", "wait"), ("quantile", "~.*")], start, end));
        assert_eq!(&found, before, "hour {n}");
        assert_eq!(found.len(), 6);
        assert!(found.iter().all(|(_, samples)| samples.len() == 360));
    }
    let recent = store.recent(Kind::Timer, "wait", &mut ["q:a"].into_iter()).unwrap();
    assert!(recent.merged(hour(3).1 - STEP).count > 80.0);
}

#[test]
fn a_timer_is_a_histogram_a_count_a_sum_and_a_summary() {
    let dir = TempDir::new().unwrap();
    let (store, _writer) = open(dir.path());
    let wait = family(vec![series(0, Kind::Timer, "wait", &[])]);
    store.append(&window(START + STEP, vec![(wait.clone(), timer(sketches(&[1.0, 2.0, 4.0]), 3.0, 7.0))]));
    store.append(&window(START + 2 * STEP, vec![(wait, timer(None, 3.0, 7.0))]));
    let (start, end) = (START, START + 2 * STEP);
    let at = |value: f64| vec![(START + STEP, value), (end, value)];
    assert_eq!(select(&store, &[("__name__", "wait_count")], start, end), [("wait_count".to_string(), at(3.0))]);
    assert_eq!(select(&store, &[("__name__", "wait_sum")], start, end), [("wait_sum".to_string(), at(7.0))]);
    let summary = select(&store, &[("__name__", "wait"), ("quantile", "0.5")], start, end);
    assert_eq!(summary.len(), 1);
    assert_eq!(summary[0].0, r#"wait{quantile="0.5"}"#);
    assert!((summary[0].1[1].1 - 2.0).abs() < 0.03);
    assert_eq!(select(&store, &[("__name__", "wait_bucket")], start, end), []);
    let native = store.select(&matchers(&[("__name__", "wait")]), TimeRange { start, end }).unwrap();
    assert_eq!(native.series[0].start_time, Some(START));
    assert!(matches!(&native.series[0].samples[0].value, SampleValue::Histogram(ever) if ever.count == 3.0 && ever.sum == 7.0));
    assert_eq!(store.label_sets(&matchers(&[("__name__", "~wait.*")]), TimeRange { start, end }).unwrap().len(), 3);
}

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
    store.append(&first);
    store.save_alerts(vec![((1, 2), b"firing".to_vec())]);
    writer.commit(START).unwrap();
    drop((store, writer));
    let (store, mut writer) = open(dir.path());
    let range = TimeRange { start: START, end: START + STEP };
    assert_eq!(store.notes(range, 10).unwrap(), [(START + 1_000, Note::Event(event))]);
    assert_eq!(store.alerts().unwrap(), [((1, 2), b"firing".to_vec())]);
    store.save_alerts(Vec::new());
    writer.commit(START).unwrap();
    assert_eq!(store.alerts().unwrap(), []);
    writer.commit(START + 3 * 86_400_000).unwrap();
    assert_eq!(store.notes(range, 10).unwrap(), []);
}

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
fn a_second_relay_is_refused() {
    let dir = TempDir::new().unwrap();
    let (_store, _writer) = open(dir.path());
    let second = Store::open(dir.path(), &StoreConfig::default(), Duration::from_secs(10), &[], START);
    let error = second.err().unwrap();
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
        let error = Store::open(dir.path(), &StoreConfig::default(), Duration::from_secs(10), &[], START).err().unwrap();
        assert_eq!(error.reason(), reason, "{case}: {error}");
        assert!(error.to_string().contains("relay.tsdb"), "{error}");
        if !matches!(case, "other tables" | "newer") {
            assert_eq!(std::fs::read(&path).unwrap(), before, "{case}");
        }
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
