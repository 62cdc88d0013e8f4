//! Reads the file, the environment and the flags into one configuration: flag > environment > file > default.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Finding, Place};
use super::typing::{self, LeftOut, Typing};
use super::yaml::{self, Document, Fault, Outline, Step};
use super::{Config, not_built, rules, secrets, validate};

/// Read when it exists and no other file is named.
pub const DEFAULT_FILE: &str = "/etc/statsd-relay/relay.yaml";

/// `STATSD_RELAY__HTTP__LISTEN` sets `http.listen`.
const ENVIRONMENT_PREFIX: &str = "STATSD_RELAY__";

/// Where a configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `--config`; `None` reads [`DEFAULT_FILE`] if it exists.
    pub file: Option<PathBuf>,
    settings: Vec<Setting>,
}

/// One value laid over the file.
#[derive(Clone, Debug)]
struct Setting {
    /// How its user knows it: `--udp`, `environment variable STATSD_RELAY__A__B`.
    source: String,
    path: String,
    /// YAML.
    value: OsString,
}

impl Sources {
    /// A file (or the default one) and the variables that start with `STATSD_RELAY__`.
    pub fn new(file: Option<PathBuf>, environment: impl IntoIterator<Item = (OsString, OsString)>) -> Sources {
        let setting = |(name, value): (OsString, OsString)| {
            let name = name.into_string().ok()?;
            let path = name.strip_prefix(ENVIRONMENT_PREFIX)?.to_ascii_lowercase().replace("__", ".");
            Some(Setting { source: format!("environment variable {name}"), path, value })
        };
        let mut settings: Vec<Setting> = environment.into_iter().filter_map(setting).collect();
        // A section before what is inside it, whatever the order of the environment.
        settings.sort_by(|a, b| a.path.cmp(&b.path));
        Sources { file, settings }
    }

    /// Adds a flag: `("--udp", "listen.udp", "[\"127.0.0.1:0\"]")`. The value is YAML; a later flag wins.
    pub fn flag(&mut self, name: &str, path: &str, value: String) {
        self.settings.push(Setting { source: format!("flag {name}"), path: path.to_string(), value: value.into() });
    }
}

/// A configuration that can run. Its paths no longer depend on where the file lies.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    /// The file that was read.
    pub file: Option<PathBuf>,
    pub warnings: Vec<Finding>,
}

/// Reads and checks a configuration. The error holds everything that was found wrong.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let file = match &sources.file {
        Some(file) => Some(file.clone()),
        None => Some(PathBuf::from(DEFAULT_FILE)).filter(|file| is_there(file)),
    };
    let text = file.as_deref().map(text_of).transpose()?.unwrap_or_default();
    let Typed { mut config, places, faults } = typed(file.as_deref(), &text, &sources.settings)?;
    places.rebase(&mut config);
    let mut errors = problems(&config);
    let is_whole = |key: &str| !faults.iter().any(|fault| typing::is_in(key, &fault.path, &fault.message));
    let mut warnings = validate::warnings(&config, is_whole);
    secrets::read_all(&mut config, &mut errors, &mut warnings);
    rules::find_files(&config, &mut errors, &mut warnings);
    let errors = places.all(errors, faults);
    let warnings = places.all(warnings, Vec::new());
    if errors.is_empty() {
        Ok(Loaded { config, file, warnings })
    } else {
        Err(ConfigError { errors, warnings, rest: Some(Box::new(config)) })
    }
}

/// Whether something lies there, be it unreadable: that is to be told, not passed over.
fn is_there(file: &Path) -> bool {
    std::fs::symlink_metadata(file).map_or_else(|error| error.kind() != std::io::ErrorKind::NotFound, |_| true)
}

/// Reads and checks a text alone: no file, environment or secret is touched.
pub fn parse(name: &Path, text: &str) -> Result<Config, ConfigError> {
    let Typed { config, places, faults } = typed(Some(name), text, &[])?;
    let errors = places.all(problems(&config), faults);
    if errors.is_empty() { Ok(config) } else { Err(ConfigError { errors, warnings: Vec::new(), rest: None }) }
}

/// Everything wrong with the values themselves, as (path, message).
fn problems(config: &Config) -> Vec<(String, String)> {
    let mut problems = validate::errors(config);
    let broken: Vec<String> = problems.iter().map(|(path, _)| path.clone()).collect();
    // What has to be changed anyway is said once.
    let covered = |path: &str| broken.iter().any(|broken| is_within(path, broken));
    problems.extend(not_built::refused(config).into_iter().filter(|(path, _)| !covered(path)));
    problems
}

