//! What is wrong with a configuration, and where it stands.

use std::fmt;
use std::path::PathBuf;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError {
    pub errors: Vec<Finding>,
    /// What else would have been said about a configuration that loads.
    pub warnings: Vec<Finding>,
}

impl ConfigError {
    pub(super) fn one(place: Place, path: &str, message: String) -> ConfigError {
        ConfigError { errors: vec![Finding { place, path: path.to_string(), message }], warnings: Vec::new() }
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

/// The candidate that needs the fewest edits, if these are few for its length.
pub(super) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    const LONGEST_WORD: usize = 64;
    if word.len() > LONGEST_WORD {
        return None;
    }
    let distance = |candidate: &&&str| edits(word, candidate);
    let best = candidates.iter().min_by_key(distance)?;
    (edits(word, best) <= (best.len() / 2).max(2)).then_some(*best)
}

/// Insertions, deletions, substitutions and swaps of neighbours that turn one word into the other.
fn edits(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows = vec![(0..=to.len()).collect::<Vec<usize>>()];
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let substituted = rows[i - 1][j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut least = substituted.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_finds_its_key_and_an_unrelated_word_finds_none() {
        let keys = ["interval", "expire", "percentiles"];
        for (word, key) in
            [("intervall", Some("interval")), ("exprie", Some("expire")), ("percentile", Some("percentiles")), ("xyzzyxyz", None)]
        {
            assert_eq!(nearest(word, &keys), key, "{word}");
        }
    }
}
