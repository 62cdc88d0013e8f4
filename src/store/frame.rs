//! A window on disk: columns by role, cut into parts that stand alone (`docs/format.md`).

use super::bytes::{Reader, put_varint};
use super::floats::{put_floats, read_floats};
use super::role::{Number, Role};

/// First byte of every part.
const VERSION: u8 = 1;
/// Bytes of a part, so that the database keeps it in four pages.
pub(super) const PART_BYTES: usize = 16_340;
/// Rows of one column.
const ROWS: usize = 1_024;
/// Plain bytes of sketches in one column.
const SKETCH_BYTES: usize = 14_000;
/// Plain bytes a column may unpack to; two sketches of full size are well below.
const UNPACKED: usize = 1 << 17;
/// Compression of sketches.
const LEVEL: i32 = 1;
/// Version and checksum.
const HEAD: usize = 5;

/// What a column says about its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum What {
    /// The window's sample: a gain, a value or a sketch.
    Sample = 0,
    /// The series ended; no values.
    Stale = 1,
    /// The running total, or sum of all sketches, after this window.
    Standing = 2,
    /// Windows since the series last received something.
    Age = 3,
    /// A timer's running count after this window, where adding up gives another.
    Count = 4,
    /// The same for its sum.
    Sum = 5,
}

impl What {
    fn from_u8(number: u8) -> Option<What> {
        [What::Sample, What::Stale, What::Standing, What::Age, What::Count, What::Sum].get(usize::from(number)).copied()
    }
}

/// Builds the parts of one window.
pub(super) struct FrameWriter {
    parts: Vec<Vec<u8>>,
    open: Vec<u8>,
    end: u64,
    interval: u64,
    /// Made with the first column of sketches, since it is costly.
    compressor: Option<zstd::bulk::Compressor<'static>>,
}

impl FrameWriter {
    /// For the window that ends at `end`; both in milliseconds.
    pub(super) fn new(end: i64, interval: u64) -> FrameWriter {
        FrameWriter { parts: Vec::new(), open: Vec::new(), end: end.max(0) as u64, interval, compressor: None }
    }

    /// Floats by ascending sequence.
    pub(super) fn floats(&mut self, what: What, role: Role, ids: &[u64], values: &[f64]) {
        let mut body = Vec::new();
        for (ids, values) in ids.chunks(ROWS).zip(values.chunks(ROWS)) {
            body.clear();
            put_ids(&mut body, ids);
            put_floats(&mut body, values);
            self.column(what, role, ids.len(), &body);
        }
    }

    /// Ends by ascending sequence.
    pub(super) fn ends(&mut self, role: Role, ids: &[u64]) {
        self.floats(What::Stale, role, ids, &vec![0.0; ids.len()]);
    }

    /// Sketches by ascending sequence, as `put` spells them; nothing is an idle row.
    pub(super) fn sketches<S>(&mut self, what: What, rows: impl Iterator<Item = (u64, S)>, put: impl Fn(&mut Vec<u8>, S)) {
        let (mut ids, mut plain, mut one) = (Vec::new(), Vec::new(), Vec::new());
        for (id, sketch) in rows {
            one.clear();
            put(&mut one, sketch);
            if ids.len() == ROWS || plain.len() + one.len() > SKETCH_BYTES {
                self.sketch_column(what, &mut ids, &mut plain);
            }
            ids.push(id);
            put_varint(&mut plain, one.len() as u64);
            plain.extend_from_slice(&one);
        }
        self.sketch_column(what, &mut ids, &mut plain);
    }

    fn sketch_column(&mut self, what: What, ids: &mut Vec<u64>, plain: &mut Vec<u8>) {
        if ids.is_empty() {
            return;
        }
        let mut body = Vec::with_capacity(plain.len() + ids.len());
        put_ids(&mut body, ids);
        put_varint(&mut body, plain.len() as u64);
        if self.compressor.is_none() {
            self.compressor = zstd::bulk::Compressor::new(LEVEL).ok();
        }
        // Compression into memory cannot fail; if it does, plain bytes say the same.
        let packed = self.compressor.as_mut().and_then(|compressor| compressor.compress(plain).ok());
        let packed = packed.filter(|packed| packed.len() < plain.len());
        body.push(u8::from(packed.is_some()));
        body.extend_from_slice(packed.as_deref().unwrap_or(plain));
        self.column(what, Role::Sketch, ids.len(), &body);
        ids.clear();
        plain.clear();
    }

    fn column(&mut self, what: What, role: Role, rows: usize, body: &[u8]) {
        if !self.open.is_empty() && self.open.len() + body.len() + 12 > PART_BYTES {
            self.close();
        }
        if self.open.is_empty() {
            self.begin();
        }
        self.open.push((what as u8) << 4 | role as u8);
        put_varint(&mut self.open, rows as u64);
        put_varint(&mut self.open, body.len() as u64);
        self.open.extend_from_slice(body);
    }

