//! How a series is kept, and the number it is kept under.

use crate::model::Kind;

/// The ways to keep a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(super) enum Role {
    /// Gains on disk, running totals in answers.
    Counter = 0,
    /// The value itself; sets are of this role's form too.
    Gauge = 1,
    Set = 2,
    /// A sketch per window.
    Sketch = 3,
    /// A float under labels of its own: the relay's metrics and what rules write.
    Recorded = 4,
    /// A counter's samples with a time of their own.
    Stamped = 5,
}

impl Role {
    pub(super) const ALL: [Role; 6] = [Role::Counter, Role::Gauge, Role::Set, Role::Sketch, Role::Recorded, Role::Stamped];

    pub(super) fn of(kind: Kind) -> Role {
        match kind {
            Kind::Counter => Role::Counter,
            Kind::Gauge => Role::Gauge,
            Kind::Set => Role::Set,
            Kind::Timer | Kind::Histogram | Kind::Distribution => Role::Sketch,
        }
    }

    pub(super) fn from_u8(number: u8) -> Option<Role> {
        Role::ALL.get(usize::from(number)).copied()
    }
}

/// A series' number: its role above, its sequence in that role below. So the series of a role that were
/// born together are neighbours in every column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Number(pub(super) u64);

const SEQUENCE_BITS: u32 = 56;

impl Number {
    pub(super) const fn new(role: Role, sequence: u64) -> Number {
        Number((role as u64) << SEQUENCE_BITS | sequence & Number::SEQUENCES)
    }

    /// Sequences a role has, none used twice: a million births a second over two thousand years.
    pub(super) const SEQUENCES: u64 = (1 << SEQUENCE_BITS) - 1;

    pub(super) const fn sequence(self) -> u64 {
        self.0 & Number::SEQUENCES
    }

    /// `None` for a number no writer gives.
    pub(super) fn role(self) -> Option<Role> {
        Role::from_u8((self.0 >> SEQUENCE_BITS) as u8)
    }
}
