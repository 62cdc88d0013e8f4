//! Windows to bytes, one module per format.

pub mod number;
pub mod prom_text;
