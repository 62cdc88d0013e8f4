//! The load/eval notation: commands of a file, run one after the other.

use std::path::Path;

use regex::Regex;
use statsd_relay::model::{Labels, Matcher, Sample, SampleValue, Select, SelectError, Selected, SeriesSlice, TimeRange};
use statsd_relay::query::{self, Answer, Options, Value};

use crate::compare::{same, same_float};
use crate::series::{self, Point};

/// What a file gave.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) total: usize,
    /// Each begins with the line of its evaluation.
    pub(crate) failures: Vec<String>,
}

/// Everything loaded so far.
#[derive(Default)]
struct Storage(Vec<SeriesSlice>);

impl Select for Storage {
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<Selected, SelectError> {
        let named = self.0.iter().filter(|slice| matchers.iter().all(|matcher| matcher.matches(slice.labels.get(&matcher.name))));
        let cut = |slice: &SeriesSlice| {
            let inside = slice.samples.iter().filter(|sample| range.start < sample.at && sample.at <= range.end);
            SeriesSlice { labels: slice.labels.clone(), samples: inside.cloned().collect(), start_time: slice.start_time }
        };
        let series = named.map(cut).filter(|slice| !slice.samples.is_empty()).collect();
        Ok(Selected { series, warnings: Vec::new() })
    }
}

impl Storage {
    fn load(&mut self, labels: &Labels, points: Vec<Point>, step: i64) {
        let at = match self.0.iter().position(|slice| slice.labels == *labels) {
            Some(at) => at,
            None => {
                self.0.push(SeriesSlice { labels: labels.clone(), samples: Vec::new(), start_time: None });
                self.0.len() - 1
            }
        };
        let samples = &mut self.0[at].samples;
        for (point, number) in points.into_iter().zip(0..) {
            if let Point::Value(value) = point {
                samples.retain(|sample| sample.at != number * step);
                samples.push(Sample { at: number * step, value });
            }
        }
        samples.sort_by_key(|sample| sample.at);
    }
}

/// One evaluation and what is expected of it.
#[derive(Default)]
struct Case {
    expr: String,
    /// Start, end, step in milliseconds; an instant query has step 0.
    times: (i64, i64, i64),
    fail: Option<Expected>,
    ordered: bool,
    text: Option<String>,
    range_vector: Option<(i64, i64, i64)>,
    scalar: Option<f64>,
    series: Vec<(Labels, Vec<Point>)>,
    warn: Annotations,
    info: Annotations,
}

#[derive(Default)]
struct Annotations {
    none: bool,
    expected: Vec<Expected>,
}

enum Expected {
    Any,
    Message(String),
    Pattern(String),
}

impl Expected {
    fn matches(&self, text: &str) -> bool {
        match self {
            Expected::Any => true,
            Expected::Message(message) => message == text,
            Expected::Pattern(pattern) => Regex::new(pattern).is_ok_and(|regex| regex.is_match(text)),
        }
    }
}

pub(crate) fn run(file: &Path) -> Report {
    let text = std::fs::read_to_string(file).expect("a readable file");
    let lines: Vec<&str> = text.lines().map(|line| line.trim()).map(|line| if line.starts_with('#') { "" } else { line }).collect();
    let (mut storage, mut report, mut at) = (Storage::default(), Report::default(), 0);
    while at < lines.len() {
        let start = at;
        let block_end = (start + 1..lines.len()).find(|&at| lines[at].is_empty()).unwrap_or(lines.len());
        let body = &lines[start + 1..block_end];
        let words: Vec<&str> = lines[start].split_whitespace().collect();
        match words.first().copied() {
            None => at += 1,
            Some("clear") => {
                storage = Storage::default();
                at += 1;
            }
            Some("load") => {
                at = block_end;
                if let Err(why) = load(&mut storage, words.get(1).copied().unwrap_or(""), body) {
                    report.failures.push(format!("line {}: {why}", start + 1));
                }
            }
            Some(word) if word.starts_with("eval") => {
                at = block_end;
                report.total += 1;
                let outcome = case(lines[start], body).and_then(|case| check(&case, &storage));
                if let Err(why) = outcome {
                    report.failures.push(format!("line {}: {}: {why}", start + 1, lines[start]));
                }
            }
            Some(word) => {
                at = block_end;
                report.failures.push(format!("line {}: unknown command {word:?}", start + 1));
            }
        }
    }
    report
}

