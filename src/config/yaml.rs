//! YAML text in, typed configuration or located findings out. No other module of `config` sees a YAML crate's types.
//!
//! The text is walked once for its outline (where each key and value stands), which refuses what the
//! deserializer would accept or expand: repeated keys, aliases, tags, deep nesting, a second document.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_yaml::Value;
use serde_yaml::value::Index;

use super::Config;
use crate::model::nearest;

/// The largest file that is read.
pub(super) const MAX_BYTES: usize = 1 << 20;
/// Mappings and lists inside each other.
const MAX_DEPTH: usize = 32;
/// Findings of one walk; a file with more has one cause.
const MAX_FINDINGS: usize = 20;
/// What a message may quote of the text.
const MAX_MESSAGE: usize = 400;

/// Line and column, both from 1; the column counts characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// Something wrong in a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) mark: Option<Mark>,
    pub(super) path: String,
    pub(super) message: String,
}

/// Where each value of a document stands.
#[derive(Debug, Default)]
pub(super) struct Outline {
    mark: Mark,
    /// Where its key stands, if it has one.
    key: Option<Mark>,
    children: Children,
}

#[derive(Debug, Default)]
enum Children {
    #[default]
    None,
    Keys(BTreeMap<String, Outline>),
    Items(Vec<Outline>),
}

impl Outline {
    /// Where the key of the value at a path stands; without one the value.
    pub(super) fn key_of(&self, path: &[Step]) -> Mark {
        let node = path.iter().try_fold(self, |node, step| node.child(step));
        node.map_or_else(|| self.find(path).0, |node| node.key.unwrap_or(node.mark))
    }

    fn child(&self, step: &Step) -> Option<&Outline> {
        match (&self.children, step) {
            (Children::Keys(keys), Step::Key(key)) => keys.get(key),
            (Children::Items(items), Step::Item(index)) => items.get(*index),
            _ => None,
        }
    }

    /// The mark of the value at a path, or of its nearest ancestor, and how many steps of the path were found.
    pub(super) fn find(&self, path: &[Step]) -> (Mark, usize) {
        let mut node = self;
        for (found, step) in path.iter().enumerate() {
            match node.child(step) {
                Some(child) => node = child,
                None => return (node.mark, found),
            }
        }
        (node.mark, path.len())
    }
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Item(usize),
}

/// Reads `sinks[0].url`; `sinks.0.url` is the same.
pub(super) fn steps(path: &str) -> Vec<Step> {
    let step = |text: &str| text.parse().map_or_else(|_| Step::Key(text.to_string()), Step::Item);
    path.split(['.', '[']).map(|part| part.trim_end_matches(']')).filter(|part| !part.is_empty()).map(step).collect()
}

/// Writes what [`steps`] reads.
pub(super) fn path(steps: &[Step]) -> String {
    let mut out = String::new();
    for step in steps {
        match step {
            Step::Item(index) => out.push_str(&format!("[{index}]")),
            Step::Key(key) if out.is_empty() => out.push_str(key),
            Step::Key(key) => out.push_str(&format!(".{key}")),
        }
    }
    out
}

/// A document that passed the guards, not yet typed.
#[derive(Clone, Debug, Default)]
pub(super) struct Document {
    value: Value,
}

impl Document {
    /// Reads a text under the guards. An empty text is an empty document.
    pub(super) fn read(text: &str) -> Result<(Document, Outline), Vec<Fault>> {
        let outline = outline(text)?;
        let value = if matches!(outline.children, Children::None) && is_blank(text) {
            Value::Null
        } else {
            serde_yaml::from_str(text).map_err(|error| vec![fault(&error)])?
        };
        Ok((Document { value }, outline))
    }

    /// Puts a value at a path; mappings on the way are made.
    pub(super) fn set(&mut self, path: &[Step], value: Document) -> Result<(), String> {
        let mut node = &mut self.value;
        for step in path {
            node = match step {
                Step::Key(key) => {
                    if node.is_null() {
                        *node = Value::Mapping(Default::default());
                    }
                    let Value::Mapping(mapping) = node else { return Err(format!("{key:?} has no place in what is not a mapping")) };
                    mapping.entry(Value::String(key.clone())).or_insert(Value::Null)
                }
                Step::Item(index) => {
                    let missing = || format!("there is no item {index}; an item is changed here, a list is set as a whole");
                    index.index_into_mut(node).ok_or_else(missing)?
                }
            };
        }
        *node = value.value;
        Ok(())
    }

