//! Reading old windows back from the file, only the columns of the series asked for.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use redb::ReadTransaction;

use super::bytes::Reader;
use super::disk::{CLOSING_PARTS, FRAMES, STAMPED};
use super::frame::{Column, Unpacker, What, columns};
use super::history::Point;
use super::role::{Number, Role};
use super::shelf::total_after;
use super::sketch::read_sketch;
use super::timeline::{PARTITION_MS, partition_of};
use crate::model::ExpHist;

/// The samples of one series, ascending. `None` and [`Point::Stale`] are ends.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Line {
    Floats(Vec<(i64, Option<f64>)>),
    Points(Vec<(i64, Point)>),
}

/// What to read: `start < at <= end`, by how the series come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: i64,
    pub(super) windows_end: i64,
    pub(super) recorded_end: i64,
}

/// One reading of the file.
pub(super) struct Recall<'a> {
    /// Ascending.
    wanted: &'a [Number],
    span: Span,
    lines: Vec<Line>,
    /// Where each running total or sketch stands; `None` while that is not known.
    standings: Vec<Option<Standing>>,
    /// The window's own words about standings.
    told: HashMap<Number, Told, foldhash::fast::RandomState>,
    pub(super) damaged: BTreeSet<i64>,
    /// Samples that may still be added; reading stops when there is no room.
    room: usize,
    pub(super) full: bool,
    unpacker: Unpacker,
}

#[derive(Clone, Debug)]
enum Standing {
    Total(f64),
    Ever(Arc<ExpHist>),
}

#[derive(Clone, Debug, Default)]
struct Told {
    standing: Option<Standing>,
    count: Option<f64>,
    sum: Option<f64>,
}

