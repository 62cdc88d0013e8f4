//! What the registry's maps are keyed by, and how a key is looked up without making one.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};

use crate::model::series::{NameStyle, Spelling};
use crate::model::{Kind, Series};
use crate::parse::ToleratedSet;
use crate::shape::Hit;

/// A series under the spelling it was born with.
pub(super) struct First(pub(super) Series);

/// A spelling and the series it names.
pub(super) struct Known {
    pub(super) series: Series,
    /// `None`: the spelling the series was born with.
    pub(super) other: Option<Box<OtherSpelling>>,
    pub(super) tolerated: ToleratedSet,
    /// Multiplies values that come in this spelling.
    pub(super) scale: f64,
}

impl Known {
    /// Whether it is the series' first spelling and nothing else is to be known.
    pub(super) fn is_plain(&self) -> bool {
        self.other.is_none() && self.tolerated.is_empty() && self.scale == 1.0
    }

    /// What it takes here as a further spelling; the first lies with its series.
    pub(super) fn further_bytes(&self) -> i64 {
        self.other.as_ref().map_or(0, |other| other.cost())
    }
}

/// A spelling without a series of its own in windows.
pub(super) struct Other {
    pub(super) spelling: OtherSpelling,
    pub(super) kind: Kind,
    pub(super) fate: Fate,
}

pub(super) enum Fate {
    /// Its samples have times of their own; what they are multiplied by, and the blemishes of its tags.
    Loose(Series, f64, ToleratedSet),
    /// This step drops it.
    Dropped(Hit),
}

/// What a further spelling takes beside its bytes.
const SPELLING_BYTES: i64 = 120;

/// A spelling that owns its bytes.
pub(super) struct OtherSpelling {
    bytes: Box<[u8]>,
    name: usize,
    style: NameStyle,
}

impl OtherSpelling {
    pub(super) fn new(spelling: &Spelling<'_>) -> OtherSpelling {
        OtherSpelling { bytes: [spelling.name, spelling.tags].concat().into(), name: spelling.name.len(), style: spelling.style }
    }

    pub(super) fn of_kind(&self, kind: Kind) -> Spelling<'_> {
        let (name, tags) = self.bytes.split_at(self.name);
        Spelling { name, tags, kind, style: self.style }
    }

    /// Bytes it takes here.
    pub(super) fn cost(&self) -> i64 {
        self.bytes.len() as i64 + SPELLING_BYTES
    }
}

/// Something with a spelling: what `spelled` is keyed by, without copying one to look it up.
pub(super) trait Spelled {
    fn spelling(&self) -> Spelling<'_>;
}

impl Spelled for Spelling<'_> {
    fn spelling(&self) -> Spelling<'_> {
        *self
    }
}

impl Spelled for First {
    fn spelling(&self) -> Spelling<'_> {
        self.0.spelling()
    }
}

impl<'a> Borrow<dyn Spelled + 'a> for First {
    fn borrow(&self) -> &(dyn Spelled + 'a) {
        self
    }
}

impl Spelled for Known {
    fn spelling(&self) -> Spelling<'_> {
        match &self.other {
            None => self.series.spelling(),
            Some(other) => other.of_kind(self.series.kind()),
        }
    }
}

impl<'a> Borrow<dyn Spelled + 'a> for Known {
    fn borrow(&self) -> &(dyn Spelled + 'a) {
        self
    }
}

impl Spelled for Other {
    fn spelling(&self) -> Spelling<'_> {
        self.spelling.of_kind(self.kind)
    }
}

impl<'a> Borrow<dyn Spelled + 'a> for Other {
    fn borrow(&self) -> &(dyn Spelled + 'a) {
        self
    }
}

impl Hash for dyn Spelled + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash_spelling(&self.spelling(), state);
    }
}

impl PartialEq for dyn Spelled + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.spelling() == other.spelling()
    }
}

impl Eq for dyn Spelled + '_ {}

impl Hash for First {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self as &dyn Spelled).hash(state);
    }
}

impl PartialEq for First {
    fn eq(&self, other: &Self) -> bool {
        self.0.spelling() == other.0.spelling()
    }
}

impl Eq for First {}

impl Hash for Known {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self as &dyn Spelled).hash(state);
    }
}

impl PartialEq for Known {
    fn eq(&self, other: &Self) -> bool {
        self.spelling() == other.spelling()
    }
}

impl Eq for Known {}

impl Hash for Other {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self as &dyn Spelled).hash(state);
    }
}

impl PartialEq for Other {
    fn eq(&self, other: &Self) -> bool {
        self.spelling() == other.spelling()
    }
}

impl Eq for Other {}

#[inline(always)]
pub(super) fn hash_spelling<H: Hasher>(spelling: &Spelling<'_>, state: &mut H) {
    state.write(spelling.name);
    state.write(spelling.tags);
    state.write_u16(u16::from(spelling.kind as u8) << 8 | u16::from(spelling.style as u8));
}

/// The parts of an identity that is not a series yet.
pub(super) struct Parts<'a> {
    pub(super) name: &'a str,
    pub(super) tags: &'a [&'a str],
    pub(super) kind: Kind,
}

/// A series in the map of identities.
pub(super) struct Canonical(pub(super) Series);

/// Something with a canonical identity.
pub(super) trait Identified {
    fn kind(&self) -> Kind;
    fn name(&self) -> &str;
    fn tag(&self, at: usize) -> Option<&str>;
}

impl Identified for Parts<'_> {
    fn kind(&self) -> Kind {
        self.kind
    }
    fn name(&self) -> &str {
        self.name
    }
    fn tag(&self, at: usize) -> Option<&str> {
        self.tags.get(at).copied()
    }
}

impl Identified for Series {
    fn kind(&self) -> Kind {
        Series::kind(self)
    }
    fn name(&self) -> &str {
        Series::name(self)
    }
    fn tag(&self, at: usize) -> Option<&str> {
        Series::tag(self, at)
    }
}

impl<'a> Borrow<dyn Identified + 'a> for Canonical {
    fn borrow(&self) -> &(dyn Identified + 'a) {
        &self.0
    }
}

impl Hash for dyn Identified + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8(self.kind() as u8);
        state.write(self.name().as_bytes());
        let mut at = 0;
        while let Some(tag) = self.tag(at) {
            state.write(tag.as_bytes());
            at += 1;
        }
    }
}

impl PartialEq for dyn Identified + '_ {
    fn eq(&self, other: &Self) -> bool {
        let mut at = 0;
        self.kind() == other.kind()
            && self.name() == other.name()
            && loop {
                match (self.tag(at), other.tag(at)) {
                    (None, None) => break true,
                    (mine, theirs) if mine != theirs => break false,
                    _ => at += 1,
                }
            }
    }
}

impl Eq for dyn Identified + '_ {}

impl Hash for Canonical {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.0 as &dyn Identified).hash(state);
    }
}

impl PartialEq for Canonical {
    fn eq(&self, other: &Self) -> bool {
        (&self.0 as &dyn Identified) == (&other.0 as &dyn Identified)
    }
}

impl Eq for Canonical {}
