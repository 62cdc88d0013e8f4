//! What a line is forgiven, and what strict mode refuses instead.

use super::{ParseError, Tolerated, ToleratedSet};

/// The kinds of field that a line may carry once.
#[derive(Clone, Copy)]
#[repr(u8)]
pub(super) enum Field {
    Rate,
    Tags,
    Timestamp,
    LocalData,
    ExternalData,
    Cardinality,
    Host,
    AggregationKey,
    Priority,
    SourceType,
    AlertType,
    Message,
}

/// Collects the blemishes of one line; in strict mode the first one is its refusal.
#[derive(Clone, Copy)]
pub(super) struct Scrutiny {
    pub(super) strict: bool,
    pub(super) tolerated: ToleratedSet,
    seen: u16,
}

impl Scrutiny {
    pub(super) fn new(strict: bool) -> Scrutiny {
        Scrutiny { strict, tolerated: ToleratedSet::default(), seen: 0 }
    }

    /// Counts `blemish`; in strict mode refuses with `reason`.
    pub(super) fn forgive(&mut self, blemish: Tolerated, reason: ParseError) -> Result<(), ParseError> {
        if self.strict {
            return Err(reason);
        }
        self.tolerated.insert(blemish);
        Ok(())
    }

    /// Notes a field. A repeated one replaces the earlier; in strict mode it is refused.
    pub(super) fn note(&mut self, field: Field) -> Result<(), ParseError> {
        let bit = 1 << field as u8;
        if self.strict && self.seen & bit != 0 {
            return Err(ParseError::DuplicateField);
        }
        self.seen |= bit;
        Ok(())
    }

    /// A field that nobody knows, or an empty one.
    pub(super) fn unknown_field(&mut self) -> Result<(), ParseError> {
        self.forgive(Tolerated::FieldUnknown, ParseError::UnknownField)
    }

    /// A known field with a value that means nothing.
    pub(super) fn bad_metadata(&mut self) -> Result<(), ParseError> {
        self.forgive(Tolerated::MetadataIgnored, ParseError::BadMetadata)
    }

    /// The bytes of a tag field, whose UTF-8 is repaired later. Looked at in strict mode only.
    pub(super) fn tags(&mut self, tags: &[u8]) -> Result<(), ParseError> {
        self.note(Field::Tags)?;
        if self.strict && str::from_utf8(tags).is_err() { Err(ParseError::BadTag) } else { Ok(()) }
    }
}
