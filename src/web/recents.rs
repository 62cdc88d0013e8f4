//! The sketches of the last ten minutes, by series: what the page's quantiles are taken from.

use std::collections::HashMap;

use crate::model::recent::BLOCK_MS;
use crate::model::{Column, Form, Kind, Recent, Series, Window};

/// Series that are not live and whose sketches still count when they return.
const MAX_PARKED: usize = 65_536;

/// Recent sketches of every timer, histogram and distribution.
#[derive(Debug, Default)]
pub(super) struct Recents {
    /// By slot. A slot is given to another series after its own has left, so the series is compared.
    live: HashMap<u32, (Series, Recent)>,
    /// Of series that left, or have not come yet after a restart.
    parked: HashMap<Identity, Recent>,
    /// The block of the last window.
    block: i64,
    /// Whether a window was added.
    begun: bool,
}

/// Kind, name and tags in one piece.
type Identity = Box<str>;

fn identity<'a>(kind: Kind, name: &str, tags: impl Iterator<Item = &'a str>) -> Identity {
    // No line holds a line feed.
    tags.fold(format!("{}\n{name}", kind.as_str()), |all, tag| all + "\n" + tag).into()
}

fn identity_of(series: &Series) -> Identity {
    identity(series.kind(), series.name(), series.tags())
}

/// Whether two handles are of one series, which may be given another while it lives.
fn same(a: &Series, b: &Series) -> bool {
    a.same(b) || (a.kind() == b.kind() && a.name() == b.name() && a.tags().eq(b.tags()))
}