    /// Takes a value away, with its key. False when there is none.
    pub(super) fn take_away(&mut self, path: &[Step]) -> bool {
        let Some((last, way)) = path.split_last() else { return false };
        let mut node = &mut self.value;
        for step in way {
            let next = match step {
                Step::Key(key) => node.get_mut(key.as_str()),
                Step::Item(index) => node.get_mut(*index),
            };
            let Some(next) = next else { return false };
            node = next;
        }
        match (node, last) {
            (Value::Mapping(mapping), Step::Key(key)) => mapping.remove(key.as_str()).is_some(),
            (Value::Sequence(items), Step::Item(index)) if *index < items.len() => {
                items.remove(*index);
                true
            }
            _ => false,
        }
    }

    /// The typed configuration.
    pub(super) fn config(&self) -> Result<Config, Fault> {
        let text = serde_yaml::to_string(&self.value).map_err(|error| fault(&error))?;
        config(&text)
    }
}

/// A text's typed configuration, with the place of the first thing that does not fit.
pub(super) fn config(text: &str) -> Result<Config, Fault> {
    if is_blank(text) {
        return Ok(Config::default());
    }
    serde_yaml::from_str(text).map_err(|error| fault(&error))
}

/// A configuration as YAML; literal secrets are masked.
pub fn to_yaml(config: &Config) -> String {
    serde_yaml::to_string(config).unwrap_or_else(|error| format!("# cannot be written: {error}\n"))
}

/// A value of this program's own, such as `{ name: ['*'] }`.
pub(super) fn literal(text: &str) -> serde_json::Value {
    serde_yaml::from_str(text).unwrap_or_default()
}

/// Whether nothing but comments stands in a text.
fn is_blank(text: &str) -> bool {
    text.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#') || line == "---")
}

/// One open mapping or list of the walk.
struct Open {
    outline: Outline,
    /// The key whose value comes next.
    key: Option<(String, Mark)>,
    /// Under which key of the parent it goes.
    name: Step,
}

/// Walks the events of a text with a stack of its own: nesting costs memory, never the call stack.
fn outline(text: &str) -> Result<Outline, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut root: Option<Outline> = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let mark = Mark { line: error.marker().line(), column: error.marker().col() + 1 };
            vec![Fault { mark: Some(mark), path: here(&open), message: format!("this is not YAML: {}", error.info()) }]
        })?;
        let mark = mark(span);
        let stop = |message: &str| Err(vec![Fault { mark: Some(mark), path: here(&open), message: message.to_string() }]);
        match &event {
            Event::Alias(_) => return stop("aliases are not supported; write the value out"),
            Event::Scalar(_, _, anchor, _) | Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) if *anchor != 0 => {
                return stop("anchors are not supported; write the value out");
            }
            Event::Scalar(_, _, _, Some(_)) | Event::SequenceStart(_, Some(_)) | Event::MappingStart(_, Some(_)) => {
                return stop("tags are not supported");
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() == MAX_DEPTH => {
                return stop(&format!("nested deeper than {MAX_DEPTH} levels"));
            }
            Event::DocumentStart(_) if root.is_some() => return stop("a second document; one file holds one"),
            _ => {}
        }
        let done = match event {
            Event::Scalar(text, style, ..) => {
                if let Some(Open { outline: Outline { children: Children::Keys(keys), .. }, key: key @ None, .. }) = open.last_mut() {
                    *key = Some((text.to_string(), mark));
                    if keys.contains_key(text.as_ref()) && faults.len() < MAX_FINDINGS {
                        let mut path = names(&open);
                        path.push(Step::Key(text.to_string()));
                        faults.push(Fault { mark: Some(mark), path: self::path(&path), message: "this key is given twice".to_string() });
                    }
                    continue;
                }
                // An empty value has no place of its own.
                let empty = text.is_empty() && style == ScalarStyle::Plain;
                let own = if empty { open.last().and_then(|open| open.key.as_ref()).map_or(mark, |(_, key)| *key) } else { mark };
                Outline { mark: own, key: None, children: Children::None }
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                let name = match open.last() {
                    Some(Open { outline: Outline { children: Children::Keys(_), .. }, key: None, .. }) => {
                        return stop("a key must be a word");
                    }
                    Some(Open { key: Some((key, _)), .. }) => Step::Key(key.clone()),
                    Some(Open { outline: Outline { children: Children::Items(items), .. }, .. }) => Step::Item(items.len()),
                    _ => Step::Item(0),
                };
                let children =
                    if matches!(event, Event::MappingStart(..)) { Children::Keys(BTreeMap::new()) } else { Children::Items(Vec::new()) };
                open.push(Open { outline: Outline { mark, key: None, children }, key: None, name });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(closed) => closed.outline,
                None => continue,
            },
            _ => continue,
        };
        match open.last_mut() {
            Some(Open { outline: Outline { children: Children::Keys(keys), .. }, key, .. }) => {
                if let Some((key, at)) = key.take() {
                    keys.entry(key).or_insert(Outline { key: Some(at), ..done });
                }
            }
            Some(Open { outline: Outline { children: Children::Items(items), .. }, .. }) => items.push(done),
            _ => root = Some(done),
        }
    }
    if faults.is_empty() { Ok(root.unwrap_or_default()) } else { Err(faults) }
}

