//! Series lines: `name{a="b"} 1+2x3 _ stale {{schema:0 count:1}}`.

use std::sync::{Arc, LazyLock};

use regex::Regex;
use statsd_relay::model::{ExpHist, Labels, SampleValue};

/// One value of a series line.
#[derive(Clone, Debug)]
pub(crate) enum Point {
    None,
    Value(SampleValue),
    /// A histogram that the store's model cannot hold; equal to nothing.
    Foreign,
}

/// A duration such as `1h30m`, or `0`; milliseconds.
pub(crate) fn duration(text: &str) -> Result<i64, String> {
    let mut total = 0;
    let mut rest = text;
    let (negative, after) = rest.strip_prefix('-').map_or((false, rest), |after| (true, after));
    rest = after;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let count: i64 = rest[..digits].parse().map_err(|_| format!("bad duration {text:?}"))?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        total += count
            * match &rest[..letters] {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                "w" => 604_800_000,
                "y" => 31_536_000_000,
                "" if count == 0 || text.chars().all(|c| c.is_ascii_digit()) => 1_000,
                _ => return Err(format!("bad duration {text:?}")),
            };
        rest = &rest[letters..];
    }
    Ok(if negative { -total } else { total })
}

/// Labels and values of a line; `None` when it holds no series.
pub(crate) fn line(text: &str) -> Result<Option<(Labels, Vec<Point>)>, String> {
    let name_end = text.find(|c: char| c == '{' || c.is_whitespace()).unwrap_or(text.len());
    let name = &text[..name_end];
    let is_name = !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    let rest = &text[name_end..];
    if !is_name && !name.is_empty() || text.starts_with("{{") || ["Inf", "NaN"].contains(&name) {
        return Ok(None);
    }
    let mut pairs: Vec<(String, String)> = Vec::new();
    if !name.is_empty() {
        pairs.push(("__name__".into(), name.into()));
    }
    let rest = match rest.strip_prefix('{') {
        Some(inner) => labels(inner, &mut pairs)?,
        None => rest,
    };
    Ok(Some((Labels::new(pairs), values(rest)?)))
}

fn labels<'a>(inner: &'a str, pairs: &mut Vec<(String, String)>) -> Result<&'a str, String> {
    static PAIR: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"^\s*(?:"((?:[^"\\]|\\.)*)"|([\w.]+))\s*(?:=\s*"((?:[^"\\]|\\.)*)")?\s*,?\s*"#).expect("a regex"));
    let mut rest = inner.trim_start();
    while !rest.starts_with('}') {
        let found = PAIR.captures(rest).ok_or_else(|| format!("bad labels: {rest}"))?;
        let key = found.get(1).or(found.get(2)).map_or("", |key| key.as_str());
        match found.get(3) {
            Some(value) => pairs.push((key.into(), unescaped(value.as_str()))),
            None => pairs.push(("__name__".into(), key.into())),
        }
        rest = &rest[found[0].len()..];
    }
    Ok(&rest[1..])
}

pub(crate) fn unescaped(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\\"", "\"").replace("\\\\", "\\")
}

/// A number as the notation writes it.
pub(crate) fn number(text: &str) -> Option<f64> {
    let lower = text.to_ascii_lowercase();
    let (negative, digits) = match lower.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, lower.strip_prefix('+').unwrap_or(&lower)),
    };
    let value = match digits.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok()? as f64,
        None => digits.parse().ok()?,
    };
    Some(if negative { -value } else { value })
}

pub(crate) fn values(text: &str) -> Result<Vec<Point>, String> {
    static FLOATS: LazyLock<Regex> = LazyLock::new(|| {
        const NUMBER: &str = r"(?i:inf|nan|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)";
        Regex::new(&format!(r"^([+-]?{NUMBER})(?:([+-]{NUMBER}))?x(\d+)$")).expect("a regex")
    });
    let mut points = Vec::new();
    for item in items(text) {
        let item = item.as_str();
        if item == "_" {
            points.push(Point::None);
        } else if let Some(count) = item.strip_prefix("_x") {
            let count: usize = count.parse().map_err(|_| format!("bad repetition {item:?}"))?;
            points.extend(std::iter::repeat_n(Point::None, count));
        } else if item == "stale" {
            points.push(Point::Value(SampleValue::Stale));
        } else if item.starts_with("{{") {
            histograms(item, &mut points)?;
        } else if let Some(found) = FLOATS.captures(item) {
            let first = number(&found[1]).ok_or_else(|| format!("bad number {item:?}"))?;
            let step = found.get(2).and_then(|step| number(step.as_str())).unwrap_or(0.0);
            let times: usize = found[3].parse().map_err(|_| format!("bad repetition {item:?}"))?;
            let mut value = first;
            for _ in 0..=times {
                points.push(Point::Value(SampleValue::Float(value)));
                value += step;
            }
        } else {
            let value = number(item).ok_or_else(|| format!("bad value {item:?}"))?;
            points.push(Point::Value(SampleValue::Float(value)));
        }
    }
    Ok(points)
}

