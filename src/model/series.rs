//! A series: one name, one type and one set of tags, in a single allocation behind an 8-byte handle.

use std::borrow::Cow;
use std::fmt;

use triomphe::ThinArc;

use super::Kind;
use super::gate::Gate;

/// How tags were written into the name (`protocol.md` 5.8). Part of a spelling: the same bytes mean
/// different series under different styles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum NameStyle {
    /// The name is the name.
    #[default]
    Plain = 0,
    /// `name,k=v`
    Influx = 1,
    /// `name#k=v`
    Librato = 2,
    /// `pre[k=v]post`
    SignalFx = 3,
    /// Not from the wire: the name and tags are those of the series, and no line has this spelling.
    Canonical = 4,
}

/// The identity of a series as a sender wrote it: what a lane compares, byte by byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spelling<'a> {
    /// The type on the wire.
    pub kind: Kind,
    /// How name tags are to be read.
    pub style: NameStyle,
    /// The text before the first colon.
    pub name: &'a [u8],
    /// The text of the `#` field, without the `#`; empty when there is none.
    pub tags: &'a [u8],
}

/// Header of the single allocation; the bytes follow it: the wire name and tags, what shaping changed, and then the
/// table of `(offset, length)` pairs of the canonical name and the sorted tags.
struct Head {
    /// Index of the standing in the cutter and of the row everywhere else.
    slot: u32,
    gate: Gate,
    /// Length of the wire name, and of the wire tags behind it.
    wire_name: u16,
    wire_tags: u16,
    /// Where the table begins. One byte is enough for each of its numbers when that is for this one.
    table: u16,
    kind: Kind,
    style: NameStyle,
}

/// A handle to a series. Cloning costs one atomic increment.
#[derive(Clone)]
pub struct Series(ThinArc<Head, u8>);

impl Series {
    /// Longest sum of wire bytes and canonical bytes one series may have; `limits.key_bytes` stays below it.
    pub const MAX_BYTES: usize = 30_000;

    /// Builds a series from its first spelling and its canonical name and sorted tags.
    ///
    /// Parts that are slices of the spelling are stored as offsets; others are appended. `None` when the
    /// text does not fit [`Series::MAX_BYTES`].
    pub fn new(slot: u32, spelling: Spelling<'_>, name: &str, tags: &[Cow<'_, str>]) -> Option<Series> {
        let wire = spelling.name.len() + spelling.tags.len();
        let text = wire + name.len() + tags.iter().map(|tag| tag.len()).sum::<usize>();
        if text > Series::MAX_BYTES || tags.len() > 4_096 {
            return None;
        }
        let mut bytes = Vec::with_capacity(wire + tags.len() * 4);
        bytes.extend_from_slice(spelling.name);
        bytes.extend_from_slice(spelling.tags);
        let mut place = |part: &[u8]| -> [u16; 2] {
            let at = offset_within(spelling.name, part)
                .or_else(|| offset_within(spelling.tags, part).map(|at| at + spelling.name.len()))
                .unwrap_or_else(|| {
                    bytes.extend_from_slice(part);
                    bytes.len() - part.len()
                });
            // Both fit: the text is at most MAX_BYTES long.
            [at as u16, part.len() as u16]
        };
        let mut places = Vec::with_capacity(1 + tags.len());
        places.push(place(name.as_bytes()));
        places.extend(tags.iter().map(|tag| place(tag.as_bytes())));
        let table = bytes.len() as u16;
        for number in places.into_iter().flatten() {
            match u8::try_from(table) {
                Ok(_) => bytes.push(number as u8),
                Err(_) => bytes.extend_from_slice(&number.to_le_bytes()),
            }
        }
        let head = Head {
            slot,
            gate: Gate::new(),
            wire_name: spelling.name.len() as u16,
            wire_tags: spelling.tags.len() as u16,
            table,
            kind: spelling.kind,
            style: spelling.style,
        };
        Some(Series(ThinArc::from_header_and_slice(head, &bytes)))
    }

    fn head(&self) -> &Head {
        &self.0.header.header
    }

    /// The part of the table with this number: the name, then the tags.
    fn part(&self, number: usize) -> Option<&str> {
        let start = self.head().table;
        let table = &self.0.slice[usize::from(start)..];
        let (at, len) = if start <= u16::from(u8::MAX) {
            let &[at, len] = table.get(2 * number..)?.first_chunk()?;
            (usize::from(at), usize::from(len))
        } else {
            let &[at, at_high, len, len_high] = table.get(4 * number..)?.first_chunk()?;
            (usize::from(u16::from_le_bytes([at, at_high])), usize::from(u16::from_le_bytes([len, len_high])))
        };
        // The canonical parts were `&str` when the series was built.
        Some(std::str::from_utf8(&self.0.slice[at..at + len]).unwrap_or_default())
    }

    /// Whether both are handles to one allocation.
    pub fn same(&self, other: &Series) -> bool {
        std::ptr::eq(self.head(), other.head())
    }

    /// Reads the byte behind the spelling, so that what lies there is at hand when it is needed.
    pub fn touch(&self) -> u32 {
        let end = usize::from(self.head().wire_name) + usize::from(self.head().wire_tags);
        self.0.slice.get(end).map_or(0, |&byte| u32::from(byte))
    }

    /// The index the registry gave it. Unique among live series.
    pub fn slot(&self) -> u32 {
        self.head().slot
    }

    /// Its type.
    pub fn kind(&self) -> Kind {
        self.head().kind
    }

    /// The canonical name, as received (no output's rewriting).
    pub fn name(&self) -> &str {
        self.part(0).unwrap_or_default()
    }

    /// The canonical tags: trimmed, distinct, sorted by bytes.
    pub fn tags(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        let table = self.head().table;
        let parts = (self.0.slice.len() - usize::from(table)) / if table <= u16::from(u8::MAX) { 2 } else { 4 };
        (1..parts).map(|number| self.part(number).unwrap_or_default())
    }

    /// One of the canonical tags.
    pub fn tag(&self, at: usize) -> Option<&str> {
        self.part(at + 1)
    }

    /// The spelling it was born with.
    #[inline]
    pub fn spelling(&self) -> Spelling<'_> {
        let head = self.head();
        let (name, rest) = self.0.slice.split_at(usize::from(head.wire_name));
        Spelling { name, tags: &rest[..usize::from(head.wire_tags)], kind: head.kind, style: head.style }
    }

    /// Bytes of the one allocation behind the handle.
    pub fn allocated_bytes(&self) -> usize {
        std::mem::size_of::<Head>() + 16 + self.0.slice.len()
    }

    /// Notes that a lane met the series in `window`. False when it has left and must be resolved again.
    pub fn meet(&self, window: u32) -> bool {
        self.head().gate.meet(window)
    }

    /// The last window a lane met it in; [`u32::MAX`] when it has left.
    pub fn last_met(&self) -> u32 {
        self.head().gate.last_met()
    }

    /// Closes the gate unless a lane met the series after `seen`. True when this call closed it.
    pub fn leave(&self, seen: u32) -> bool {
        self.head().gate.leave(seen)
    }

    /// Closes the gate whoever met the series: `other` takes its place, and was met when this one was. True when this
    /// call closed it.
    pub fn close_for(&self, other: &Series) -> bool {
        self.head().gate.close().is_some_and(|met| other.meet(met))
    }

    /// Whether the gate is closed.
    pub fn is_gone(&self) -> bool {
        self.head().gate.is_closed()
    }
}

