//! Bytes of the wire to borrowed records. Reports, applies nothing: no rate, unit or name is changed here.

mod dialect;
mod error;
mod record;

pub use dialect::{Dialect, Options};
pub use error::{ParseError, Tolerated, ToleratedSet};
pub use record::{Cardinality, Identity, Metric, Origin, Parsed, Record, Values};
