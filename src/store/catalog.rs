//! Names, series and final standings as rows of their tables.

use super::bytes::{Reader, put_float, put_text, put_varint};
use super::role::{Number, Role};
use super::shelf::{Known, Shelf};
use super::sketch::{put_sketch, read_sketch};
use crate::model::series::{NameStyle, Spelling};
use crate::model::{ExpHist, Kind, Labels, Series};
use crate::parse;
use std::borrow::Cow;

use super::names::{Name, Names};
use super::symbols::Symbols;

/// A row under its key's checksum: damage of either is seen.
pub(super) fn sealed(key: u64, mut row: Vec<u8>) -> Vec<u8> {
    let sum = crc32c::crc32c_append(crc32c::crc32c(&key.to_le_bytes()), &row);
    row.extend_from_slice(&sum.to_le_bytes());
    row
}

/// The row inside; `None` when it is damaged.
pub(super) fn opened(key: u64, sealed: &[u8]) -> Option<&[u8]> {
    let (row, sum) = sealed.split_last_chunk::<4>()?;
    (crc32c::crc32c_append(crc32c::crc32c(&key.to_le_bytes()), row).to_le_bytes() == *sum).then_some(row)
}

/// Kind, name, Prometheus name.
pub(super) fn put_name(name: &Name) -> Vec<u8> {
    let mut out = vec![name.kind as u8];
    put_text(&mut out, &name.name);
    put_text(&mut out, &name.prom_name);
    out
}

/// Reads what [`put_name`] wrote.
pub(super) fn read_name(bytes: &[u8]) -> Option<(Kind, &str, &str)> {
    let mut from = Reader(bytes);
    Some((Kind::from_u8(from.byte()?)?, from.text()?, from.text()?))
}

/// Creation, then name index, tags and the name in the first line if it is another, or the label pairs of a recorded
/// series.
pub(super) fn put_series(known: &Known, symbols: &Symbols) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, known.created.max(0) as u64);
    match &known.series {
        Some(series) => {
            put_varint(&mut out, known.name);
            let tags = series.tags();
            put_varint(&mut out, tags.len() as u64);
            tags.for_each(|tag| put_text(&mut out, tag));
            if let Some(sent) = sent_name(series) {
                put_text(&mut out, &sent);
            }
        }
        None => {
            let pairs = symbols.pairs(&known.labels);
            put_varint(&mut out, pairs.len() as u64);
            for (name, value) in pairs {
                put_text(&mut out, name);
                put_text(&mut out, value);
            }
        }
    }
    out
}

/// The name in the line a series was born of, unless it is its own.
pub(super) fn sent_name(series: &Series) -> Option<Cow<'_, str>> {
    Some(parse::identity(series.spelling()).name).filter(|sent| sent != series.name())
}

/// A row of the `series` table.
pub(super) enum SeriesRow {
    Received { created: i64, name: u64, series: Series },
    Recorded { created: i64, labels: Labels },
}

/// Reads what [`put_series`] wrote. `names` gives kind and text of a name index.
pub(super) fn read_series(number: Number, bytes: &[u8], names: &Names) -> Option<SeriesRow> {
    let mut from = Reader(bytes);
    let created = i64::try_from(from.varint()?).ok()?;
    if number.role()? == Role::Recorded {
        let n = from.size()?;
        let pairs: Option<Vec<(String, String)>> = (0..n).map(|_| Some((from.text()?.to_string(), from.text()?.to_string()))).collect();
        return Some(SeriesRow::Recorded { created, labels: Labels::new(pairs?) });
    }
    let name = from.varint()?;
    let known = names.at(name)?;
    let n = from.size()?;
    let tags: Option<Vec<Cow<'_, str>>> = (0..n).map(|_| from.text().map(Cow::Borrowed)).collect();
    let tags = tags?;
    let sent = if from.is_empty() { &known.name } else { from.text()? };
    let spelling = Spelling { name: sent.as_bytes(), tags: b"", kind: known.kind, style: NameStyle::Canonical };
    // No registry gave it a slot; the first window it is in brings the handle that has one.
    let series = Series::new(u32::MAX, spelling, &known.name, &tags)?;
    Some(SeriesRow::Received { created, name, series })
}

/// When a series left and where it stood.
pub(super) fn put_total(shelf: &Shelf, place: usize) -> Vec<u8> {
    let (mut out, known) = (Vec::new(), &shelf.known[place]);
    put_varint(&mut out, known.left.max(0) as u64);
    match shelf.tracks.ever(place) {
        None => put_float(&mut out, known.value),
        Some(ever) => put_sketch(&mut out, ever),
    }
    out
}

/// Reads what [`put_total`] wrote.
pub(super) fn read_total(role: Role, bytes: &[u8]) -> Option<(i64, f64, Option<ExpHist>)> {
    let mut from = Reader(bytes);
    let left = i64::try_from(from.varint()?).ok()?;
    match role {
        Role::Sketch => Some((left, 0.0, Some(read_sketch(&mut from)?))),
        _ => Some((left, from.float()?, None)),
    }
}
