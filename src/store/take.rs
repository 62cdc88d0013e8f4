//! A window's way into the head, and its frame for the disk.

use std::collections::HashMap;
use std::sync::Arc;

use super::frame::{FrameWriter, What};
use super::head::{Head, WINDOWED};
use super::journal::{put_check, put_event};
use super::queue::Pending;
use super::role::Role;
use super::shelf::{Known, Shelf, total_after};
use super::sketch::put_sketch;
use crate::model::{Column, ExpHist, Window};

/// What became of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// In memory, and waits for its commit.
    Queued,
    /// In memory, and will not be on disk: too much waits already.
    Lost,
    /// Not later than the one before: nothing changed.
    Late,
}

impl Head {
    /// Takes a window in: into memory, and into the queue for the disk.
    pub(super) fn append(&mut self, window: &Window) -> Taken {
        if self.last_window.is_some_and(|last| window.end <= last) {
            return Taken::Late;
        }
        let turned = self.turn_windows(window.end);
        let Some(slot) = self.windows.slot(window.end) else { return Taken::Late };
        self.last_window = Some(window.end);
        self.serial = self.serial.wrapping_add(1);
        self.take_rows(window, slot);
        let mut frame = FrameWriter::new(window.end, window.length.as_millis() as u64);
        self.write_ends(&mut frame, slot, window.end);
        let checkpoint = turned || self.checkpoint_due;
        self.write_standings(&mut frame, checkpoint);
        self.write_samples(&mut frame);
        self.record_into(&mut frame, window.end, &window.own);
        let stamped = window.stamped.iter().filter_map(|stamped| self.stamp(stamped, window)).collect();
        let pending = Pending { at: window.end, is_window: true, parts: frame.finish(), stamped, notes: notes(window) };
        self.bound_known();
        self.let_go(window.end);
        // A frame that is not kept breaks the chain of gains: the next one starts it anew.
        self.checkpoint_due = !self.queue.push(pending);
        if self.checkpoint_due { Taken::Lost } else { Taken::Queued }
    }

    fn take_rows(&mut self, window: &Window, slot: u16) {
        let mut rows = HashMap::with_capacity(window.roster.len());
        for (family, column) in window.roster.iter().zip(&window.columns) {
            let key = Arc::as_ptr(family) as usize;
            let (held, places) = match self.rows.remove(&key) {
                Some(known) => known,
                None => (family.clone(), self.places(family, window.start())),
            };
            self.take_column(&places, column, slot, window);
            rows.insert(key, (held, places));
        }
        self.rows = rows;
    }

    fn take_column(&mut self, places: &[u32], column: &Column, slot: u16, window: &Window) {
        let role = match column {
            Column::Counter { .. } => Role::Counter,
            Column::Gauge { .. } => Role::Gauge,
            Column::Set { .. } => Role::Set,
            Column::Timer { .. } => Role::Sketch,
        };
        let (shelf, scratch) = (&mut self.shelves[role as usize], &mut self.scratch[role as usize]);
        scratch.grow(shelf.known.len(), role);
        let serial = self.serial;
        for (row, (&place, &age)) in places.iter().zip(column.ages()).enumerate() {
            let place = place as usize;
            if place >= shelf.known.len() {
                continue;
            }
            let mark = std::mem::replace(&mut scratch.mark[place], serial);
            // Whoever reads the gains must know what they are added to.
            let new = mark != serial.wrapping_sub(1);
            if shelf.revive(place) {
                self.moved.insert(shelf.numbers[place]);
            }
            let known = &mut shelf.known[place];
            known.touched = window.end - i64::from(age) * self.interval;
            match column {
                Column::Counter { gain, total, .. } => {
                    let odd = total_after(known.value, gain[row]).to_bits() != total[row].to_bits();
                    scratch.value[place] = gain[row];
                    shelf.push(place, slot, total[row]);
                    if odd || new {
                        scratch.standing.push(place as u32);
                    }
                }
                Column::Gauge { value, .. } | Column::Set { count: value, .. } => {
                    scratch.value[place] = value[row];
                    shelf.push(place, slot, value[row]);
                }
                Column::Timer { count, sum, window, .. } => {
                    let start = scratch.spelled.len();
                    let window = window[row].as_ref().map(|sketches| &sketches.exp);
                    window.into_iter().for_each(|window| put_sketch(&mut scratch.spelled, window));
                    scratch.sketch[place] = start..scratch.spelled.len();
                    let Some((sketched, pile)) = shelf.tracks.sketched(place) else { continue };
                    let received = window.map(|window| (window, &scratch.spelled[start..]));
                    let (anew, odd) = sketched.push(pile, slot, received, count[row], sum[row]);
                    if anew || new {
                        scratch.standing.push(place as u32);
                    } else if odd {
                        scratch.exact.push(place as u32);
                    }
                }
            }
        }
    }

    /// Series that were live and are not in this window have left.
    fn write_ends(&mut self, frame: &mut FrameWriter, slot: u16, at: i64) {
        for role in WINDOWED {
            let (shelf, scratch) = (&mut self.shelves[role as usize], &mut self.scratch[role as usize]);
            scratch.grow(shelf.known.len(), role);
            let mut ended = Vec::new();
            for place in 0..shelf.known.len() {
                if scratch.mark[place] != self.serial && shelf.end(place, slot, at) {
                    ended.push(shelf.numbers[place].sequence());
                    self.moved.insert(shelf.numbers[place]);
                }
            }
            if !ended.is_empty() {
                frame.ends(role, &ended);
            }
        }
    }

