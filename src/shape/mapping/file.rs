//! The text of a mapping file into rules, with the place of everything that is wrong or has no effect here.

use std::sync::Arc;
use std::time::Duration;

use regex::Regex;

use super::fields::{Fields, Findings, duration, flag, number};
use super::template::Template;
use super::{Match, MatchType, Observed, Rule, glob, screen};
use crate::model::Buckets;
use crate::model::labels::label_name;
use crate::shape::{Presentation, SeriesOptions};
use crate::yaml::{self, Content, Node, Place};

/// Rules of one file, at most.
const RULES_MAX: usize = 10_000;
/// Quantiles of one rule, at most: each is a line of the page for every series.
const QUANTILES_MAX: usize = 100;

const FILE: [&str; 2] = ["defaults", "mappings"];
const DEFAULTS: [&str; 10] = [
    "observer_type",
    "timer_type",
    "buckets",
    "quantiles",
    "match_type",
    "glob_disable_ordering",
    "honor_labels",
    "ttl",
    "summary_options",
    "histogram_options",
];
const RULE: [&str; 16] = [
    "match",
    "match_type",
    "match_metric_type",
    "name",
    "labels",
    "honor_labels",
    "action",
    "ttl",
    "scale",
    "help",
    "observer_type",
    "timer_type",
    "buckets",
    "quantiles",
    "summary_options",
    "histogram_options",
];

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) rules: Vec<Rule>,
    /// `glob_disable_ordering` is not set.
    pub(super) globs_in_order: bool,
    /// What metrics get that no rule names.
    pub(super) defaults: SeriesOptions,
}

#[derive(Default)]
struct Defaults {
    match_type: Option<MatchType>,
    honor_labels: bool,
    ttl: Option<Duration>,
    presentation: Presentation,
}

/// Reads a file's text. What is wrong is in the findings.
pub(super) fn read(text: &str, findings: &mut Findings<'_>) -> File {
    let root = match yaml::read(text) {
        Ok(root) => root,
        Err((at, message)) => {
            findings.error(at, "", message);
            return File::default();
        }
    };
    let mut top = Fields::new(root, "", findings);
    let mut file = File { globs_in_order: true, ..File::default() };
    let mut defaults = Defaults::default();
    if let Some(mut fields) = top.mapping("defaults", findings) {
        file.globs_in_order = fields.value("glob_disable_ordering", findings, flag).is_none_or(|(_, disabled)| !disabled);
        defaults.match_type = fields.value("match_type", findings, match_type).and_then(|(_, kind)| kind);
        defaults.honor_labels = fields.value("honor_labels", findings, flag).is_some_and(|(_, honor)| honor);
        defaults.ttl = ttl(&mut fields, findings);
        defaults.presentation = presentation(&mut fields, &Presentation::default(), findings);
        fields.finish(&DEFAULTS, findings);
    }
    file.defaults = SeriesOptions { ttl: defaults.ttl, help: None, presentation: defaults.presentation.clone() };
    let nodes = top.list("mappings", findings);
    top.finish(&FILE, findings);
    if let Some(node) = nodes.get(RULES_MAX) {
        findings.error(node.at, "mappings", format!("more than {RULES_MAX} rules"));
        return file;
    }
    file.rules = nodes.into_iter().enumerate().filter_map(|(index, node)| rule(node, index, &defaults, findings)).collect();
    file
}

