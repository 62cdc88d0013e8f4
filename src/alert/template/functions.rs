//! The functions templates may call: Go's built-ins and those Prometheus adds.

use std::cmp::Ordering;
use std::fmt;

use regex::Regex;
use time::OffsetDateTime;

use super::eval::Eval;
use super::format::{general, sprintf};
use super::value::Value;
use crate::model::units;

type Run = fn(&mut Eval<'_>, &[Value]) -> Result<Value, String>;

/// A function and how many arguments it takes, the piped one among them.
pub(super) struct Function {
    pub(super) name: &'static str,
    least: usize,
    most: usize,
    run: Run,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Function {
    pub(super) fn call(&self, eval: &mut Eval<'_>, arguments: &[Value]) -> Result<Value, String> {
        if arguments.len() < self.least || arguments.len() > self.most {
            return Err(format!("{} got {} arguments", self.name, arguments.len()));
        }
        (self.run)(eval, arguments).map_err(|error| format!("{}: {error}", self.name))
    }
}

pub(super) fn named(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

const MANY: usize = 64;

const fn of(name: &'static str, least: usize, most: usize, run: Run) -> Function {
    Function { name, least, most, run }
}

static FUNCTIONS: &[Function] = &[
    of("and", 1, MANY, |_, args| Ok(args[args.len() - 1].clone())),
    of("or", 1, MANY, |_, args| Ok(args[args.len() - 1].clone())),
    of("not", 1, 1, |_, args| Ok(Value::Bool(!args[0].is_true()))),
    of("eq", 2, MANY, |_, args| {
        for other in &args[1..] {
            if compare(&args[0], other)? == Some(Ordering::Equal) {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    }),
    of("ne", 2, 2, |_, args| Ok(Value::Bool(compare(&args[0], &args[1])? != Some(Ordering::Equal)))),
    of("lt", 2, 2, |_, args| Ok(Value::Bool(compare(&args[0], &args[1])? == Some(Ordering::Less)))),
    of("le", 2, 2, |_, args| Ok(Value::Bool(matches!(compare(&args[0], &args[1])?, Some(Ordering::Less | Ordering::Equal))))),
    of("gt", 2, 2, |_, args| Ok(Value::Bool(compare(&args[0], &args[1])? == Some(Ordering::Greater)))),
    of("ge", 2, 2, |_, args| Ok(Value::Bool(matches!(compare(&args[0], &args[1])?, Some(Ordering::Greater | Ordering::Equal))))),
    of("len", 1, 1, |_, args| match &args[0] {
        Value::Text(text) => Ok(Value::Int(text.len() as i64)),
        Value::List(items) => Ok(Value::Int(items.len() as i64)),
        Value::Labels(labels) => Ok(Value::Int(labels.iter().len() as i64)),
        other => Err(format!("a {} has no length", other.kind())),
    }),
    of("index", 2, MANY, |_, args| args[1..].iter().try_fold(args[0].clone(), |value, key| index(&value, key))),
    of("print", 0, MANY, |_, args| Ok(Value::Text(print(args)))),
    of("println", 0, MANY, |_, args| {
        let words: Vec<String> = args.iter().map(Value::to_string).collect();
        Ok(Value::Text(words.join(" ") + "\n"))
    }),
    of("printf", 1, MANY, |_, args| Ok(Value::Text(sprintf(args[0].text()?, &args[1..])))),
    of("urlquery", 0, MANY, |_, args| Ok(Value::Text(query_escape(&print(args))))),
    of("urlQueryEscape", 1, 1, |_, args| Ok(Value::Text(query_escape(args[0].text()?)))),
    of("query", 1, 1, |eval, args| eval.query(args[0].text()?)),
    of("first", 1, 1, |_, args| match &args[0] {
        Value::List(items) => items.first().cloned().ok_or_else(|| "the vector has no elements".to_string()),
        other => Err(format!("expected a vector, not a {}", other.kind())),
    }),
    of("label", 2, 2, |_, args| match &args[1] {
        Value::Sample(labels, _) => Ok(Value::Text(labels.get(args[0].text()?).into())),
        other => Err(format!("expected a sample, not a {}", other.kind())),
    }),
    of("value", 1, 1, |_, args| match &args[0] {
        Value::Sample(_, value) => Ok(Value::Float(*value)),
        other => Err(format!("expected a sample, not a {}", other.kind())),
    }),
    of("strvalue", 1, 1, |_, args| match &args[0] {
        Value::Sample(labels, _) => Ok(Value::Text(labels.get("__value__").into())),
        other => Err(format!("expected a sample, not a {}", other.kind())),
    }),
    of("sortByLabel", 2, 2, |_, args| {
        let (name, Value::List(items)) = (args[0].text()?, &args[1]) else {
            return Err(format!("expected a vector, not a {}", args[1].kind()));
        };
        let mut items = items.clone();
        items.sort_by_cached_key(|item| if let Value::Sample(labels, _) = item { labels.get(name).to_string() } else { String::new() });
        Ok(Value::List(items))
    }),
    of("humanize", 1, 1, |_, args| Ok(Value::Text(humanize(args[0].number()?)))),
    of("humanize1024", 1, 1, |_, args| Ok(Value::Text(humanize_1024(args[0].number()?)))),
    of("humanizeDuration", 1, 1, |_, args| Ok(Value::Text(humanize_duration(args[0].number()?)))),
    of("humanizePercentage", 1, 1, |_, args| Ok(Value::Text(general(args[0].number()? * 100.0, 4) + "%"))),
    of("humanizeTimestamp", 1, 1, |_, args| Ok(Value::Text(timestamp(args[0].number()?)?))),
    of("toTime", 1, 1, |_, args| Ok(Value::Text(timestamp(args[0].number()?)?))),
    of("toDuration", 1, 1, |_, args| Ok(Value::Text(go_duration(args[0].number()?)))),
    of("now", 0, 0, |eval, _| Ok(Value::Float(eval.context.now_ms as f64 / 1e3))),
    of("parseDuration", 1, 1, |_, args| Ok(Value::Float(units::parse_duration(args[0].text()?)?.as_secs_f64()))),
    of("title", 1, 1, |_, args| Ok(Value::Text(title(args[0].text()?)))),
    of("toUpper", 1, 1, |_, args| Ok(Value::Text(args[0].text()?.to_uppercase()))),
    of("toLower", 1, 1, |_, args| Ok(Value::Text(args[0].text()?.to_lowercase()))),
    of("match", 2, 2, |_, args| Ok(Value::Bool(regex(&args[0])?.is_match(args[1].text()?)))),
    of("reReplaceAll", 3, 3, |_, args| Ok(Value::Text(regex(&args[0])?.replace_all(args[2].text()?, args[1].text()?).into_owned()))),
    of("stripPort", 1, 1, |_, args| Ok(Value::Text(host_and_port(args[0].text()?).0.to_string()))),
    of("stripDomain", 1, 1, |_, args| {
        let (host, port) = host_and_port(args[0].text()?);
        let short = if host.parse::<std::net::IpAddr>().is_ok() { host } else { host.split('.').next().unwrap_or(host) };
        Ok(Value::Text(port.map_or_else(|| short.to_string(), |port| format!("{short}:{port}"))))
    }),
    of("safeHtml", 1, 1, |_, args| Ok(Value::Text(args[0].text()?.into()))),
    of("externalURL", 0, 0, |eval, _| Ok(Value::Text(eval.context.external_url.into()))),
    of("pathPrefix", 0, 0, |eval, _| {
        let rest = eval.context.external_url.split_once("://").map_or("", |(_, rest)| rest);
        Ok(Value::Text(rest.find('/').map_or("", |at| &rest[at..]).into()))
    }),
    of("graphLink", 1, 1, |_, args| Ok(Value::Text(format!("/graph?g0.expr={}&g0.tab=0", query_escape(args[0].text()?))))),
    of("tableLink", 1, 1, |_, args| Ok(Value::Text(format!("/graph?g0.expr={}&g0.tab=1", query_escape(args[0].text()?))))),
];

/// Numbers compare as numbers, whatever their type; other values only with their own kind.
fn compare(a: &Value, b: &Value) -> Result<Option<Ordering>, String> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Ok(Some(a.cmp(b))),
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => Ok(a.number()?.partial_cmp(&b.number()?)),
        (Value::Text(a), Value::Text(b)) => Ok(Some(a.cmp(b))),
        (Value::Bool(a), Value::Bool(b)) => Ok(Some(a.cmp(b))),
        _ => Err(format!("cannot compare a {} with a {}", a.kind(), b.kind())),
    }
}

fn index(value: &Value, key: &Value) -> Result<Value, String> {
    match (value, key) {
        (Value::Labels(labels), Value::Text(name)) => Ok(Value::Text(labels.get(name).into())),
        (Value::List(items), Value::Int(at)) => {
            usize::try_from(*at).ok().and_then(|at| items.get(at)).cloned().ok_or_else(|| format!("{at} is out of range"))
        }
        _ => Err(format!("a {} has no element {key}", value.kind())),
    }
}

/// Go puts a space between two operands when neither is a string.
fn print(args: &[Value]) -> String {
    let mut out = String::new();
    for (at, value) in args.iter().enumerate() {
        if at > 0 && !matches!((&args[at - 1], value), (Value::Text(_), _) | (_, Value::Text(_))) {
            out.push(' ');
        }
        out.push_str(&value.to_string());
    }
    out
}

fn regex(pattern: &Value) -> Result<Regex, String> {
    Regex::new(pattern.text()?).map_err(|error| error.to_string())
}

/// Percent-encodes for a query string; a space becomes `+`.
pub(super) fn query_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn host_and_port(address: &str) -> (&str, Option<&str>) {
    match address.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && (!host.contains(':') || host.ends_with(']')) => {
            (host.trim_start_matches('[').trim_end_matches(']'), Some(port))
        }
        _ => (address, None),
    }
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.push(c);
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_alphanumeric() || matches!(c, '_' | '\'');
    }
    out
}

const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];

