//! An alert as bytes, so that a restart goes on where the last process stopped.

use super::fingerprint;
use crate::model::{Alert, AlertState, Labels};

/// One alert as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedAlert {
    /// Fingerprint of its rule.
    pub rule: u64,
    /// Fingerprint of its labels.
    pub labels: u64,
    /// The rest, little-endian, version first.
    pub bytes: Vec<u8>,
}

const VERSION: u8 = 1;
/// Most pairs of one label set that are read back.
const MAX_PAIRS: u16 = 1_024;
const STATES: [AlertState; 4] = [AlertState::Inactive, AlertState::Pending, AlertState::Firing, AlertState::Resolved];

impl SavedAlert {
    /// Writes an alert of the rule with this fingerprint.
    pub fn encode(rule: u64, alert: &Alert) -> SavedAlert {
        let mut out = vec![VERSION, STATES.iter().position(|state| *state == alert.state).unwrap_or(0) as u8];
        out.extend_from_slice(&alert.active_at.to_le_bytes());
        for time in [alert.fired_at, alert.resolved_at, alert.keep_since] {
            out.push(u8::from(time.is_some()));
            out.extend_from_slice(&time.unwrap_or(0).to_le_bytes());
        }
        out.extend_from_slice(&alert.value.to_bits().to_le_bytes());
        for labels in [&alert.labels, &alert.annotations] {
            out.extend_from_slice(&(labels.iter().len().min(usize::from(MAX_PAIRS)) as u16).to_le_bytes());
            for (name, value) in labels.iter().take(usize::from(MAX_PAIRS)) {
                for text in [name, value] {
                    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
                    out.extend_from_slice(text.as_bytes());
                }
            }
        }
        SavedAlert { rule, labels: fingerprint::of_labels(&alert.labels), bytes: out }
    }

    /// Reads it back. `None` for bytes that this version did not write.
    pub fn decode(&self) -> Option<Alert> {
        let mut bytes = Bytes(&self.bytes);
        if bytes.u8()? != VERSION {
            return None;
        }
        let state = *STATES.get(usize::from(bytes.u8()?))?;
        let active_at = bytes.i64()?;
        let (fired_at, resolved_at, keep_since) = (bytes.time()?, bytes.time()?, bytes.time()?);
        let value = f64::from_bits(bytes.i64()? as u64);
        let (labels, annotations) = (bytes.labels()?, bytes.labels()?);
        bytes.0.is_empty().then_some(Alert { labels, annotations, state, active_at, fired_at, resolved_at, keep_since, value })
    }
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    fn time(&mut self) -> Option<Option<i64>> {
        let present = self.u8()?;
        let time = self.i64()?;
        match present {
            0 => Some(None),
            1 => Some(Some(time)),
            _ => None,
        }
    }

    fn text(&mut self) -> Option<&'a str> {
        let length = u32::from_le_bytes(self.array()?);
        std::str::from_utf8(self.take(usize::try_from(length).ok()?)?).ok()
    }

    fn labels(&mut self) -> Option<Labels> {
        let count = u16::from_le_bytes(self.array()?);
        if count > MAX_PAIRS {
            return None;
        }
        let mut pairs = Vec::new();
        for _ in 0..count {
            pairs.push((self.text()?, self.text()?));
        }
        Some(Labels::new(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn alert() -> impl Strategy<Value = Alert> {
        let labels = || prop::collection::vec(("[a-z]{1,9}", "\\PC{0,20}"), 0..5).prop_map(Labels::new);
        let time = || prop::option::of(any::<i64>());
        (labels(), labels(), 0..4_usize, any::<i64>(), time(), time(), time(), -1e9..1e9_f64).prop_map(
            |(labels, annotations, state, active_at, fired_at, resolved_at, keep_since, value)| {
                let state = STATES[state];
                Alert { labels, annotations, state, active_at, fired_at, resolved_at, keep_since, value }
            },
        )
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(alert in alert()) {
            prop_assert_eq!(SavedAlert::encode(7, &alert).decode(), Some(alert));
        }

        #[test]
        fn damaged_bytes_are_refused_or_read_but_never_panic(alert in alert(), at in any::<prop::sample::Index>(), byte: u8, cut: bool) {
            let mut saved = SavedAlert::encode(7, &alert);
            let at = at.index(saved.bytes.len());
            if cut {
                saved.bytes.truncate(at);
                prop_assert_eq!(saved.decode(), None);
            } else {
                saved.bytes[at] = byte;
                let _ = saved.decode();
            }
        }
    }
}
