//! Windows to bytes, one module per format.

pub mod compress;
pub mod datadog;
pub mod number;
pub mod payload;
pub mod prom_text;

pub use compress::Compression;
pub use payload::{Budget, Payload, Place, Unfit};
