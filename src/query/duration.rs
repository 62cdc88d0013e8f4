//! Durations as Prometheus writes them: `1h30m`, units from large to small, each once.

use super::ast::{Length, LengthOp};

/// Unit, milliseconds; largest first.
const UNITS: [(&str, u64); 7] =
    [("y", 31_536_000_000), ("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Seconds of a text like `5m` or `1h30m`; `None` when it is none.
pub(crate) fn parse_seconds(text: &str) -> Option<f64> {
    let mut rest = text;
    let mut total: u64 = 0;
    let mut larger = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|&at| at > 0)?;
        let count: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = UNITS[larger..].iter().position(|(name, _)| *name == &rest[..letters])? + larger;
        total = total.checked_add(count.checked_mul(UNITS[unit].1)?)?;
        larger = unit + 1;
        rest = &rest[letters..];
    }
    // Beyond 292 years upstream overflows; refuse what does not fit milliseconds of an i64 in nanoseconds.
    (total > 0 || text.starts_with('0')).then_some(()).filter(|()| total < 9_223_372_036_854)?;
    Some(total as f64 / 1_000.0)
}

/// `1h30m` from milliseconds.
pub(crate) fn format_ms(ms: i64) -> String {
    if ms == 0 {
        return "0s".to_string();
    }
    let mut rest = ms.unsigned_abs();
    let mut out = String::from(if ms < 0 { "-" } else { "" });
    for (unit, size) in UNITS {
        // Weeks and years only when nothing smaller remains, as upstream prints them.
        if rest >= size && (!matches!(unit, "y" | "w") || rest.is_multiple_of(size)) {
            out.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    out
}

impl Length {
    /// Milliseconds, given the query's own step and range (milliseconds). `None` when it is not a number that fits.
    pub(crate) fn ms(&self, step: i64, range: i64) -> Option<i64> {
        let ms = (self.seconds(step, range) * 1_000.0).round();
        (ms.abs() < 9e15).then_some(ms as i64)
    }

    fn seconds(&self, step: i64, range: i64) -> f64 {
        match self {
            Length::Fixed(seconds) => *seconds,
            Length::Step => step as f64 / 1_000.0,
            Length::Range => range as f64 / 1_000.0,
            Length::Paren(inner) => inner.seconds(step, range),
            Length::Negative(inner) => -inner.seconds(step, range),
            Length::Pair(op, left, right) => op.apply(left.seconds(step, range), right.seconds(step, range)),
        }
    }

    /// Whether step or range of the query matter.
    pub(crate) fn is_fixed(&self) -> bool {
        match self {
            Length::Fixed(_) => true,
            Length::Step | Length::Range => false,
            Length::Paren(inner) | Length::Negative(inner) => inner.is_fixed(),
            Length::Pair(_, left, right) => left.is_fixed() && right.is_fixed(),
        }
    }
}

impl LengthOp {
    fn apply(self, a: f64, b: f64) -> f64 {
        match self {
            LengthOp::Add => a + b,
            LengthOp::Sub => a - b,
            LengthOp::Mul => a * b,
            LengthOp::Div => a / b,
            LengthOp::Mod => a % b,
            LengthOp::Pow => a.powf(b),
            LengthOp::Min => a.min(b),
            LengthOp::Max => a.max(b),
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            LengthOp::Add => "+",
            LengthOp::Sub => "-",
            LengthOp::Mul => "*",
            LengthOp::Div => "/",
            LengthOp::Mod => "%",
            LengthOp::Pow => "^",
            LengthOp::Min => "min",
            LengthOp::Max => "max",
        }
    }
}
