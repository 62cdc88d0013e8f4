//! Prometheus rule files, unchanged: read, checked, with the exact place of everything that is wrong.

use std::fmt;
use std::time::Duration;

use super::Bundle;
use super::template::Template;
use crate::model::units::parse_duration;
use crate::model::{Labels, Matcher, labels};
use crate::query::{self, Expr};
use crate::yaml::{self, Content, Node, Place};

/// Every rule that is to be evaluated, in order.
#[derive(Debug, Default)]
pub struct RuleSet {
    pub groups: Vec<Group>,
}

/// Rules that are evaluated one after the other, at one time.
#[derive(Debug)]
pub struct Group {
    /// Unique in its file.
    pub name: String,
    /// The file's path, or `bundled:NAME`.
    pub file: String,
    /// `None`: as often as windows close.
    pub interval: Option<Duration>,
    /// Instances one rule may have; zero is no bound.
    pub limit: usize,
    /// How far before its time the group looks.
    pub query_offset: Duration,
    /// Whether evaluation times are multiples of the interval.
    pub eval_alignment: bool,
    /// Whether each evaluation is logged.
    pub debug: bool,
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// The name of the alert or of the recorded series.
    pub name: String,
    pub expr: Expr,
    /// As written, those of the group among them.
    pub labels: Labels,
    /// The same in full: an empty text takes a label away.
    pub(super) overlay: Vec<(String, String)>,
    pub action: Action,
}

/// What a rule does with its result.
#[derive(Debug)]
pub enum Action {
    Record,
    Alert(Box<Alerting>),
}

/// The rest of an alerting rule.
#[derive(Debug)]
pub struct Alerting {
    /// `for`.
    pub hold: Duration,
    pub keep_firing_for: Duration,
    /// As written.
    pub annotations: Labels,
    pub(super) label_templates: Vec<(String, Template)>,
    pub(super) annotation_templates: Vec<(String, Template)>,
}

/// What is wrong in a rule file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    pub file: String,
    /// From 1; zero when the file as a whole is meant.
    pub line: usize,
    pub column: usize,
    pub group: Option<String>,
    pub rule: Option<String>,
    pub message: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        for (what, name) in [("group", &self.group), ("rule", &self.rule)] {
            if let Some(name) = name {
                write!(f, ": {what} {name:?}")?;
            }
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for RuleError {}

impl RuleSet {
    /// What the selectors of all rules ask of the names of metrics; see [`Expr::reads`].
    pub fn reads(&self) -> Vec<Vec<Matcher>> {
        self.groups.iter().flat_map(|group| &group.rules).flat_map(|rule| rule.expr.reads()).collect()
    }

    /// Puts the bundled rules and the text of rule files together. A file that could not be read brings its
    /// reason in place of its text.
    ///
    /// Errors are all that could be found at once.
    pub fn new(files: Vec<(String, Result<String, String>)>, bundled: &[Bundle]) -> Result<RuleSet, Vec<RuleError>> {
        let mut set = RuleSet::default();
        let mut errors = Vec::new();
        for (file, text) in files {
            match text {
                Ok(text) => set.add(&file, &text, &mut errors),
                Err(message) => errors.push(whole(&file, message)),
            }
        }
        for bundle in bundled {
            match bundle {
                Bundle::SelfMonitoring => set.add("bundled:self", include_str!("../../packaging/rules/self.yml"), &mut errors),
                other => errors.push(whole("rules.bundled", format!("{other:?} rules are not in this version; self is"))),
            }
        }
        if errors.is_empty() { Ok(set) } else { Err(errors) }
    }

    /// Reads one rule file's text; `file` is what errors and the API call it.
    pub fn parse(file: &str, text: &str) -> Result<RuleSet, Vec<RuleError>> {
        let (mut set, mut errors) = (RuleSet::default(), Vec::new());
        set.add(file, text, &mut errors);
        if errors.is_empty() { Ok(set) } else { Err(errors) }
    }

    fn add(&mut self, file: &str, text: &str, errors: &mut Vec<RuleError>) {
        let mut scope = Scope { file, group: None, rule: None, errors };
        let root = match yaml::read(text) {
            Ok(root) => root,
            Err((at, message)) => return scope.error(at, message),
        };
        let mut fields = scope.fields(root);
        let groups = fields.list("groups", &mut scope);
        fields.finish(&["groups"], &mut scope);
        let mut names: Vec<String> = Vec::new();
        for node in groups {
            scope.group = None;
            let at = node.at;
            if let Some(group) = group(node, &mut scope) {
                if names.contains(&group.name) {
                    scope.error(at, "a second group of this name in the file".into());
                }
                names.push(group.name.clone());
                self.groups.push(group);
            }
        }
    }
}

fn whole(file: &str, message: String) -> RuleError {
    RuleError { file: file.into(), line: 0, column: 0, group: None, rule: None, message }
}

/// Where the reader is, and what it found wrong so far.
struct Scope<'a> {
    file: &'a str,
    group: Option<String>,
    rule: Option<String>,
    errors: &'a mut Vec<RuleError>,
}

