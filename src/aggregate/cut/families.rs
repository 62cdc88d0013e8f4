//! The families of live series: whose the rows of each are, and how it is shown.

use std::collections::HashMap;
use std::sync::Arc;

use crate::aggregate::standing::Place;
use crate::model::{Buckets, Family, Form, Kind, Series};
use crate::shape::{Presentation, SeriesOptions};

/// Every family, each in one place while it has rows.
pub(super) struct Families {
    all: Vec<Rows>,
    by_name: HashMap<(Kind, Box<str>), u32>,
    /// Rebuilt when a family changed.
    roster: Option<Arc<[Arc<Family>]>>,
    /// How sketches are shown where no mapping file says.
    presentation: Presentation,
}

/// A family and the slots of its rows.
pub(super) struct Rows {
    pub(super) family: Arc<Family>,
    pub(super) slots: Vec<u32>,
    /// Running, one per row of a family that is shown as a histogram.
    pub(super) buckets: Vec<Arc<Buckets>>,
    /// A mapping file said how it is shown: the first that says so has the say.
    form_said: bool,
}

impl Families {
    pub(super) fn new(presentation: Presentation) -> Families {
        Families { all: Vec::new(), by_name: HashMap::new(), roster: None, presentation }
    }

    /// The families of a window, in the order of its columns.
    pub(super) fn roster(&mut self) -> Arc<[Arc<Family>]> {
        self.roster.get_or_insert_with(|| self.all.iter().map(|rows| rows.family.clone()).collect()).clone()
    }

    /// In the order of the roster.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Rows> {
        self.all.iter_mut()
    }

    /// Bounds of a family's buckets, if it has any.
    pub(super) fn bounds(&self, family: u32) -> Option<&Arc<[f64]>> {
        self.all[family as usize].bounds()
    }

    /// Where the series' family is, if it has one.
    pub(super) fn find(&self, series: &Series) -> Option<u32> {
        self.by_name.get(&(series.kind(), series.name().into())).copied()
    }

    /// Begins the series' family, without rows so far.
    pub(super) fn begin(&mut self, series: &Series, prom_name: Arc<str>) -> u32 {
        let (name, kind) = (series.name(), series.kind());
        let form = if kind.is_sketch() { self.presentation.form() } else { Form::default() };
        let family = Family { name: name.into(), prom_name, kind, help: None, form, series: Vec::new() };
        let at = self.all.len() as u32;
        self.all.push(Rows { family: Arc::new(family), slots: Vec::new(), buckets: Vec::new(), form_said: false });
        self.by_name.insert((kind, name.into()), at);
        at
    }

    /// Explains a family and shows it as the first rule says that says anything.
    pub(super) fn present(&mut self, family: u32, options: &SeriesOptions) {
        let rows = &mut self.all[family as usize];
        if rows.family.help.is_none() && options.help.is_some() {
            Arc::make_mut(&mut rows.family).help.clone_from(&options.help);
            self.roster = None;
        }
        if rows.form_said || options.presentation.is_silent() || !rows.family.kind.is_sketch() {
            return;
        }
        rows.form_said = true;
        let form = options.presentation.or(&self.presentation).form();
        if rows.family.form != form {
            rows.show_as(form);
            self.roster = None;
        }
    }

    /// Adds a row for a series, whose buckets go on from `buckets`.
    pub(super) fn add(&mut self, family: u32, series: Series, buckets: Option<&Arc<Buckets>>) -> Place {
        self.roster = None;
        let rows = &mut self.all[family as usize];
        let place = Place { family, row: rows.slots.len() as u32 };
        rows.slots.push(series.slot());
        if let Form::Histogram(bounds) = &rows.family.form {
            rows.buckets.push(within(bounds, buckets));
        }
        Arc::make_mut(&mut rows.family).series.push(series);
        place
    }

    /// Has a row's buckets, if it has any, go on from these.
    pub(super) fn go_on_from(&mut self, place: Place, buckets: &Arc<Buckets>) {
        let rows = &mut self.all[place.family as usize];
        if let Form::Histogram(bounds) = &rows.family.form {
            rows.buckets[place.row as usize] = within(bounds, Some(buckets));
        }
    }

    /// Goes on with another handle to the series of a row.
    pub(super) fn take_over(&mut self, place: Place, series: Series) {
        self.roster = None;
        Arc::make_mut(&mut self.all[place.family as usize].family).series[place.row as usize] = series;
    }

    /// Removes a row, and its family with the last one. Tells which slots have another place now, and answers whether
    /// the family is gone.
    pub(super) fn remove(&mut self, gone: Place, mut moved: impl FnMut(u32, Place)) -> bool {
        self.roster = None;
        let rows = &mut self.all[gone.family as usize];
        rows.remove(gone.row as usize);
        if let Some(&slot) = rows.slots.get(gone.row as usize) {
            moved(slot, gone);
        }
        if !rows.slots.is_empty() {
            return false;
        }
        let Family { kind, name, .. } = &*self.all.swap_remove(gone.family as usize).family;
        self.by_name.remove(&(*kind, name.clone()));
        if let Some(rows) = self.all.get(gone.family as usize) {
            self.by_name.insert((rows.family.kind, rows.family.name.clone()), gone.family);
            for (row, &slot) in (0..).zip(&rows.slots) {
                moved(slot, Place { family: gone.family, row });
            }
        }
        true
    }
}

impl Rows {
    /// Bounds of its buckets, if it has any.
    pub(super) fn bounds(&self) -> Option<&Arc<[f64]>> {
        match &self.family.form {
            Form::Histogram(bounds) => Some(bounds),
            Form::Summary(_) => None,
        }
    }

