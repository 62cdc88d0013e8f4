//! The client series of a window in the Prometheus text format 0.0.4.
//!
//! Two families under one Prometheus name are one family here, and two series whose labels agree after
//! rewriting are one sample: counters, sets and timers add up (a set may then count a member twice), of gauges
//! the one that changed last is shown. So no scrape ever meets a sample twice.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::BuildHasher as _;
use std::sync::Arc;

use hashbrown::HashTable;

use super::number;
use crate::model::labels::{self, LE, NAME, QUANTILE};
use crate::model::{Buckets, Column, ExpHist, Family, Form, Kind, Labels, Recent, Series, Window};

/// Names that belong to the relay's own metrics.
pub const OWN_PREFIX: &str = "statsd_relay_";

/// Where a series' recent sketches are, if it has any.
pub type FindRecent<'a> = dyn Fn(&Series) -> Option<&'a Recent> + 'a;

/// Client families in text, sorted by name.
#[derive(Debug, Default, PartialEq)]
pub struct ClientText {
    /// Those before the relay's own in the order of the page.
    pub before: String,
    /// Those after them.
    pub after: String,
    /// Series without a sample of their own, since another has the same labels after rewriting.
    pub merged: usize,
    /// Series left out: their name belongs to the relay, or is a sample of a summary or histogram, or has another type
    /// here.
    pub omitted: usize,
}

impl ClientText {
    /// Where the family of this name belongs.
    fn part(&mut self, name: &str) -> &mut String {
        if name < OWN_PREFIX { &mut self.before } else { &mut self.after }
    }
}

/// Renders the client series of a window.
pub fn render<'a>(window: &'a Window, percentiles: &'a [f64], recent: &'a FindRecent<'a>) -> ClientText {
    render_in_parts(window, percentiles, recent, &mut |_| {})
}

/// The same; `take` is called after every series and may take the text that is there, so that the page need not be
/// held as a whole.
pub fn render_in_parts<'a>(
    window: &'a Window,
    percentiles: &'a [f64],
    recent: &'a FindRecent<'a>,
    take: &mut dyn FnMut(&mut ClientText),
) -> ClientText {
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, family) in window.roster.iter().enumerate() {
        groups.entry(&family.prom_name).or_default().push(at);
    }
    let writer = Writer { window, percentiles, recent };
    let mut text = ClientText::default();
    for (name, members) in &groups {
        if name.starts_with(OWN_PREFIX) || is_sample(window, name, |of| groups.get(of)) {
            text.omitted += members.iter().map(|&member| window.roster[member].series.len()).sum::<usize>();
        } else {
            writer.family(&mut text, name, members, take);
        }
    }
    text
}

/// Whether a summary or a histogram has samples of this name.
fn is_sample<'g>(window: &Window, name: &str, members: impl Fn(&str) -> Option<&'g Vec<usize>>) -> bool {
    let first = |of: &str| members(of).map(|members| &window.roster[members[0]]).filter(|family| family.kind.is_sketch());
    let of_both = name.strip_suffix("_sum").or_else(|| name.strip_suffix("_count"));
    of_both.and_then(first).is_some()
        || name.strip_suffix("_bucket").and_then(first).is_some_and(|family| matches!(family.form, Form::Histogram(_)))
}

struct Writer<'a> {
    window: &'a Window,
    /// Of summaries whose family names none.
    percentiles: &'a [f64],
    recent: &'a FindRecent<'a>,
}

/// What the series of one name have beside a value, or a sum and a count.
enum Parts {
    None,
    /// As spelled in the label, and as a number.
    Quantiles(Vec<(String, f64)>),
    /// The bounds, and each with infinity as spelled in the label.
    Buckets(Arc<[f64]>, Vec<String>),
}

impl Parts {
    fn of(family: &Family, percentiles: &[f64]) -> Parts {
        match &family.form {
            _ if !family.kind.is_sketch() => Parts::None,
            Form::Summary(own) => {
                let quantiles = own.as_deref().unwrap_or(percentiles);
                Parts::Quantiles(quantiles.iter().map(|&q| (number::text(q), q)).collect())
            }
            Form::Histogram(bounds) => {
                let spelled = bounds.iter().copied().chain([f64::INFINITY]).map(number::text).collect();
                Parts::Buckets(bounds.clone(), spelled)
            }
        }
    }

    /// The label that tells them apart.
    fn label(&self) -> Option<&'static str> {
        match self {
            Parts::None => None,
            Parts::Quantiles(_) => Some(QUANTILE),
            Parts::Buckets(..) => Some(LE),
        }
    }
}

/// A series' place: its family in the roster, and its row.
type Place = (usize, usize);