impl fmt::Debug for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}|{}", self.name(), self.kind().as_str())?;
        for (at, tag) in self.tags().enumerate() {
            write!(f, "{}{tag}", if at == 0 { "|#" } else { "," })?;
        }
        Ok(())
    }
}

/// Where `part` lies in `whole`, when it is one of its slices.
fn offset_within(whole: &[u8], part: &[u8]) -> Option<usize> {
    let at = (part.as_ptr() as usize).checked_sub(whole.as_ptr() as usize)?;
    (at + part.len() <= whole.len()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelling<'a>(name: &'a str, tags: &'a str) -> Spelling<'a> {
        Spelling { name: name.as_bytes(), tags: tags.as_bytes(), kind: Kind::Counter, style: NameStyle::Plain }
    }

    #[test]
    fn slices_of_the_spelling_are_stored_once() {
        let wire = "b:2,a:1";
        let tags = [Cow::Borrowed(&wire[4..]), Cow::Borrowed(&wire[..3])];
        let name = "hits";
        let series = Series::new(7, spelling(name, wire), name, &tags).expect("fits");
        assert_eq!((series.slot(), series.name()), (7, "hits"));
        assert_eq!(series.tags().collect::<Vec<_>>(), ["a:1", "b:2"]);
        assert_eq!(series.spelling(), spelling(name, wire));
        assert_eq!(series.0.slice.len(), "hits".len() + wire.len() + 3 * 2);
    }

    #[test]
    fn a_long_text_has_a_wider_table() {
        for length in [200, 242, 243, 244, 245, 250, 255, 256, 14_000] {
            let tags: Vec<String> = [length, 3, 4].map(|length| "x".repeat(length)).into();
            let wire = tags.join(",");
            let places = [(0, length), (length + 1, 3), (length + 5, 4)];
            let slices: Vec<Cow<'_, str>> = places.iter().map(|&(at, length)| Cow::Borrowed(&wire[at..at + length])).collect();
            let series = Series::new(0, spelling("name", &wire), "name", &slices).expect("fits");
            assert_eq!((series.name(), series.tags().len()), ("name", 3));
            assert!(series.tags().eq(tags.iter()) && series.tag(2) == Some("xxxx") && series.tag(3).is_none(), "{length}");
        }
    }

    #[test]
    fn changed_names_and_tags_are_appended() {
        let tags = [Cow::Owned("env:prod".to_string())];
        let series = Series::new(0, spelling("hits", "x"), "app.hits", &tags).expect("fits");
        assert_eq!(series.name(), "app.hits");
        assert_eq!(series.tags().collect::<Vec<_>>(), ["env:prod"]);
        assert_eq!(series.spelling().name, b"hits");
    }

    #[test]
    fn a_series_met_after_the_look_does_not_leave() {
        let series = Series::new(0, spelling("a", ""), "a", &[]).expect("fits");
        assert!(series.meet(5));
        let seen = series.last_met();
        assert!(series.meet(6));
        assert!(!series.leave(seen));
        assert!(series.leave(6));
        assert!(!series.meet(7));
        assert!(series.is_gone());
    }
}
