//! The series of one role in the order of their numbers, with their last two hours.

use super::chunk::Chunk;
use super::history::{self, History, Point};
use super::role::{Number, Role};
use super::timeline::Timeline;
use crate::model::sketch::saturate;
use crate::model::{ExpHist, Labels, Series};

/// In place of the time a series left: it has not.
pub(super) const LIVE: i64 = i64::MAX;

/// A series the store knows.
#[derive(Debug)]
pub(super) struct Known {
    /// Name and tags as received; `None` for recorded series, which are their labels.
    pub(super) series: Option<Series>,
    pub(super) labels: Labels,
    /// Index of its name and kind; meaningless for recorded series.
    pub(super) name: u64,
    /// Start of the window of its birth.
    pub(super) created: i64,
    /// End of the last window it received something in.
    pub(super) touched: i64,
    /// When it left, or [`LIVE`].
    pub(super) left: i64,
    /// Running total of a counter, last value of a gauge, a set or a recorded series.
    pub(super) value: f64,
    pub(super) track: Track,
}

/// The samples of a series in memory.
#[derive(Clone, Debug)]
pub(super) enum Track {
    Floats { now: Chunk, before: Chunk },
    Sketches(Box<Sketched>),
}

/// A timer in memory.
#[derive(Clone, Debug, Default)]
pub(super) struct Sketched {
    /// Everything since birth.
    pub(super) ever: ExpHist,
    pub(super) now: History,
    pub(super) before: History,
}

/// A counter's total after a window: it never falls.
pub(super) fn total_after(total: f64, gain: f64) -> f64 {
    if gain > 0.0 { saturate(total + gain) } else { total }
}

impl Known {
    pub(super) fn is_live(&self) -> bool {
        self.left == LIVE
    }

    /// Adds a float sample; false when the slot is taken.
    pub(super) fn push(&mut self, slot: u16, value: f64) -> bool {
        self.value = value;
        match &mut self.track {
            Track::Floats { now, .. } => now.push(slot, value),
            Track::Sketches(_) => false,
        }
    }

    /// Marks the end; false when the slot is taken.
    pub(super) fn end(&mut self, slot: u16, at: i64) -> bool {
        self.left = at;
        match &mut self.track {
            Track::Floats { now, .. } => now.end(slot),
            Track::Sketches(sketched) => sketched.now.end(slot),
        }
    }

    /// Closes the open hour.
    fn turn(&mut self) {
        match &mut self.track {
            Track::Floats { now, before } => {
                *before = std::mem::take(now);
                before.settle();
            }
            Track::Sketches(sketched) => {
                sketched.before = std::mem::take(&mut sketched.now);
                sketched.before.settle();
            }
        }
    }
}

impl Track {
    pub(super) fn new(role: Role) -> Track {
        match role {
            Role::Sketch => Track::Sketches(Box::default()),
            _ => Track::Floats { now: Chunk::default(), before: Chunk::default() },
        }
    }

    /// Calls `see` with every float sample and its time; `None` is an end.
    pub(super) fn floats(&self, line: &Timeline, mut see: impl FnMut(i64, Option<f64>)) {
        if let Track::Floats { now, before } = self {
            for (chunk, times) in [(before, &line.before_times), (now, &line.now_times)] {
                chunk.each(|slot, value| {
                    if let Some(&at) = times.get(slot) {
                        see(at, value);
                    }
                });
            }
        }
    }

    /// Calls `see` with every point of a timer and its time.
    pub(super) fn points(&self, line: &Timeline, mut see: impl FnMut(i64, Point)) {
        if let Track::Sketches(sketched) = self {
            for (history, times) in [(&sketched.before, &line.before_times), (&sketched.now, &line.now_times)] {
                history.each(|slot, point| {
                    if let Some(&at) = times.get(slot) {
                        see(at, point);
                    }
                });
            }
        }
    }
}

