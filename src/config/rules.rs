//! The rule files that `rules.files` names, the mapping file, and their text.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use super::Config;
use crate::alert::{RuleError, RuleSet, RulesConfig};
use crate::model::Glob;

/// Largest rule file.
const MAX_BYTES: u64 = 1 << 20;
/// Most files one pattern may name.
const MAX_FILES: usize = 10_000;

/// Reads every file that `rules.files` names (relative to `base`) and the bundled rules.
pub fn load_rules(config: &RulesConfig, base: &Path) -> Result<RuleSet, Vec<RuleError>> {
    let mut files = Vec::new();
    let mut seen = BTreeSet::new();
    for pattern in &config.files {
        match expand(pattern, base) {
            Ok(paths) => {
                for path in paths.into_iter().filter(|path| seen.insert(path.clone())) {
                    files.push((path.display().to_string(), read_text(&path)));
                }
            }
            Err(message) => files.push((pattern.clone(), Err(message))),
        }
    }
    RuleSet::new(files, &config.bundled)
}

/// Looks whether the mapping file and the rule files are there: what cannot be read is an error of the key that names
/// it, a pattern that names none a warning.
pub(super) fn find_files(config: &Config, errors: &mut Vec<(String, String)>, warnings: &mut Vec<(String, String)>) {
    let unreadable = |file: &Path| read_text(file).err().map(|why| format!("{}: {why}", file.display()));
    let mapping = config.shape.mapping.as_deref().and_then(unreadable);
    errors.extend(mapping.map(|why| ("shape.mapping".to_string(), why)));
    for (index, pattern) in config.rules.files.iter().enumerate() {
        let key = format!("rules.files[{index}]");
        match expand(pattern, Path::new("")) {
            Ok(paths) if paths.is_empty() && is_glob(pattern) => warnings.push((key, format!("{pattern} names no file"))),
            Ok(paths) => errors.extend(paths.iter().filter_map(|path| unreadable(path)).map(|why| (key.clone(), why))),
            Err(why) => errors.push((key, why)),
        }
    }
}

/// Whether a pattern may name more than one file.
fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

/// The files a pattern names, sorted. `*` and `?` stand for characters of one path component and do not
/// match a leading dot.
fn expand(pattern: &str, base: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = vec![base.to_path_buf()];
    for component in Path::new(pattern).components() {
        match component {
            Component::Normal(part) if is_glob(&part.to_string_lossy()) => {
                let part = part.to_string_lossy();
                let mut next = Vec::new();
                for directory in found {
                    next.extend(entries(&directory, &part)?);
                }
                if next.len() > MAX_FILES {
                    return Err(format!("{pattern} names more than {MAX_FILES} files"));
                }
                found = next;
            }
            Component::CurDir => {}
            other => found.iter_mut().for_each(|path| path.push(other)),
        }
    }
    found.retain(|path| !is_glob(pattern) || path.is_file());
    found.sort_unstable();
    Ok(found)
}

fn entries(directory: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let unreadable = |error: std::io::Error| format!("cannot read the directory {}: {error}", directory.display());
    let (glob, hidden) = (Glob::new(pattern), pattern.starts_with('.'));
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let text = name.to_string_lossy();
        if (hidden || !text.starts_with('.')) && glob.matches(text.as_bytes()) {
            found.push(directory.join(name));
        }
    }
    Ok(found)
}

/// The text of a rule or mapping file: a regular file of at most 1 MiB.
pub fn read_text(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot read it: {error}");
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("it is not a plain file".into());
    }
    let mut bytes = Vec::new();
    fs::File::open(path).map_err(unreadable)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err("it is larger than 1 MiB".into());
    }
    String::from_utf8(bytes).map_err(|error| format!("it is not UTF-8 from byte {} on", error.utf8_error().valid_up_to()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_may_stand_in_directories() {
        let base = tempfile::tempdir().unwrap();
        for file in ["a/x.yml", "b/y.yml", "b/.hidden.yml", "b/z.txt"] {
            let path = base.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let found = expand("./*/*.yml", base.path()).unwrap();
        assert_eq!(found, [base.path().join("a/x.yml"), base.path().join("b/y.yml")]);
        assert_eq!(expand("nowhere/*.yml", base.path()).unwrap(), Vec::<PathBuf>::new());
    }
}
