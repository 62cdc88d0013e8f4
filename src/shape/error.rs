//! What is wrong with a mapping file or with a filter, and where.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing to say about `shape:`, an error or a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeError {
    /// The mapping file; `None` when a key of relay.yaml is meant.
    pub file: Option<PathBuf>,
    /// From 1; zero when the file as a whole is meant.
    pub line: usize,
    pub column: usize,
    /// `mappings[3].match`, or `shape.filters[0].drop` of relay.yaml.
    pub path: String,
    pub message: String,
}

impl ShapeError {
    /// About a mapping file that cannot be read at all.
    pub(super) fn whole(file: &Path, message: String) -> ShapeError {
        ShapeError { file: Some(file.to_path_buf()), line: 0, column: 0, path: String::new(), message }
    }

    /// About a key of relay.yaml.
    pub(super) fn key(path: String, message: impl Into<String>) -> ShapeError {
        ShapeError { file: None, line: 0, column: 0, path, message: message.into() }
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}", file.display())?;
            if self.line > 0 {
                write!(f, ":{}:{}", self.line, self.column)?;
            }
            f.write_str(": ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for ShapeError {}
