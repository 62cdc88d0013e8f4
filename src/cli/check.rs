//! `check`: everything `run` does up to the start.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{Overrides, exit};
use crate::config::{self, Config, ConfigError, Finding};
use crate::shape::{ShapeError, Shaping};

#[derive(Args)]
pub(super) struct CheckArgs {
    /// The file to check instead of the one that would run
    file: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
}

impl CheckArgs {
    /// Prints one line a finding, errors before warnings, and `ok: FILE` when there is no error.
    pub(super) fn run(self, before: Overrides) -> anyhow::Result<ExitCode> {
        let mut overrides = before.and(self.overrides);
        if overrides.config.is_some() && self.file.is_some() {
            return Err(super::usage("give the file once: as an argument or with --config").into());
        }
        overrides.config = self.file.or(overrides.config);
        let mut out = std::io::stdout().lock();
        let (file, (errors, warnings)) = match config::load(&overrides.sources()) {
            Ok(loaded) => (loaded.file, files(&loaded.config, Vec::new(), loaded.warnings)),
            Err(ConfigError { errors, warnings, rest }) => (None, files(&rest.unwrap_or_default(), errors, warnings)),
        };
        for line in errors.iter().chain(&warnings) {
            writeln!(out, "{line}")?;
        }
        if !errors.is_empty() {
            return Ok(ExitCode::from(exit::BAD_CONFIG));
        }
        match file {
            Some(file) => writeln!(out, "ok: {}", file.display())?,
            None => writeln!(out, "ok: the defaults; there is no {}", config::DEFAULT_FILE)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What is wrong with relay.yaml and then with the files it names, one line each and each file from its beginning; and
/// what is only worth a word.
fn files(config: &Config, errors: Vec<Finding>, warnings: Vec<Finding>) -> (Vec<String>, Vec<String>) {
    let mut errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let mut warnings: Vec<String> = warnings.into_iter().map(warning).collect();
    let (more_errors, more_warnings) = mapping(config);
    errors.extend(more_errors.into_iter().chain(rules(config)));
    warnings.extend(more_warnings);
    (errors, warnings)
}

fn warning(finding: Finding) -> String {
    Finding { message: format!("warning: {}", finding.message), ..finding }.to_string()
}

/// Reads the mapping file: what is wrong, one line each, and what has no effect.
fn mapping(config: &Config) -> (Vec<String>, Vec<String>) {
    match Shaping::new(&config.shape, config::read_text) {
        Ok(shaping) => {
            let warning =
                |warning: &ShapeError| ShapeError { message: format!("warning: {}", warning.message), ..warning.clone() }.to_string();
            (Vec::new(), shaping.warnings().iter().map(warning).collect())
        }
        Err(mut errors) => {
            // What stands in relay.yaml itself is told already, with its place; so is a file that cannot be read.
            errors.retain(|error| error.file.is_some() && error.line > 0);
            errors.sort_by_key(|error| (error.line, error.column));
            (errors.iter().map(ToString::to_string).collect(), Vec::new())
        }
    }
}

/// Reads the rule files: what is wrong, one line each.
fn rules(config: &Config) -> Vec<String> {
    // Relative paths already start at the file's directory.
    let mut errors = config::load_rules(&config.rules, Path::new("")).err().unwrap_or_default();
    // A file that cannot be read is told already.
    errors.retain(|error| error.line > 0);
    errors.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    errors.iter().map(ToString::to_string).collect()
}
