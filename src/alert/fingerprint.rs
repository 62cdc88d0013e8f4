//! Stable 64-bit names of label sets and rules: FNV-1a, as Prometheus and Alertmanager compute it for labels.

use crate::model::Labels;

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;
/// Stands behind every text; no UTF-8 contains it.
const SEPARATOR: u8 = 0xff;

/// Of texts in this order.
pub(super) fn of_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> u64 {
    let bytes = texts.into_iter().flat_map(|text| text.bytes().chain([SEPARATOR]));
    bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}

/// Of a label set; Alertmanager shows the same 16 hexadecimal digits.
pub fn of_labels(labels: &Labels) -> u64 {
    of_texts(labels.iter().flat_map(|(name, value)| [name, value]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_those_of_alertmanager() {
        assert_eq!(of_labels(&Labels::default()), 0xcbf2_9ce4_8422_2325);
        assert_ne!(of_labels(&Labels::new([("ab", "c")])), of_labels(&Labels::new([("a", "bc")])));
    }
}
