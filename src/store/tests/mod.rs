//! Stories of the whole store, over real files.

mod damage;
mod disks;
mod lives;
mod names;
mod queries;
mod records;
mod retention;
mod windows;

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
use crate::model::{
    AlertType, Check, CheckStatus, Column, Event, Family, Form, Labels, MatchOp, Matcher, Room, SampleValue, Select, Series, Sketches,
    Stamped, TimeRange,
};

pub(super) const STEP: i64 = 10_000;
/// Begins an hour.
pub(super) const START: i64 = 1_700_002_800_000;

pub(super) fn series(slot: u32, kind: Kind, name: &str, tags: &[&str]) -> Series {
    let spelling = Spelling { name: name.as_bytes(), tags: b"", kind, style: NameStyle::Plain };
    let tags: Vec<Cow<'_, str>> = tags.iter().map(|tag| Cow::Borrowed(*tag)).collect();
    Series::new(slot, spelling, name, &tags).unwrap()
}

pub(super) fn family(series: Vec<Series>) -> Arc<Family> {
    let (name, kind) = (series[0].name().to_string(), series[0].kind());
    let prom_name = crate::model::labels::metric_name(&name).into();
    Arc::new(Family { name: name.into(), prom_name, kind, help: None, form: Form::default(), series })
}

pub(super) fn window(end: i64, rows: Vec<(Arc<Family>, Column)>) -> Window {
    Window::of(end, Duration::from_millis(STEP as u64), rows)
}

pub(super) fn counter(gain: f64, total: f64) -> Column {
    Column::Counter { gain: vec![gain], total: vec![total], age: vec![u16::from(gain == 0.0)] }
}

pub(super) fn gauge(value: f64) -> Column {
    Column::Gauge { value: vec![value], age: vec![0] }
}

fn sketches(values: &[f64]) -> Option<Arc<Sketches>> {
    let mut sketches = Sketches::default();
    values.iter().for_each(|&value| sketches.exp.record(value, 1.0));
    Some(Arc::new(sketches))
}

fn timer(window: Option<Arc<Sketches>>, count: f64, sum: f64) -> Column {
    Column::Timer { count: vec![count], sum: vec![sum], window: vec![window], buckets: Vec::new(), age: vec![0] }
}

pub(super) fn open(dir: &Path) -> (Store, Writer) {
    open_as(dir, &StoreConfig::default())
}

fn open_as(dir: &Path, config: &StoreConfig) -> (Store, Writer) {
    try_open(dir, config).unwrap()
}

fn try_open(dir: &Path, config: &StoreConfig) -> Result<(Store, Writer), StoreError> {
    Store::open(Lock::take(dir)?, config, Duration::from_millis(STEP as u64), &[0.5, 0.99], START)
}

/// As `open`, with another way to open the file.
fn open_with(opener: Opener, dir: &Path) -> (Store, Writer) {
    let mut disk = Disk::of(Lock::take(dir).unwrap());
    disk.opener = opener;
    Store::on(disk, &StoreConfig::default(), Duration::from_millis(STEP as u64), &[0.5, 0.99], START).unwrap()
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

pub(super) fn select(store: &Store, text: &[(&str, &str)], start: i64, end: i64) -> Vec<SeriesText> {
    let selected = store.select(&matchers(text), TimeRange { start, end }).unwrap();
    assert_eq!(selected.warnings, Vec::<String>::new());
    texts(selected)
}

/// Labels, and samples as (time, value) with NaN for an end.
pub(super) type SeriesText = (String, Vec<(i64, f64)>);

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

pub(super) fn one(store: &Store, name: &str, start: i64, end: i64) -> Vec<(i64, f64)> {
    select(store, &[("__name__", name)], start, end).pop().map(|(_, samples)| samples).unwrap_or_default()
}
