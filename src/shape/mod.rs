//! Names and tags as the configuration wants them: once for a new spelling, never for a sample.
//!
//! A statsd_exporter mapping file sees the name as it was sent; then come the namespace, added tags and filters.

mod config;
mod error;
mod explain;
mod filter;
mod mapping;
mod options;
mod pattern;
mod shaping;
mod tags;
#[cfg(test)]
mod tests;

pub use config::{FilterConfig, MatchConfig, ScaleFilter, ShapeConfig, TagFilter, Unmapped};
pub use error::ShapeError;
pub use explain::{Explanation, Step};
pub use options::{Presentation, SeriesOptions};
pub use pattern::Pattern;
pub use shaping::{DropReason, Hit, Shaped, Shaping, problems};

/// A message of the regex parser without its drawing.
fn one_line(message: &str) -> String {
    message.lines().last().unwrap_or_default().trim_start_matches("error: ").to_string()
}
