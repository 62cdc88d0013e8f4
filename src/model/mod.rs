//! The nouns every part shares. Nothing here knows sockets, files, tokio or the time of day.

pub mod alert;
pub mod buckets;
pub mod check;
pub mod ddsketch;
pub mod event;
mod gate;
mod glob;
pub mod kind;
pub mod labels;
mod nearest;
pub mod recent;
mod room;
pub mod select;
pub mod series;
pub mod sketch;
pub mod tally;
pub mod units;
pub mod window;

pub use alert::{Alert, AlertState};
pub use buckets::{Buckets, Form};
pub use check::{Check, CheckStatus};
pub use ddsketch::DdSketch;
pub use event::{AlertType, Event, Priority};
pub use glob::Glob;
pub use kind::Kind;
pub use labels::Labels;
pub use nearest::nearest;
pub use recent::Recent;
pub use room::Room;
pub use select::{MatchOp, Matcher, Sample, SampleValue, Select, SelectError, Selected, SeriesSlice, TimeRange};
pub use series::Series;
pub use sketch::ExpHist;
pub use tally::Tally;
pub use units::ByteSize;
pub use window::{Column, Family, Recorded, Sketches, Stamped, Window};