fn rule(node: Node, index: usize, defaults: &Defaults, findings: &mut Findings<'_>) -> Option<Rule> {
    let mut fields = Fields::new(node, &format!("mappings[{index}]"), findings);
    let (at, path) = (fields.at, fields.path.clone());
    let kind =
        fields.value("match_type", findings, match_type).and_then(|(_, kind)| kind).or(defaults.match_type).unwrap_or(MatchType::Glob);
    let observed = fields.value("match_metric_type", findings, observed).map(|(_, observed)| observed);
    let pattern = fields.text("match", findings);
    let drop = fields.value("action", findings, action).is_some_and(|(_, drop)| drop);
    let name = fields.text("name", findings);
    let labels = fields.mapping("labels", findings).map(|labels| labels.into_texts(findings)).unwrap_or_default();
    let honor_labels = fields.value("honor_labels", findings, flag).map_or(defaults.honor_labels, |(_, honor)| honor);
    let scale = fields.value("scale", findings, number).map_or(1.0, |(_, scale)| scale);
    let help = fields.text("help", findings).map(|(_, help)| Arc::from(help)).filter(|help: &Arc<str>| !help.is_empty());
    let ttl = ttl(&mut fields, findings).or(defaults.ttl);
    let presentation = presentation(&mut fields, &defaults.presentation, findings);
    fields.finish(&RULE, findings);

    let Some((match_at, text)) = pattern else {
        findings.error(at, &path, "`match` is missing");
        return None;
    };
    let pattern = match kind {
        MatchType::Glob => glob::components(&text).map(Match::Glob),
        MatchType::Regex => screen::compile(&text).map(Match::Regex),
    };
    let pattern = pattern.map_err(|message| findings.error(match_at, &format!("{path}.match"), message)).ok()?;
    let captures = pattern.capture_names();
    let name = match name {
        Some((name_at, name)) => {
            if !drop && !is_name(&name) {
                findings.error(
                    name_at,
                    &format!("{path}.name"),
                    format!("{name:?}: expected letters, digits, _ and $1, not a digit first"),
                );
            }
            template(&name, name_at, &format!("{path}.name"), kind, &captures, findings)
        }
        None if drop => Template::default(),
        None => {
            findings.error(at, &path, "`name` is missing");
            return None;
        }
    };
    let mut filled = Vec::new();
    for (key_at, key, value_at, value) in labels {
        let path = format!("{path}.labels.{key}");
        if label_name(&key) != key || key.starts_with("__") {
            findings.error(key_at, &path, "not a label name: letters, digits and _, not a digit first, not __ first");
        }
        filled.push((key + ":", template(&value, value_at, &path, kind, &captures, findings)));
    }
    let options = SeriesOptions { ttl, help, presentation };
    let options = (options != SeriesOptions::default()).then(|| Arc::new(options));
    Some(Rule { at, text, pattern, observed, drop, name, labels: filled, honor_labels, scale, options })
}

fn template(text: &str, at: Place, path: &str, kind: MatchType, captures: &[Option<String>], findings: &mut Findings<'_>) -> Template {
    let captures: Vec<Option<&str>> = captures.iter().map(Option::as_deref).collect();
    let (template, dangling) = Template::read(text, kind, &captures);
    for reference in dangling {
        match beyond(&reference, captures.len().saturating_sub(1)) {
            Some(message) => findings.error(at, path, message),
            None => findings.warn(at, path, format!("{reference} names no capture and is always empty; a capture is written ${{1}}")),
        }
    }
    template
}

/// What to say of a number that is none of the `last` captures; `None` when it is no number.
fn beyond(reference: &str, last: usize) -> Option<String> {
    let name = reference.trim_matches(['$', '{', '}']);
    let is_number = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let nearest = match last {
        0 => "the match captures nothing".to_string(),
        _ => format!("did you mean ${{{last}}}, the last of the match?"),
    };
    is_number.then(|| format!("{reference} names no capture; {nearest}"))
}

/// Letters, digits, `_` and references; not a digit first.
fn is_name(name: &str) -> bool {
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        let plain = c.is_ascii_alphabetic() || c == '_' || (c.is_ascii_digit() && rest.len() < name.len());
        let length = if plain { 1 } else { reference(rest) };
        if length == 0 {
            return false;
        }
        rest = &rest[length..];
    }
    !name.is_empty()
}

