//! The hot core. A receive thread owns its [`Lane`] (this window's gains), the cut thread owns the
//! [`Cutter`] (totals and last values); the [`Registry`] of identities is what they share.

mod aggregator;
mod budget;
mod config;
mod counts;
mod cut;
mod distinct;
mod hits;
mod keys;
mod lane;
mod limit;
mod names;
mod registry;
mod route;
mod schedule;
mod senders;
mod spellings;
mod standing;

pub use aggregator::{Aggregator, Sending};
pub use config::{AggregateConfig, LimitsConfig, OnLimit};
pub use counts::{Counts, Published};
pub use cut::{Base, CutReport, Cutter, CutterOptions, Restored};
pub use lane::{Gain, Handed, Lane, Line, Logged, Patience, Together};
pub use limit::Limit;
pub use names::page_name;
pub use registry::{Registry, unlabelled};
pub use route::{Birth, Prospect, Resolved, Route};
pub use schedule::{Due, Schedule};
pub use senders::Sent;