fn load(storage: &mut Storage, step: &str, body: &[&str]) -> Result<(), String> {
    let step = series::duration(step)?;
    for line in body {
        let (labels, points) = series::line(line)?.ok_or_else(|| format!("no series in {line:?}"))?;
        storage.load(&labels, points, step);
    }
    Ok(())
}

fn case(line: &str, body: &[&str]) -> Result<Case, String> {
    let shape = Regex::new(r"^(eval\w*)\s+(?:instant(?:\s+at\s+(\S+))?|range\s+from\s+(\S+)\s+to\s+(\S+)\s+step\s+(\S+))\s+(.+)$")
        .expect("a regex");
    let found = shape.captures(line).ok_or_else(|| format!("bad eval line {line:?}"))?;
    let group = |number: usize| found.get(number).map_or(Ok(0), |text| series::duration(text.as_str()));
    let mut case = Case { expr: found[6].to_string(), ..Case::default() };
    case.times = if found.get(3).is_some() { (group(3)?, group(4)?, group(5)?) } else { (group(2)?, group(2)?, 0) };
    match &found[1] {
        "eval_fail" => case.fail = Some(Expected::Any),
        "eval_warn" => case.warn.expected.push(Expected::Any),
        "eval_info" => case.info.expected.push(Expected::Any),
        "eval_ordered" => case.ordered = true,
        _ => {}
    }
    for line in body {
        if let Some(rest) = line.strip_prefix("expected_fail_message ") {
            case.fail = Some(Expected::Message(rest.trim().into()));
        } else if let Some(rest) = line.strip_prefix("expected_fail_regexp ") {
            case.fail = Some(Expected::Pattern(rest.trim().into()));
        } else if let Some(rest) = line.strip_prefix("expect ") {
            expect(&mut case, rest.trim())?;
        } else if let Some(found) = series::line(line)? {
            case.series.push(found);
        } else {
            case.scalar = Some(series::number(line).ok_or_else(|| format!("bad expectation {line:?}"))?);
        }
    }
    Ok(case)
}

fn expect(case: &mut Case, text: &str) -> Result<(), String> {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    let expected = || match (rest.strip_prefix("msg:"), rest.strip_prefix("regex:")) {
        (Some(message), _) => Expected::Message(message.trim().into()),
        (_, Some(pattern)) => Expected::Pattern(pattern.trim().into()),
        _ => Expected::Any,
    };
    match word {
        "fail" => case.fail = Some(expected()),
        "warn" => case.warn.expected.push(expected()),
        "info" => case.info.expected.push(expected()),
        "no_warn" => case.warn.none = true,
        "no_info" => case.info.none = true,
        "ordered" => case.ordered = true,
        "string" => {
            let inner = &rest[1..rest.len() - 1];
            case.text = Some(if rest.starts_with('`') { inner.into() } else { series::unescaped(inner) });
        }
        "range" => {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let [_, _, from, _, to, _, step] = words[..] else { return Err(format!("bad expect line {text:?}")) };
            case.range_vector = Some((series::duration(from)?, series::duration(to)?, series::duration(step)?));
        }
        _ => return Err(format!("bad expect line {text:?}")),
    }
    Ok(())
}

fn check(case: &Case, storage: &Storage) -> Result<(), String> {
    let options = Options { max_samples: 10_000_000, ..Options::default() };
    let (start, end, step) = case.times;
    let answer = query::parse(&case.expr).and_then(|expr| {
        if step == 0 { query::instant(&expr, start, storage, &options) } else { query::range(&expr, start, end, step, storage, &options) }
    });
    let answer = match (answer, &case.fail) {
        (Err(why), Some(expected)) if expected.matches(&why.to_string()) => return Ok(()),
        (Err(why), Some(_)) => return Err(format!("failed with another message: {why}")),
        (Err(why), None) => return Err(format!("failed: {why}")),
        (Ok(_), Some(_)) => return Err("did not fail".into()),
        (Ok(answer), None) => answer,
    };
    annotations("warning", &case.warn, &answer.warnings)?;
    annotations("info", &case.info, &answer.infos)?;
    value(case, &answer)?;
    if step == 0 { as_range(case, storage, &options) } else { Ok(()) }
}

