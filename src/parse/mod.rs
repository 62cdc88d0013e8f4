//! Bytes of the wire to borrowed records. Reports, applies nothing: no rate, unit or name is changed here.
//!
//! [`each`] cuts a received unit into lines and hands over what every line says; [`common()`] and [`line()`] are its two
//! halves; [`frame`] cuts a stream into units; [`identity`] finds the canonical name and tags of a spelling that is met
//! for the first time.

mod check;
mod common;
mod datagram;
mod dialect;
mod error;
mod event;
pub mod frame;
mod identity;
pub mod json;
mod metric;
mod number;
mod origin;
mod place;
mod record;
mod scrutiny;
#[cfg(test)]
mod tests;
mod text;

pub use common::{Common, common};
pub use datagram::{each, each_truncated, line};
pub use dialect::{Dialect, Options};
pub use error::{ParseError, Tolerated, ToleratedSet};
pub use identity::identity;
pub use place::place;
pub use record::{Cardinality, Identity, Metric, Origin, Parsed, Record, Values};
pub use text::escaped;
