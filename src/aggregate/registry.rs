//! Who is who: from the bytes of a line to its series. Shared by all lanes, asked only when one of them
//! meets a spelling it does not hold.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use foldhash::quality::RandomState;
use parking_lot::Mutex;

use super::budget::{Budget, cost_of_name, cost_of_series};
use super::hits::Hits;
use super::keys::{Canonical, Fate, Identified, Known, Other, OtherSpelling, Parts, Spelled, hash_spelling};
use super::names::Names;
use super::spellings::Spellings;
use super::{Birth, Limit, LimitsConfig, OnLimit, Prospect, Resolved, Route};
use crate::model::series::{NameStyle, Spelling};
use crate::model::{Kind, Series, labels};
use crate::parse::{self, Tolerated, ToleratedSet};
use crate::shape::{Hit, SeriesOptions, Shaped, Shaping};

/// The shared map of identities.
pub struct Registry {
    limits: LimitsConfig,
    shaping: Arc<Shaping>,
    hits: Hits,
    hasher: RandomState,
    /// The first spelling of each series, and at most `limits.series` others.
    spelled: Spellings,
    /// Spellings that shaping drops, or that are known by stamped samples only; at most `limits.series`.
    others: DashMap<Other, (), RandomState>,
    /// By name, type and sorted tags.
    canon: DashMap<Canonical, (), RandomState>,
    /// Names of the page: the cutter gives them.
    pub(super) names: Mutex<Names>,
    /// Births take turns.
    nursery: Mutex<Nursery>,
    live: AtomicUsize,
    budget: Budget,
}

#[derive(Default)]
struct Nursery {
    next_slot: u32,
    free: Vec<u32>,
    /// Series per name and type, with the one that takes the overflow.
    names: HashMap<(Kind, Box<str>), NameCount>,
    live: [usize; Kind::ALL.len()],
    born: Vec<Birth>,
}

#[derive(Default)]
struct NameCount {
    series: usize,
    overflow: Option<Series>,
}

impl Registry {
    pub fn new(limits: LimitsConfig, shaping: Arc<Shaping>) -> Registry {
        Registry {
            limits,
            hits: Hits::new(&shaping),
            shaping,
            hasher: RandomState::default(),
            spelled: Spellings::default(),
            others: DashMap::with_hasher(RandomState::default()),
            canon: DashMap::with_hasher(RandomState::default()),
            names: Mutex::default(),
            nursery: Mutex::default(),
            live: AtomicUsize::new(0),
            budget: Budget::default(),
        }
    }

    /// The hash lanes find a spelling by. Seeded anew in each process.
    #[inline(always)]
    pub fn hash(&self, spelling: &Spelling<'_>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hash_spelling(spelling, &mut hasher);
        hasher.finish()
    }

    /// The hash a set counts a member by. Seeded anew in each process, so that no sender can choose it.
    pub fn hash_member(&self, member: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(member);
        hasher.finish()
    }

