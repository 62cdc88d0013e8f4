//! `check`: everything `run` does up to the start.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{Overrides, exit};
use crate::config::{self, Finding, Loaded};
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
    pub(super) fn run(self, before: Overrides, config: Option<PathBuf>) -> anyhow::Result<ExitCode> {
        if config.is_some() && self.file.is_some() {
            return Err(super::usage("give the file once: as an argument or with --config").into());
        }
        let sources = before.and(self.overrides).over(self.file.or(config));
        let mut out = std::io::stdout().lock();
        let (file, errors, warnings) = match config::load(&sources) {
            Ok(loaded) => {
                let (mut errors, mut warnings) = rules(&loaded);
                let (more_errors, more_warnings) = mapping(&loaded);
                errors.extend(more_errors);
                warnings.extend(more_warnings);
                (loaded.file, errors, loaded.warnings.into_iter().map(warning).chain(warnings).collect())
            }
            Err(error) => {
                (None, error.errors.iter().map(ToString::to_string).collect(), error.warnings.into_iter().map(warning).collect::<Vec<_>>())
            }
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

fn warning(finding: Finding) -> String {
    Finding { message: format!("warning: {}", finding.message), ..finding }.to_string()
}

/// Reads the mapping file: what is wrong, one line each, and what has no effect.
fn mapping(loaded: &Loaded) -> (Vec<String>, Vec<String>) {
    match Shaping::new(&loaded.config.shape, config::read_text) {
        Ok(shaping) => {
            let warning =
                |warning: &ShapeError| ShapeError { message: format!("warning: {}", warning.message), ..warning.clone() }.to_string();
            (Vec::new(), shaping.warnings().iter().map(warning).collect())
        }
        Err(errors) => (errors.iter().map(ToString::to_string).collect(), Vec::new()),
    }
}

/// Reads the rule files: what is wrong, one line each, and what is only worth a word.
fn rules(loaded: &Loaded) -> (Vec<String>, Vec<String>) {
    // Relative paths already start at the file's directory.
    match config::load_rules(&loaded.config.rules, Path::new("")) {
        Ok(rules) => (Vec::new(), rules.warnings),
        Err(errors) => (errors.iter().map(ToString::to_string).collect(), Vec::new()),
    }
}