impl<'a> Recall<'a> {
    pub(super) fn new(wanted: &'a [Number], span: Span, room: usize) -> Recall<'a> {
        let empty = |number: &Number| match number.role() {
            Some(Role::Sketch) => Line::Points(Vec::new()),
            _ => Line::Floats(Vec::new()),
        };
        Recall {
            wanted,
            span,
            lines: wanted.iter().map(empty).collect(),
            standings: vec![None; wanted.len()],
            told: HashMap::default(),
            damaged: BTreeSet::new(),
            room,
            full: false,
            unpacker: Unpacker::default(),
        }
    }

    /// Reads; answers one line for each number wanted.
    pub(super) fn read(&mut self, read: &ReadTransaction) -> Result<Vec<Line>, redb::Error> {
        let running = self.wanted.iter().any(|number| matches!(number.role(), Some(Role::Counter | Role::Sketch)));
        // An hour begins with where totals stand.
        let first = if running { partition_of(self.span.start + 1) * PARTITION_MS + 1 } else { self.span.start + 1 };
        let end_of = |number: &Number| if number.role() == Some(Role::Recorded) { self.span.recorded_end } else { self.span.windows_end };
        let last = self.wanted.iter().map(end_of).max().unwrap_or(0);
        if first <= last {
            let (mut window, mut broken) = (0, false);
            for row in read.open_table(FRAMES)?.range((first.max(0) as u64, 0)..=(last.max(0) as u64, CLOSING_PARTS - 1))? {
                if self.full {
                    break;
                }
                let (key, part) = row?;
                let end = key.value().0 as i64;
                if std::mem::replace(&mut window, end) != end {
                    self.end_window();
                    broken = false;
                }
                let whole =
                    columns(part.value(), key.value().0).and_then(|columns| columns.iter().try_for_each(|column| self.column(column, end)));
                if whole.is_none() {
                    broken = true;
                    self.damaged.insert(end);
                }
                if broken {
                    // Whose gains are missing is not known: totals are right again at the next checkpoint.
                    self.standings.iter_mut().for_each(|standing| *standing = None);
                }
            }
        }
        Ok(std::mem::take(&mut self.lines))
    }

    fn column(&mut self, column: &Column<'_>, end: i64) -> Option<()> {
        let until = if column.role == Role::Recorded { self.span.recorded_end } else { self.span.windows_end };
        if end > until || column.what == What::Age || !column.touches(self.wanted)? {
            return Some(());
        }
        let numbers: Vec<Number> = column.numbers()?.collect();
        if column.role == Role::Sketch && matches!(column.what, What::Sample | What::Standing) {
            return self.sketches(column, &numbers, end);
        }
        match (column.what, column.role) {
            (What::Sample, _) => {
                for (number, value) in numbers.into_iter().zip(column.floats()?) {
                    self.float(number, value, end);
                }
            }
            (What::Stale, _) => numbers.into_iter().for_each(|number| self.stale(number, end)),
            (what, _) => {
                for (number, value) in numbers.into_iter().zip(column.floats()?) {
                    self.tell(number, |told| match what {
                        What::Count => told.count = Some(value),
                        What::Sum => told.sum = Some(value),
                        _ => told.standing = Some(Standing::Total(value)),
                    });
                }
            }
        }
        Some(())
    }

    /// Only the sketches of the series asked for are read.
    fn sketches(&mut self, column: &Column<'_>, numbers: &[Number], end: i64) -> Option<()> {
        let mut unpacker = std::mem::take(&mut self.unpacker);
        for (&number, spelled) in numbers.iter().zip(column.sketches(&mut unpacker)?) {
            if self.wanted.binary_search(&number).is_err() {
                continue;
            }
            let sketch = if spelled.is_empty() { None } else { Some(read_sketch(&mut Reader(spelled))?) };
            match column.what {
                What::Sample => self.sketch(number, sketch, end),
                _ => self.tell(number, |told| told.standing = sketch.map(|ever| Standing::Ever(Arc::new(ever)))),
            }
        }
        self.unpacker = unpacker;
        Some(())
    }

    /// Standings that came without a sample count from here on.
    fn end_window(&mut self) {
        for (number, told) in self.told.drain() {
            if let (Ok(at), Some(standing)) = (self.wanted.binary_search(&number), told.standing) {
                self.standings[at] = Some(standing);
            }
        }
    }

    fn take_room(&mut self) {
        self.full |= self.room == 0;
        self.room = self.room.saturating_sub(1);
    }

    fn tell(&mut self, number: Number, tell: impl FnOnce(&mut Told)) {
        if self.wanted.binary_search(&number).is_ok() {
            tell(self.told.entry(number).or_default());
        }
    }

    fn float(&mut self, number: Number, value: f64, end: i64) {
        let Ok(at) = self.wanted.binary_search(&number) else { return };
        let value = if number.role() == Some(Role::Counter) {
            let told = self.told.remove(&number).and_then(|told| told.standing);
            let total = match (told, &self.standings[at]) {
                (Some(Standing::Total(total)), _) => Some(total),
                (_, Some(Standing::Total(total))) => Some(total_after(*total, value)),
                _ => None,
            };
            self.standings[at] = total.map(Standing::Total);
            let Some(total) = total else { return };
            total
        } else {
            value
        };
        if let (Line::Floats(line), true) = (&mut self.lines[at], end > self.span.start) {
            // Written twice after a commit of unknown outcome: the first counts.
            if line.last().is_none_or(|&(last, _)| last < end) {
                line.push((end, Some(value)));
                self.take_room();
            }
        }
    }

    fn sketch(&mut self, number: Number, window: Option<ExpHist>, end: i64) {
        let Ok(at) = self.wanted.binary_search(&number) else { return };
        let told = self.told.remove(&number).unwrap_or_default();
        let ever = match (told.standing, self.standings[at].take()) {
            (Some(Standing::Ever(ever)), _) => Some(ever),
            (_, Some(Standing::Ever(mut ever))) => {
                if let Some(window) = &window {
                    Arc::make_mut(&mut ever).merge(window);
                }
                Some(ever)
            }
            _ => None,
        };
        let Some(mut ever) = ever else { return };
        if let Some((count, sum)) = told.count.zip(told.sum) {
            let ever = Arc::make_mut(&mut ever);
            (ever.count, ever.sum) = (count, sum);
        }
        self.standings[at] = Some(Standing::Ever(ever.clone()));
        if let (Line::Points(line), true) = (&mut self.lines[at], end > self.span.start) {
            line.push((end, Point::Sample { window: window.map(Arc::new), ever }));
            self.take_room();
        }
    }

    fn stale(&mut self, number: Number, end: i64) {
        let Ok(at) = self.wanted.binary_search(&number) else { return };
        if end > self.span.start {
            match &mut self.lines[at] {
                Line::Floats(line) => line.push((end, None)),
                Line::Points(line) => line.push((end, Point::Stale)),
            }
        }
    }
}

/// Samples with a time of their own, `start < at <= end` in unix milliseconds, ascending in time.
pub(super) fn stamped(read: &ReadTransaction, wanted: &[Number], start: i64, end: i64) -> Result<Vec<(Number, i64, f64)>, redb::Error> {
    let (first, last) = (start.div_euclid(1_000) + 1, end.div_euclid(1_000));
    if last < first.max(0) {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for row in read.open_table(STAMPED)?.range((first.max(0) as u64, 0)..=(last as u64, u64::MAX))? {
        let (key, value) = row?;
        let (second, number) = key.value();
        if wanted.binary_search(&Number(number)).is_ok() {
            found.push((Number(number), second as i64 * 1_000, value.value()));
        }
    }
    Ok(found)
}
