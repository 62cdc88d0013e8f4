//! The hot core: lanes, registry, standings, cut.

mod config;

pub use config::{AggregateConfig, LimitsConfig, OnLimit};