/// Multiplies a value below one up to at least one.
fn scaled_up(mut value: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for next in SMALL {
        if value.abs() >= 1.0 {
            break;
        }
        prefix = next;
        value *= 1_000.0;
    }
    (value, prefix)
}

fn scaled_down(mut value: f64, by: f64, prefixes: [&'static str; 8]) -> String {
    let mut prefix = "";
    for next in prefixes {
        if value.abs() < by {
            break;
        }
        prefix = next;
        value /= by;
    }
    general(value, 4) + prefix
}

fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return general(value, 4);
    }
    if value.abs() >= 1.0 {
        return scaled_down(value, 1_000.0, ["k", "M", "G", "T", "P", "E", "Z", "Y"]);
    }
    let (value, prefix) = scaled_up(value);
    general(value, 4) + prefix
}

fn humanize_1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return general(value, 4);
    }
    scaled_down(value, 1_024.0, ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"])
}

fn humanize_duration(value: f64) -> String {
    if !value.is_finite() {
        return general(value, 4);
    }
    if value == 0.0 {
        return "0s".into();
    }
    if value.abs() < 1.0 {
        let (value, prefix) = scaled_up(value);
        return format!("{}{prefix}s", general(value, 4));
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let value = value.abs();
    let whole = value as i64;
    let (seconds, minutes, hours, days) = (whole % 60, whole / 60 % 60, whole / 3_600 % 24, whole / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", general(value, 4)),
        (0, 0, _) => format!("{sign}{minutes}m {seconds}s"),
        (0, _, _) => format!("{sign}{hours}h {minutes}m {seconds}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
    }
}

/// Unix seconds as `2006-01-02 15:04:05.5 +0000 UTC`.
fn timestamp(seconds: f64) -> Result<String, String> {
    if !seconds.is_finite() {
        return Ok(general(seconds, 4));
    }
    let out_of_range = |_| format!("{} is not a time", super::format::float(seconds));
    let at = OffsetDateTime::from_unix_timestamp_nanos((seconds * 1e3).round() as i128 * 1_000_000).map_err(out_of_range)?;
    let fraction = format!(".{:03}", at.millisecond());
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    Ok(format!("{} {:02}:{:02}:{:02}{fraction} +0000 UTC", at.date(), at.hour(), at.minute(), at.second()))
}

/// Seconds as Go writes a duration: `1h30m0s`, `1.5s`, `250ms`.
fn go_duration(seconds: f64) -> String {
    let sign = if seconds < 0.0 { "-" } else { "" };
    let nanos = (seconds.abs() * 1e9) as u64;
    if nanos == 0 {
        return "0s".into();
    }
    if nanos < 1_000_000_000 {
        let (unit, by) = if nanos >= 1_000_000 {
            ("ms", 1e6)
        } else if nanos >= 1_000 {
            ("µs", 1e3)
        } else {
            ("ns", 1.0)
        };
        return format!("{sign}{}{unit}", nanos as f64 / by);
    }
    let (whole, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let (hours, minutes) = (whole / 3_600, whole / 60 % 60);
    let seconds = (whole % 60) as f64 + rest as f64 / 1e9;
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, _) => format!("{sign}{minutes}m{seconds}s"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}
