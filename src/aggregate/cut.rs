//! The cutter: adds what lanes hand over to the standings, and closes windows.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use parking_lot::Mutex;

use super::aggregator::INBOX_MAX;
use super::lane::{InOrder, Logged};
use super::standing::{Body, Fold, Standing};
use super::{Aggregator, Birth, Handed, Lane};
use crate::model::sketch::saturate;
use crate::model::{Buckets, Check, Column, Event, Family, Form, Kind, Recorded, Series, Stamped, Window};
use crate::parse::ParseError;
use crate::shape::{Presentation, SeriesOptions};

/// Changes of gauges that are noted before earlier ones are added up.
const DELTAS_MAX: usize = 1 << 18;

/// What a series goes on from when it is born.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Base {
    /// A counter's running total.
    pub total: f64,
    /// A gauge's last value.
    pub gauge: f64,
    /// A sketch's running count and sum, in the unit of outputs.
    pub count: f64,
    pub sum: f64,
    /// Its running weights within the bounds it was shown in.
    pub buckets: Option<Arc<Buckets>>,
}

/// A series that was live when an earlier process stopped.
#[derive(Clone, Debug)]
pub struct Restored {
    pub kind: Kind,
    pub name: String,
    pub tags: Vec<String>,
    /// The name in its first line, where shaping gave it another.
    pub sent_name: Option<String>,
    pub base: Base,
    /// Windows since it received something.
    pub age: u16,
}

/// How windows are cut.
#[derive(Clone, Debug)]
pub struct CutterOptions {
    pub interval: Duration,
    /// Idle windows after which a series leaves; 0 = never.
    pub expire_windows: u32,
    /// Timers are shown in seconds, else in milliseconds.
    pub timers_in_seconds: bool,
    /// `_total` is appended to counters that lack it.
    pub counter_suffix: bool,
    /// A Datadog sink wants sketches of distributions.
    pub dd_sketches: bool,
    /// How timers, histograms and distributions are shown where no mapping file says.
    pub presentation: Presentation,
}

/// What a cut met that the log and the self-metrics should tell.
#[derive(Debug, Default)]
pub struct CutReport {
    pub examples: Vec<(ParseError, Box<[u8]>)>,
    /// Counters whose net gain was negative.
    pub went_back: u64,
    pub saturated: u64,
    pub expired: u64,
    /// Families that got their type as a suffix, as `(received name, Prometheus name)`.
    pub clashes: Vec<(String, Arc<str>)>,
}

/// Owns the standings. Lives on one thread.
pub struct Cutter {
    aggregator: Arc<Aggregator>,
    inbox: Receiver<Handed>,
    options: CutterOptions,
    /// The window being filled.
    window: u32,
    /// Some series leaves when it is idle.
    any_expire: bool,
    /// Series that left at the last cut.
    departed: usize,
    standings: Vec<Option<Standing>>,
    families: Vec<Rows>,
    by_name: HashMap<(Kind, Box<str>), u32>,
    /// Rebuilt when a family changed.
    roster: Option<Arc<[Arc<Family>]>>,
    /// Born, and without a sample so far, by slot.
    born: HashMap<u32, Birth>,
    births: Vec<Series>,
    /// Changes of gauges that are not added up so far, with slot and stamp.
    deltas: Vec<(u32, u64, f64)>,
    /// How many of them there may be before earlier ones are added up.
    deltas_max: usize,
    /// Batches with smaller stamps had begun when lanes were last asked for all they have.
    begun: u64,
    stamped: InOrder<Stamped>,
    events: InOrder<(i64, Arc<Event>)>,
    checks: InOrder<(i64, Arc<Check>)>,
    /// Handed over by lanes that were quicker than the cut.
    ahead: Vec<Handed>,
    report: CutReport,
}

/// A family and the slots of its rows.
struct Rows {
    family: Arc<Family>,
    slots: Vec<u32>,
    /// A mapping file said how it is shown: the first that says so has the say.
    form_said: bool,
    /// Running, one per row of a family that is shown as a histogram.
    buckets: Vec<Arc<Buckets>>,
}

impl Rows {
    /// Bounds of its buckets, if it has any.
    fn bounds(&self) -> Option<&Arc<[f64]>> {
        match &self.family.form {
            Form::Histogram(bounds) => Some(bounds),
            Form::Summary(_) => None,
        }
    }