/// Length of the `$1` or `${1}` that a text begins with; 0 when it does not.
fn reference(text: &str) -> usize {
    let Some(after) = text.strip_prefix('$') else { return 0 };
    let digits = after.strip_prefix('{').unwrap_or(after);
    let count = digits.bytes().take_while(u8::is_ascii_digit).count();
    let closing = usize::from(digits[count..].starts_with('}'));
    if count == 0 { 0 } else { text.len() - digits.len() + count + closing }
}

fn match_type(text: &str) -> Result<Option<MatchType>, String> {
    match text {
        "" => Ok(None),
        "glob" => Ok(Some(MatchType::Glob)),
        "regex" => Ok(Some(MatchType::Regex)),
        _ => Err(format!("expected glob or regex, not {text:?}")),
    }
}

fn observed(text: &str) -> Result<Observed, String> {
    match text {
        "counter" => Ok(Observed::Counter),
        "gauge" => Ok(Observed::Gauge),
        // The old name.
        "observer" | "timer" => Ok(Observed::Observer),
        _ => Err(format!("expected counter, gauge or observer, not {text:?}")),
    }
}

/// Whether it is `drop`.
fn action(text: &str) -> Result<bool, String> {
    match text {
        "drop" => Ok(true),
        "map" | "" => Ok(false),
        _ => Err(format!("expected map or drop, not {text:?}")),
    }
}

/// Whether it is a histogram.
fn observer(text: &str) -> Result<Option<bool>, String> {
    match text {
        "" => Ok(None),
        "summary" => Ok(Some(false)),
        "histogram" => Ok(Some(true)),
        _ => Err(format!("expected summary or histogram, not {text:?}")),
    }
}

fn ttl(fields: &mut Fields, findings: &mut Findings<'_>) -> Option<Duration> {
    fields.value("ttl", findings, duration).map(|(_, ttl)| ttl).filter(|ttl| !ttl.is_zero())
}

/// Reads how timers are to be shown; what a rule does not say is as `defaults` says.
fn presentation(fields: &mut Fields, defaults: &Presentation, findings: &mut Findings<'_>) -> Presentation {
    let at = fields.at;
    // The old name comes first, so that the new one has the say.
    let own = ["timer_type", "observer_type"].into_iter().filter_map(|key| fields.value(key, findings, observer)?.1).last();
    let (old_buckets, old_quantiles) = (buckets(fields, findings), quantiles(fields, findings));
    let is_rule = fields.path != "defaults";
    let histogram = own.or(defaults.histogram);
    for (clash, key, message) in [
        (true, "summary_options", "a histogram has no summary_options"),
        (false, "histogram_options", "a summary has no histogram_options"),
    ] {
        if is_rule && histogram == Some(clash) && fields.has(key) {
            findings.error(at, &fields.path, message);
        }
    }
    let mut own = Presentation { histogram: own, buckets: old_buckets, quantiles: old_quantiles };
    if let Some(mut options) = fields.mapping("histogram_options", findings) {
        let newer = buckets(&mut options, findings);
        if is_rule && own.buckets.is_some() && newer.is_some() {
            findings.error(at, &fields.path, "buckets are given twice: here and in histogram_options");
        }
        own.buckets = newer.or(own.buckets);
        for key in ["native_histogram_bucket_factor", "native_histogram_max_buckets"] {
            unused(&mut options, key, "native histograms here have a resolution of their own", number, findings);
        }
        options.finish(&["buckets", "native_histogram_bucket_factor", "native_histogram_max_buckets"], findings);
    }
    if let Some(mut options) = fields.mapping("summary_options", findings) {
        let newer = quantiles(&mut options, findings);
        if is_rule && own.quantiles.is_some() && newer.is_some() {
            findings.error(at, &fields.path, "quantiles are given twice: here and in summary_options");
        }
        own.quantiles = newer.or(own.quantiles);
        unused(&mut options, "max_age", "a summary covers ten minutes", duration, findings);
        unused(&mut options, "age_buckets", "a summary covers ten minutes in five blocks", number, findings);
        unused(&mut options, "buf_cap", "there is no such buffer here", number, findings);
        options.finish(&["quantiles", "max_age", "age_buckets", "buf_cap"], findings);
    }
    own.or(defaults)
}

