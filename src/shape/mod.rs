//! Changes names and tags before aggregation.

mod config;

pub use config::{FilterConfig, MatchConfig, ScaleFilter, ShapeConfig, TagFilter, Unmapped};