impl Writer<'_> {
    /// Writes the families of one Prometheus name.
    fn family(&self, text: &mut ClientText, name: &str, members: &[usize], take: &mut dyn FnMut(&mut ClientText)) {
        let first = &self.window.roster[members[0]];
        let (same, other): (Vec<usize>, Vec<usize>) = members.iter().partition(|&&at| self.window.roster[at].kind == first.kind);
        text.omitted += other.iter().map(|&at| self.window.roster[at].series.len()).sum::<usize>();
        header(text.part(name), name, first);
        let parts = Parts::of(first, self.percentiles);
        match same[..] {
            [at] if first.series.iter().all(|series| is_clean(series, parts.label())) => self.clean_rows(text, name, at, &parts, take),
            _ => self.merged_rows(text, name, &same, &parts, take),
        }
    }

    /// Writes the rows of one family whose series are all clean: then no two of them have the same labels.
    fn clean_rows(&self, text: &mut ClientText, name: &str, at: usize, parts: &Parts, take: &mut dyn FnMut(&mut ClientText)) {
        let mut labels = String::new();
        for (row, series) in self.window.roster[at].series.iter().enumerate() {
            labels.clear();
            clean_labels(&mut labels, series);
            self.sample(text.part(name), name, &labels, &[(at, row)], parts);
            take(text);
        }
    }

    /// Writes the rows of families of one kind, those with the same labels as one. Labels are derived twice rather
    /// than held for all rows at once.
    fn merged_rows(&self, text: &mut ClientText, name: &str, families: &[usize], parts: &Parts, take: &mut dyn FnMut(&mut ClientText)) {
        let derive = |out: &mut String, (at, row): Place| {
            out.clear();
            derived_labels(out, name, &self.window.roster[at].series[row], parts.label());
        };
        let (mut labels, mut others) = (String::new(), String::new());
        let hasher = foldhash::fast::RandomState::default();
        // Places with the same labels, in the order of their first; found by the hash of the labels.
        let mut order: Vec<(Place, Vec<Place>)> = Vec::new();
        let mut known: HashTable<(u64, usize)> = HashTable::new();
        for place in families.iter().flat_map(|&at| (0..self.window.roster[at].series.len()).map(move |row| (at, row))) {
            derive(&mut labels, place);
            let hash = hasher.hash_one(&labels);
            let same = |&(held, at): &(u64, usize)| {
                held == hash && {
                    derive(&mut others, order[at].0);
                    others == labels
                }
            };
            if let Some(&(_, at)) = known.find(hash, same) {
                order[at].1.push(place);
                text.merged += 1;
            } else {
                known.insert_unique(hash, (hash, order.len()), |&(hash, _)| hash);
                order.push((place, Vec::new()));
            }
        }
        drop(known);
        for (first, others) in order {
            derive(&mut labels, first);
            let places = if others.is_empty() { &[first][..] } else { &[&[first], &others[..]].concat() };
            self.sample(text.part(name), name, &labels, places, parts);
            take(text);
        }
    }

    /// Writes the lines of the series at `places`, which share their labels.
    fn sample(&self, out: &mut String, name: &str, labels: &str, places: &[Place], parts: &Parts) {
        match &self.window.columns[places[0].0] {
            Column::Counter { .. } | Column::Set { .. } => line(out, [name, ""], labels, self.sum(places, first_value)),
            Column::Gauge { .. } => line(out, [name, ""], labels, self.latest(places)),
            Column::Timer { .. } => {
                match parts {
                    Parts::None => {}
                    Parts::Quantiles(quantiles) => self.quantile_lines(out, name, labels, places, quantiles),
                    Parts::Buckets(bounds, spelled) => self.bucket_lines(out, name, labels, places, (bounds, spelled)),
                }
                line(out, [name, "_sum"], labels, self.sum(places, timer_sum));
                line(out, [name, "_count"], labels, self.sum(places, first_value));
            }
        }
    }

    fn sum(&self, places: &[Place], value: fn(&Column, usize) -> f64) -> f64 {
        places.iter().map(|&(at, row)| value(&self.window.columns[at], row)).sum()
    }

    /// The gauge that changed last; of several, the last of the roster.
    fn latest(&self, places: &[Place]) -> f64 {
        let age = |&&(at, row): &&Place| std::cmp::Reverse(self.window.columns[at].ages().get(row).copied().unwrap_or(u16::MAX));
        places.iter().max_by_key(age).map_or(f64::NAN, |&(at, row)| first_value(&self.window.columns[at], row))
    }

    fn quantile_lines(&self, out: &mut String, name: &str, labels: &str, places: &[Place], quantiles: &[(String, f64)]) {
        let start = self.window.start();
        let mut merged = ExpHist::default();
        for &(at, row) in places {
            if let Some(recent) = (self.recent)(&self.window.roster[at].series[row]) {
                merged.merge(&recent.merged(start));
            }
        }
        for (spelled, q) in quantiles {
            part_line(out, [name, ""], labels, [QUANTILE, spelled], merged.quantile(*q));
        }
    }

    fn bucket_lines(&self, out: &mut String, name: &str, labels: &str, places: &[Place], (bounds, spelled): (&Arc<[f64]>, &[String])) {
        let mut all = Buckets::new(bounds);
        for &(at, row) in places {
            if let Column::Timer { buckets, .. } = &self.window.columns[at]
                && let Some(buckets) = buckets.get(row)
            {
                all.add(buckets);
            }
        }
        for ((_, below), spelled) in all.cumulative(self.sum(places, first_value)).zip(spelled) {
            part_line(out, [name, "_bucket"], labels, [LE, spelled], below);
        }
    }
}

