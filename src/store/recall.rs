//! Reading old windows back from the file, only the columns of the series asked for.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use redb::ReadTransaction;

use super::bytes::Reader;
use super::disk::{CLOSING_PARTS, FRAMES, STAMPED};
use super::frame::{Column, Unpacker, What, columns};
use super::gather::{Depth, Gather, Scope};
use super::role::{Number, Role};
use super::shelf::total_after;
use super::sketch::{read_sketch, read_sketch_into};
use super::timeline::{PARTITION_MS, partition_of};
use crate::clock::Clock;
use crate::model::{ExpHist, SelectError};

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
    wanted: Vec<Number>,
    /// One for each number.
    lines: Vec<Line<'a>>,
    span: Span,
    scope: Scope<'a>,
    /// The window's own words about standings.
    told: HashMap<Number, Told, foldhash::fast::RandomState>,
    pub(super) damaged: BTreeSet<i64>,
    unpacker: Unpacker,
    /// The window at hand of a timer.
    window: ExpHist,
}

/// One series that is read.
struct Line<'a> {
    gathers: &'a mut [Gather],
    depth: Depth,
    /// Where its running total or sketch stands; `None` while that is not known.
    standing: Option<Standing>,
}

#[derive(Clone, Debug)]
enum Standing {
    Total(f64),
    Ever(Arc<ExpHist>),
}