impl Scope<'_> {
    fn error(&mut self, at: Place, message: String) {
        let (group, rule) = (self.group.clone(), self.rule.clone());
        self.errors.push(RuleError { file: self.file.into(), line: at.line, column: at.column, group, rule, message });
    }

    fn fields(&mut self, node: Node) -> Fields {
        let entries = match node.content {
            Content::Map(entries) => entries,
            Content::Null => Vec::new(),
            other => {
                self.error(node.at, format!("expected a mapping, not {}", other.kind()));
                Vec::new()
            }
        };
        Fields { at: node.at, entries }
    }
}

/// The entries of a mapping that have not been asked for yet.
struct Fields {
    at: Place,
    entries: Vec<(Place, String, Node)>,
}

impl Fields {
    fn take(&mut self, key: &str) -> Option<Node> {
        let at = self.entries.iter().position(|(_, have, _)| have == key)?;
        let (_, _, node) = self.entries.remove(at);
        (!matches!(node.content, Content::Null)).then_some(node)
    }

    fn list(&mut self, key: &str, scope: &mut Scope<'_>) -> Vec<Node> {
        match self.take(key) {
            None => Vec::new(),
            Some(Node { content: Content::List(items), .. }) => items,
            Some(node) => {
                scope.error(node.at, format!("{key}: expected a list, not {}", node.content.kind()));
                Vec::new()
            }
        }
    }

    fn text(&mut self, key: &str, scope: &mut Scope<'_>) -> Option<(Place, String)> {
        match self.take(key)? {
            Node { at, content: Content::Text(text) } => Some((at, text)),
            node => {
                scope.error(node.at, format!("{key}: expected a scalar, not {}", node.content.kind()));
                None
            }
        }
    }

    fn value<T>(&mut self, key: &str, scope: &mut Scope<'_>, read: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let (at, text) = self.text(key, scope)?;
        read(&text).map_err(|message| scope.error(at, format!("{key}: {message}"))).ok()
    }

    fn duration(&mut self, key: &str, scope: &mut Scope<'_>) -> Option<Duration> {
        self.value(key, scope, parse_duration)
    }

    fn flag(&mut self, key: &str, scope: &mut Scope<'_>) -> Option<bool> {
        self.value(key, scope, |text| text.parse().map_err(|_| format!("expected true or false, not {text:?}")))
    }

    /// A mapping of valid label names to text.
    fn pairs(&mut self, key: &str, scope: &mut Scope<'_>) -> Vec<(Place, String, String)> {
        let Some(node) = self.take(key) else { return Vec::new() };
        let mut pairs = Vec::new();
        for (at, name, node) in scope.fields(node).entries {
            if labels::label_name(&name) != name || name == labels::NAME {
                scope.error(at, format!("{key}: {name:?} is not a label name: letters, digits and _, not a digit first, not __name__"));
            }
            match node.content {
                Content::Text(text) => pairs.push((node.at, name, text)),
                Content::Null => pairs.push((node.at, name, String::new())),
                other => scope.error(node.at, format!("{key}: {name}: expected a scalar, not {}", other.kind())),
            }
        }
        pairs
    }

    /// Whatever is left is unknown here.
    fn finish(self, known: &[&str], scope: &mut Scope<'_>) {
        for (at, key, _) in self.entries {
            let near = known.iter().min_by_key(|have| distance(have, &key)).filter(|have| distance(have, &key) <= 3);
            let hint = near.map_or_else(|| format!("known here: {}", known.join(", ")), |near| format!("did you mean {near}?"));
            scope.error(at, format!("unknown key {key:?}; {hint}"));
        }
    }
}

/// Edits between two words.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.chars().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