    /// Counts within other bounds, or none, from now on; what came before is within them as far as that is known.
    fn show_as(&mut self, form: Form) {
        let before = std::mem::take(&mut self.buckets);
        if let Form::Histogram(bounds) = &form {
            let moved = (0..self.slots.len()).map(|row| within(bounds, before.get(row)));
            self.buckets = moved.collect();
        }
        Arc::make_mut(&mut self.family).form = form;
    }
}

/// What is known of buckets within other bounds.
fn within(bounds: &Arc<[f64]>, before: Option<&Arc<Buckets>>) -> Arc<Buckets> {
    Arc::new(before.map_or_else(|| Buckets::new(bounds), |before| before.within(bounds)))
}

impl Cutter {
    pub fn new(aggregator: Arc<Aggregator>, inbox: Receiver<Handed>, options: CutterOptions) -> Cutter {
        Cutter {
            window: aggregator.window(),
            aggregator,
            inbox,
            any_expire: options.expire_windows > 0,
            options,
            departed: 0,
            standings: Vec::new(),
            families: Vec::new(),
            by_name: HashMap::new(),
            roster: None,
            born: HashMap::new(),
            births: Vec::new(),
            deltas: Vec::new(),
            deltas_max: DELTAS_MAX,
            begun: 0,
            stamped: Vec::new(),
            events: Vec::new(),
            checks: Vec::new(),
            ahead: Vec::new(),
            report: CutReport::default(),
        }
    }

    /// Names the families of earlier processes as they were named then, given as `(name, kind, Prometheus name)`,
    /// so that a clash of types is settled the same way. The order counts only for those that are named anew.
    pub fn keep_names(&mut self, named: &[(String, Kind, String)]) {
        self.aggregator.registry.names.lock().keep(named, self.options.counter_suffix);
    }

    /// Puts back the series that were live when an earlier process stopped.
    pub fn restore(&mut self, restored: impl IntoIterator<Item = Restored>) {
        let mut counted: Vec<(u32, Arc<Buckets>)> = Vec::new();
        for Restored { kind, name, tags, sent_name, base, age } in restored {
            let sent_name = sent_name.as_deref().unwrap_or(&name);
            let Some(series) = self.aggregator.registry.restore(kind, &name, &tags, sent_name) else { continue };
            if self.standings.get(series.slot() as usize).is_some_and(Option::is_some) {
                continue;
            }
            // Its gate has met this window, so that it stays at least until its age is up.
            series.meet(self.window);
            let last = self.window.saturating_sub(u32::from(age));
            // What gathers the overflow of a name was born of no line, and so of no rule.
            let of_a_line = tags != ["overflow:true"];
            let options = of_a_line.then(|| self.aggregator.registry.options_of(kind, &name, sent_name)).flatten();
            counted.extend(base.buckets.clone().map(|buckets| (series.slot(), buckets)));
            self.stand(series, &base, last, options.as_deref());
        }
        // Only a later series may have brought the rule that says how the family is shown.
        for (slot, buckets) in counted {
            let Some(standing) = self.standings.get(slot as usize).and_then(Option::as_ref) else { continue };
            let rows = &mut self.families[standing.family as usize];
            if let Some(bounds) = rows.bounds() {
                rows.buckets[standing.row as usize] = within(bounds, Some(&buckets));
            }
        }
        self.notice_births();
    }