fn annotations(kind: &str, wanted: &Annotations, found: &[String]) -> Result<(), String> {
    if wanted.none && !found.is_empty() {
        return Err(format!("unexpected {kind}: {found:?}"));
    }
    if wanted.expected.is_empty() {
        return Ok(());
    }
    let met = wanted.expected.iter().all(|expected| found.iter().any(|text| expected.matches(text)));
    let known = found.iter().all(|text| wanted.expected.iter().any(|expected| expected.matches(text)));
    if met && known { Ok(()) } else { Err(format!("{kind}s differ, found {found:?}")) }
}

fn value(case: &Case, answer: &Answer) -> Result<(), String> {
    match &answer.value {
        Value::Scalar(found) => match case.scalar {
            Some(wanted) if same_float(wanted, *found) => Ok(()),
            wanted => Err(format!("expected {wanted:?}, found scalar {found}")),
        },
        Value::String(found) if case.text.as_ref() == Some(found) => Ok(()),
        Value::String(found) => Err(format!("expected {:?}, found {found:?}", case.text)),
        Value::Vector(found) => {
            if case.ordered {
                let order: Vec<&Labels> = found.iter().map(|sample| &sample.labels).collect();
                let wanted: Vec<&Labels> = case.series.iter().map(|(labels, _)| labels).collect();
                if order != wanted {
                    return Err(format!("order differs: {order:?}"));
                }
            }
            let found: Vec<(Labels, Vec<(i64, SampleValue)>)> =
                found.iter().map(|sample| (sample.labels.clone(), vec![(case.times.0, sample.value.clone())])).collect();
            matrix(case, &found, (case.times.0, 1))
        }
        Value::Matrix(found) => {
            let found: Vec<(Labels, Vec<(i64, SampleValue)>)> = found
                .iter()
                .map(|slice| (slice.labels.clone(), slice.samples.iter().map(|sample| (sample.at, sample.value.clone())).collect()))
                .collect();
            let (start, _, step) = case.range_vector.unwrap_or(case.times);
            matrix(case, &found, (start, step))
        }
    }
}

fn matrix(case: &Case, found: &[(Labels, Vec<(i64, SampleValue)>)], (start, step): (i64, i64)) -> Result<(), String> {
    for (labels, points) in &case.series {
        let points: Vec<(i64, &Point)> = points
            .iter()
            .zip(0..)
            .map(|(point, number)| (start + number * step, point))
            .filter(|(_, point)| !matches!(point, Point::None))
            .collect();
        let Some((_, samples)) = found.iter().find(|(have, _)| have == labels) else {
            if points.is_empty() {
                continue;
            }
            return Err(format!("{labels} is missing; found {found:?}"));
        };
        let equal =
            points.len() == samples.len() && points.iter().zip(samples).all(|(wanted, have)| wanted.0 == have.0 && same(wanted.1, &have.1));
        if !equal {
            return Err(format!("{labels}: expected {points:?}, found {samples:?}"));
        }
    }
    match found.iter().find(|(labels, _)| !case.series.iter().any(|(wanted, _)| wanted == labels)) {
        Some(extra) => Err(format!("unexpected {extra:?}")),
        None => Ok(()),
    }
}

/// Each instant query as the middle of a range query.
fn as_range(case: &Case, storage: &Storage, options: &Options) -> Result<(), String> {
    let time_bound = Regex::new(r"(?i)\b(start|end|range|step)\s*\(\s*\)").expect("a regex").is_match(&case.expr);
    if case.ordered || case.range_vector.is_some() || case.text.is_some() || time_bound {
        return Ok(());
    }
    let (at, minute) = (case.times.0, 60_000);
    let expr = query::parse(&case.expr).map_err(|why| why.to_string())?;
    let answer = query::range(&expr, at - minute, at + minute, minute, storage, options).map_err(|why| format!("as a range: {why}"))?;
    let Value::Matrix(mut found) = answer.value else { return Err("a range query gave no matrix".into()) };
    for slice in &mut found {
        slice.samples.retain(|sample| sample.at == at);
    }
    found.retain(|slice| !slice.samples.is_empty());
    if let Some(wanted) = case.scalar {
        let equal = matches!(&found[..], [only] if matches!(only.samples[0].value, SampleValue::Float(value) if same_float(wanted, value)));
        return if equal { Ok(()) } else { Err(format!("as a range: expected {wanted}, found {found:?}")) };
    }
    let found: Vec<(Labels, Vec<(i64, SampleValue)>)> =
        found.into_iter().map(|slice| (slice.labels, vec![(at, slice.samples[0].value.clone())])).collect();
    matrix(case, &found, (at, 1)).map_err(|why| format!("as a range: {why}"))
}