    /// Finds the series of a spelling, or makes it. Only a spelling that is new is shaped.
    pub fn resolve(&self, spelling: &Spelling<'_>) -> Route {
        if let Some(route) = self.spelled.find(spelling) {
            return route;
        }
        if let Some(hit) = self.dropped(spelling) {
            return Route { resolved: Resolved::Dropped(hit.drop_reason()), tolerated: ToleratedSet::default(), scale: 1.0 };
        }
        let (shaped, tolerated) = self.shape(spelling);
        let route = |resolved| Route { resolved, tolerated, scale: shaped.scale };
        if let Some(hit) = shaped.dropped_by {
            return route(Resolved::Dropped(hit.drop_reason()));
        }
        let tags: Vec<&str> = shaped.tags.iter().map(AsRef::as_ref).collect();
        let key = Parts { name: &shaped.name, tags: &tags, kind: spelling.kind };
        let mut nursery = self.nursery.lock();
        let found = self.canon.get(&key as &dyn Identified).map(|found| found.key().0.clone()).filter(|series| !series.is_gone());
        if let Some(series) = found {
            let (series, other) = match self.spell(&mut nursery, &series, spelling, &shaped) {
                Some(spelled) => (spelled, None),
                // Another lane met it at the same time, and had its turn first.
                None if series.spelling() == *spelling => (series, None),
                None => (series, Some(Box::new(OtherSpelling::new(spelling)))),
            };
            self.remember(Known { series: series.clone(), other, tolerated, scale: shaped.scale });
            if shaped.options.is_some() {
                nursery.born.push(Birth { series: series.clone(), options: shaped.options.clone() });
            }
            return route(Resolved::Series(series));
        }
        match self.refusal(&nursery, &key) {
            None => match self.bear(&mut nursery, *spelling, &shaped, true) {
                Some(series) => {
                    self.remember(Known { series: series.clone(), other: None, tolerated, scale: shaped.scale });
                    route(Resolved::Series(series))
                }
                None => route(Resolved::Shed(Limit::KeyBytes)),
            },
            Some(limit) => route(self.overflow(&mut nursery, spelling, &shaped.name, limit)),
        }
    }

    /// What multiplies the values of lines in a series' own spelling, and the blemishes of these. A restored series that
    /// no line has named since has no such lines.
    pub fn of_own_lines(&self, series: &Series) -> (f64, ToleratedSet) {
        self.spelled.find(&series.spelling()).map_or((1.0, ToleratedSet::default()), |route| (route.scale, route.tolerated))
    }

    /// What would become of a shaped identity now, without a trace. `apart`: its samples have times of their own.
    pub fn foresee(&self, kind: Kind, name: &str, tags: &[&str], apart: bool) -> Prospect {
        let key = Parts { name, tags, kind };
        if self.canon.get(&key as &dyn Identified).is_some_and(|found| !found.key().0.is_gone()) {
            return Prospect::Known;
        }
        if apart {
            let short = self.budget.is_spent().then_some(Limit::Memory);
            return self.limits.met_by(name, tags).or(short).map_or(Prospect::New, Prospect::Shed);
        }
        let nursery = self.nursery.lock();
        match self.refusal(&nursery, &key) {
            None => Prospect::New,
            Some(limit) if self.limits.on_limit == OnLimit::Overflow && nursery.names.contains_key(&(kind, Box::from(name))) => {
                Prospect::Overflow(limit)
            }
            Some(limit) => Prospect::Shed(limit),
        }
    }

    /// The name on the page that a family has or would get now, and whether it steps aside for another type.
    pub fn page_name(&self, name: &str, kind: Kind, counter_suffix: bool) -> (String, bool) {
        self.names.lock().foresee(name, kind, counter_suffix)
    }

    /// A handle that names the series without giving it a place in windows: the live one, or a loose one.
    pub fn detached(&self, spelling: &Spelling<'_>) -> Route {
        if let Some(route) = self.spelled.find(spelling) {
            return route;
        }
        if let Some(other) = self.others.get(spelling as &dyn Spelled) {
            return match &other.key().fate {
                Fate::Loose(series, scale, tolerated) => {
                    Route { resolved: Resolved::Series(series.clone()), tolerated: *tolerated, scale: *scale }
                }
                Fate::Dropped(hit) => {
                    self.hits.count(*hit);
                    Route { resolved: Resolved::Dropped(hit.drop_reason()), tolerated: ToleratedSet::default(), scale: 1.0 }
                }
            };
        }
        let (shaped, tolerated) = self.shape(spelling);
        let route = |resolved| Route { resolved, tolerated, scale: shaped.scale };
        if let Some(hit) = shaped.dropped_by {
            return route(Resolved::Dropped(hit.drop_reason()));
        }
        let tags: Vec<&str> = shaped.tags.iter().map(AsRef::as_ref).collect();
        let key = Parts { name: &shaped.name, tags: &tags, kind: spelling.kind };
        if let Some(limit) = self.limits.met_by(key.name, key.tags) {
            return route(Resolved::Shed(limit));
        }
        let live = self.canon.get(&key as &dyn Identified).map(|found| found.key().0.clone());
        let series = match live.map_or_else(|| self.loose(spelling, &shaped), Ok) {
            Ok(series) => series,
            Err(limit) => return route(Resolved::Shed(limit)),
        };
        self.remember_other(spelling, Fate::Loose(series.clone(), shaped.scale, tolerated));
        route(Resolved::Series(series))
    }