    fn begin(&mut self) {
        self.open.extend_from_slice(&[VERSION, 0, 0, 0, 0]);
        put_varint(&mut self.open, self.end);
        put_varint(&mut self.open, self.interval);
    }

    fn close(&mut self) {
        let mut part = std::mem::take(&mut self.open);
        let sum = crc32c::crc32c(&part[HEAD..]);
        part[1..HEAD].copy_from_slice(&sum.to_le_bytes());
        part.shrink_to_fit();
        self.parts.push(part);
    }

    /// The parts. A window without a series has one too: it says that the window was.
    pub(super) fn finish(mut self) -> Vec<Vec<u8>> {
        if self.open.is_empty() && self.parts.is_empty() {
            self.begin();
        }
        if !self.open.is_empty() {
            self.close();
        }
        self.parts
    }
}

/// Ascending ids as runs of gap and length, behind the number of runs.
fn put_ids(out: &mut Vec<u8>, ids: &[u64]) {
    let runs: Vec<&[u64]> = ids.chunk_by(|a, b| a + 1 == *b).collect();
    put_varint(out, runs.len() as u64);
    let mut next = 0;
    for run in runs {
        put_varint(out, run[0] - next);
        put_varint(out, run.len() as u64);
        next = run[0] + run.len() as u64;
    }
}

/// A column of a part whose checksum is right.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column<'a> {
    pub(super) what: What,
    pub(super) role: Role,
    rows: usize,
    body: Reader<'a>,
}

/// The columns of a part of the window that ends at `end`; `None` when it is damaged or another's.
pub(super) fn columns(part: &[u8], end: u64) -> Option<Vec<Column<'_>>> {
    let (head, rest) = part.split_at_checked(HEAD)?;
    if head[0] != VERSION || head[1..] != crc32c::crc32c(rest).to_le_bytes() {
        return None;
    }
    let mut from = Reader(rest);
    if from.varint()? != end {
        return None;
    }
    from.varint()?;
    let mut columns = Vec::new();
    while !from.is_empty() {
        let kind = from.byte()?;
        let (what, role) = (What::from_u8(kind >> 4)?, Role::from_u8(kind & 15)?);
        let rows = from.size().filter(|&rows| rows <= ROWS)?;
        let len = from.size()?;
        columns.push(Column { what, role, rows, body: Reader(from.take(len)?) });
    }
    Some(columns)
}

impl<'a> Column<'a> {
    /// The runs of ids as `(first, length)`, and the reader behind them.
    fn runs(&self) -> Option<(Vec<(u64, u64)>, Reader<'a>)> {
        let mut from = self.body;
        let count = from.size().filter(|&count| count <= self.rows)?;
        let mut runs = Vec::with_capacity(count);
        let (mut next, mut rows) = (0u64, 0u64);
        for _ in 0..count {
            let first = next.checked_add(from.varint()?)?;
            let len = from.varint().filter(|&len| len <= ROWS as u64)?;
            next = first + len;
            rows += len;
            if next > Number::SEQUENCES + 1 {
                return None;
            }
            runs.push((first, len));
        }
        (rows == self.rows as u64).then_some((runs, from))
    }

    /// The numbers of the series, one per row.
    pub(super) fn numbers(&self) -> Option<impl Iterator<Item = Number> + use<>> {
        let (role, (runs, _)) = (self.role, self.runs()?);
        Some(runs.into_iter().flat_map(move |(first, len)| (first..first + len).map(move |id| Number::new(role, id))))
    }

    /// Whether a row belongs to one of `wanted`, which ascend.
    pub(super) fn touches(&self, wanted: &[Number]) -> Option<bool> {
        let (runs, _) = self.runs()?;
        Some(runs.into_iter().any(|(first, len)| {
            let (first, last) = (Number::new(self.role, first), Number::new(self.role, first + len.max(1) - 1));
            let at = wanted.partition_point(|number| *number < first);
            wanted.get(at).is_some_and(|number| *number <= last)
        }))
    }

    /// The values of a column of floats.
    pub(super) fn floats(&self) -> Option<Vec<f64>> {
        let (_, mut from) = self.runs()?;
        read_floats(&mut from, self.rows)
    }

    /// The sketches of a column of sketches, as they are spelled, one per row; nothing is an idle row.
    pub(super) fn sketches<'b>(&'b self, unpacker: &'b mut Unpacker) -> Option<Vec<&'b [u8]>> {
        let (_, mut from) = self.runs()?;
        let len = from.size().filter(|&len| len <= UNPACKED)?;
        let mut plain = match from.byte()? {
            0 => from,
            _ => Reader(unpacker.unpack(from.0, len)?),
        };
        (0..self.rows)
            .map(|_| {
                let len = plain.size()?;
                plain.take(len)
            })
            .collect()
    }
}

/// Unpacks columns of sketches, one after the other.
#[derive(Default)]
pub(super) struct Unpacker {
    /// Made with the first column, since it is costly.
    decompressor: Option<zstd::bulk::Decompressor<'static>>,
    plain: Vec<u8>,
}

