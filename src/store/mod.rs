//! The local store: one redb file and a head in memory.

mod config;

pub use config::{StoreConfig, Tier};