    /// Waits up to `patience` for a hand-over and adds it up.
    pub fn fold_next(&mut self, patience: Duration, base: &mut dyn FnMut(&Series) -> Option<Base>) {
        match self.inbox.recv_timeout(patience) {
            Ok(handed) => {
                self.fold(handed, base);
                if self.deltas.len() > self.deltas_max {
                    self.settle_earlier(base);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            // All lanes are gone: nothing will come any more.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(patience),
        }
    }

    /// Closes the open window as the one that ends at `end` (unix milliseconds) and is `length` long.
    pub fn cut(
        &mut self,
        end: i64,
        length: Duration,
        own: Vec<Recorded>,
        base: &mut dyn FnMut(&Series) -> Option<Base>,
    ) -> (Window, CutReport) {
        let next = self.window.wrapping_add(1);
        self.aggregator.window.store(next, Ordering::Release);
        self.aggregator.registry.turn();
        let departed = self.departed;
        self.collect(base, |lane| {
            lane.part_with(departed);
            lane.turn(next)
        });
        self.notice_births();
        self.born.retain(|_, born| !born.series.is_gone());
        // After a flood of births the map would stay as large as that was.
        self.born.shrink_to(self.born.len() * 2);
        self.settle(u64::MAX);
        self.deltas_max = DELTAS_MAX;
        let gone = self.expire();
        let roster = match &self.roster {
            Some(roster) => roster.clone(),
            None => self.families.iter().map(|rows| rows.family.clone()).collect(),
        };
        self.roster = Some(roster.clone());
        let columns = (0..self.families.len()).map(|at| self.column(at)).collect();
        let window = Window {
            end,
            length,
            roster,
            columns,
            births: std::mem::take(&mut self.births),
            gone,
            stamped: in_order(&mut self.stamped),
            events: in_order(&mut self.events),
            checks: in_order(&mut self.checks),
            own,
        };
        self.window = next;
        for handed in std::mem::take(&mut self.ahead) {
            self.fold(handed, base);
        }
        (window, std::mem::take(&mut self.report))
    }

    /// A window that shows where everything stands, without closing the open one.
    pub fn standing_window(&mut self, end: i64, own: Vec<Recorded>) -> Window {
        let interval = self.options.interval;
        let rows = (0..self.families.len()).map(|at| (self.families[at].family.clone(), self.column(at)));
        Window { own, ..Window::of(end, interval, rows) }
    }

    /// Has every lane give what it gained, and adds it all up.
    fn collect(&mut self, base: &mut dyn FnMut(&Series) -> Option<Base>, part: impl Fn(&mut Lane) -> Option<Handed>) {
        let lanes: Vec<Arc<Mutex<Lane>>> = self.aggregator.lanes.read().iter().map(|(lane, _)| lane.clone()).collect();
        for lane in lanes {
            let handed = loop {
                // A lane that waits for room in the inbox holds its lock: keep the inbox moving.
                if let Some(mut lane) = lane.try_lock_for(Duration::from_micros(50)) {
                    break part(&mut lane);
                }
                if let Ok(handed) = self.inbox.try_recv() {
                    self.fold(handed, base);
                }
            };
            if let Some(handed) = handed {
                self.fold(handed, base);
            }
        }
        // What was handed over before is among so many; what comes meanwhile need not be.
        for _ in 0..INBOX_MAX {
            let Ok(handed) = self.inbox.try_recv() else { break };
            self.fold(handed, base);
        }
    }

    fn fold(&mut self, mut handed: Handed, base: &mut dyn FnMut(&Series) -> Option<Base>) {
        if handed.window != self.window {
            return self.ahead.push(handed);
        }
        self.notice_births();
        let window = self.window;
        for gain in handed.values {
            let Some(standing) = self.standing(gain.slot, base) else { continue };
            standing.last = window;
            match &mut standing.body {
                Body::Counter { gain: sum, .. } => *sum = saturate(*sum + gain.value),
                Body::Gauge { value, set } if *set < gain.stamp => (*value, *set) = (gain.value, gain.stamp),
                Body::Gauge { .. } | Body::Set(_) | Body::Dist { .. } => {}
            }
        }
        // The samples of one series side by side: what they are added to is fetched once. Their order is in the stamps.
        handed.log.sort_unstable_by_key(|logged| logged.slot);
        for logged in handed.log {
            self.fold_logged(logged, &handed.weights, base);
        }
        self.stamped.extend(handed.stamped);
        self.events.extend(handed.events);
        self.checks.extend(handed.checks);
        for (reason, line) in handed.examples {
            if !self.report.examples.iter().any(|(have, _)| *have == reason) {
                self.report.examples.push((reason, line));
            }
        }
    }

    fn fold_logged(&mut self, logged: Logged, weights: &[f64], base: &mut dyn FnMut(&Series) -> Option<Base>) {
        let (window, seconds, dd) = (self.window, self.options.timers_in_seconds, self.options.dd_sketches);
        if self.standing(logged.slot, base).is_none() {
            return;
        }
        let Some(standing) = &mut self.standings[logged.slot as usize] else { return };
        standing.last = window;
        let fold = fold_of(seconds, dd, standing.series.kind());
        match &mut standing.body {
            Body::Gauge { .. } => self.deltas.push((logged.slot, logged.stamp, logged.value)),
            Body::Set(distinct) => distinct.get_or_insert_default().insert(logged.value.to_bits()),
            Body::Dist { window, .. } => {
                let weight = weights.get(logged.weight as usize).copied().unwrap_or(1.0);
                let window = window.get_or_insert_default();
                window.record(logged.value, weight, fold);
                if window.is_full() {
                    window.fold(Fold { bounds: self.families[standing.family as usize].bounds(), ..fold });
                }
            }
            Body::Counter { .. } => {}
        }
    }

    /// Takes in what was born. A series stands from its first sample on, which may lie in the next window.
    fn notice_births(&mut self) {
        for Birth { series, options } in self.aggregator.registry.take_births() {
            let slot = series.slot();
            let standing = self.standings.get(slot as usize).and_then(Option::as_ref);
            if let Some(standing) = standing {
                if !standing.series.same(&series) {
                    self.take_over(series.clone());
                }
                if let Some(options) = options {
                    self.regard(&series, &options);
                }
            } else if let Some(born) = self.born.get_mut(&slot).filter(|born| born.series.same(&series)) {
                // The first rule that names it has the say.
                born.options = born.options.take().or(options);
            } else {
                // The first type that came has the name, whichever is added up first.
                self.name_of(&series);
                self.born.insert(slot, Birth { series, options });
            }
        }
    }

    /// Goes on with another handle to the series that stands in its slot.
    fn take_over(&mut self, series: Series) {
        let Some(standing) = self.standings.get_mut(series.slot() as usize).and_then(Option::as_mut) else { return };
        let family = &mut self.families[standing.family as usize].family;
        Arc::make_mut(family).series[standing.row as usize] = series.clone();
        standing.series = series;
        self.roster = None;
    }

    fn name_of(&mut self, series: &Series) -> Arc<str> {
        let (prom_name, clashed) = self.aggregator.registry.names.lock().of(series.name(), series.kind(), self.options.counter_suffix);
        if clashed {
            self.report.clashes.push((series.name().to_string(), prom_name.clone()));
        }
        prom_name
    }

    /// The standing of a slot that has received something.
    fn standing(&mut self, slot: u32, base: &mut dyn FnMut(&Series) -> Option<Base>) -> Option<&mut Standing> {
        if self.standings.get(slot as usize).is_none_or(Option::is_none) {
            let mut birth = self.born.remove(&slot);
            // Only the cutter lets go of a series, and of none without a standing: another handle has its place.
            if let Some(Birth { options, .. }) = birth.take_if(|born| born.series.is_gone()) {
                self.notice_births();
                birth = self.born.remove(&slot).map(|born| Birth { options: born.options.or(options), ..born });
            }
            let Birth { series, options } = birth?;
            // A gauge that left begins at 0 again, whether or not the store knows by now that it has.
            let from = Base { gauge: 0.0, ..base(&series).unwrap_or_default() };
            self.births.push(series.clone());
            self.stand(series, &from, self.window, options.as_deref());
        }
        self.standings.get_mut(slot as usize)?.as_mut()
    }

    /// Has a series live as long, and its family explained and shown, as a rule of the mapping file says.
    fn regard(&mut self, series: &Series, options: &SeriesOptions) {
        let Some(standing) = self.standings.get_mut(series.slot() as usize).and_then(Option::as_mut) else { return };
        if let Some(ttl) = options.ttl {
            standing.expire = windows(ttl, self.options.interval);
            self.any_expire |= standing.expire > 0;
        }
        let family = standing.family as usize;
        self.present(family, options);
    }

    /// Explains a family and shows it as the first rule says that says anything.
    fn present(&mut self, family: usize, options: &SeriesOptions) {
        let rows = &mut self.families[family];
        if rows.family.help.is_none() && options.help.is_some() {
            Arc::make_mut(&mut rows.family).help.clone_from(&options.help);
            self.roster = None;
        }
        if rows.form_said || options.presentation.is_silent() || !rows.family.kind.is_sketch() {
            return;
        }
        rows.form_said = true;
        let form = options.presentation.or(&self.options.presentation).form();
        if rows.family.form != form {
            rows.show_as(form);
            self.roster = None;
        }
    }

    fn stand(&mut self, series: Series, base: &Base, last: u32, options: Option<&SeriesOptions>) {
        let family = self.family_of(&series);
        if let Some(options) = options {
            self.present(family, options);
        }
        let rows = &mut self.families[family];
        let slot = series.slot() as usize;
        let row = rows.slots.len() as u32;
        rows.slots.push(series.slot());
        Arc::make_mut(&mut rows.family).series.push(series.clone());
        if let Form::Histogram(bounds) = &rows.family.form {
            rows.buckets.push(within(bounds, base.buckets.as_ref()));
        }
        self.roster = None;
        if self.standings.len() <= slot {
            self.standings.resize_with(slot + 1, || None);
        }
        let body = Body::new(series.kind(), base);
        let expire = options.and_then(|options| options.ttl).map_or(self.options.expire_windows, |ttl| windows(ttl, self.options.interval));
        self.any_expire |= expire > 0;
        self.standings[slot] = Some(Standing { series, last, expire, family: family as u32, row, body });
    }

    /// Where the series' family is; a new one if there is none.
    fn family_of(&mut self, series: &Series) -> usize {
        let (name, kind) = (series.name(), series.kind());
        let key = (kind, Box::from(name));
        if let Some(&at) = self.by_name.get(&key) {
            return at as usize;
        }
        let prom_name = self.name_of(series);
        let form = if kind.is_sketch() { self.options.presentation.form() } else { Form::default() };
        let family = Family { name: name.into(), prom_name, kind, help: None, form, series: Vec::new() };
        self.families.push(Rows { family: Arc::new(family), slots: Vec::new(), form_said: false, buckets: Vec::new() });
        self.by_name.insert(key, (self.families.len() - 1) as u32);
        self.families.len() - 1
    }

    /// Adds up the changes of gauges that no set can come between any more: those of batches that had begun by the last
    /// call and are recorded by now. Lanes give every set they hold.
    fn settle_earlier(&mut self, base: &mut dyn FnMut(&Series) -> Option<Base>) {
        self.collect(base, Lane::take);
        self.settle(self.begun);
        self.begun = self.aggregator.begun();
        self.deltas_max = self.deltas.len() + DELTAS_MAX;
    }

    /// Settles gauges: the latest set of the window, and every later relative change with a smaller stamp than `before`.
    fn settle(&mut self, before: u64) {
        let standings = &mut self.standings;
        self.deltas.sort_unstable_by_key(|&(slot, stamp, _)| (slot, stamp));
        self.deltas.retain(|&(slot, stamp, delta)| {
            if stamp >= before {
                return true;
            }
            let body = standings.get_mut(slot as usize).and_then(Option::as_mut).map(|standing| &mut standing.body);
            if let Some(Body::Gauge { value, set }) = body
                && stamp > *set
            {
                *value = saturate(*value + delta);
            }
            false
        });
        self.deltas.shrink_to_fit();
    }

    /// Lets go of series that were idle for too long.
    fn expire(&mut self) -> Vec<Series> {
        self.aggregator.registry.make_room();
        if !self.any_expire {
            return Vec::new();
        }
        let mut gone = Vec::new();
        for standing in self.standings.iter().flatten() {
            if standing.expire > 0 && self.window.saturating_sub(standing.last) >= standing.expire {
                let seen = standing.series.last_met();
                if seen <= self.window && standing.series.leave(seen) {
                    gone.push(standing.series.clone());
                }
            }
        }
        for series in &gone {
            self.remove(series);
            self.aggregator.registry.forget(series);
        }
        if !gone.is_empty() {
            self.aggregator.registry.forget_spellings_of_the_gone();
            self.aggregator.registry.give_back();
            self.give_back();
            self.report.expired = gone.len() as u64;
        }
        self.departed = gone.len();
        gone
    }

    /// Lets go of room that stood for series which have left.
    fn give_back(&mut self) {
        let used = self.standings.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        self.standings.truncate(used);
        self.standings.shrink_to(used * 2);
    }

    fn remove(&mut self, series: &Series) {
        let Some(standing) = self.standings[series.slot() as usize].take() else { return };
        self.roster = None;
        let (family, row) = (standing.family as usize, standing.row as usize);
        let rows = &mut self.families[family];
        rows.slots.swap_remove(row);
        Arc::make_mut(&mut rows.family).series.swap_remove(row);
        if !rows.buckets.is_empty() {
            rows.buckets.swap_remove(row);
        }
        if let Some(&moved) = rows.slots.get(row) {
            if let Some(moved) = &mut self.standings[moved as usize] {
                moved.row = row as u32;
            }
        } else if rows.slots.is_empty() {
            self.by_name.remove(&(series.kind(), Box::from(series.name())));
            self.aggregator.registry.names.lock().release(series.name(), series.kind());
            self.families.swap_remove(family);
            if let Some(rows) = self.families.get(family) {
                self.by_name.insert((rows.family.kind, rows.family.name.clone()), family as u32);
                for &slot in &rows.slots {
                    if let Some(moved) = &mut self.standings[slot as usize] {
                        moved.family = family as u32;
                    }
                }
            }
        }
    }

    fn column(&mut self, at: usize) -> Column {
        let rows = &mut self.families[at];
        let kind = rows.family.kind;
        let bounds = rows.bounds().cloned();
        let fold = Fold { bounds: bounds.as_ref(), ..fold_of(self.options.timers_in_seconds, self.options.dd_sketches, kind) };
        let size = rows.slots.len();
        let mut column = match kind {
            Kind::Counter => {
                Column::Counter { gain: Vec::with_capacity(size), total: Vec::with_capacity(size), age: Vec::with_capacity(size) }
            }
            Kind::Gauge => Column::Gauge { value: Vec::with_capacity(size), age: Vec::with_capacity(size) },
            Kind::Set => Column::Set { count: Vec::with_capacity(size), age: Vec::with_capacity(size) },
            Kind::Timer | Kind::Histogram | Kind::Distribution => Column::Timer {
                count: Vec::with_capacity(size),
                sum: Vec::with_capacity(size),
                window: Vec::with_capacity(size),
                buckets: Vec::new(),
                age: Vec::with_capacity(size),
            },
        };
        for (row, &slot) in rows.slots.iter().enumerate() {
            let Some(standing) = &mut self.standings[slot as usize] else { continue };
            let idle = self.window.saturating_sub(standing.last).min(u32::from(u16::MAX)) as u16;
            match (&mut column, &mut standing.body) {
                (Column::Counter { gain: gains, total: totals, age }, Body::Counter { total, gain }) => {
                    let gained = std::mem::take(gain);
                    if gained >= 0.0 {
                        *total = saturate(*total + gained);
                    } else {
                        self.report.went_back += 1;
                    }
                    gains.push(gained);
                    totals.push(*total);
                    age.push(idle);
                }
                (Column::Gauge { value: values, age }, Body::Gauge { value, set }) => {
                    *set = 0;
                    values.push(*value);
                    age.push(idle);
                }
                (Column::Set { count, age }, Body::Set(distinct)) => {
                    count.push(distinct.take().map_or(0.0, |distinct| distinct.count()));
                    age.push(idle);
                }
                (Column::Timer { count: counts, sum: sums, window: windows, age, .. }, Body::Dist { count, sum, window }) => {
                    let sketches = window.take().map(|dist| Arc::new(dist.close(fold)));
                    if let Some(sketches) = &sketches {
                        *count = saturate(*count + sketches.exp.count);
                        *sum = saturate(*sum + sketches.exp.sum);
                        if let (Some(running), Some(received)) = (rows.buckets.get_mut(row), &sketches.exp.buckets) {
                            Arc::make_mut(running).add(received);
                        }
                    }
                    counts.push(*count);
                    sums.push(*sum);
                    windows.push(sketches);
                    age.push(idle);
                }
                _ => {}
            }
        }
        if let Column::Timer { buckets, .. } = &mut column {
            buckets.clone_from(&rows.buckets);
        }
        column
    }
}

fn fold_of(seconds: bool, dd: bool, kind: Kind) -> Fold<'static> {
    Fold { divisor: if kind == Kind::Timer && seconds { 1_000.0 } else { 1.0 }, dd: dd && kind == Kind::Distribution, bounds: None }
}

/// What came, as it came over all lanes.
fn in_order<T>(came: &mut InOrder<T>) -> Vec<T> {
    let mut came = std::mem::take(came);
    came.sort_unstable_by_key(|&(stamp, _)| stamp);
    came.into_iter().map(|(_, what)| what).collect()
}

/// Windows that cover a time, at least one.
fn windows(time: Duration, interval: Duration) -> u32 {
    u32::try_from(time.as_nanos().div_ceil(interval.as_nanos().max(1))).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests;
