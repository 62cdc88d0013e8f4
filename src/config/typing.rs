//! Types a document as far as it goes: what does not fit is told and left out, and the rest is looked at.

use super::Config;
use super::yaml::{self, Document, Fault, Outline, Step};

/// Findings of one file; one with more has one cause.
const MAX_FINDINGS: usize = 20;

/// Keys that are judged by each other: with a fault in one, nothing can be said of the rest.
const TOGETHER: [&[&str]; 7] = [
    &["sinks"],
    &["notify"],
    &["checks"],
    &["store.tiers"],
    &["aggregate.interval", "aggregate.expire"],
    &["shape.mapping", "shape.unmapped"],
    &["listen.unix_datagram", "listen.unix_stream"],
];

/// How far a document could be typed.
pub(super) struct Typing {
    /// Without what has a fault; `None` when nothing is left.
    pub(super) config: Option<Config>,
    pub(super) faults: Vec<Fault>,
    pub(super) left_out: LeftOut,
}

/// Items of lists that were left out, each in the numbering that its predecessors left.
#[derive(Debug, Default)]
pub(super) struct LeftOut(Vec<(Vec<Step>, usize)>);

impl LeftOut {
    /// Has what was laid over the file in its own numbering.
    pub(super) fn replaced(&mut self, path: &[Step]) {
        self.0.retain(|(list, _)| !list.starts_with(path));
    }

    /// The path that the file has for what has this one now.
    pub(super) fn as_written(&self, mut path: Vec<Step>) -> Vec<Step> {
        for (list, left_out) in self.0.iter().rev() {
            if path.starts_with(list)
                && let Some(Step::Item(index)) = path.get_mut(list.len())
                && *index >= *left_out
            {
                *index += 1;
            }
        }
        path
    }
}

/// Types a document and takes out of it what does not fit.
pub(super) fn typed(text: &str, document: &mut Document, outline: &Outline) -> Typing {
    let mut typing = Typing { config: None, faults: Vec::new(), left_out: LeftOut::default() };
    let Typing { faults, left_out, .. } = &mut typing;
    // The text itself is read first: it tells the place best.
    let mut read = yaml::config(text);
    loop {
        let fault = match read {
            Ok(config) => {
                typing.config = Some(config);
                return typing;
            }
            Err(fault) => fault,
        };
        let at = yaml::steps(&fault.path);
        let written = left_out.as_written(at.clone());
        let path = yaml::path(&written);
        let goes_on = document.take_away(&at);
        if !follows(&path, &fault.message, faults) {
            let unknown_key = fault.message.starts_with("unknown key");
            let place = || if unknown_key { outline.key_of(&written) } else { outline.find(&written).0 };
            let mark = if faults.is_empty() && left_out.0.is_empty() { fault.mark } else { Some(place()) };
            faults.push(Fault { mark, path: if goes_on { path } else { fault.path }, message: fault.message });
        }
        if !goes_on || faults.len() >= MAX_FINDINGS {
            return typing;
        }
        if let Some((Step::Item(index), list)) = at.split_last() {
            left_out.0.push((list.to_vec(), *index));
        }
        read = document.config();
    }
}

/// What cannot be judged beside a fault, and has to be as by default.
pub(super) fn doubtful(fault_path: &str, message: &str) -> impl Iterator<Item = Vec<Step>> {
    let touches = |key: &&str| is_in(key, fault_path, message);
    TOGETHER.into_iter().filter(move |keys| keys.iter().any(touches)).flatten().map(|key| yaml::steps(key))
}

/// Whether a fault lies in what this key has, or under a name that seems to be this key's.
pub(super) fn is_in(key: &str, fault_path: &str, message: &str) -> bool {
    let mut at = yaml::steps(fault_path);
    if let (Some(meant), Some(last)) = (meant(message), at.last_mut()) {
        *last = Step::Key(meant.to_string());
    }
    at.starts_with(&yaml::steps(key))
}

/// The key that an unknown one seems to be.
fn meant(message: &str) -> Option<&str> {
    message.strip_suffix("`?")?.split_once("did you mean `").map(|(_, key)| key)
}

/// Whether this is so only because something inside was wrong, which is told already and was left out: a key that is
/// missing since it, or its value, was written wrong, or a whole that is nothing without it.
fn follows(path: &str, message: &str, faults: &[Fault]) -> bool {
    let missing = message.strip_prefix('`').and_then(|rest| rest.strip_suffix("` is missing"));
    faults
        .iter()
        .filter_map(|fault| Some((fault, fault.path.rsplit_once('.')?)))
        .any(|(fault, (parent, word))| parent == path && missing.is_none_or(|key| word == key || meant(&fault.message) == Some(key)))
}