fn unused<T>(fields: &mut Fields, key: &str, why: &str, read: impl Fn(&str) -> Result<T, String>, findings: &mut Findings<'_>) {
    if let Some((at, _)) = fields.value(key, findings, read) {
        findings.warn(at, &fields.path_of(key), format!("has no effect: {why}"));
    }
}

/// Upper bounds; `None` when none is given. The last may be infinite, as one always is.
fn buckets(fields: &mut Fields, findings: &mut Findings<'_>) -> Option<Arc<[f64]>> {
    let path = fields.path_of("buckets");
    let mut bounds: Vec<f64> = Vec::new();
    let nodes = fields.list("buckets", findings);
    let last = nodes.len().saturating_sub(1);
    for (index, node) in nodes.into_iter().enumerate() {
        let Content::Text(text) = &node.content else {
            findings.error(node.at, &path, format!("expected a number, not {}", node.content.kind()));
            continue;
        };
        if index == last && matches!(text.trim_start_matches('+'), ".inf" | ".Inf" | ".INF") {
            continue;
        }
        match number(text) {
            Ok(bound) if bounds.last().is_some_and(|&last| bound <= last) => findings.error(node.at, &path, "buckets must ascend"),
            Ok(_) if bounds.len() == Buckets::MAX => findings.error(node.at, &path, format!("more than {} buckets", Buckets::MAX)),
            Ok(bound) => bounds.push(bound),
            Err(message) => findings.error(node.at, &path, message),
        }
    }
    (!bounds.is_empty()).then(|| bounds.into())
}

/// Shares of summaries, ascending; `None` when none is given.
fn quantiles(fields: &mut Fields, findings: &mut Findings<'_>) -> Option<Arc<[f64]>> {
    let path = fields.path_of("quantiles");
    let (mut shares, mut error) = (Vec::new(), None);
    for (index, node) in fields.list("quantiles", findings).into_iter().enumerate() {
        let mut objective = Fields::new(node, &format!("{path}[{index}]"), findings);
        let in_unit =
            |text: &str| number(text).and_then(|q| if (0.0..=1.0).contains(&q) { Ok(q) } else { Err(format!("{q} is not in [0, 1]")) });
        let there = objective.has("quantile");
        let share = objective.value("quantile", findings, in_unit);
        match share {
            Some((at, _)) if shares.len() == QUANTILES_MAX => findings.error(at, &path, format!("more than {QUANTILES_MAX} quantiles")),
            Some((_, share)) => shares.push(share),
            None if there => {}
            None => findings.error(objective.at, &objective.path, "`quantile` is missing"),
        }
        let tolerated = objective.value("error", findings, in_unit);
        error = error.or(tolerated.map(|(at, _)| (at, objective.path_of("error"))));
        objective.finish(&["quantile", "error"], findings);
    }
    if let Some((at, path)) = error {
        findings.warn(at, &path, "has no effect: every quantile is within 1.1 % of its value");
    }
    shares.sort_unstable_by(f64::total_cmp);
    shares.dedup();
    (!shares.is_empty()).then(|| shares.into())
}

impl Match {
    /// A name, or none, for each capture; the first is the whole match.
    fn capture_names(&self) -> Vec<Option<String>> {
        let of_regex = |regex: &Regex| regex.capture_names().map(|name| name.map(str::to_string)).collect();
        match self {
            Match::Glob(components) => {
                vec![None; 1 + components.iter().filter(|component| **component == glob::Component::Any).count()]
            }
            Match::Regex(regex) => of_regex(regex),
        }
    }
}
