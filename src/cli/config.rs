//! `config default` and `config show`.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::Overrides;
use crate::config;

#[derive(Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The reference: every key, explained, with its default
    Default,
    /// The result of file, environment and flags; secrets masked
    Show(Overrides),
}

impl ConfigArgs {
    pub(super) fn run(self, before: Overrides) -> anyhow::Result<ExitCode> {
        let text = match self.what {
            What::Default => {
                before.refuse()?;
                config::REFERENCE.to_string()
            }
            What::Show(after) => config::to_yaml(&config::load(&before.and(after).sources())?.config),
        };
        std::io::stdout().lock().write_all(text.as_bytes()).context("cannot write to standard output")?;
        Ok(ExitCode::SUCCESS)
    }
}
