//! Types a document as far as it goes: what does not fit is told and left out, and the rest is looked at.

use super::Config;
use super::yaml::{self, Document, Fault, Outline, Step};

/// Findings of one file; one with more has one cause.
const MAX_FINDINGS: usize = 20;

/// A configuration, and what did not fit. Sections with a fault are not whole; without a configuration nothing is.
pub(super) fn typed(text: &str, document: &mut Document, outline: &Outline) -> (Option<Config>, Vec<Fault>) {
    let mut faults: Vec<Fault> = Vec::new();
    // Items that were left out, each in the numbering that its predecessors left.
    let mut left_out: Vec<(Vec<Step>, usize)> = Vec::new();
    // The text itself is read first: it tells the place best.
    let mut read = yaml::config(text);
    loop {
        let fault = match read {
            Ok(config) => return (Some(config), faults),
            Err(fault) => fault,
        };
        let at = yaml::steps(&fault.path);
        let written = as_written(at.clone(), &left_out);
        let path = yaml::path(&written);
        let goes_on = document.take_away(&at);
        if !follows(&path, &fault.message, &faults) {
            let unknown_key = fault.message.starts_with("unknown key");
            let place = || if unknown_key { outline.key_of(&written) } else { outline.find(&written).0 };
            let mark = if faults.is_empty() && left_out.is_empty() { fault.mark } else { Some(place()) };
            faults.push(Fault { mark, path: if goes_on { path } else { fault.path }, message: fault.message });
        }
        if !goes_on || faults.len() >= MAX_FINDINGS {
            return (None, faults);
        }
        if let Some((Step::Item(index), list)) = at.split_last() {
            left_out.push((list.to_vec(), *index));
        }
        read = document.config();
    }
}

/// The path that the file has for what has this one now.
fn as_written(mut path: Vec<Step>, left_out: &[(Vec<Step>, usize)]) -> Vec<Step> {
    for (list, left_out) in left_out.iter().rev() {
        if path.starts_with(list)
            && let Some(Step::Item(index)) = path.get_mut(list.len())
            && *index >= *left_out
        {
            *index += 1;
        }
    }
    path
}

/// Whether this is so only because something inside was wrong, which is told already and was left out: a key that is
/// missing since it, or its value, was written wrong, or a whole that is nothing without it.
fn follows(path: &str, message: &str, faults: &[Fault]) -> bool {
    let missing = message.strip_prefix('`').and_then(|rest| rest.strip_suffix("` is missing"));
    faults.iter().filter_map(|fault| Some((fault, fault.path.rsplit_once('.')?))).any(|(fault, (parent, word))| {
        let meant = |key: &str| word == key || fault.message.ends_with(&format!("did you mean `{key}`?"));
        parent == path && missing.is_none_or(meant)
    })
}