    /// A series outside windows, if there is memory for what the store will keep of it.
    fn loose(&self, spelling: &Spelling<'_>, shaped: &Shaped<'_>) -> Result<Series, Limit> {
        let series = Series::new(u32::MAX, *spelling, &shaped.name, &shaped.tags).ok_or(Limit::KeyBytes)?;
        if self.budget.is_spent() {
            return Err(Limit::Memory);
        }
        let cost = cost_of_series(&series) + cost_of_name(series.name());
        self.budget.charge_loose(cost);
        Ok(series)
    }

    /// Notes that a window was cut: what was loose in it is on its way to the store.
    pub fn turn(&self) {
        self.budget.turn();
    }

    /// The step that drops a spelling, if that is known. Counts it.
    fn dropped(&self, spelling: &Spelling<'_>) -> Option<Hit> {
        let other = self.others.get(spelling as &dyn Spelled)?;
        let Fate::Dropped(hit) = other.key().fate else { return None };
        self.hits.count(hit);
        Some(hit)
    }

    fn shape<'a>(&self, spelling: &Spelling<'a>) -> (Shaped<'a>, ToleratedSet) {
        let identity = parse::identity(*spelling);
        let tolerated = identity.tolerated;
        let shaped = self.shaping.apply(identity, spelling.kind);
        let tolerated = unlabelled(tolerated, &shaped.tags);
        for &hit in &shaped.hits {
            self.hits.count(hit);
        }
        if let Some(hit) = shaped.dropped_by {
            self.remember_other(spelling, Fate::Dropped(hit));
        }
        (shaped, tolerated)
    }

    /// What the mapping file says about a series of an earlier process, by the name in its first line.
    pub fn options_of(&self, kind: Kind, name: &str, sent_name: &str) -> Option<Arc<SeriesOptions>> {
        self.shaping.options_of(kind, name, sent_name)
    }

    /// Puts a series of an earlier process back; `sent_name` is the name in its first line.
    pub fn restore(&self, kind: Kind, name: &str, tags: &[String], sent_name: &str) -> Option<Series> {
        let joined = tags.join(",");
        let mut nursery = self.nursery.lock();
        let mut from = 0;
        let mut tag = |tag: &String| {
            let at = from;
            from += tag.len() + 1;
            Cow::Borrowed(&joined[at..at + tag.len()])
        };
        let tags: Vec<Cow<'_, str>> = tags.iter().map(&mut tag).collect();
        let names: Vec<&str> = tags.iter().map(AsRef::as_ref).collect();
        let key = Parts { name, tags: &names, kind };
        let live = self.canon.get(&key as &dyn Identified).map(|found| found.key().0.clone());
        // What gathers the overflow of a name stands beside the limits, as it did when it was born.
        let gathers = names == ["overflow:true"];
        if live.is_some() || (!gathers && self.refusal(&nursery, &key).is_some()) {
            return live;
        }
        let spelling = Spelling { name: sent_name.as_bytes(), tags: joined.as_bytes(), kind, style: NameStyle::Canonical };
        self.bear(&mut nursery, spelling, &as_it_is(name, tags), !gathers)
    }

    /// Gives a series that was not born of a line, such as a restored one, the spelling of its first line: by another
    /// handle, with the same slot. `None`: it has a spelling, or cannot have this one, or has just left.
    fn spell(&self, nursery: &mut Nursery, series: &Series, spelling: &Spelling<'_>, shaped: &Shaped<'_>) -> Option<Series> {
        if series.spelling().style != NameStyle::Canonical {
            return None;
        }
        let spelled = Series::new(series.slot(), *spelling, &shaped.name, &shaped.tags)?;
        // Lanes that hold the old handle ask again, and the cutter, which may be about to, does not let it go.
        if !series.close_for(&spelled) {
            return None;
        }
        let more = cost_of_series(&spelled) - cost_of_series(series);
        self.budget.charge(more);
        nursery.born.push(Birth { series: spelled.clone(), options: None });
        self.canon.remove(series as &dyn Identified);
        self.canon.insert(Canonical(spelled.clone()), ());
        Some(spelled)
    }

    /// Series born since the last call, in order of their birth, and some that have options anew.
    pub fn take_births(&self) -> Vec<Birth> {
        std::mem::take(&mut self.nursery.lock().born)
    }

    /// Forgets a series whose gate is closed, and frees its slot.
    pub fn forget(&self, series: &Series) {
        let mut nursery = self.nursery.lock();
        let further = self.spelled.forget_first_of(series);
        self.canon.remove_if(series as &dyn Identified, |found, ()| found.0.same(series));
        let key = (series.kind(), Box::from(series.name()));
        if let Some(count) = nursery.names.get_mut(&key) {
            count.series = count.series.saturating_sub(1);
            count.overflow.take_if(|overflow| overflow.slot() == series.slot());
            if count.series == 0 {
                nursery.names.remove(&key);
                self.budget.release(cost_of_name(series.name()));
            }
        }
        self.budget.release(cost_of_series(series) + further);
        nursery.free.push(series.slot());
        nursery.live[series.kind() as usize] -= 1;
        self.live.fetch_sub(1, Ordering::Relaxed);
    }

    /// Forgets every further spelling of series that have left.
    pub fn forget_spellings_of_the_gone(&self) {
        self.budget.release(self.spelled.forget_further_of_the_gone());
    }

    /// Lets go of room that stood for series which have left.
    pub fn give_back(&self) {
        // Growing again moves every entry, so it is done for much only.
        if self.canon.capacity() / 8 > self.canon.len() {
            self.canon.shrink_to_fit();
            self.spelled.shrink_to_fit();
        }
    }

    /// Live series of each kind, in the order of [`Kind::ALL`].
    pub fn live_by_kind(&self) -> [usize; Kind::ALL.len()] {
        self.nursery.lock().live
    }

    /// Live series.
    pub fn len(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets how many bytes new series may take until the next call: the limit less what the process takes, or will
    /// take once all parts hold what was admitted.
    pub fn grant(&self, resident_bytes: u64) {
        self.budget.grant(self.limits.memory.0, resident_bytes);
    }

    fn refusal(&self, nursery: &Nursery, key: &Parts<'_>) -> Option<Limit> {
        if let Some(limit) = self.limits.met_by(key.name, key.tags) {
            return Some(limit);
        }
        if self.len() >= self.limits.series {
            return Some(Limit::Series);
        }
        let of_name = nursery.names.get(&(key.kind, Box::from(key.name))).map_or(0, |count| count.series);
        if of_name >= self.limits.series_per_metric {
            return Some(Limit::SeriesPerMetric);
        }
        self.budget.is_spent().then_some(Limit::Memory)
    }

    fn overflow(&self, nursery: &mut Nursery, spelling: &Spelling<'_>, name: &str, limit: Limit) -> Resolved {
        let key = (spelling.kind, Box::from(name));
        match nursery.names.get(&key) {
            Some(count) if self.limits.on_limit == OnLimit::Overflow => {
                if let Some(series) = count.overflow.clone().filter(|series| !series.is_gone()) {
                    return Resolved::Overflow(series, limit);
                }
            }
            _ => return Resolved::Shed(limit),
        }
        let own = Spelling { name: name.as_bytes(), tags: b"overflow:true", kind: spelling.kind, style: NameStyle::Canonical };
        let found = self
            .canon
            .get(&Parts { name, tags: &["overflow:true"], kind: spelling.kind } as &dyn Identified)
            .map(|found| found.key().0.clone());
        let series = found.filter(|series| !series.is_gone()).or_else(|| {
            let shaped = as_it_is(name, vec![Cow::Borrowed("overflow:true")]);
            self.bear(nursery, own, &shaped, false)
        });
        match series {
            Some(series) => {
                if let Some(count) = nursery.names.get_mut(&key) {
                    count.overflow = Some(series.clone());
                }
                Resolved::Overflow(series, limit)
            }
            None => Resolved::Shed(limit),
        }
    }

    fn bear(&self, nursery: &mut Nursery, spelling: Spelling<'_>, shaped: &Shaped<'_>, charged: bool) -> Option<Series> {
        let slot = nursery.free.last().copied().unwrap_or(nursery.next_slot);
        let series = Series::new(slot, spelling, &shaped.name, &shaped.tags)?;
        if nursery.free.pop().is_none() {
            nursery.next_slot += 1;
        }
        let of_name = nursery.names.entry((series.kind(), Box::from(series.name()))).or_default();
        let cost = cost_of_series(&series) + if of_name.series == 0 { cost_of_name(series.name()) } else { 0 };
        of_name.series += 1;
        if charged {
            self.budget.charge(cost);
        } else {
            self.budget.promise(cost);
        }
        nursery.live[series.kind() as usize] += 1;
        nursery.born.push(Birth { series: series.clone(), options: shaped.options.clone() });
        self.live.fetch_add(1, Ordering::Relaxed);
        // A series that left may still be here until the cutter removes it; an insert would keep its key.
        self.canon.remove(&series as &dyn Identified);
        self.canon.insert(Canonical(series.clone()), ());
        Some(series)
    }

    fn remember_other(&self, spelling: &Spelling<'_>, fate: Fate) {
        if self.others.len() < self.limits.series && !self.budget.is_spent() {
            let spelling_of = OtherSpelling::new(spelling);
            let cost = spelling_of.cost();
            if self.others.insert(Other { spelling: spelling_of, kind: spelling.kind, fate }, ()).is_none() {
                self.budget.charge(cost);
            }
        }
    }

    /// Forgets what shaping dropped when that is as much as may be remembered: what still comes is found anew.
    pub fn make_room(&self) {
        let full = self.others.len() >= self.limits.series;
        if full || self.budget.is_spent() {
            self.others.retain(|other, ()| {
                // What was known before memory ran short stays known.
                let keep = !full && matches!(other.fate, Fate::Loose(..));
                if !keep {
                    self.budget.release(other.spelling.cost());
                }
                keep
            });
        }
    }

    /// Notes what a spelling names. The first of a series always, others within bounds. Needs the nursery.
    fn remember(&self, known: Known) {
        let room = self.spelled.further() < self.limits.series && !self.budget.is_spent();
        if known.other.is_none() || room {
            let more = self.spelled.put(known);
            self.budget.charge(more);
        }
    }
}

/// The blemishes of tags, with those that are on no page and in no query: they become no label.
pub fn unlabelled<T: AsRef<str>>(mut tolerated: ToleratedSet, tags: &[T]) -> ToleratedSet {
    if tags.iter().any(|tag| labels::is_reserved(tag.as_ref())) {
        tolerated.insert(Tolerated::TagDropped);
    }
    tolerated
}

/// What needs no shaping: it was shaped before.
fn as_it_is<'a>(name: &'a str, tags: Vec<Cow<'a, str>>) -> Shaped<'a> {
    Shaped { name: Cow::Borrowed(name), tags, scale: 1.0, options: None, hits: Vec::new(), dropped_by: None }
}

#[cfg(test)]
mod tests;
