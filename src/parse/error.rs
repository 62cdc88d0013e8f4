//! The closed lists: why a line is refused, and what is accepted with a blemish.

/// Why a line was refused. Doubles as the `reason` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ParseError {
    MissingColon,
    EmptyName,
    MissingType,
    EmptyValue,
    UnknownType,
    BadValue,
    NonFiniteValue,
    BadSampleRate,
    BadTimestamp,
    BadUtf8,
    EventBadHeader,
    EventEmptyTitle,
    EventTruncated,
    EventLengthMismatch,
    ScMalformed,
    ScEmptyName,
    ScBadStatus,
    UnterminatedLine,
    DatagramTruncated,
    LineTooLong,
    FrameTooLarge,
    FrameTruncated,
    BadName,
    BadTag,
    MixedTagStyles,
    DuplicateField,
    UnknownField,
    TimestampUnsupportedType,
    BadMetadata,
}

impl ParseError {
    /// Every reason, in the order of the protocol's table.
    pub const ALL: [ParseError; 29] = {
        use ParseError::*;
        [
            MissingColon,
            EmptyName,
            MissingType,
            EmptyValue,
            UnknownType,
            BadValue,
            NonFiniteValue,
            BadSampleRate,
            BadTimestamp,
            BadUtf8,
            EventBadHeader,
            EventEmptyTitle,
            EventTruncated,
            EventLengthMismatch,
            ScMalformed,
            ScEmptyName,
            ScBadStatus,
            UnterminatedLine,
            DatagramTruncated,
            LineTooLong,
            FrameTooLarge,
            FrameTruncated,
            BadName,
            BadTag,
            MixedTagStyles,
            DuplicateField,
            UnknownField,
            TimestampUnsupportedType,
            BadMetadata,
        ]
    };

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            ParseError::MissingColon => "missing_colon",
            ParseError::EmptyName => "empty_name",
            ParseError::MissingType => "missing_type",
            ParseError::EmptyValue => "empty_value",
            ParseError::UnknownType => "unknown_type",
            ParseError::BadValue => "bad_value",
            ParseError::NonFiniteValue => "non_finite_value",
            ParseError::BadSampleRate => "bad_sample_rate",
            ParseError::BadTimestamp => "bad_timestamp",
            ParseError::BadUtf8 => "bad_utf8",
            ParseError::EventBadHeader => "event_bad_header",
            ParseError::EventEmptyTitle => "event_empty_title",
            ParseError::EventTruncated => "event_truncated",
            ParseError::EventLengthMismatch => "event_length_mismatch",
            ParseError::ScMalformed => "sc_malformed",
            ParseError::ScEmptyName => "sc_empty_name",
            ParseError::ScBadStatus => "sc_bad_status",
            ParseError::UnterminatedLine => "unterminated_line",
            ParseError::DatagramTruncated => "datagram_truncated",
            ParseError::LineTooLong => "line_too_long",
            ParseError::FrameTooLarge => "frame_too_large",
            ParseError::FrameTruncated => "frame_truncated",
            ParseError::BadName => "bad_name",
            ParseError::BadTag => "bad_tag",
            ParseError::MixedTagStyles => "mixed_tag_styles",
            ParseError::DuplicateField => "duplicate_field",
            ParseError::UnknownField => "unknown_field",
            ParseError::TimestampUnsupportedType => "timestamp_unsupported_type",
            ParseError::BadMetadata => "bad_metadata",
        }
    }
}

/// What was accepted with a blemish. Doubles as the `kind` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Tolerated {
    NonFiniteDropped,
    RateClamped,
    TagDropped,
    TagRepaired,
    TimestampIgnored,
    FieldUnknown,
    MetadataIgnored,
    EventLengthRepaired,
}

impl Tolerated {
    /// Every kind, in the order of the protocol's list.
    pub const ALL: [Tolerated; 8] = [
        Tolerated::NonFiniteDropped,
        Tolerated::RateClamped,
        Tolerated::TagDropped,
        Tolerated::TagRepaired,
        Tolerated::TimestampIgnored,
        Tolerated::FieldUnknown,
        Tolerated::MetadataIgnored,
        Tolerated::EventLengthRepaired,
    ];

    /// The label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Tolerated::NonFiniteDropped => "non_finite_dropped",
            Tolerated::RateClamped => "rate_clamped",
            Tolerated::TagDropped => "tag_dropped",
            Tolerated::TagRepaired => "tag_repaired",
            Tolerated::TimestampIgnored => "timestamp_ignored",
            Tolerated::FieldUnknown => "field_unknown",
            Tolerated::MetadataIgnored => "metadata_ignored",
            Tolerated::EventLengthRepaired => "event_length_repaired",
        }
    }
}

/// Which blemishes a line had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToleratedSet(u8);

impl ToleratedSet {
    pub fn insert(&mut self, kind: Tolerated) {
        self.0 |= 1 << kind as u8;
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = Tolerated> {
        Tolerated::ALL.into_iter().filter(move |&kind| self.0 & (1 << kind as u8) != 0)
    }
}
