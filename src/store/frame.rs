//! A window on disk: columns by role, cut into parts that stand alone (`docs/format.md`).

use super::bytes::{Reader, put_varint};
use super::floats::{put_floats, read_floats};
use super::role::{Number, Role};
use super::sketch::{put_sketch, read_sketch};
use crate::model::ExpHist;

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
    pub(super) fn floats(&mut self, what: What, role: Role, ids: &[u32], values: &[f64]) {
        let mut body = Vec::new();
        for (ids, values) in ids.chunks(ROWS).zip(values.chunks(ROWS)) {
            body.clear();
            put_ids(&mut body, ids);
            put_floats(&mut body, values);
            self.column(what, role, ids.len(), &body);
        }
    }

    /// Ends by ascending sequence.
    pub(super) fn ends(&mut self, role: Role, ids: &[u32]) {
        self.floats(What::Stale, role, ids, &vec![0.0; ids.len()]);
    }

    /// Sketches by ascending sequence; `None` is an idle row.
    pub(super) fn sketches<'a>(&mut self, what: What, rows: impl Iterator<Item = (u32, Option<&'a ExpHist>)>) {
        let (mut ids, mut plain, mut one) = (Vec::new(), Vec::new(), Vec::new());
        for (id, sketch) in rows {
            one.clear();
            if let Some(sketch) = sketch {
                put_sketch(&mut one, sketch);
            }
            if ids.len() == ROWS || plain.len() + one.len() > SKETCH_BYTES {
                self.sketch_column(what, &mut ids, &mut plain);
            }
            ids.push(id);
            put_varint(&mut plain, one.len() as u64);
            plain.extend_from_slice(&one);
        }
        self.sketch_column(what, &mut ids, &mut plain);
    }

    fn sketch_column(&mut self, what: What, ids: &mut Vec<u32>, plain: &mut Vec<u8>) {
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
fn put_ids(out: &mut Vec<u8>, ids: &[u32]) {
    let runs: Vec<&[u32]> = ids.chunk_by(|a, b| a + 1 == *b).collect();
    put_varint(out, runs.len() as u64);
    let mut next = 0;
    for run in runs {
        put_varint(out, u64::from(run[0] - next));
        put_varint(out, run.len() as u64);
        next = run[0] + run.len() as u32;
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
    fn runs(&self) -> Option<(Vec<(u32, u32)>, Reader<'a>)> {
        let mut from = self.body;
        let count = from.size().filter(|&count| count <= self.rows)?;
        let mut runs = Vec::with_capacity(count);
        let (mut next, mut rows) = (0u64, 0u64);
        for _ in 0..count {
            let first = next.checked_add(from.varint()?)?;
            let len = from.varint().filter(|&len| len <= ROWS as u64)?;
            next = first + len;
            rows += len;
            if next > u64::from(Number::SEQUENCES) + 1 {
                return None;
            }
            runs.push((first as u32, len as u32));
        }
        (rows == self.rows as u64).then_some((runs, from))
    }

    /// The numbers of the series, one per row.
    pub(super) fn numbers(&self) -> Option<Vec<Number>> {
        let (runs, _) = self.runs()?;
        Some(runs.into_iter().flat_map(|(first, len)| (first..first + len).map(|id| Number::new(self.role, id))).collect())
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

    /// The sketches of a column of sketches; `None` inside is an idle row.
    pub(super) fn sketches(&self) -> Option<Vec<Option<ExpHist>>> {
        let (_, mut from) = self.runs()?;
        let len = from.size().filter(|&len| len <= UNPACKED)?;
        let unpacked;
        let mut plain = match from.byte()? {
            0 => from,
            _ => {
                unpacked = zstd::bulk::decompress(from.0, len).ok()?;
                Reader(&unpacked)
            }
        };
        (0..self.rows)
            .map(|_| {
                let len = plain.size()?;
                let mut one = Reader(plain.take(len)?);
                if one.is_empty() { Some(None) } else { read_sketch(&mut one).map(Some) }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(parts: &[Vec<u8>], what: What) -> Vec<(Number, u64)> {
        let columns = parts.iter().flat_map(|part| columns(part, 7).unwrap());
        columns
            .filter(|column| column.what == what && column.role != Role::Sketch)
            .flat_map(|column| column.numbers().unwrap().into_iter().zip(column.floats().unwrap().into_iter().map(f64::to_bits)))
            .collect()
    }

    fn frame(rows: &[(u32, f64)]) -> Vec<Vec<u8>> {
        let (ids, values): (Vec<u32>, Vec<f64>) = rows.iter().copied().unzip();
        let mut writer = FrameWriter::new(7, 10_000);
        writer.floats(What::Sample, Role::Counter, &ids, &values);
        writer.ends(Role::Gauge, &ids);
        writer.finish()
    }

    fn rows() -> impl Strategy<Value = Vec<(u32, f64)>> {
        let row = (1u32..50, prop_oneof![3 => (0..9i32).prop_map(f64::from), 1 => any::<f64>()]);
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
                let _ = (column.numbers(), column.floats(), column.sketches(), column.touches(&[Number(7)]));
            }
        }
    }

    #[test]
    fn sketches_come_back_over_many_parts() {
        let sketches: Vec<Option<ExpHist>> = (0..2_000)
            .map(|row| {
                (row % 3 != 0).then(|| {
                    let mut sketch = ExpHist::default();
                    (0..row % 50).for_each(|value| sketch.record(f64::from(value * row), 1.5));
                    sketch
                })
            })
            .collect();
        let mut writer = FrameWriter::new(7, 10_000);
        writer.sketches(What::Sample, sketches.iter().enumerate().map(|(id, sketch)| (id as u32, sketch.as_ref())));
        let parts = writer.finish();
        let read: Vec<_> = parts.iter().flat_map(|part| columns(part, 7).unwrap()).flat_map(|column| column.sketches().unwrap()).collect();
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
