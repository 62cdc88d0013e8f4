//! Durations (`10s`) and sizes (`64KiB`) as people write them in configuration; times as JSON bodies hold them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A number of bytes. Written `512`, `64KiB`, `4MiB`, `2GiB`, `25MB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const SIZES: [(&str, u64); 7] =
    [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("KB", 1_000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("B", 1)];

impl ByteSize {
    /// Reads `64KiB` or a plain number of bytes.
    pub fn parse(text: &str) -> Result<ByteSize, String> {
        let invalid = || format!("invalid size {text:?}: expected a number with B, KiB, MiB, GiB, KB, MB or GB, such as 64KiB");
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let number: u64 = number.parse().map_err(|_| invalid())?;
        let factor = if unit.is_empty() { 1 } else { SIZES.iter().find(|(name, _)| *name == unit).ok_or_else(invalid)?.1 };
        number.checked_mul(factor).map(ByteSize).ok_or_else(invalid)
    }

    /// As a `usize`, saturated.
    pub fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, factor) in [SIZES[2], SIZES[1], SIZES[0]] {
            if self.0 >= factor && self.0.is_multiple_of(factor) {
                return write!(f, "{}{unit}", self.0 / factor);
            }
        }
        write!(f, "{}", self.0)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = ByteSize;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as 64KiB or 25MB")
            }
            fn visit_u64<E: serde::de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ByteSize, E> {
                ByteSize::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

const SPANS: [(&str, u64); 7] =
    [("y", 31_536_000_000), ("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads a Prometheus duration: `10s`, `1h30m`, `500ms`, or `0`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let invalid = || format!("invalid duration {text:?}: expected units y, w, d, h, m, s, ms from large to small, such as 10s or 1h30m");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    let mut units = SPANS.iter();
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(invalid)?;
        let number: u64 = rest[..digits].parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (_, factor) = units.find(|(name, _)| *name == &rest[..letters]).ok_or_else(invalid)?;
        total = number.checked_mul(*factor).and_then(|ms| total.checked_add(ms)).ok_or_else(invalid)?;
        rest = &rest[letters..];
    }
    if text.is_empty() { Err(invalid()) } else { Ok(Duration::from_millis(total)) }
}

/// Writes a duration as [`parse_duration`] reads it: `1h30m`, `0s`.
pub fn format_duration(duration: Duration) -> String {
    let mut rest = duration.as_millis() as u64;
    if rest == 0 {
        return "0s".to_string();
    }
    let mut out = String::new();
    for (unit, factor) in SPANS {
        // Years and weeks are written only when nothing else is left, as Prometheus does.
        if matches!(unit, "y" | "w") && !rest.is_multiple_of(factor) {
            continue;
        }
        if rest >= factor {
            out.push_str(&format!("{}{unit}", rest / factor));
            rest %= factor;
        }
    }
    out
}

/// Unix milliseconds as an RFC 3339 time, with as much of the second as is not zero; the zero time of Go for none.
pub fn rfc3339(at_ms: Option<i64>) -> String {
    at_ms
        .and_then(|ms| OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok())
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_else(|| "0001-01-01T00:00:00Z".to_string())
}

/// `#[serde(with = "duration")]` for `Duration` fields.
pub mod duration {
    use super::*;

    pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_duration(*duration))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Duration;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as 10s, 5m or 1h30m")
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Duration, E> {
                if number == 0 {
                    Ok(Duration::ZERO)
                } else {
                    Err(E::custom(format!("invalid duration {number}: it needs a unit, such as {number}s")))
                }
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Duration, E> {
                parse_duration(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// `#[serde(with = "optional_duration")]` for `Option<Duration>` fields.
pub mod optional_duration {
    use super::*;

    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => serializer.serialize_some(&format_duration(*duration)),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        // A value that does not fit fails inside its own deserialization, so that the error has its place.
        #[derive(Deserialize)]
        struct Present(#[serde(with = "duration")] Duration);
        Ok(Option::<Present>::deserialize(deserializer)?.map(|present| present.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes) in [("512", 512), ("64KiB", 65_536), ("25MB", 25_000_000), ("2GiB", 2 << 30)] {
            assert_eq!(ByteSize::parse(text), Ok(ByteSize(bytes)));
        }
        assert_eq!(ByteSize(64 << 10).to_string(), "64KiB");
        for wrong in ["", "KiB", "5 MB", "-1", "99999999999GiB"] {
            assert!(ByteSize::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_are_read_and_written() {
        for (text, ms) in [("10s", 10_000), ("1h30m", 5_400_000), ("30s500ms", 30_500), ("2d", 172_800_000), ("0", 0)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for (ms, text) in [(10_000, "10s"), (5_400_000, "1h30m"), (0, "0s"), (86_400_000 * 400, "400d")] {
            assert_eq!(format_duration(Duration::from_millis(ms)), text);
        }
        for wrong in ["", "10", "s", "1m1h", "1.5s", "10 s", "10x"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_written() {
        for (ms, text) in
            [(Some(1_435_781_430_781), "2015-07-01T20:10:30.781Z"), (Some(0), "1970-01-01T00:00:00Z"), (None, "0001-01-01T00:00:00Z")]
        {
            assert_eq!(rfc3339(ms), text);
        }
    }
}
