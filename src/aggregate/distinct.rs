//! How many distinct members a set saw in a window: exact while they are few, then HyperLogLog.

use std::collections::HashSet;

/// Members counted exactly.
const EXACT_MAX: usize = 2_048;
/// Index bits: 16,384 registers, standard error 1.04 / sqrt(16,384) = 0.81 %.
const PRECISION: u32 = 14;

/// Distinct 64-bit hashes of one window.
#[derive(Debug)]
pub(super) enum Distinct {
    Exact(HashSet<u64, foldhash::fast::FixedState>),
    /// The longest run of leading zeros seen, per register.
    Registers(Box<[u8]>),
}

impl Default for Distinct {
    fn default() -> Self {
        Distinct::Exact(HashSet::default())
    }
}

impl Distinct {
    pub(super) fn insert(&mut self, hash: u64) {
        match self {
            Distinct::Exact(members) => {
                members.insert(hash);
                if members.len() > EXACT_MAX {
                    let mut registers = vec![0_u8; 1 << PRECISION].into_boxed_slice();
                    for &member in members.iter() {
                        note(&mut registers, member);
                    }
                    *self = Distinct::Registers(registers);
                }
            }
            Distinct::Registers(registers) => note(registers, hash),
        }
    }

    /// The number of distinct members, rounded to a whole one when it is an estimate.
    pub(super) fn count(&self) -> f64 {
        match self {
            Distinct::Exact(members) => members.len() as f64,
            Distinct::Registers(registers) => estimate(registers),
        }
    }
}

fn note(registers: &mut [u8], hash: u64) {
    let at = (hash >> (64 - PRECISION)) as usize;
    let run = ((hash << PRECISION) | (1 << (PRECISION - 1))).leading_zeros() as u8 + 1;
    registers[at] = registers[at].max(run);
}

fn estimate(registers: &[u8]) -> f64 {
    let size = registers.len() as f64;
    let empty = registers.iter().filter(|&&run| run == 0).count() as f64;
    let harmonic: f64 = registers.iter().map(|&run| (-f64::from(run)).exp2()).sum();
    let raw = 0.7213 / (1.0 + 1.079 / size) * size * size / harmonic;
    // Few members leave registers empty; counting those is the better estimate there.
    let linear = size * (size / empty).ln();
    if raw <= 2.5 * size && empty > 0.0 { linear.round() } else { raw.round() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::BuildHasher;

    #[test]
    fn few_members_are_exact_and_many_within_the_stated_error() {
        let hasher = foldhash::quality::FixedState::with_seed(7);
        let mut distinct = Distinct::default();
        for member in 0..200_000_u64 {
            distinct.insert(hasher.hash_one(member));
            distinct.insert(hasher.hash_one(member));
            if member + 1 == EXACT_MAX as u64 {
                assert_eq!(distinct.count(), EXACT_MAX as f64);
            }
            if [3_000, 20_000, 60_000, 200_000].contains(&(member + 1)) {
                let off = (distinct.count() / (member + 1) as f64 - 1.0).abs();
                assert!(off < 0.025, "{} of {}", distinct.count(), member + 1);
            }
        }
    }
}
