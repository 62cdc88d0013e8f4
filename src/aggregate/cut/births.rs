//! How a series comes to stand: put back from an earlier process, or born of a line and met by its first sample.

use std::sync::Arc;
use std::time::Duration;

use super::{BaseOf, Cutter};
use crate::aggregate::Birth;
use crate::aggregate::standing::{Body, Place, Standing};
use crate::model::{Buckets, Kind, Series};
use crate::shape::SeriesOptions;

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

impl Cutter {
    /// Names the families of earlier processes as they were named then, given as `(name, kind, Prometheus name)`,
    /// so that a clash of types is settled the same way. The order counts only for those that are named anew.
    pub fn keep_names(&mut self, named: &[(String, Kind, String)]) {
        self.aggregator.registry.names.lock().keep(named, self.options.counter_suffix);
    }

    /// Puts back the series that were live when an earlier process stopped.
    pub fn restore(&mut self, restored: impl IntoIterator<Item = Restored>) {
        let mut counted: Vec<(Place, Arc<Buckets>)> = Vec::new();
        for Restored { kind, name, tags, sent_name, base, age } in restored {
            let sent_name = sent_name.as_deref().unwrap_or(&name);
            let Some(series) = self.aggregator.registry.restore(kind, &name, &tags, sent_name) else { continue };
            if self.standings.get(series.slot()).is_some() {
                continue;
            }
            // Its gate has met this window, so that it stays at least until its age is up.
            series.meet(self.window);
            let last = self.window.saturating_sub(u32::from(age));
            // What gathers the overflow of a name was born of no line, and so of no rule.
            let of_a_line = tags != ["overflow:true"];
            let options = of_a_line.then(|| self.aggregator.registry.options_of(kind, &name, sent_name)).flatten();
            let place = self.stand(series, &base, last, options.as_deref());
            counted.extend(base.buckets.map(|buckets| (place, buckets)));
        }
        // Only a later series may have brought the rule that says how the family is shown.
        for (place, buckets) in counted {
            self.families.go_on_from(place, &buckets);
        }
        self.notice_births();
    }

    /// Takes in what was born. A series stands from its first sample on, which may lie in the next window.
    pub(super) fn notice_births(&mut self) {
        for Birth { series, options } in self.aggregator.registry.take_births() {
            let slot = series.slot();
            if let Some(standing) = self.standings.get_mut(slot) {
                if !standing.series.same(&series) {
                    self.families.take_over(standing.place, series.clone());
                    standing.series = series;
                }
                if let Some(options) = options {
                    self.regard(slot, &options);
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

    /// The standing of a slot that has received something.
    pub(super) fn standing(&mut self, slot: u32, base: &mut BaseOf<'_>) -> Option<&mut Standing> {
        if self.standings.get(slot).is_none() {
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
        self.standings.get_mut(slot)
    }

    fn stand(&mut self, series: Series, base: &Base, last: u32, options: Option<&SeriesOptions>) -> Place {
        let family = self.family_of(&series);
        let mut expire = self.options.expire_windows;
        if let Some(options) = options {
            // Before its row is added: what it goes on from is kept within the bounds that the rule gives.
            self.families.present(family, options);
            expire = options.ttl.map_or(expire, |ttl| self.windows(ttl));
        }
        self.any_expire |= expire > 0;
        let place = self.families.add(family, series.clone(), base.buckets.as_ref());
        let body = Body::new(series.kind(), base);
        self.standings.insert(Standing { series, last, expire, place, body });
        place
    }

    /// Has a series live as long, and its family explained and shown, as a rule of the mapping file says.
    fn regard(&mut self, slot: u32, options: &SeriesOptions) {
        let expire = options.ttl.map(|ttl| self.windows(ttl));
        let Some(standing) = self.standings.get_mut(slot) else { return };
        if let Some(expire) = expire {
            standing.expire = expire;
            self.any_expire |= expire > 0;
        }
        self.families.present(standing.place.family, options);
    }

    /// Where the series' family is; a new one if there is none.
    fn family_of(&mut self, series: &Series) -> u32 {
        match self.families.find(series) {
            Some(family) => family,
            None => {
                let prom_name = self.name_of(series);
                self.families.begin(series, prom_name)
            }
        }
    }

    fn name_of(&mut self, series: &Series) -> Arc<str> {
        let (prom_name, clashed) = self.aggregator.registry.names.lock().of(series.name(), series.kind(), self.options.counter_suffix);
        if clashed {
            self.report.clashes.push((series.name().to_string(), prom_name.clone()));
        }
        prom_name
    }

    /// Windows that cover a time, at least one.
    fn windows(&self, time: Duration) -> u32 {
        u32::try_from(time.as_nanos().div_ceil(self.options.interval.as_nanos().max(1))).unwrap_or(u32::MAX).max(1)
    }
}
