//! The samples in memory of all series on a shelf: of the open hour, and of the one before.

use super::chunk::{self, Chunk};
use super::history::{self, Entry, History, Point};
use super::role::Role;
use super::strand::{Closed, Pile};
use super::timeline::Timeline;
use crate::model::ExpHist;

/// By place on the shelf.
#[derive(Debug)]
pub(super) struct Tracks {
    now: Open,
    pile: Pile,
    /// Empty while there is no hour before; series that were not there yet have none.
    before: Vec<Closed>,
    pile_before: Pile,
}

#[derive(Debug)]
enum Open {
    Floats(Vec<Chunk>),
    Sketches(Vec<Sketched>),
}

/// A timer in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Sketched {
    /// Everything since birth.
    pub(super) ever: ExpHist,
    now: History,
}

/// What a timer received in a window, and how that is spelled.
pub(super) type Received<'a> = (&'a ExpHist, &'a [u8]);

/// The samples of one series in memory, as they were at one moment: of the hour before, and of the open one.
#[derive(Clone, Debug)]
pub(super) enum Track {
    Floats([Vec<u8>; 2]),
    Sketches([Vec<u8>; 2]),
}

impl Tracks {
    pub(super) fn new(role: Role) -> Tracks {
        let now = if role == Role::Sketch { Open::Sketches(Vec::new()) } else { Open::Floats(Vec::new()) };
        Tracks { now, pile: Pile::default(), before: Vec::new(), pile_before: Pile::default() }
    }

    /// Makes room for one series more.
    pub(super) fn add(&mut self) {
        match &mut self.now {
            Open::Floats(chunks) => chunks.push(Chunk::default()),
            Open::Sketches(sketched) => sketched.push(Sketched::default()),
        }
    }

    /// Adds a float sample; false when the slot is taken.
    pub(super) fn push(&mut self, place: usize, slot: u16, value: f64) -> bool {
        match &mut self.now {
            Open::Floats(chunks) => chunks[place].push(&mut self.pile, slot, value),
            Open::Sketches(_) => false,
        }
    }

    /// Everything a timer ever received.
    pub(super) fn ever(&self, place: usize) -> Option<&ExpHist> {
        match &self.now {
            Open::Floats(_) => None,
            Open::Sketches(sketched) => sketched.get(place).map(|sketched| &sketched.ever),
        }
    }

    /// A timer, and where its bytes go.
    pub(super) fn sketched(&mut self, place: usize) -> Option<(&mut Sketched, &mut Pile)> {
        match &mut self.now {
            Open::Floats(_) => None,
            Open::Sketches(sketched) => Some((&mut sketched[place], &mut self.pile)),
        }
    }

    /// Marks the end of a series; false when the slot is taken.
    pub(super) fn end(&mut self, place: usize, slot: u16) -> bool {
        match &mut self.now {
            Open::Floats(chunks) => chunks[place].end(&mut self.pile, slot),
            Open::Sketches(sketched) => sketched[place].now.end(&mut self.pile, slot),
        }
    }

    /// Windows are missing from here on: the next one of each timer says where it stands.
    pub(super) fn break_off(&mut self) {
        if let Open::Sketches(sketched) = &mut self.now {
            sketched.iter_mut().for_each(|sketched| sketched.now.break_off());
        }
    }

    /// Closes the open hour of every series.
    pub(super) fn turn(&mut self) {
        let pile = &mut self.pile;
        self.before = match &mut self.now {
            Open::Floats(chunks) => chunks.iter_mut().map(|chunk| chunk.close(pile)).collect(),
            Open::Sketches(sketched) => sketched.iter_mut().map(|sketched| sketched.now.close(pile)).collect(),
        };
        self.pile_before = std::mem::take(pile);
    }

    /// Lets go of the hour before the open one.
    pub(super) fn let_go(&mut self) {
        (self.before, self.pile_before) = (Vec::new(), Pile::default());
    }

    /// Forgets the series whose place is not `kept`.
    pub(super) fn retain(&mut self, kept: &[bool]) {
        let (pile, pile_before) = (&mut self.pile, &mut self.pile_before);
        let is_kept = || kept.iter().copied();
        match &mut self.now {
            Open::Floats(chunks) => retain(chunks, is_kept(), |chunk| chunk.release(pile)),
            Open::Sketches(sketched) => retain(sketched, is_kept(), |sketched| sketched.now.release(pile)),
        }
        retain(&mut self.before, is_kept(), |closed| closed.release(pile_before));
    }

