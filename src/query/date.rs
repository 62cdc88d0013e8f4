//! The calendar, in UTC.

use time::OffsetDateTime;

/// A moment's parts as PromQL returns them.
pub(super) struct Date {
    pub(super) year: f64,
    /// 1 to 12.
    pub(super) month: f64,
    pub(super) day: f64,
    pub(super) day_of_year: f64,
    /// 0 is Sunday.
    pub(super) weekday: f64,
    pub(super) hour: f64,
    pub(super) minute: f64,
    pub(super) days_in_month: f64,
}

impl Date {
    /// From unix seconds; `None` beyond the years the calendar knows.
    pub(super) fn new(seconds: f64) -> Option<Date> {
        if !seconds.is_finite() {
            return None;
        }
        let date = OffsetDateTime::from_unix_timestamp(seconds.trunc() as i64).ok()?;
        Some(Date {
            year: f64::from(date.year()),
            month: f64::from(u8::from(date.month())),
            day: f64::from(date.day()),
            day_of_year: f64::from(date.ordinal()),
            weekday: f64::from(date.weekday().number_days_from_sunday()),
            hour: f64::from(date.hour()),
            minute: f64::from(date.minute()),
            days_in_month: f64::from(date.month().length(date.year())),
        })
    }
}
