//! The limits that keep a sample from a place of its own.

/// Why a sample did not get a place of its own. Doubles as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Limit {
    /// `limits.series`
    Series,
    /// `limits.series_per_metric`
    SeriesPerMetric,
    /// `limits.tags_per_series`
    TagsPerSeries,
    /// `limits.key_bytes`
    KeyBytes,
    /// `limits.memory`
    Memory,
    /// More samples with a time of their own than one window carries.
    StampedPerWindow,
    /// More events and service checks than one window carries.
    EventsPerWindow,
    /// Stamped before the first raw sample the store keeps.
    StampedTooOld,
    /// Stamped more than 10 min ahead.
    StampedTooNew,
}

impl Limit {
    /// Every limit.
    pub const ALL: [Limit; 9] = [
        Limit::Series,
        Limit::SeriesPerMetric,
        Limit::TagsPerSeries,
        Limit::KeyBytes,
        Limit::Memory,
        Limit::StampedPerWindow,
        Limit::EventsPerWindow,
        Limit::StampedTooOld,
        Limit::StampedTooNew,
    ];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Limit::Series => "series",
            Limit::SeriesPerMetric => "series_per_metric",
            Limit::TagsPerSeries => "tags_per_series",
            Limit::KeyBytes => "key_bytes",
            Limit::Memory => "memory",
            Limit::StampedPerWindow => "stamped_per_window",
            Limit::EventsPerWindow => "events_per_window",
            Limit::StampedTooOld => "stamped_too_old",
            Limit::StampedTooNew => "stamped_too_new",
        }
    }
}