impl Unpacker {
    fn unpack(&mut self, packed: &[u8], len: usize) -> Option<&[u8]> {
        if self.decompressor.is_none() {
            self.decompressor = zstd::bulk::Decompressor::new().ok();
        }
        self.plain.clear();
        self.plain.reserve(len);
        self.decompressor.as_mut()?.decompress_to_buffer(packed, &mut self.plain).ok()?;
        Some(&self.plain)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sketch::put_sketch;
    use super::*;
    use crate::model::ExpHist;
    use proptest::prelude::*;

    fn read(parts: &[Vec<u8>], what: What) -> Vec<(Number, u64)> {
        let columns = parts.iter().flat_map(|part| columns(part, 7).unwrap());
        columns
            .filter(|column| column.what == what && column.role != Role::Sketch)
            .flat_map(|column| column.numbers().unwrap().zip(column.floats().unwrap().into_iter().map(f64::to_bits)))
            .collect()
    }

    fn frame(rows: &[(u64, f64)]) -> Vec<Vec<u8>> {
        let (ids, values): (Vec<u64>, Vec<f64>) = rows.iter().copied().unzip();
        let mut writer = FrameWriter::new(7, 10_000);
        writer.floats(What::Sample, Role::Counter, &ids, &values);
        writer.ends(Role::Gauge, &ids);
        writer.finish()
    }

    fn rows() -> impl Strategy<Value = Vec<(u64, f64)>> {
        let row = (1u64..50, prop_oneof![3 => (0..9i32).prop_map(f64::from), 1 => any::<f64>()]);
        proptest::collection::vec(row, 0..3_000).prop_map(|steps| {
            let mut id = 0;
            steps
                .into_iter()
                .map(|(gap, value)| {
                    id += if gap > 40 { gap } else { 1 };
                    (id, value)
                })
                .collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_frame_comes_back(rows in rows()) {
            let parts = frame(&rows);
            prop_assert!(parts.iter().all(|part| part.len() <= PART_BYTES));
            let expected: Vec<_> = rows.iter().map(|(id, value)| (Number::new(Role::Counter, *id), value.to_bits())).collect();
            prop_assert_eq!(read(&parts, What::Sample), expected);
            let ends: Vec<_> = read(&parts, What::Stale).into_iter().map(|(number, _)| number.sequence()).collect();
            prop_assert_eq!(ends, rows.iter().map(|(id, _)| *id).collect::<Vec<_>>());
        }

        #[test]
        fn damage_is_seen_and_never_panics(rows in rows(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut part = frame(&rows)[0].clone();
            let at = at.index(part.len());
            part[at] ^= 1 << bit;
            prop_assert!(columns(&part, 7).is_none());
        }

        #[test]
        fn nonsense_under_a_right_checksum_never_panics(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let body = [&[7], body.as_slice()].concat();
            let mut part = vec![VERSION];
            part.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
            part.extend_from_slice(&body);
            for column in columns(&part, 7).unwrap_or_default() {
                let _ = (column.numbers().map(Iterator::count), column.floats(), column.touches(&[Number(7)]));
                let _ = column.sketches(&mut Unpacker::default());
            }
        }
    }

    #[test]
    fn sketches_come_back_over_many_parts() {
        let sketches: Vec<Vec<u8>> = (0..2_000u64)
            .map(|row| {
                let mut spelled = Vec::new();
                if row % 3 != 0 {
                    let mut sketch = ExpHist::default();
                    (0..row % 50).for_each(|value| sketch.record((value * row) as f64, 1.5));
                    put_sketch(&mut spelled, &sketch);
                }
                spelled
            })
            .collect();
        let mut writer = FrameWriter::new(7, 10_000);
        writer.sketches(What::Sample, (0..).zip(&sketches), |out, spelled| out.extend_from_slice(spelled));
        let (parts, mut unpacker, mut read) = (writer.finish(), Unpacker::default(), Vec::new());
        for column in parts.iter().flat_map(|part| columns(part, 7).unwrap()) {
            read.extend(column.sketches(&mut unpacker).unwrap().into_iter().map(<[u8]>::to_vec));
        }
        assert_eq!(read, sketches);
    }

    #[test]
    fn a_column_knows_whose_rows_it_has() {
        let parts = frame(&[(3, 1.0), (4, 1.0), (9, 1.0)]);
        let column = columns(&parts[0], 7).unwrap()[0];
        assert!(columns(&parts[0], 8).is_none(), "a frame under another window's key");
        for (id, expected) in [(2, false), (3, true), (4, true), (5, false), (9, true), (10, false)] {
            assert_eq!(column.touches(&[Number::new(Role::Counter, id)]), Some(expected), "{id}");
        }
        assert_eq!(column.touches(&[Number::new(Role::Gauge, 3)]), Some(false));
    }
}