fn group(node: Node, scope: &mut Scope<'_>) -> Option<Group> {
    const KEYS: [&str; 8] = ["name", "interval", "limit", "query_offset", "labels", "rules", "eval_alignment", "debug"];
    let mut fields = scope.fields(node);
    let name = fields.text("name", scope).map(|(_, name)| name).filter(|name| !name.is_empty());
    scope.group.clone_from(&name);
    if name.is_none() {
        scope.error(fields.at, "a group needs a name".into());
    }
    let labels = fields.pairs("labels", scope);
    let mut group = Group {
        name: name.unwrap_or_default(),
        file: scope.file.into(),
        interval: fields.duration("interval", scope).filter(|interval| !interval.is_zero()),
        limit: fields.value("limit", scope, |text| text.parse().map_err(|_| format!("{text:?} is not a count"))).unwrap_or(0),
        query_offset: fields.duration("query_offset", scope).unwrap_or_default(),
        eval_alignment: fields.flag("eval_alignment", scope).unwrap_or(true),
        debug: fields.flag("debug", scope).unwrap_or(false),
        rules: Vec::new(),
    };
    let rules = fields.list("rules", scope);
    fields.finish(&KEYS, scope);
    for node in rules {
        scope.rule = None;
        group.rules.extend(rule(node, &labels, scope));
    }
    scope.rule = None;
    Some(group)
}

fn rule(node: Node, group_labels: &[(Place, String, String)], scope: &mut Scope<'_>) -> Option<Rule> {
    let mut fields = scope.fields(node);
    let (name, alerting) = match (fields.text("record", scope), fields.text("alert", scope)) {
        (Some(name), None) => (name, false),
        (None, Some(name)) => (name, true),
        (Some(_), Some((at, _))) => {
            scope.error(at, "a rule has record or alert, not both".into());
            return None;
        }
        (None, None) => {
            scope.error(fields.at, "a rule needs record or alert".into());
            return None;
        }
    };
    let (at, name) = name;
    scope.rule = Some(name.clone());
    if name.is_empty() || !alerting && labels::metric_name(&name.replace(':', "_")) != name.replace(':', "_") {
        scope.error(at, format!("{name:?} is not a metric name: letters, digits, _ and :, not a digit first"));
    }
    let expr = match fields.text("expr", scope) {
        Some((at, text)) => query::parse(&text).map_err(|error| scope.error(at, format!("expr: {error}"))).ok(),
        None => {
            scope.error(fields.at, "a rule needs expr".into());
            None
        }
    };
    let mut pairs = group_labels.to_vec();
    pairs.extend(fields.pairs("labels", scope));
    let labels = as_labels(&pairs);
    let action = if alerting {
        let annotations = fields.pairs("annotations", scope);
        Action::Alert(Box::new(Alerting {
            hold: fields.duration("for", scope).unwrap_or_default(),
            keep_firing_for: fields.duration("keep_firing_for", scope).unwrap_or_default(),
            annotations: as_labels(&annotations),
            label_templates: templates(&pairs, scope),
            annotation_templates: templates(&annotations, scope),
        }))
    } else {
        for key in ["for", "keep_firing_for", "annotations"] {
            if let Some((at, ..)) = fields.entries.iter().find(|(_, have, _)| have == key) {
                scope.error(*at, format!("{key} is for alerting rules; this one records"));
            }
            fields.take(key);
        }
        Action::Record
    };
    fields.finish(&["record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"], scope);
    let overlay = pairs.into_iter().map(|(_, name, text)| (name, text)).collect();
    Some(Rule { name, expr: expr?, labels, overlay, action })
}

fn as_labels(pairs: &[(Place, String, String)]) -> Labels {
    Labels::new(pairs.iter().map(|(_, name, text)| (name.as_str(), text.as_str())))
}

fn templates(pairs: &[(Place, String, String)], scope: &mut Scope<'_>) -> Vec<(String, Template)> {
    let mut templates: Vec<(String, Template)> = Vec::new();
    for (at, name, text) in pairs {
        match Template::parse(text) {
            // A rule's own label comes after the group's and wins.
            Ok(template) => match templates.iter_mut().find(|(have, _)| have == name) {
                Some(entry) => entry.1 = template,
                None => templates.push((name.clone(), template)),
            },
            Err(message) => scope.error(*at, format!("{name}: template: {message}")),
        }
    }
    templates
}