/// Splits at blanks outside of `{{ }}`.
fn items(text: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let mut depth = 0;
    for c in text.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        match (c.is_whitespace() && depth == 0, items.last_mut()) {
            (true, _) => items.push(String::new()),
            (false, Some(last)) => last.push(c),
            (false, None) => {}
        }
    }
    items.retain(|item| !item.is_empty());
    items
}

fn histograms(item: &str, points: &mut Vec<Point>) -> Result<(), String> {
    static SHAPE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\{\{(.*?)\}\}(?:([+-])\{\{(.*?)\}\})?(?:x(\d+))?$").expect("a regex"));
    let found = SHAPE.captures(item).ok_or_else(|| format!("bad histogram {item:?}"))?;
    let times: usize = found.get(4).map_or(Ok(0), |times| times.as_str().parse()).map_err(|_| format!("bad repetition {item:?}"))?;
    let step = match found.get(3) {
        Some(step) => histogram(step.as_str())?,
        None => None,
    };
    let is_foreign_step = found.get(3).is_some() && step.is_none();
    let Some(mut value) = histogram(&found[1])?.filter(|_| !is_foreign_step) else {
        points.extend(std::iter::repeat_n(Point::Foreign, times + 1));
        return Ok(());
    };
    let step = step.map(|step| if found.get(2).is_some_and(|sign| sign.as_str() == "-") { scaled(&step, -1.0) } else { step });
    if let Some(step) = &step {
        // An addend of lower resolution lowers the whole series.
        value.merge(&scaled(step, 0.0));
    }
    for _ in 0..=times {
        points.push(Point::Value(SampleValue::Histogram(Arc::new(value.clone()))));
        if let Some(step) = &step {
            value.merge(step);
        }
    }
    Ok(())
}

fn scaled(histogram: &ExpHist, factor: f64) -> ExpHist {
    let side = |side: &[(i32, f64)]| side.iter().map(|&(index, count)| (index, count * factor)).collect();
    ExpHist {
        count: histogram.count * factor,
        sum: histogram.sum * factor,
        zero: histogram.zero * factor,
        positive: side(&histogram.positive),
        negative: side(&histogram.negative),
        buckets: None,
        ..*histogram
    }
}

/// `None` when the model has no place for something written there.
fn histogram(inner: &str) -> Result<Option<ExpHist>, String> {
    static FIELD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(\w+):(\[[^\]]*\]|\S+)").expect("a regex"));
    let mut out = ExpHist { schema: 0, ..ExpHist::default() };
    let (mut positive, mut negative, mut offset, mut negative_offset) = (Vec::new(), Vec::new(), 0, 0);
    for field in FIELD.captures_iter(inner) {
        let text = &field[2];
        let value = || number(text).ok_or_else(|| format!("bad histogram field {:?}", &field[0]));
        let list = || {
            text.trim_matches(['[', ']'])
                .split_whitespace()
                .map(|item| number(item).ok_or_else(|| format!("bad bucket {item:?}")))
                .collect::<Result<Vec<f64>, String>>()
        };
        match &field[1] {
            "schema" if value()? == -53.0 => return Ok(None),
            "schema" => out.schema = value()? as i8,
            "sum" => out.sum = value()?,
            "count" => out.count = value()?,
            "z_bucket" => out.zero = value()?,
            "buckets" => positive = list()?,
            "n_buckets" => negative = list()?,
            "offset" => offset = value()? as i32,
            "n_offset" => negative_offset = value()? as i32,
            _ => return Ok(None),
        }
    }
    let side = |counts: Vec<f64>, offset: i32| {
        counts.into_iter().zip(offset..).map(|(count, index)| (index, count)).filter(|&(_, count)| count != 0.0).collect()
    };
    out.positive = side(positive, offset);
    out.negative = side(negative, negative_offset);
    Ok(Some(out))
}