impl Recents {
    /// Remembers what a series held before a restart. `tags` are canonical.
    pub(super) fn park<'a>(&mut self, kind: Kind, name: &str, tags: impl Iterator<Item = &'a str>, recent: Recent) {
        if self.parked.len() < MAX_PARKED {
            self.parked.insert(identity(kind, name, tags), recent);
        }
    }

    /// Adds what a window received.
    pub(super) fn add(&mut self, window: &Window) {
        for series in window.gone.iter().filter(|series| series.kind().is_sketch()) {
            if self.live.get(&series.slot()).is_some_and(|(held, _)| same(held, series))
                && let Some((held, recent)) = self.live.remove(&series.slot())
            {
                self.park(held.kind(), held.name(), held.tags(), recent);
            }
        }
        self.wake(window);
        for (family, column) in window.families() {
            let (Column::Timer { window: received, .. }, Form::Summary(_)) = (column, &family.form) else { continue };
            for (series, sketches) in family.series.iter().zip(received) {
                if let Some(sketches) = sketches {
                    self.of(series).add(window.start(), &sketches.exp);
                }
            }
        }
        self.forget(window.start().div_euclid(BLOCK_MS));
    }

    /// What the series received of late, if anything.
    pub(super) fn find(&self, series: &Series) -> Option<&Recent> {
        self.live.get(&series.slot()).filter(|(held, _)| same(held, series)).map(|(_, recent)| recent)
    }

    /// Gives series that are new in this window what is parked for them; the first window brings all it has.
    fn wake(&mut self, window: &Window) {
        let all = !std::mem::replace(&mut self.begun, true);
        if self.parked.is_empty() {
            return;
        }
        let everyone = window.roster.iter().filter(|_| all).flat_map(|family| &family.series);
        for series in everyone.chain(&window.births).filter(|series| series.kind().is_sketch()) {
            if let Some(recent) = self.parked.remove(&identity_of(series)) {
                self.live.insert(series.slot(), (series.clone(), recent));
            }
        }
    }

    fn of(&mut self, series: &Series) -> &mut Recent {
        let (held, recent) = self.live.entry(series.slot()).or_insert_with(|| (series.clone(), Recent::default()));
        if !held.same(series) {
            if !same(held, series) {
                *recent = Recent::default();
            }
            *held = series.clone();
        }
        recent
    }

    /// Drops, once a block, what no later window can ask for.
    fn forget(&mut self, block: i64) {
        if std::mem::replace(&mut self.block, block) == block {
            return;
        }
        let keep = |recent: &mut Recent| {
            recent.forget(block);
            !recent.is_empty()
        };
        self.live.retain(|_, (_, recent)| keep(recent));
        self.parked.retain(|_, recent| keep(recent));
        self.live.shrink_to(self.live.len() * 2);
        self.parked.shrink_to(self.parked.len() * 2);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::model::series::{NameStyle, Spelling};
    use crate::model::{ExpHist, Family, Sketches};

    fn series(slot: u32, name: &str) -> Series {
        let spelling = Spelling { name: name.as_bytes(), tags: b"", kind: Kind::Timer, style: NameStyle::Plain };
        Series::new(slot, spelling, name, &[]).unwrap()
    }

    fn one(value: f64) -> ExpHist {
        let mut sketch = ExpHist::default();
        sketch.record(value, 1.0);
        sketch
    }

    /// A window at minute `minute` in which each series received one value.
    fn window(minute: i64, series: &[(&Series, Option<f64>)], gone: &[&Series]) -> Window {
        let handles = series.iter().map(|(series, _)| (*series).clone()).collect::<Vec<_>>();
        let received = |value: &Option<f64>| value.map(|value| Arc::new(Sketches { exp: one(value), ..Sketches::default() }));
        let column = Column::Timer {
            count: vec![0.0; series.len()],
            sum: vec![0.0; series.len()],
            window: series.iter().map(|(_, value)| received(value)).collect(),
            buckets: Vec::new(),
            age: vec![0; series.len()],
        };
        let family = Family {
            name: "t".into(),
            prom_name: "t".into(),
            kind: Kind::Timer,
            help: None,
            form: Form::default(),
            series: handles.clone(),
        };
        let gone = gone.iter().map(|series| (*series).clone()).collect();
        let all = Window::of(minute * 60_000 + 10_000, Duration::from_secs(10), [(Arc::new(family), column)]);
        Window { births: handles, gone, ..all }
    }

    fn count(recents: &Recents, series: &Series, minute: i64) -> f64 {
        recents.find(series).map_or(0.0, |recent| recent.merged(minute * 60_000).count)
    }

    #[test]
    fn sketches_are_kept_over_departure_and_return_and_not_given_to_a_stranger() {
        let (mut recents, first) = (Recents::default(), series(0, "a"));
        recents.add(&window(0, &[(&first, Some(1.0))], &[]));
        recents.add(&window(1, &[(&first, Some(2.0))], &[]));
        assert_eq!(count(&recents, &first, 1), 2.0);
        let stranger = series(0, "b");
        recents.add(&window(2, &[(&stranger, Some(3.0))], &[&first]));
        assert_eq!((count(&recents, &first, 2), count(&recents, &stranger, 2)), (0.0, 1.0));
        let back = series(1, "a");
        recents.add(&window(3, &[(&stranger, None), (&back, Some(4.0))], &[]));
        assert_eq!((count(&recents, &back, 3), count(&recents, &stranger, 3)), (3.0, 1.0));
    }

    #[test]
    fn sketches_are_kept_when_a_series_gets_another_handle() {
        let (mut recents, restored) = (Recents::default(), series(0, "a"));
        recents.add(&window(0, &[(&restored, Some(1.0))], &[]));
        let spelled = series(0, "a");
        let mut next = window(1, &[(&spelled, None)], &[]);
        next.births.clear();
        recents.add(&next);
        assert_eq!(count(&recents, &spelled, 1), 1.0);
        let mut last = window(2, &[(&spelled, Some(2.0))], &[]);
        last.births.clear();
        recents.add(&last);
        assert_eq!(count(&recents, &spelled, 2), 2.0);
    }

    #[test]
    fn what_was_parked_before_the_first_window_reaches_idle_series_too() {
        let mut recents = Recents::default();
        let mut before = Recent::default();
        before.add(0, &one(5.0));
        recents.park(Kind::Timer, "a", [].into_iter(), before);
        let series = series(9, "a");
        let mut first = window(1, &[(&series, None)], &[]);
        first.births.clear();
        recents.add(&first);
        assert_eq!(count(&recents, &series, 1), 1.0);
    }

    #[test]
    fn old_sketches_leave_memory() {
        let (mut recents, early, late) = (Recents::default(), series(0, "a"), series(1, "b"));
        recents.add(&window(0, &[(&early, Some(1.0))], &[]));
        recents.add(&window(20, &[(&late, Some(1.0))], &[]));
        assert_eq!(recents.live.len(), 1);
    }
}