/// Whether a path is another one or leads further: `a.b` and `a[0]` from `a`, but not `ab`.
fn is_within(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// A file's text, at most [`yaml::MAX_BYTES`].
fn text_of(file: &Path) -> Result<String, ConfigError> {
    let whole = |message: String| ConfigError::one(Place::Whole(file.to_path_buf()), "", message);
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(yaml::MAX_BYTES as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| whole(format!("cannot read the configuration: {error}")))?;
    if bytes.len() > yaml::MAX_BYTES {
        return Err(whole(format!("the file is larger than {} MiB", yaml::MAX_BYTES >> 20)));
    }
    String::from_utf8(bytes).map_err(|error| whole(format!("not UTF-8 at byte {}", error.utf8_error().valid_up_to())))
}

/// What could be typed of file and settings. What does not fit is as by default.
struct Typed {
    config: Config,
    places: Places,
    faults: Vec<Finding>,
}

/// The typed result of file and settings. The file is read by itself first, so that its errors keep their line.
fn typed(file: Option<&Path>, text: &str, settings: &[Setting]) -> Result<Typed, ConfigError> {
    let mut places =
        Places { file: file.map(Path::to_path_buf), outline: Outline::default(), left_out: LeftOut::default(), settings: Vec::new() };
    let text = text.trim_start_matches('\u{feff}');
    let in_file = |places: &Places, faults: Vec<Fault>| {
        let finding = |fault: Fault| Finding { place: places.in_file(&fault), path: fault.path, message: fault.message };
        faults.into_iter().map(finding).collect::<Vec<_>>()
    };
    let unreadable = |mut errors: Vec<Finding>| {
        errors.sort_by(|a, b| a.place.cmp(&b.place));
        ConfigError { errors, warnings: Vec::new(), rest: None }
    };
    let (mut document, outline) = Document::read(text).map_err(|faults| unreadable(in_file(&places, faults)))?;
    places.outline = outline;
    let Typing { config, faults, left_out } = typing::typed(text, &mut document, &places.outline);
    places.left_out = left_out;
    let mut faults = in_file(&places, faults);
    let Some(mut config) = config else { return Err(unreadable(faults)) };
    for setting in settings {
        let (mut over, steps) = (document.clone(), yaml::steps(&setting.path));
        match lay_over(&mut over, setting) {
            Ok(typed) => {
                (config, document) = (typed, over);
                places.left_out.replaced(&steps);
            }
            Err(error) => faults.extend(error.errors),
        }
        places.settings.push((steps, setting.source.clone()));
    }
    for path in faults.iter().flat_map(|fault| typing::doubtful(&fault.path, &fault.message)) {
        document.take_away(&path);
    }
    if !faults.is_empty() {
        config = document.config().unwrap_or_default();
    }
    Ok(Typed { config, places, faults })
}

/// Sets one value and types the result, so that an error is this setting's.
fn lay_over(document: &mut Document, setting: &Setting) -> Result<Config, ConfigError> {
    let place = || Place::Source(setting.source.clone());
    let refused = |path: String, message| ConfigError::one(place(), &path, message);
    let inside = |fault: Fault| Finding { place: place(), path: join(&setting.path, &fault.path), message: fault.message };
    let text = setting.value.to_str().ok_or_else(|| refused(setting.path.clone(), "not UTF-8".to_string()))?;
    let (value, _) = Document::read(text).map_err(|faults| ConfigError {
        errors: faults.into_iter().map(inside).collect(),
        warnings: Vec::new(),
        rest: None,
    })?;
    document.set(&yaml::steps(&setting.path), value).map_err(|message| refused(setting.path.clone(), message))?;
    document.config().map_err(|fault| refused(fault.path, fault.message))
}

/// `listen.udp` and `[1]` are `listen.udp[1]`.
fn join(outer: &str, inner: &str) -> String {
    let dot = if inner.is_empty() || inner.starts_with('[') { "" } else { "." };
    format!("{outer}{dot}{inner}")
}

/// Who wrote which value.
struct Places {
    file: Option<PathBuf>,
    outline: Outline,
    left_out: LeftOut,
    /// Ascending in precedence.
    settings: Vec<(Vec<Step>, String)>,
}

impl Places {
    /// Findings about values, with their places, among faults that have theirs: all in the order of their places. Of a
    /// whole that lacks what did not fit nothing is said.
    fn all(&self, findings: Vec<(String, String)>, faults: Vec<Finding>) -> Vec<Finding> {
        let written = |path: &str| yaml::path(&self.left_out.as_written(yaml::steps(path)));
        let findings = findings.into_iter().map(|(path, message)| Finding { place: self.of(&path), path: written(&path), message });
        let whole = |finding: &Finding| !faults.iter().any(|fault| is_within(&fault.path, &finding.path));
        let mut all: Vec<Finding> = findings.filter(whole).collect();
        all.extend(faults);
        all.sort_by(|a, b| a.place.cmp(&b.place));
        all
    }

    /// The place of a value, or of the nearest thing around it that was written.
    fn of(&self, path: &str) -> Place {
        let steps = self.left_out.as_written(yaml::steps(path));
        let covers = |(set, _): &&(Vec<Step>, String)| steps.starts_with(set) || set.starts_with(&steps);
        if let Some((_, source)) = self.settings.iter().rev().find(covers) {
            return Place::Source(source.clone());
        }
        let (mark, found) = self.outline.find(&steps);
        match &self.file {
            Some(file) if found > 0 => Place::File { file: file.clone(), line: mark.line, column: mark.column },
            _ => Place::Default,
        }
    }

    fn in_file(&self, fault: &Fault) -> Place {
        let file = self.file.clone().unwrap_or_default();
        match fault.mark {
            Some(mark) => Place::File { file, line: mark.line, column: mark.column },
            None => Place::Whole(file),
        }
    }

    /// Relative paths start where they were written: the file's directory, else the working directory.
    fn rebase(&self, config: &mut Config) {
        let Some(base) = self.file.as_deref().and_then(Path::parent) else { return };
        let in_file = |path: &str| matches!(self.of(path), Place::File { .. });
        let join = |(path, value): (String, &mut PathBuf)| {
            if in_file(&path) {
                *value = base.join(&*value);
            }
        };
        secrets::paths(config).into_iter().for_each(join);
        secrets::files(config).into_iter().for_each(join);
        for (index, glob) in config.rules.files.iter_mut().enumerate() {
            if in_file(&format!("rules.files[{index}]")) {
                *glob = base.join(&*glob).to_string_lossy().into_owned();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_file_that_cannot_be_looked_at_is_not_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::os::unix::fs::symlink(at("nowhere"), at("dangling")).unwrap();
        std::fs::write(at("file"), "").unwrap();
        for (path, there) in [("file", true), ("dangling", true), ("file/relay.yaml", true), ("none", false), ("none/relay.yaml", false)] {
            assert_eq!(is_there(&at(path)), there, "{path}");
        }
    }
}
