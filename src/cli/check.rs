//! `check`: everything `run` does up to the start.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{Overrides, exit};
use crate::config::{self, Finding, Loaded};

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
            Ok(loaded) => (loaded.file.clone(), rule_errors(&loaded), loaded.warnings),
            Err(error) => (None, error.errors.iter().map(ToString::to_string).collect(), error.warnings),
        };
        for error in &errors {
            writeln!(out, "{error}")?;
        }
        for warning in warnings {
            writeln!(out, "{}", Finding { message: format!("warning: {}", warning.message), ..warning })?;
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

/// What is wrong with the rule files, one line each.
fn rule_errors(_loaded: &Loaded) -> Vec<String> {
    Vec::new()
}