/// A counter's total, a gauge's value, a set's size, a timer's count.
fn first_value(column: &Column, row: usize) -> f64 {
    let values = match column {
        Column::Counter { total, .. } => total,
        Column::Gauge { value, .. } => value,
        Column::Set { count, .. } | Column::Timer { count, .. } => count,
    };
    values.get(row).copied().unwrap_or(f64::NAN)
}

fn timer_sum(column: &Column, row: usize) -> f64 {
    match column {
        Column::Timer { sum, .. } => sum.get(row).copied().unwrap_or(f64::NAN),
        _ => f64::NAN,
    }
}

fn header(out: &mut String, name: &str, family: &Family) {
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge | Kind::Set => "gauge",
        Kind::Timer | Kind::Histogram | Kind::Distribution => family.form.as_str(),
    };
    let _ = write!(out, "# HELP {name} ");
    match &family.help {
        Some(help) => escape_help(out, help),
        None => {
            let _ = write!(out, "StatsD {} ", family.kind.as_str());
            escape_help(out, &family.name);
        }
    }
    let _ = write!(out, "\n# TYPE {name} {kind}\n");
}

fn escape_help(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            // Programs that read lines take a page with others for no text.
            c if c.is_control() => {
                let _ = write!(out, "\\{}", c.escape_default());
            }
            c => out.push(c),
        }
    }
}

fn line(out: &mut String, name: [&str; 2], labels: &str, value: f64) {
    out.push_str(name[0]);
    out.push_str(name[1]);
    if !labels.is_empty() {
        out.push('{');
        out.push_str(labels);
        out.push('}');
    }
    out.push(' ');
    number::write(out, value);
    out.push('\n');
}

/// A line of a summary or histogram: its own label is the last.
fn part_line(out: &mut String, name: [&str; 2], labels: &str, [label, part]: [&str; 2], value: f64) {
    let comma = if labels.is_empty() { "" } else { "," };
    for text in [name[0], name[1], "{", labels, comma, label, "=\"", part, "\"} "] {
        out.push_str(text);
    }
    number::write(out, value);
    out.push('\n');
}

/// Whether every tag of the series is a label as it stands, and none is `reserved`.
fn is_clean(series: &Series, reserved: Option<&str>) -> bool {
    let mut last = "";
    series.tags().all(|tag| {
        let Some((key, value)) = tag.split_once(':') else { return false };
        // Tags are sorted, so a key given twice stands side by side.
        let again = key == last;
        last = key;
        !again && reserved != Some(key) && !value.is_empty() && is_label(key)
    })
}

/// Appends `a="b",c="d"`, sorted by key, of a series that is clean.
fn clean_labels(out: &mut String, series: &Series) {
    let pairs = || series.tags().filter_map(|tag| tag.split_once(':'));
    // Sorted tags nearly have sorted keys: `a1:` comes before `a:`.
    if pairs().is_sorted_by(|(a, _), (b, _)| a < b) {
        pairs().for_each(|(key, value)| pair(out, key, value));
    } else {
        let mut pairs: Vec<(&str, &str)> = pairs().collect();
        pairs.sort_unstable();
        pairs.into_iter().for_each(|(key, value)| pair(out, key, value));
    }
}

/// Whether a tag's key is a label name that stays as it is.
fn is_label(key: &str) -> bool {
    let bytes = key.as_bytes();
    bytes.first().is_some_and(|first| !first.is_ascii_digit())
        && !key.starts_with("__")
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

/// `a="b",c="d"` of any series; a `reserved` label is moved aside.
fn derived_labels(out: &mut String, name: &str, series: &Series, reserved: Option<&str>) {
    let mut labels = labels::derive(name, series.tags());
    if let Some(reserved) = reserved {
        labels = labels::moved_aside(labels, reserved);
    }
    for (key, value) in labels.iter().filter(|(key, _)| *key != NAME) {
        pair(out, key, value);
    }
}

fn pair(out: &mut String, key: &str, value: &str) {
    if !out.is_empty() {
        out.push(',');
    }
    out.push_str(key);
    out.push_str("=\"");
    escape(out, value);
    out.push('"');
}

/// `name{label="value"} 1`, of a sample that has its labels already.
pub fn sample_line(labels: &Labels, value: f64) -> String {
    let mut out = labels.name().to_string();
    let mut opening = '{';
    for (name, value) in labels.iter().filter(|(name, _)| *name != NAME) {
        out.push(opening);
        out.push_str(name);
        out.push_str("=\"");
        escape(&mut out, value);
        out.push('"');
        opening = ',';
    }
    if opening == ',' {
        out.push('}');
    }
    out.push(' ');
    number::write(&mut out, value);
    out
}

/// Appends a label value, escaped.
fn escape(out: &mut String, value: &str) {
    if !value.bytes().any(|b| matches!(b, b'\\' | b'"' | b'\n')) {
        return out.push_str(value);
    }
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests;