impl Sketched {
    /// Adds a window, after which the series stands at `count` and `sum`. Answers whether it began anew
    /// at zero, and whether adding up gives other figures.
    pub(super) fn push(&mut self, slot: u16, window: Option<&ExpHist>, count: f64, sum: f64) -> (bool, bool) {
        let anew = self.ever.count + window.map_or(0.0, |window| window.count) > count * (1.0 + 1e-9);
        if anew {
            self.ever = ExpHist::default();
        }
        if let Some(window) = window {
            self.ever.merge(window);
        }
        let odd = (self.ever.count, self.ever.sum) != (count, sum);
        (self.ever.count, self.ever.sum) = (count, sum);
        let standing = (anew || self.now.is_empty()).then_some(&self.ever);
        self.now.push(slot, history::Entry { standing, window, exact: odd.then_some((count, sum)) });
        (anew, odd)
    }

    /// Adds a window as the file has it: what the series stood at after it, where the file says so, what it
    /// received, and the exact count and sum where adding up gives others. Without a slot it only counts for
    /// where the series stands.
    pub(super) fn restore(&mut self, slot: Option<u16>, standing: Option<ExpHist>, window: Option<&ExpHist>, exact: Option<(f64, f64)>) {
        let given = standing.is_some();
        match (standing, window) {
            (Some(standing), _) => self.ever = standing,
            (None, Some(window)) => self.ever.merge(window),
            (None, None) => {}
        }
        if let Some((count, sum)) = exact {
            (self.ever.count, self.ever.sum) = (count, sum);
        }
        if let Some(slot) = slot {
            let standing = (given || self.now.is_empty()).then_some(&self.ever);
            self.now.push(slot, history::Entry { standing, window, exact });
        }
    }
}

/// Series of one role, ascending by number.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) role: Role,
    /// The sequence the next birth gets.
    pub(super) next: u64,
    pub(super) numbers: Vec<Number>,
    /// One per number.
    pub(super) known: Vec<Known>,
    /// How many of them are live.
    pub(super) live: usize,
}

impl Shelf {
    pub(super) fn new(role: Role) -> Shelf {
        Shelf { role, next: 0, numbers: Vec::new(), known: Vec::new(), live: 0 }
    }

    /// Where the series with a number is.
    pub(super) fn find(&self, number: Number) -> Option<usize> {
        self.numbers.binary_search(&number).ok()
    }

    /// The same, where it is likely at `guess`; the guess becomes the place after it.
    pub(super) fn find_near(&self, number: Number, guess: &mut usize) -> Option<usize> {
        let place = if self.numbers.get(*guess) == Some(&number) { *guess } else { self.find(number)? };
        *guess = place + 1;
        Some(place)
    }

    pub(super) fn get(&self, number: Number) -> Option<&Known> {
        self.find(number).map(|at| &self.known[at])
    }

    /// Adds a series behind all others; `None` when the role has no number left or it is not the last.
    pub(super) fn add(&mut self, number: Number, known: Known) -> Option<usize> {
        if self.numbers.last().is_some_and(|last| *last >= number) {
            return None;
        }
        self.live += usize::from(known.is_live());
        self.next = number.sequence() + 1;
        self.numbers.push(number);
        self.known.push(known);
        Some(self.known.len() - 1)
    }

    /// The number a birth gets.
    pub(super) fn next_number(&self) -> Option<Number> {
        (self.next < Number::SEQUENCES).then(|| Number::new(self.role, self.next))
    }

    /// Notes that a series is here again; true when it had left.
    pub(super) fn revive(&mut self, at: usize) -> bool {
        let returned = std::mem::replace(&mut self.known[at].left, LIVE) != LIVE;
        self.live += usize::from(returned);
        returned
    }

    /// Ends a live series; false when it had left or the slot is taken.
    pub(super) fn end(&mut self, at: usize, slot: u16, time: i64) -> bool {
        if !self.known[at].is_live() {
            return false;
        }
        self.live -= 1;
        self.known[at].end(slot, time)
    }

    /// Lets go of the hour before the open one.
    pub(super) fn let_go(&mut self) {
        for known in &mut self.known {
            match &mut known.track {
                Track::Floats { before, .. } => *before = Chunk::default(),
                Track::Sketches(sketched) => sketched.before = History::default(),
            }
        }
    }

    /// Closes the open hour of every series.
    pub(super) fn turn(&mut self) {
        self.known.iter_mut().for_each(Known::turn);
    }
}
