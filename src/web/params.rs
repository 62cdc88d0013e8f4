//! Request parameters: form fields, times, durations.

use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::reply::ApiError;
use crate::model::units::parse_duration;

/// The fields of body and query string; those of the body come first.
#[derive(Clone, Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

/// Times beyond this (unix milliseconds) are moved to it: the year 10000 and more, either way.
const TIME_BOUND: f64 = 8.64e15;
/// What Prometheus writes for "since ever" and "for ever".
const EVER: [(&str, f64); 2] = [("-292273086-05-16T16:47:06Z", -TIME_BOUND), ("292277025-08-18T07:12:54.999999999Z", TIME_BOUND)];

impl Params {
    /// Reads `a=b&c=d` texts, percent-decoded.
    pub(super) fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Params, ApiError> {
        let mut fields = Vec::new();
        for field in texts.into_iter().flat_map(|text| text.split('&')).filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            fields.push((decode(name, true)?, decode(value, true)?));
        }
        Ok(Params(fields))
    }

    /// The first value, unless empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Every value.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(have, _)| have == name).map(|(_, value)| value.as_str()).collect()
    }

    /// A time in unix milliseconds.
    pub(super) fn time(&self, name: &str) -> Result<Option<i64>, ApiError> {
        self.get(name).map(|text| time(text).map_err(|why| ApiError::parameter(name, why))).transpose()
    }

    /// A time that must be there.
    pub(super) fn required_time(&self, name: &str) -> Result<i64, ApiError> {
        self.time(name)?.ok_or_else(|| ApiError::parameter(name, "cannot parse \"\" to a valid timestamp"))
    }

    /// Seconds, or a duration with units.
    pub(super) fn duration(&self, name: &str) -> Result<Option<Duration>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let refused = || ApiError::parameter(name, format!("cannot parse {text:?} to a valid duration"));
        match text.parse::<f64>() {
            // A negative one is as good as none; who needs it positive says so.
            Ok(seconds) if seconds.is_finite() && seconds.abs() < 1e12 => Ok(Some(Duration::from_millis((seconds.max(0.0) * 1e3) as u64))),
            Ok(_) => Err(refused()),
            Err(_) => parse_duration(text).map(Some).map_err(|_| refused()),
        }
    }

    /// How many results at most; 0 is no bound.
    pub(super) fn limit(&self, name: &str) -> Result<usize, ApiError> {
        match self.get(name).map(str::parse::<i64>) {
            None => Ok(0),
            Some(Ok(limit)) if limit >= 0 => Ok(usize::try_from(limit).unwrap_or(usize::MAX)),
            Some(_) => Err(ApiError::parameter(name, "limit must be a non-negative number")),
        }
    }
}

/// Unix milliseconds of unix seconds or an RFC 3339 time.
fn time(text: &str) -> Result<i64, String> {
    let refused = || format!("cannot parse {text:?} to a valid timestamp");
    let ms = if let Ok(seconds) = text.parse::<f64>() {
        if !seconds.is_finite() {
            return Err(refused());
        }
        (seconds * 1e3).round()
    } else if let Some((_, ms)) = EVER.iter().find(|(name, _)| *name == text) {
        *ms
    } else {
        let at = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| refused())?;
        (at.unix_timestamp_nanos() / 1_000_000) as f64
    };
    Ok(ms.clamp(-TIME_BOUND, TIME_BOUND) as i64)
}

/// Undoes percent-encoding; in a form `+` is a space.
pub(super) fn decode(text: &str, form: bool) -> Result<String, ApiError> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match first {
            b'%' => {
                let byte = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()).and_then(hex_byte);
                let refused = || ApiError::bad(format!("error parsing form values: invalid URL escape in {text:?}"));
                out.push(byte.ok_or_else(refused)?);
                rest = &tail[2..];
            }
            b'+' if form => out.push(b' '),
            other => out.push(*other),
        }
    }
    String::from_utf8(out).map_err(|_| ApiError::bad("error parsing form values: not UTF-8"))
}

fn hex_byte(hex: &str) -> Option<u8> {
    // `from_str_radix` takes a sign.
    hex.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u8::from_str_radix(hex, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded_and_the_first_counts() {
        let params = Params::parse(["query=a%7Bb%3D%22c+d%22%7D&match[]=x", "query=later&match%5B%5D=y&empty="]).unwrap();
        assert_eq!(params.get("query"), Some(r#"a{b="c d"}"#));
        assert_eq!(params.all("match[]"), ["x", "y"]);
        assert_eq!((params.get("empty"), params.get("none")), (None, None));
        for wrong in ["a=%", "a=%4", "a=%zz", "a=%ff", "a=%+1"] {
            assert!(Params::parse([wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_and_durations_are_read_as_prometheus_does() {
        let params = |value: &str| Params::parse([format!("t={value}").as_str()]).unwrap();
        let table = [
            ("1435781430", 1_435_781_430_000),
            ("1435781430.781", 1_435_781_430_781),
            ("-1.5", -1_500),
            ("2015-07-01T20:10:30.781Z", 1_435_781_430_781),
            ("2015-07-01T22:10:30%2B02:00", 1_435_781_430_000),
            ("1e300", 8_640_000_000_000_000),
        ];
        for (text, expected) in table {
            assert_eq!(params(text).time("t").unwrap(), Some(expected), "{text}");
        }
        let error = params("x").time("t").unwrap_err().message;
        assert_eq!(error, r#"invalid parameter "t": cannot parse "x" to a valid timestamp"#);
        for (text, ms) in [("15", 15_000), ("0.5", 500), ("5m", 300_000), ("-1", 0)] {
            assert_eq!(params(text).duration("t").unwrap(), Some(Duration::from_millis(ms)), "{text}");
        }
        assert!(params("5 m").duration("t").is_err() && params("inf").duration("t").is_err() && params("NaN").time("t").is_err());
    }
}
