//! What Datadog calls a series, for whoever asks.

use super::Options;
use super::origin::{Origin, check_name};
use crate::encode::Unfit;
use crate::model::Kind;

/// The names and the origin of a series at the intake.
#[derive(Debug, PartialEq)]
pub struct Named {
    /// One, or of a timer or histogram one for each figure.
    pub metrics: Vec<String>,
    pub host: String,
    pub tags: Vec<String>,
    /// Why the intake would drop it.
    pub unfit: Option<Unfit>,
}

/// What a series with this identity is called. `tags` are canonical.
pub fn named<'a>(name: &str, kind: Kind, tags: impl Iterator<Item = &'a str>, options: &'a Options) -> Named {
    let origin = Origin::read(tags, &options.hostname);
    let metrics: Vec<String> = match kind {
        Kind::Timer | Kind::Histogram => {
            let aggregates = options.aggregates.iter().map(|aggregate| format!("{name}{}", aggregate.suffix()));
            aggregates.chain(options.percentiles.iter().map(|percent| format!("{name}.{percent}percentile"))).collect()
        }
        Kind::Counter | Kind::Gauge | Kind::Set | Kind::Distribution => vec![name.to_string()],
    };
    let unfit = origin.check().and_then(|()| metrics.iter().try_for_each(|metric| check_name(metric))).err();
    Named { metrics, host: origin.host.to_string(), tags: origin.tags.iter().map(ToString::to_string).collect(), unfit }
}
