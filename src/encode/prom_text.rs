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
    render_in_parts(window, percentiles, recent, &mut |_| {})
}

/// The same; `take` is called after every family and may take the text that is there, so that the page need not be
/// held as a whole.
pub fn render_in_parts<'a>(
    window: &'a Window,
    percentiles: &[f64],
    recent: &'a FindRecent<'a>,
    take: &mut dyn FnMut(&mut ClientText),
) -> ClientText {
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
            take(&mut text);
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

        let body = out.len();
        if let [at] = same[..]
            && self.clean_rows(out, name, at)
        {
            return;
        }
        out.truncate(body);
        let mut scratch = String::new();
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

    /// Writes the rows of one family as long as each is clean: then no two of them have the same labels.
    fn clean_rows(&self, out: &mut String, name: &str, at: usize) -> bool {
        let family = &self.window.roster[at];
        let mut scratch = String::new();
        family.series.iter().enumerate().all(|(row, series)| {
            scratch.clear();
            let clean = clean_labels(&mut scratch, series, family.kind);
            if clean {
                self.sample(out, name, &scratch, &[(at, row)]);
            }
            clean
        })
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
            for part in [name, "{", labels, comma, QUANTILE, "=\"", spelled, "\"} "] {
                out.push_str(part);
            }
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

/// Appends `a="b",c="d"`, sorted by key, if every tag is a label as it stands; else what is appended is of no use.
fn clean_labels(out: &mut String, series: &Series, kind: Kind) -> bool {
    let mut last = "";
    let mut sorted = true;
    let clean = series.tags().all(|tag| {
        let Some((key, value)) = tag.split_once(':') else { return false };
        // Tags are sorted, so a key given twice stands side by side. Keys nearly are: `a1:` comes before `a:`.
        let again = key == last;
        sorted &= last < key;
        last = key;
        pair(out, key, value);
        let reserved = key == QUANTILE && kind.is_sketch();
        !again && !reserved && !value.is_empty() && is_label(key)
    });
    if clean && !sorted {
        let mut pairs: Vec<(&str, &str)> = series.tags().filter_map(|tag| tag.split_once(':')).collect();
        pairs.sort_unstable();
        out.clear();
        pairs.into_iter().for_each(|(key, value)| pair(out, key, value));
    }
    clean
}

/// Whether a tag's key is a label name that stays as it is.
fn is_label(key: &str) -> bool {
    let bytes = key.as_bytes();
    bytes.first().is_some_and(|first| !first.is_ascii_digit())
        && !key.starts_with("__")
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
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