    /// Counts within other bounds, or none, from now on; what came before is within them as far as that is known.
    fn show_as(&mut self, form: Form) {
        let before = std::mem::take(&mut self.buckets);
        if let Form::Histogram(bounds) = &form {
            self.buckets = (0..self.slots.len()).map(|row| within(bounds, before.get(row))).collect();
        }
        Arc::make_mut(&mut self.family).form = form;
    }

    /// Removes a row; the last one takes its place.
    fn remove(&mut self, row: usize) {
        self.slots.swap_remove(row);
        Arc::make_mut(&mut self.family).series.swap_remove(row);
        if !self.buckets.is_empty() {
            self.buckets.swap_remove(row);
        }
    }
}

/// What is known of buckets within other bounds.
fn within(bounds: &Arc<[f64]>, before: Option<&Arc<Buckets>>) -> Arc<Buckets> {
    Arc::new(before.map_or_else(|| Buckets::new(bounds), |before| before.within(bounds)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::series::Spelling;

    /// Adds series with these slots, each of the family that its letter names.
    fn families(series: &[(u32, &str)]) -> (Families, HashMap<u32, Place>) {
        let mut families = Families::new(Presentation::default());
        let add = |&(slot, name): &(u32, &str)| {
            let series = timer(slot, name);
            let family = families.find(&series).unwrap_or_else(|| families.begin(&series, name.into()));
            (slot, families.add(family, series, None))
        };
        let places = series.iter().map(add).collect();
        (families, places)
    }

    fn timer(slot: u32, name: &str) -> Series {
        let spelling = Spelling { name: name.as_bytes(), tags: b"", kind: Kind::Timer, style: Default::default() };
        Series::new(slot, spelling, name, &[]).unwrap()
    }

    fn histogram(bounds: &[f64]) -> SeriesOptions {
        let presentation = Presentation { histogram: Some(true), buckets: Some(bounds.into()), quantiles: None };
        SeriesOptions { presentation, ..SeriesOptions::default() }
    }

    /// Every slot lies where its family has it, and every family where its name says.
    fn assert_in_place(families: &mut Families, places: &HashMap<u32, Place>) {
        let rows = families.all.iter().zip(0..).flat_map(|(rows, family)| {
            assert_eq!(rows.slots, rows.family.series.iter().map(Series::slot).collect::<Vec<_>>());
            assert_eq!(families.by_name[&(rows.family.kind, rows.family.name.clone())], family);
            rows.slots.iter().zip(0..).map(move |(&slot, row)| (slot, Place { family, row }))
        });
        assert_eq!(rows.collect::<HashMap<_, _>>(), *places);
        assert_eq!(families.by_name.len(), families.all.len());
        let listed = families.roster().iter().map(|family| family.series.len()).collect::<Vec<_>>();
        assert_eq!(listed, families.all.iter().map(|rows| rows.slots.len()).collect::<Vec<_>>());
    }

    #[test]
    fn what_moves_into_the_gap_of_a_row_or_of_a_family_is_told() {
        // The middle of three, the last of two, the only one of a family in the middle, then everything else.
        let order = [(1, false), (6, false), (3, true), (0, false), (2, true), (4, true), (5, true)];
        let (mut families, mut places) = families(&[(0, "a"), (1, "a"), (2, "a"), (3, "b"), (4, "c"), (5, "d"), (6, "d")]);
        assert_in_place(&mut families, &places);
        for (slot, last_of_family) in order {
            let gone = places.remove(&slot).unwrap();
            let left = families.remove(gone, |slot, place| {
                places.insert(slot, place).unwrap();
            });
            assert_eq!(left, last_of_family, "{slot}");
            assert_in_place(&mut families, &places);
        }
    }

    #[test]
    fn a_window_keeps_its_roster_whatever_becomes_of_the_families() {
        let (mut families, places) = families(&[(0, "a"), (1, "a")]);
        let before = families.roster();
        assert!(Arc::ptr_eq(&before, &families.roster()), "one that did not change is shared");
        let other = timer(0, "a");
        families.take_over(places[&0], other.clone());
        assert!(families.roster()[0].series[0].same(&other) && !before[0].series[0].same(&other));
        families.present(0, &histogram(&[1.0]));
        assert_eq!((&families.roster()[0].form, &before[0].form), (&Form::Histogram([1.0].into()), &Form::default()));
        families.remove(places[&0], |_, _| {});
        assert_eq!((families.roster()[0].series.len(), before[0].series.len()), (1, 2));
    }

    #[test]
    fn the_first_rule_that_says_how_a_family_is_shown_has_the_say() {
        let (mut families, places) = families(&[(0, "a"), (1, "a")]);
        families.present(0, &SeriesOptions::default());
        assert_eq!(families.bounds(0), None);
        families.present(0, &histogram(&[1.0, 2.0]));
        families.present(0, &histogram(&[5.0]));
        assert_eq!(families.bounds(0).unwrap()[..], [1.0, 2.0]);
        assert_eq!(families.all[0].buckets.len(), 2);
        let before = Arc::new(Buckets::with_weights(&[1.0, 3.0].into(), vec![4.0, 5.0]));
        families.go_on_from(places[&0], &before);
        let place = families.add(0, timer(2, "a"), Some(&before));
        let weights = |row: u32| families.all[0].buckets[row as usize].weights().to_vec();
        assert_eq!(
            (weights(0), weights(1), weights(place.row)),
            (before.within(families.bounds(0).unwrap()).weights().to_vec(), vec![0.0, 0.0], weights(0))
        );
    }
}