    /// Where totals stand: of all at a checkpoint, else of those that gains do not lead to.
    fn write_standings(&mut self, frame: &mut FrameWriter, checkpoint: bool) {
        for role in [Role::Counter, Role::Sketch] {
            let (shelf, scratch) = (&self.shelves[role as usize], &mut self.scratch[role as usize]);
            if checkpoint {
                let here = |place: &u32| scratch.mark[*place as usize] == self.serial;
                scratch.standing = (0..shelf.known.len() as u32).filter(here).collect();
                scratch.exact.clear();
            }
            scratch.standing.sort_unstable();
            scratch.exact.sort_unstable();
            shelf.write_standings(frame, &scratch.standing, &scratch.exact);
            scratch.standing.clear();
            scratch.exact.clear();
        }
        if checkpoint {
            self.write_ages(frame);
        }
    }

    /// What is said behind the last window: how long each live series has been idle, and where totals stand
    /// if the frames do not say so.
    pub(super) fn closing(&self, standings: bool) -> Option<(i64, Vec<Vec<u8>>)> {
        let end = self.last_window?;
        let mut frame = FrameWriter::new(end, self.interval as u64);
        for role in [Role::Counter, Role::Sketch].into_iter().filter(|_| standings) {
            let shelf = self.shelf(role);
            let live: Vec<u32> = (0..shelf.known.len() as u32).filter(|&place| shelf.known[place as usize].is_live()).collect();
            shelf.write_standings(&mut frame, &live, &[]);
        }
        self.write_ages(&mut frame);
        Some((end, frame.finish()))
    }

    /// For how many windows each live series has received nothing.
    fn write_ages(&self, frame: &mut FrameWriter) {
        for role in WINDOWED {
            let shelf = self.shelf(role);
            let live = shelf.numbers.iter().zip(&shelf.known).filter(|(_, known)| known.is_live());
            let (ids, ages): (Vec<u64>, Vec<f64>) = live.map(|(number, known)| (number.sequence(), f64::from(self.age(known)))).unzip();
            frame.floats(What::Age, role, &ids, &ages);
        }
    }

    /// Windows since the series received something.
    pub(super) fn age(&self, known: &Known) -> u16 {
        let since = self.last_window.unwrap_or(known.touched) - known.touched;
        u16::try_from(since / self.interval.max(1)).unwrap_or(u16::MAX)
    }

    fn write_samples(&mut self, frame: &mut FrameWriter) {
        for role in WINDOWED {
            let (shelf, scratch) = (&self.shelves[role as usize], &mut self.scratch[role as usize]);
            let marks = &scratch.mark;
            let here = || (0..shelf.known.len()).filter(|&place| marks[place] == self.serial);
            if role == Role::Sketch {
                let spelled = |place: usize| &scratch.spelled[scratch.sketch[place].clone()];
                let rows = here().map(|place| (shelf.numbers[place].sequence(), spelled(place)));
                frame.sketches(What::Sample, rows, |out, spelled| out.extend_from_slice(spelled));
                scratch.spelled.clear();
            } else {
                let (ids, values): (Vec<u64>, Vec<f64>) =
                    here().map(|place| (shelf.numbers[place].sequence(), scratch.value[place])).unzip();
                frame.floats(What::Sample, role, &ids, &values);
            }
        }
    }
}

impl Shelf {
    fn write_standings(&self, frame: &mut FrameWriter, standing: &[u32], exact: &[u32]) {
        let id = |place: &u32| self.numbers[*place as usize].sequence();
        let ever = |place: &u32| self.tracks.ever(*place as usize).unwrap_or(&EMPTY);
        let ids: Vec<u64> = standing.iter().map(id).collect();
        if self.role == Role::Counter {
            let totals: Vec<f64> = standing.iter().map(|place| self.known[*place as usize].value).collect();
            return frame.floats(What::Standing, self.role, &ids, &totals);
        }
        frame.sketches(What::Standing, standing.iter().map(|place| (id(place), ever(place))), put_sketch);
        let ids: Vec<u64> = exact.iter().map(id).collect();
        let (counts, sums): (Vec<f64>, Vec<f64>) = exact.iter().map(ever).map(|ever| (ever.count, ever.sum)).unzip();
        frame.floats(What::Count, self.role, &ids, &counts);
        frame.floats(What::Sum, self.role, &ids, &sums);
    }
}

static EMPTY: ExpHist = ExpHist {
    schema: crate::model::sketch::START_SCHEMA,
    count: 0.0,
    sum: 0.0,
    min: f64::INFINITY,
    max: f64::NEG_INFINITY,
    zero: 0.0,
    positive: Vec::new(),
    negative: Vec::new(),
    buckets: None,
};

fn notes(window: &Window) -> Vec<(i64, Vec<u8>)> {
    let written = |put: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        put(&mut out);
        out
    };
    let events = window.events.iter().map(|(at, event)| (at.saturating_mul(1_000), written(&|out| put_event(out, event))));
    let checks = window.checks.iter().map(|(at, check)| (at.saturating_mul(1_000), written(&|out| put_check(out, check))));
    events.chain(checks).collect()
}
