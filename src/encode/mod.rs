//! Windows to bytes, one module per format.

pub mod compress;
pub mod datadog;
pub mod payload;

pub use compress::Compression;
pub use payload::{Budget, Payload, Place, Unfit};
