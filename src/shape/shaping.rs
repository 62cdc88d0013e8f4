//! What becomes of one identity: mapping, namespace, added tags, filters.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use super::filter::{self, Effect, Filter};
use super::mapping::Mapping;
use super::tags::{self, is_label, key_of, tag};
use super::{SeriesOptions, ShapeConfig, ShapeError, Unmapped};
use crate::model::Kind;
use crate::parse::Identity;

/// Names that begin so are never put into the namespace: what clients tell about themselves.
const CLIENT_TELEMETRY: &str = "datadog.";

/// The `shape` section, compiled.
#[derive(Debug, Default)]
pub struct Shaping {
    /// With the character that joins it to a name.
    namespace: String,
    tags: Vec<(String, String)>,
    mapping: Option<Mapping>,
    unmapped: Unmapped,
    filters: Vec<Filter>,
    places: Vec<String>,
    matches: Vec<String>,
}

/// A step that had an effect on an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hit {
    /// This rule of the mapping file.
    Rule(usize),
    /// There is a mapping file, and no rule matched.
    Unmapped,
    Namespace,
    /// `shape.tags`
    Tags,
    /// This filter.
    Filter(usize),
}

/// Why a line was dropped. Doubles as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DropReason {
    Filter,
    Mapping,
    Unmapped,
}

impl DropReason {
    /// Every reason.
    pub const ALL: [DropReason; 3] = [DropReason::Filter, DropReason::Mapping, DropReason::Unmapped];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            DropReason::Filter => "filter",
            DropReason::Mapping => "mapping",
            DropReason::Unmapped => "unmapped",
        }
    }
}

impl Hit {
    /// The reason to give when this step drops a line.
    pub fn drop_reason(self) -> DropReason {
        match self {
            Hit::Rule(_) => DropReason::Mapping,
            Hit::Unmapped => DropReason::Unmapped,
            Hit::Filter(_) | Hit::Namespace | Hit::Tags => DropReason::Filter,
        }
    }
}

/// An identity on its way through the steps, and at their end.
#[derive(Clone, Debug, PartialEq)]
pub struct Shaped<'a> {
    pub name: Cow<'a, str>,
    /// Distinct and sorted by bytes.
    pub tags: Vec<Cow<'a, str>>,
    /// Multiplies values.
    pub scale: f64,
    pub options: Option<Arc<SeriesOptions>>,
    /// Every step that had an effect, in order.
    pub hits: Vec<Hit>,
    /// The step that dropped it, which is then the last hit.
    pub dropped_by: Option<Hit>,
}

impl Shaping {
    /// Compiles the section; `read` gives the text of the mapping file, or says why it cannot.
    ///
    /// Errors are all that could be found at once.
    pub fn new(config: &ShapeConfig, read: impl FnOnce(&Path) -> Result<String, String>) -> Result<Shaping, Vec<ShapeError>> {
        let mut errors = problems(config);
        let filters = filter::compile(&config.filters).unwrap_or_default();
        let mapping = config.mapping.as_deref().map(|file| match read(file) {
            Ok(text) => Mapping::read(file, &text),
            Err(message) => Err(vec![ShapeError::whole(file, message)]),
        });
        let mapping = mapping.transpose().unwrap_or_else(|found| {
            errors.extend(found);
            None
        });
        if !errors.is_empty() {
            return Err(errors);
        }
        let file = config.mapping.as_deref().unwrap_or(Path::new(""));
        let place = |(index, text): (usize, &str), mapping: &Mapping| {
            let (line, column) = mapping.place(index);
            format!("{}:{line}:{column}: mappings[{index}] {text:?}", file.display())
        };
        Ok(Shaping {
            namespace: namespace(&config.namespace),
            tags: config.tags.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            unmapped: config.unmapped,
            places: mapping.as_ref().map_or(Vec::new(), |mapping| mapping.matches().enumerate().map(|at| place(at, mapping)).collect()),
            matches: mapping.as_ref().map_or(Vec::new(), |mapping| mapping.matches().map(str::to_string).collect()),
            mapping,
            filters,
        })
    }

    /// Whether every identity stays as it is.
    pub fn is_identity(&self) -> bool {
        self.namespace.is_empty() && self.tags.is_empty() && self.mapping.is_none() && self.filters.is_empty()
    }

    /// What works and may not be meant: keys of the mapping file that have no effect here.
    pub fn warnings(&self) -> &[ShapeError] {
        self.mapping.as_ref().map_or(&[], |mapping| &mapping.warnings)
    }