    pub(super) fn track(&self, place: usize) -> Track {
        let before = self.before.get(place).map(|closed| closed.read(&self.pile_before)).unwrap_or_default();
        match &self.now {
            Open::Floats(chunks) => Track::Floats([before, chunks[place].read(&self.pile)]),
            Open::Sketches(sketched) => Track::Sketches([before, sketched[place].now.read(&self.pile)]),
        }
    }
}

fn retain<T>(all: &mut Vec<T>, mut kept: impl Iterator<Item = bool>, mut drop: impl FnMut(&T)) {
    all.retain(|one| {
        let kept = kept.next().unwrap_or(true);
        if !kept {
            drop(one);
        }
        kept
    });
}

impl Sketched {
    /// Adds a window, after which the series stands at `count` and `sum`. Answers whether it began anew
    /// at zero, and whether adding up gives other figures.
    pub(super) fn push(&mut self, pile: &mut Pile, slot: u16, received: Option<Received<'_>>, count: f64, sum: f64) -> (bool, bool) {
        let anew = self.ever.count + received.map_or(0.0, |(window, _)| window.count) > count * (1.0 + 1e-9);
        if anew {
            self.ever = ExpHist::default();
        }
        if let Some((window, _)) = received {
            self.ever.merge(window);
        }
        let odd = (self.ever.count, self.ever.sum) != (count, sum);
        (self.ever.count, self.ever.sum) = (count, sum);
        self.enter(pile, slot, anew, received, odd.then_some((count, sum)));
        (anew, odd)
    }

    /// Adds a window as the file has it: what the series stood at after it, where the file says so, what it
    /// received, and the exact count and sum where adding up gives others. Without a slot it only counts for
    /// where the series stands.
    pub(super) fn restore(
        &mut self,
        pile: &mut Pile,
        slot: Option<u16>,
        standing: Option<ExpHist>,
        received: Option<Received<'_>>,
        exact: Option<(f64, f64)>,
    ) {
        let given = standing.is_some();
        match (standing, received) {
            (Some(standing), _) => self.ever = standing,
            (None, Some((window, _))) => self.ever.merge(window),
            (None, None) => {}
        }
        if let Some((count, sum)) = exact {
            (self.ever.count, self.ever.sum) = (count, sum);
        }
        if let Some(slot) = slot {
            self.enter(pile, slot, given, received, exact);
        }
    }

    /// Adds a window to the history, with where the series stands if that is not known from the windows before.
    fn enter(&mut self, pile: &mut Pile, slot: u16, anew: bool, received: Option<Received<'_>>, exact: Option<(f64, f64)>) {
        let standing = (anew || !self.now.stands()).then_some(&self.ever);
        let window = received.map_or(&[][..], |(_, spelled)| spelled);
        self.now.push(pile, slot, Entry { standing, window, exact });
    }
}

impl Default for Track {
    fn default() -> Self {
        Track::Floats(Default::default())
    }
}

impl Track {
    /// Bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let (Track::Floats(hours) | Track::Sketches(hours)) = self;
        hours.iter().map(Vec::len).sum()
    }

    /// Calls `see` with every float sample and its time; `None` is an end.
    pub(super) fn floats(&self, line: &Timeline, mut see: impl FnMut(i64, Option<f64>)) {
        if let Track::Floats(hours) = self {
            for (bytes, times) in hours.iter().zip([&line.before_times, &line.now_times]) {
                chunk::each(bytes, |slot, value| {
                    if let Some(&at) = times.get(slot) {
                        see(at, value);
                    }
                });
            }
        }
    }

    /// Calls `see` with every point of a timer and its time.
    pub(super) fn points(&self, line: &Timeline, mut see: impl FnMut(i64, Point)) {
        if let Track::Sketches(hours) = self {
            for (bytes, times) in hours.iter().zip([&line.before_times, &line.now_times]) {
                history::each(bytes, |slot, point| {
                    if let Some(&at) = times.get(slot) {
                        see(at, point);
                    }
                });
            }
        }
    }
}