fn mark(span: Span) -> Mark {
    Mark { line: span.start.line(), column: span.start.col() + 1 }
}

/// The path of the innermost open mapping or list.
fn names(open: &[Open]) -> Vec<Step> {
    open.iter().skip(1).map(|open| open.name.clone()).collect()
}

/// The path of what is being read.
fn here(open: &[Open]) -> String {
    let mut steps = names(open);
    match open.last() {
        Some(Open { key: Some((key, _)), .. }) => steps.push(Step::Key(key.clone())),
        Some(Open { outline: Outline { children: Children::Items(items), .. }, .. }) => steps.push(Step::Item(items.len())),
        _ => {}
    }
    path(&steps)
}

/// Takes a deserializer's error apart: `path: message at line L column C`.
fn fault(error: &serde_yaml::Error) -> Fault {
    let mark = error.location().map(|at| Mark { line: at.line(), column: at.column() });
    let text = error.to_string();
    let text = match mark {
        Some(Mark { line, column }) => text.trim_end_matches(&format!(" at line {line} column {column}")),
        None => &text,
    };
    // A path holds no blank; a message's first word does not end in a colon.
    let (path, message) = match text.split_once(": ") {
        Some((path, message)) if !path.contains([' ', '`']) => (path.to_string(), message),
        _ => (String::new(), text),
    };
    reword(mark, path, message)
}

/// Says `unknown key` with the nearest valid one, and never quotes what may be a secret.
fn reword(mark: Option<Mark>, mut path: String, message: &str) -> Fault {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let message = match quoted.split_first() {
        Some((word, valid)) if message.starts_with("unknown field `") => {
            path = if path.is_empty() { (*word).to_string() } else { format!("{path}.{word}") };
            format!("unknown key; {}", suggestion(word, valid))
        }
        Some((word, valid)) if message.starts_with("unknown variant `") => format!("unknown value `{word}`; {}", suggestion(word, valid)),
        Some((key, _)) if message.starts_with("missing field `") => format!("`{key}` is missing"),
        _ if ["sinks", "notify", "http.admin"].iter().any(|secret| path.starts_with(secret)) => without_quotes(message),
        _ => message.to_string(),
    };
    Fault { mark, path: shortened(path), message: shortened(plain(message)) }
}

/// The words of a configuration file instead of those of Rust.
fn plain(message: String) -> String {
    let Some((before, expected)) = message.split_once(", expected ") else { return message };
    let before = before.replace("type: unit value", "type: nothing");
    let expected = match expected {
        "usize" | "u64" | "u32" | "u8" => "a whole number, 0 or more",
        "f64" => "a number",
        "a sequence" => "a list",
        "a map" => "a mapping",
        "path string" => "a path",
        "a boolean" => "true or false",
        _ if expected.starts_with("variant of enum") || expected.starts_with("a YAML tag") => "a word",
        _ => expected,
    };
    format!("{}, expected {expected}", before.replace("type: sequence", "type: list").replace("type: map", "type: mapping"))
}

fn suggestion(word: &str, valid: &[&str]) -> String {
    match nearest(word, valid) {
        Some(key) => format!("did you mean `{key}`?"),
        None if valid.is_empty() => "no key is valid here".to_string(),
        None => format!("expected {}", valid.join(", ")),
    }
}

/// `invalid type: string "abc", expected a list` without `"abc"`.
fn without_quotes(message: &str) -> String {
    match (message.find(['"', '`']), message.rfind(", expected ")) {
        (Some(start), Some(end)) if start < end => format!("{}{}", message[..start].trim_end(), &message[end..]),
        _ => message.to_string(),
    }
}

fn shortened(text: String) -> String {
    if text.len() <= MAX_MESSAGE {
        return text;
    }
    format!("{}...", &text[..text.floor_char_boundary(MAX_MESSAGE)])
}
