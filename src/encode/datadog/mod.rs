//! Datadog's formats: v2 series, sketches, events and service checks.
//!
//! Every encoder writes one payload from a place in a window on, passes over what the intake would drop, and
//! says where the next payload begins. `points` says beforehand how many points a window has for it.

mod checks;
mod events;
mod filling;
mod named;
mod origin;
pub mod proto;
mod series;
mod sketches;
mod summary;

use serde::{Deserialize, Serialize};

pub use named::{Named, named};
pub use summary::HistogramAggregate;

use super::{Budget, Compression, Payload, Place};
use crate::model::Window;

/// Datadog's type for counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CounterForm {
    #[default]
    Rate,
    Count,
}

/// How windows become Datadog's points.
#[derive(Clone, Debug)]
pub struct Options {
    /// The host of everything that names none.
    pub hostname: String,
    pub counters: CounterForm,
    pub aggregates: Vec<HistogramAggregate>,
    /// Whole percents.
    pub percentiles: Vec<u8>,
    pub compression: Compression,
}

/// One kind of payload, with its own path at the intake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    Series,
    Sketches,
    Events,
    Checks,
}

impl Route {
    pub const ALL: [Route; 4] = [Route::Series, Route::Sketches, Route::Events, Route::Checks];

    /// The path at the intake.
    ///
    /// Events take the public `/api/v1/events`, one request each: it is the documented one, its answer is about
    /// that event alone, and it works at every intake. `events_batch` is between the agent and Datadog.
    pub const fn path(self) -> &'static str {
        match self {
            Route::Series => "/api/v2/series",
            Route::Sketches => "/api/beta/sketches",
            Route::Events => "/api/v1/events",
            Route::Checks => "/api/v1/check_run",
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Route::Series => "series",
            Route::Sketches => "sketches",
            Route::Events => "events",
            Route::Checks => "checks",
        }
    }

    /// What one payload may hold (`upstreams.md` 1).
    pub const fn budget(self) -> Budget {
        match self {
            Route::Series => Budget { points: 10_000, plain: 5 << 20, compressed: 512_000 },
            Route::Sketches => Budget { points: 10_000, plain: 4 << 20, compressed: 2_621_440 },
            Route::Events => Budget { points: 1, plain: 4 << 20, compressed: 2_621_440 },
            Route::Checks => Budget { points: 1_000, plain: 2_621_440, compressed: 2_621_440 },
        }
    }

    /// Points that the window has for this route. Encoding it from the beginning settles exactly these.
    pub fn points(self, window: &Window, options: &Options) -> u64 {
        match self {
            Route::Series => series::points(window, options),
            Route::Sketches => sketches::points(window),
            Route::Events => window.events.len() as u64,
            Route::Checks => window.checks.len() as u64,
        }
    }

    /// Writes the payload that begins at `place`. `None`: the window has no more for this route.
    pub fn encode(self, window: &Window, options: &Options, place: Place, budget: Budget, out: &mut Payload) -> Option<Place> {
        match self {
            Route::Series => series::encode(window, options, place, budget, out),
            Route::Sketches => sketches::encode(window, options, place, budget, out),
            Route::Events => events::encode(window, options, place, out),
            Route::Checks => checks::encode(window, options, place, budget, out),
        }
    }
}
