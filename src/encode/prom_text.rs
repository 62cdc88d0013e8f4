//! The client series of a window in the Prometheus text format 0.0.4.
//!
//! Two families under one Prometheus name are one family here, and two series whose labels agree after
//! rewriting are one sample: counters, sets and timers add up (a set may then count a member twice), of gauges
//! the one that changed last is shown. So no scrape ever meets a sample twice.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use super::number;
use crate::model::labels::{self, NAME};
use crate::model::{Column, ExpHist, Family, Kind, Labels, Recent, Series, Window};

/// Names that belong to the relay's own metrics.
pub const OWN_PREFIX: &str = "statsd_relay_";

/// The label of a summary's quantiles.
const QUANTILE: &str = "quantile";

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
    /// Series left out: their name belongs to the relay, or is a sample of a summary, or has another type here.
    pub omitted: usize,
}

/// Renders the client series of a window.
pub fn render<'a>(window: &'a Window, percentiles: &[f64], recent: &'a FindRecent<'a>) -> ClientText {
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, family) in window.roster.iter().enumerate() {
        groups.entry(&family.prom_name).or_default().push(at);
    }
    let quantiles = percentiles.iter().map(|&q| (number::text(q), q)).collect();
    let writer = Writer { window, quantiles, recent };
    let mut text = ClientText::default();
    for (name, members) in &groups {
        if name.starts_with(OWN_PREFIX) || summary_of(name).is_some_and(|summary| is_summary(window, groups.get(summary))) {
            text.omitted += members.iter().map(|&member| window.roster[member].series.len()).sum::<usize>();
        } else {
            writer.family(&mut text, name, members);
        }
    }
    text
}

/// The summary whose `_sum` or `_count` has this name.
fn summary_of(name: &str) -> Option<&str> {
    name.strip_suffix("_sum").or_else(|| name.strip_suffix("_count"))
}

fn is_summary(window: &Window, members: Option<&Vec<usize>>) -> bool {
    members.is_some_and(|members| window.roster[members[0]].kind.is_sketch())
}

struct Writer<'a> {
    window: &'a Window,
    /// As spelled in the label, and as a number.
    quantiles: Vec<(String, f64)>,
    recent: &'a FindRecent<'a>,
}

/// A series' place: its family in the roster, and its row.
type Place = (usize, usize);

impl Writer<'_> {
    /// Writes the families of one Prometheus name.
    fn family(&self, text: &mut ClientText, name: &str, members: &[usize]) {
        let first = &self.window.roster[members[0]];
        let (same, other): (Vec<usize>, Vec<usize>) = members.iter().partition(|&&at| self.window.roster[at].kind == first.kind);
        text.omitted += other.iter().map(|&at| self.window.roster[at].series.len()).sum::<usize>();
        let out = if name < OWN_PREFIX { &mut text.before } else { &mut text.after };
        header(out, name, first);

        let mut scratch = String::new();
        if let [at] = same[..]
            && first.series.iter().all(|series| is_clean(series, first.kind))
        {
            for (row, series) in first.series.iter().enumerate() {
                scratch.clear();
                clean_labels(&mut scratch, series);
                self.sample(out, name, &scratch, &[(at, row)]);
            }
            return;
        }
        let mut order: Vec<(String, Vec<Place>)> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        for &at in &same {
            for (row, series) in self.window.roster[at].series.iter().enumerate() {
                scratch.clear();
                derived_labels(&mut scratch, name, series, first.kind);
                if let Some(&have) = known.get(&scratch) {
                    order[have].1.push((at, row));
                    text.merged += 1;
                } else {
                    known.insert(scratch.clone(), order.len());
                    order.push((scratch.clone(), vec![(at, row)]));
                }
            }
        }
        for (labels, places) in &order {
            self.sample(out, name, labels, places);
        }
    }

    /// Writes the lines of the series at `places`, which share their labels.
    fn sample(&self, out: &mut String, name: &str, labels: &str, places: &[Place]) {
        match &self.window.columns[places[0].0] {
            Column::Counter { .. } | Column::Set { .. } => line(out, [name, ""], labels, self.sum(places, first_value)),
            Column::Gauge { .. } => line(out, [name, ""], labels, self.latest(places)),
            Column::Timer { .. } => {
                self.quantile_lines(out, name, labels, places);
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

    fn quantile_lines(&self, out: &mut String, name: &str, labels: &str, places: &[Place]) {
        let start = self.window.start();
        let mut merged = ExpHist::default();
        for &(at, row) in places {
            if let Some(recent) = (self.recent)(&self.window.roster[at].series[row]) {
                merged.merge(&recent.merged(start));
            }
        }
        for (spelled, q) in &self.quantiles {
            let comma = if labels.is_empty() { "" } else { "," };
            let _ = write!(out, "{name}{{{labels}{comma}{QUANTILE}=\"{spelled}\"}} ");
            number::write(out, merged.quantile(*q));
            out.push('\n');
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
        Kind::Timer | Kind::Histogram | Kind::Distribution => "summary",
    };
    let _ = write!(out, "# HELP {name} StatsD {} ", family.kind.as_str());
    for c in family.name.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    let _ = write!(out, "\n# TYPE {name} {kind}\n");
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

/// Whether every tag is a label as it stands: then no other clean series of the family has the same labels.
fn is_clean(series: &Series, kind: Kind) -> bool {
    let mut last = "";
    series.tags().all(|tag| {
        let Some((key, value)) = tag.split_once(':') else { return false };
        // Tags are sorted, so a key given twice stands side by side.
        let again = std::mem::replace(&mut last, key) == key;
        let bytes = key.as_bytes();
        !again
            && !value.is_empty()
            && !key.is_empty()
            && !bytes[0].is_ascii_digit()
            && !key.starts_with("__")
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
            && !(key == QUANTILE && kind.is_sketch())
    })
}

/// `a="b",c="d"` of a clean series, sorted by key.
fn clean_labels(out: &mut String, series: &Series) {
    let mut pairs: Vec<(&str, &str)> = series.tags().filter_map(|tag| tag.split_once(':')).collect();
    // Nearly sorted: tags are, by `key:value`.
    pairs.sort_unstable();
    for (key, value) in pairs {
        pair(out, key, value);
    }
}

/// `a="b",c="d"` of any series. A client's own `quantile` under a summary becomes `exported_quantile`.
fn derived_labels(out: &mut String, name: &str, series: &Series, kind: Kind) {
    let mut labels = labels::derive(name, series.tags());
    if kind.is_sketch() && !labels.get(QUANTILE).is_empty() {
        labels = moved_aside(&labels);
    }
    for (key, value) in labels.iter().filter(|(key, _)| *key != NAME) {
        pair(out, key, value);
    }
}

fn moved_aside(labels: &Labels) -> Labels {
    let mut free = format!("exported_{QUANTILE}");
    while !labels.get(&free).is_empty() {
        free.insert_str(0, "exported_");
    }
    labels.with(&free, labels.get(QUANTILE)).with(QUANTILE, "")
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
