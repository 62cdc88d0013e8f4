//! Every interleaving of two lanes and the cutter around one gate, by a model checker: lanes, maps and standings are
//! those of `aggregate` in little, the gate is the real one.

use loom::sync::{Arc, Mutex};
use loom::thread;

use super::*;

word!(loom::sync::atomic::AtomicU32);

/// The window that is being cut, and the one that lanes are in.
const CLOSING: u32 = 2;
const OPEN: u32 = 3;

/// How often the checker takes a thread's turn away: three times find what is wrong here, and without a bound there
/// are too many interleavings.
const PREEMPTIONS: usize = 3;

/// Two identities; the first is there from the start, idle since the window before the one being cut.
const A: usize = 0;
const B: usize = 1;

/// A handle to a series.
struct Series {
    identity: usize,
    slot: usize,
    /// Not born of a line: the first that resolves it replaces the handle.
    nameless: bool,
    gate: Gate<loom::sync::atomic::AtomicU32>,
}

type Handle = Arc<Series>;

fn series(identity: usize, slot: usize, nameless: bool) -> Handle {
    Arc::new(Series { identity, slot, nameless, gate: Gate::new() })
}

/// What lanes and cutter share. Each lock is held for one look or one change, except that births take turns.
struct Registry {
    canon: [Mutex<Option<Handle>>; 2],
    /// Held while a series is born.
    nursery: Mutex<Vec<Handle>>,
    free: Mutex<Vec<usize>>,
}

impl Registry {
    fn find(&self, identity: usize) -> Option<Handle> {
        self.canon[identity].lock().unwrap().clone().filter(|series| !series.gate.is_closed())
    }

    fn resolve(&self, identity: usize) -> Handle {
        if let Some(found) = self.find(identity).filter(|found| !found.nameless) {
            return found;
        }
        let mut born = self.nursery.lock().unwrap();
        let replaced = match self.find(identity) {
            Some(found) if !found.nameless => return found,
            Some(found) => found.gate.close().map(|met| (found.slot, met)),
            None => None,
        };
        let (slot, met) = replaced.unwrap_or_else(|| (self.free.lock().unwrap().pop().unwrap(), 0));
        let series = series(identity, slot, false);
        series.gate.meet(met);
        born.push(series.clone());
        *self.canon[identity].lock().unwrap() = Some(series.clone());
        series
    }

    fn forget(&self, gone: &Handle) {
        self.canon[gone.identity].lock().unwrap().take_if(|found| found.slot == gone.slot);
        self.free.lock().unwrap().push(gone.slot);
    }
}

/// Records one sample of an identity; answers the slot that it is kept under.
fn record(registry: &Registry, held: Option<&Handle>, identity: usize) -> (usize, usize) {
    let mut series = held.cloned();
    loop {
        match series {
            Some(series) if series.gate.meet(OPEN) => return (identity, series.slot),
            _ => series = Some(registry.resolve(identity)),
        }
    }
}

/// The cutter's standings, by slot.
struct Cutter {
    standings: [Option<Handle>; 3],
}

impl Cutter {
    fn expire(&mut self, registry: &Registry) {
        for standing in &mut self.standings {
            let Some(series) = standing.clone() else { continue };
            let seen = series.gate.last_met();
            if seen <= CLOSING && series.gate.leave(seen) {
                *standing = None;
                registry.forget(&series);
            }
        }
    }

    /// Takes in what was born: into a place that is empty, or held by another handle to the same series.
    fn notice_births(&mut self, registry: &Registry) {
        for series in registry.nursery.lock().unwrap().drain(..) {
            let standing = &mut self.standings[series.slot];
            assert!(standing.as_ref().is_none_or(|had| had.identity == series.identity), "a slot has two series");
            *standing = Some(series);
        }
    }
}

/// Has the cutter let go of an idle series while one lane that holds it and one that does not record it again.
fn every_sample_finds_its_series(nameless: bool) {
    let mut checker = loom::model::Builder::new();
    checker.preemption_bound = Some(PREEMPTIONS);
    checker.check(move || {
        let idle = series(A, 0, nameless);
        idle.gate.meet(CLOSING - 1);
        let registry = Arc::new(Registry {
            canon: [Mutex::new(Some(idle.clone())), Mutex::new(None)],
            nursery: Mutex::default(),
            free: Mutex::new(vec![2, 1]),
        });
        let mut cutter = Cutter { standings: [Some(idle.clone()), None, None] };
        let lanes = [
            thread::spawn({
                let (registry, held) = (registry.clone(), idle);
                move || vec![record(&registry, Some(&held), A)]
            }),
            thread::spawn({
                let registry = registry.clone();
                move || vec![record(&registry, None, B), record(&registry, None, A)]
            }),
        ];
        cutter.notice_births(&registry);
        cutter.expire(&registry);
        let samples: Vec<(usize, usize)> = lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect();
        cutter.notice_births(&registry);
        for (identity, slot) in samples {
            let standing = cutter.standings[slot].as_ref().expect("a sample has a standing");
            assert_eq!(standing.identity, identity, "a sample is added to another series");
            let known = registry.find(identity).expect("what was recorded is known");
            assert_eq!(known.slot, slot, "one identity has two series");
        }
    });
}

#[test]
fn a_series_that_leaves_while_lanes_meet_it_loses_no_sample() {
    every_sample_finds_its_series(false);
}

#[test]
fn a_restored_series_that_gets_its_spelling_while_it_leaves_loses_no_sample() {
    every_sample_finds_its_series(true);
}
