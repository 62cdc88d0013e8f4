//! What is wrong with a configuration, and where it stands.

use std::fmt;
use std::path::PathBuf;

use super::Config;

/// Where a value was written. Ordered as one reads: files from their beginning, then what was laid over them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Line and column count from 1, the column in characters.
    File { file: PathBuf, line: usize, column: usize },
    /// A file as a whole, when it cannot be read at all.
    Whole(PathBuf),
    /// An environment variable or a flag, as its user knows it.
    Source(String),
    /// Nowhere: the value is a default.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { file, line, column } => write!(f, "{}:{line}:{column}", file.display()),
            Place::Whole(file) => write!(f, "{}", file.display()),
            Place::Source(source) => f.write_str(source),
            Place::Default => f.write_str("defaults"),
        }
    }
}

/// One thing to say about a configuration, an error or a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub place: Place,
    /// `sinks[0].url`; empty when the file as a whole is meant.
    pub path: String,
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// A configuration that cannot be used. Displayed one finding a line: `file:line:column: path: message`.
#[derive(Debug, PartialEq)]
pub struct ConfigError {
    /// By their places.
    pub errors: Vec<Finding>,
    /// What else would have been said about a configuration that loads.
    pub warnings: Vec<Finding>,
    /// What could be read: a section that has an error of its own form is as by default. `None`: nothing.
    pub rest: Option<Box<Config>>,
}

impl ConfigError {
    pub(super) fn one(place: Place, path: &str, message: String) -> ConfigError {
        ConfigError { errors: vec![Finding { place, path: path.to_string(), message }], warnings: Vec::new(), rest: None }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            finding.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
