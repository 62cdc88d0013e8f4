//! Rules: Prometheus rule files evaluated on closed windows.

mod config;

pub use config::{Bundle, RulesConfig};
