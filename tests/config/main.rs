//! What a person who edits relay.yaml is told.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod commands;
mod documents;
mod reference;
mod sources;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Output};

use statsd_relay::config::{self, Config, ConfigError, Loaded, Sources};
use tempfile::TempDir;

const DATADOG: &str = "sinks:\n  - name: dd\n    type: datadog\n    api_key: secret-canary\n";

/// A directory with one relay.yaml.
struct Bench {
    directory: TempDir,
}

impl Bench {
    fn with(text: &str) -> Bench {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("relay.yaml"), text).unwrap();
        Bench { directory }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("relay.yaml")
    }

    fn load(&self, environment: &[(&str, &str)], sets: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
        let environment = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let mut sources = Sources::new(Some(self.file()), environment);
        for (path, value) in sets {
            sources.flag("--set", path, value.to_string());
        }
        config::load(&sources)
    }

    /// The findings with the directory left out of them.
    fn told(&self, error: impl ToString) -> String {
        error.to_string().replace(&format!("{}/", self.directory.path().display()), "")
    }

    fn refused(&self) -> String {
        self.told(self.load(&[], &[]).expect_err("it loads"))
    }

    fn binary(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_statsd-relay")).args(arguments).current_dir(self.directory.path()).output().unwrap()
    }
}

fn refused(text: &str) -> String {
    Bench::with(text).refused()
}

fn loaded(text: &str) -> Config {
    Bench::with(text).load(&[], &[]).unwrap_or_else(|error| panic!("{error}\n{text}")).config
}