impl Standing {
    /// Bytes of its sketch.
    fn bytes(&self) -> usize {
        match self {
            Standing::Total(_) => 0,
            Standing::Ever(ever) => ever.bytes(),
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Told {
    standing: Option<Standing>,
    count: Option<f64>,
    sum: Option<f64>,
}

impl<'a> Recall<'a> {
    /// Of the series of `gathers`, which ascend by number.
    pub(super) fn new(gathers: &'a mut [Gather], span: Span, scope: Scope<'a>) -> Recall<'a> {
        let (mut wanted, mut lines) = (Vec::new(), Vec::new());
        for gathers in gathers.chunk_by_mut(|a, b| a.pick.number == b.pick.number) {
            let Some(first) = gathers.first() else { continue };
            wanted.push(first.pick.number);
            let depth = gathers.iter().map(Gather::depth).max().unwrap_or(Depth::Totals);
            lines.push(Line { gathers, depth, standing: None });
        }
        let (told, damaged) = (HashMap::default(), BTreeSet::new());
        Recall { wanted, lines, span, scope, told, damaged, unpacker: Unpacker::default(), window: ExpHist::default() }
    }

    /// Reads until it is done or there is no room: nothing where memory has all that is asked for and is whole. If it is
    /// not, the file says from where on totals are not known.
    pub(super) fn read(&mut self, read: &ReadTransaction, is_whole: bool) -> Result<(), SelectError> {
        let running = self.wanted.iter().any(|number| matches!(number.role(), Some(Role::Counter | Role::Sketch)));
        // An hour begins with where totals stand.
        let first = if running { partition_of(self.span.start + 1) * PARTITION_MS + 1 } else { self.span.start + 1 };
        let end_of = |number: &Number| if number.role() == Some(Role::Recorded) { self.span.recorded_end } else { self.span.windows_end };
        let last = self.wanted.iter().map(end_of).max().unwrap_or(0);
        if first > last || is_whole && self.span.start >= last {
            return Ok(());
        }
        let (mut window, mut broken) = (0, false);
        let frames = read.open_table(FRAMES).map_err(unreadable)?;
        for row in frames.range((first.max(0) as u64, 0)..=(last.max(0) as u64, CLOSING_PARTS - 1)).map_err(unreadable)? {
            self.scope.room.check(Clock::system().instant())?;
            let (key, part) = row.map_err(unreadable)?;
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
                (0..self.lines.len()).for_each(|at| self.stand(at, None));
            }
        }
        self.finish()
    }

    /// Gives back what was taken on the way.
    fn finish(&mut self) -> Result<(), SelectError> {
        self.end_window();
        (0..self.lines.len()).for_each(|at| self.stand(at, None));
        self.scope.room.check(Clock::system().instant())
    }

    fn column(&mut self, column: &Column<'_>, end: i64) -> Option<()> {
        let until = if column.role == Role::Recorded { self.span.recorded_end } else { self.span.windows_end };
        if end > until || column.what == What::Age || !column.touches(&self.wanted)? {
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
        let mut window = std::mem::take(&mut self.window);
        for (&number, spelled) in numbers.iter().zip(column.sketches(&mut unpacker)?) {
            let Ok(at) = self.wanted.binary_search(&number) else { continue };
            let mut from = Reader(spelled);
            match column.what {
                _ if self.scope.room.is_full() => break,
                What::Sample if spelled.is_empty() => self.sketch(at, None, end),
                What::Sample => {
                    read_sketch_into(&mut window, &mut from)?;
                    self.sketch(at, Some(&window), end);
                }
                _ if spelled.is_empty() => self.tell(number, |told| told.standing = None),
                _ => {
                    let ever = Arc::new(self.lines[at].depth.trim(read_sketch(&mut from)?));
                    self.scope.room.take(ever.bytes());
                    self.tell(number, |told| told.standing = Some(Standing::Ever(ever)));
                }
            }
        }
        (self.unpacker, self.window) = (unpacker, window);
        Some(())
    }

    /// Standings that came without a sample count from here on.
    fn end_window(&mut self) {
        let mut told = std::mem::take(&mut self.told);
        for (number, told) in told.drain() {
            if let (Ok(at), Some(standing)) = (self.wanted.binary_search(&number), told.standing) {
                self.scope.room.give(standing.bytes());
                self.stand(at, Some(standing));
            }
        }
        self.told = told;
    }

    /// Notes where a series stands, and takes the room for it.
    fn stand(&mut self, at: usize, standing: Option<Standing>) {
        let bytes = |standing: &Option<Standing>| standing.as_ref().map_or(0, Standing::bytes);
        self.scope.room.take(bytes(&standing));
        let before = std::mem::replace(&mut self.lines[at].standing, standing);
        self.scope.room.give(bytes(&before));
    }

    fn tell(&mut self, number: Number, tell: impl FnOnce(&mut Told)) {
        if self.wanted.binary_search(&number).is_ok() {
            tell(self.told.entry(number).or_default());
        }
    }

    fn float(&mut self, number: Number, value: f64, end: i64) {
        let Ok(at) = self.wanted.binary_search(&number) else { return };
        let line = &mut self.lines[at];
        let value = if number.role() == Some(Role::Counter) {
            let told = self.told.remove(&number).and_then(|told| told.standing);
            let total = match (told, &line.standing) {
                (Some(Standing::Total(total)), _) => Some(total),
                (_, Some(Standing::Total(total))) => Some(total_after(*total, value)),
                _ => None,
            };
            line.standing = total.map(Standing::Total);
            let Some(total) = total else { return };
            total
        } else {
            value
        };
        if end > self.span.start {
            line.gathers.iter_mut().for_each(|gather| gather.float(self.scope, end, value));
        }
    }

    fn sketch(&mut self, at: usize, window: Option<&ExpHist>, end: i64) {
        let (scope, depth) = (self.scope, self.lines[at].depth);
        let told = self.told.remove(&self.wanted[at]).unwrap_or_default();
        scope.room.give(told.standing.as_ref().map_or(0, Standing::bytes));
        let before = self.lines[at].standing.take();
        scope.room.give(before.as_ref().map_or(0, Standing::bytes));
        let ever = match (told.standing, before) {
            (Some(Standing::Ever(ever)), _) => Some(ever),
            (_, Some(Standing::Ever(mut ever))) => {
                if let Some(window) = window {
                    depth.merge(Arc::make_mut(&mut ever), window);
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
        if end > self.span.start {
            self.lines[at].gathers.iter_mut().for_each(|gather| gather.point(scope, end, (window, &ever)));
        }
        self.stand(at, Some(Standing::Ever(ever)));
    }

    fn stale(&mut self, number: Number, end: i64) {
        let Ok(at) = self.wanted.binary_search(&number) else { return };
        if end > self.span.start {
            self.lines[at].gathers.iter_mut().for_each(|gather| gather.end(self.scope, end));
        }
    }
}

/// Calls `see` with samples that have a time of their own, `start < at <= end` in unix milliseconds, ascending in time.
pub(super) fn stamped(
    read: &ReadTransaction,
    (start, end): (i64, i64),
    mut see: impl FnMut(Number, i64, f64) -> Result<(), SelectError>,
) -> Result<(), SelectError> {
    let (first, last) = (start.div_euclid(1_000) + 1, end.div_euclid(1_000));
    if last < first.max(0) {
        return Ok(());
    }
    let table = read.open_table(STAMPED).map_err(unreadable)?;
    for row in table.range((first.max(0) as u64, 0)..=(last as u64, u64::MAX)).map_err(unreadable)? {
        let (key, value) = row.map_err(unreadable)?;
        let (second, number) = key.value();
        see(Number(number), second as i64 * 1_000, value.value())?;
    }
    Ok(())
}

fn unreadable(error: impl Into<redb::Error>) -> SelectError {
    SelectError::Store(error.into().to_string())
}