    /// The match of each rule of the mapping file, in its order.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = &str> {
        self.matches.iter().map(String::as_str)
    }

    /// How many filters there are.
    pub fn filters(&self) -> usize {
        self.filters.len()
    }

    /// Where a step is written: `shape.filters[0]`, or file, line, column and match of a rule.
    pub fn place_of(&self, hit: Hit) -> String {
        match hit {
            Hit::Rule(rule) => self.places.get(rule).cloned().unwrap_or_default(),
            Hit::Unmapped => "shape.unmapped".into(),
            Hit::Namespace => "shape.namespace".into(),
            Hit::Tags => "shape.tags".into(),
            Hit::Filter(filter) => format!("shape.filters[{filter}]"),
        }
    }

    /// What becomes of an identity.
    pub fn apply<'a>(&self, identity: Identity<'a>, kind: Kind) -> Shaped<'a> {
        self.walk(identity, kind, &mut |_, _, _| {})
    }

    /// Takes the steps in order; `note` sees each one that had an effect, with what a rule captured.
    pub(super) fn walk<'a>(&self, identity: Identity<'a>, kind: Kind, note: &mut dyn FnMut(Hit, &Shaped<'_>, &[&str])) -> Shaped<'a> {
        let own = identity.name.starts_with(CLIENT_TELEMETRY);
        let mut shaped = Shaped { name: identity.name, tags: identity.tags, scale: 1.0, options: None, hits: Vec::new(), dropped_by: None };
        if let Some(mapping) = &self.mapping {
            self.map(mapping, &mut shaped, kind, note);
        }
        if shaped.dropped_by.is_none() && !self.namespace.is_empty() && !own {
            shaped.name = Cow::Owned(format!("{}{}", self.namespace, shaped.name));
            shaped.note(Hit::Namespace, &[], note);
        }
        if shaped.dropped_by.is_none() {
            self.add_tags(&mut shaped, note);
        }
        for (index, filter) in self.filters.iter().enumerate() {
            if shaped.dropped_by.is_some() {
                break;
            }
            if filter.matches(&shaped.name, kind, &shaped.tags) {
                let hit = Hit::Filter(index);
                match &filter.effect {
                    Effect::Drop => shaped.dropped_by = Some(hit),
                    Effect::Tags(edit) => edit.apply(&mut shaped.tags),
                    Effect::Scale(by) => shaped.scale *= by,
                }
                shaped.note(hit, &[], note);
            }
        }
        shaped
    }

    /// What the mapping file says about the series of a name that is sent as `sent_name`, unless that gives another name.
    pub fn options_of(&self, kind: Kind, name: &str, sent_name: &str) -> Option<Arc<SeriesOptions>> {
        let mapping = self.mapping.as_ref()?;
        let space = if sent_name.starts_with(CLIENT_TELEMETRY) { "" } else { self.namespace.as_str() };
        let local = name.strip_prefix(space)?;
        match mapping.find(sent_name, kind) {
            Some(mapped) => mapped.options().filter(|_| mapped.name() == local),
            None => mapping.defaults.clone().filter(|_| sent_name == local),
        }
    }

    fn map(&self, mapping: &Mapping, shaped: &mut Shaped<'_>, kind: Kind, note: &mut dyn FnMut(Hit, &Shaped<'_>, &[&str])) {
        let wire_name = std::mem::take(&mut shaped.name);
        let Some(mapped) = mapping.find(&wire_name, kind) else {
            shaped.name = wire_name.clone();
            shaped.options = mapping.defaults.clone();
            if self.unmapped == Unmapped::Drop {
                shaped.dropped_by = Some(Hit::Unmapped);
            }
            return shaped.note(Hit::Unmapped, &[], note);
        };
        let hit = Hit::Rule(mapped.rule);
        let name = mapped.name();
        if mapped.drops() || name.is_empty() {
            shaped.name = wire_name.clone();
            shaped.dropped_by = Some(hit);
            return shaped.note(hit, &mapped.captures, note);
        }
        shaped.name = Cow::Owned(name);
        let labels = mapped.labels();
        shaped.tags.reserve(labels.len());
        for (label, tag) in labels {
            let sent = shaped.tags.iter().any(|tag| is_label(tag, label));
            if sent && mapped.honors_labels() {
                continue;
            }
            if sent {
                shaped.tags.retain(|tag| !is_label(tag, label));
            }
            shaped.tags.extend(tag.map(Cow::Owned));
        }
        shaped.tags.sort_unstable();
        shaped.scale = mapped.scale();
        shaped.options = mapped.options();
        shaped.note(hit, &mapped.captures, note);
    }

    fn add_tags(&self, shaped: &mut Shaped<'_>, note: &mut dyn FnMut(Hit, &Shaped<'_>, &[&str])) {
        let before = shaped.tags.len();
        for (key, value) in &self.tags {
            if !shaped.tags[..before].iter().any(|tag| key_of(tag) == key) {
                shaped.tags.push(Cow::Owned(tag(key, value)));
            }
        }
        if shaped.tags.len() > before {
            shaped.tags.sort_unstable();
            shaped.note(Hit::Tags, &[], note);
        }
    }
}

impl Shaped<'_> {
    fn note(&mut self, hit: Hit, captures: &[&str], note: &mut dyn FnMut(Hit, &Shaped<'_>, &[&str])) {
        self.hits.push(hit);
        note(hit, self, captures);
    }
}

/// Everything wrong with the section itself, the mapping file aside.
pub fn problems(config: &ShapeConfig) -> Vec<ShapeError> {
    let mut errors = filter::compile(&config.filters).err().unwrap_or_default();
    if config.namespace.contains([':', '|', '\n']) {
        errors.push(ShapeError::key("shape.namespace".into(), "a name has no : | or newline"));
    }
    if config.unmapped == Unmapped::Drop && config.mapping.is_none() {
        errors.push(ShapeError::key("shape.unmapped".into(), "without shape.mapping this drops everything"));
    }
    for (key, value) in &config.tags {
        if let Err(message) = tags::check(key, value) {
            errors.push(ShapeError::key(format!("shape.tags.{key}"), message));
        }
    }
    errors
}

/// A namespace that ends in a letter or a digit is joined to names by a dot, any other as it is.
fn namespace(text: &str) -> String {
    if text.ends_with(char::is_alphanumeric) { format!("{text}.") } else { text.to_string() }
}
