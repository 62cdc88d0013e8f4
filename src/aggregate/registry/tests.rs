//! Who is known by which spelling, and what it costs, whatever leaves in between.

use super::*;
use crate::shape::ShapeConfig;

fn spelling<'a>(name: &'a str, tags: &'a str) -> Spelling<'a> {
    Spelling { name: name.as_bytes(), tags: tags.as_bytes(), kind: Kind::Counter, style: NameStyle::Plain }
}

fn series(registry: &Registry, name: &str, tags: &str) -> Series {
    match registry.resolve(&spelling(name, tags)).resolved {
        Resolved::Series(series) => series,
        other => panic!("{other:?}"),
    }
}

/// Closes the gate, as the cutter does before it has the series forgotten.
fn close(series: &Series) {
    assert!(series.leave(series.last_met()));
}

fn forget(registry: &Registry, series: &Series) {
    registry.forget(series);
    registry.forget_spellings_of_the_gone();
}

#[test]
fn spellings_change_hands_while_a_series_leaves_and_nothing_stays_counted() {
    // Two spellings of one series: which was born, which came further, and which of them come while it leaves.
    let cases: [(&[&str], &[&str]); 6] = [
        (&["x,y"], &["y,x", "x,y"]),
        (&["x,y", "y,x"], &["y,x"]),
        (&["x,y", "y,x"], &["y,x", "x,y"]),
        (&["x,y", "y,x"], &["x,y", "y,x"]),
        (&["x,y", "y,x"], &["x,,y", "y,x", "x,y"]),
        (&["x,y"], &["x,y"]),
    ];
    for (before, meanwhile) in cases {
        let registry = Registry::new(LimitsConfig::default(), Arc::default());
        let old = before.iter().map(|tags| series(&registry, "a", tags)).last().unwrap();
        close(&old);
        let new = meanwhile.iter().map(|tags| series(&registry, "a", tags)).last().unwrap();
        forget(&registry, &old);
        assert!(new.same(&series(&registry, "a", before[0])), "{before:?} {meanwhile:?}");
        close(&new);
        forget(&registry, &new);
        assert_eq!((registry.spelled.further(), registry.len()), (0, 0), "{before:?} {meanwhile:?}");
        assert_eq!(registry.budget.promised(), 0, "{before:?} {meanwhile:?}");
    }
}

#[test]
fn the_first_spelling_stays_the_first_when_two_lanes_meet_it_at_once() {
    let registry = Registry::new(LimitsConfig::default(), Arc::default());
    let born = series(&registry, "a", "x,y");
    let promised = registry.budget.promised();
    // The other lane looked for the spelling before it was known, and asks again in its turn.
    registry.spelled.forget_first_of(&born);
    assert!(born.same(&series(&registry, "a", "x,y")));
    assert_eq!((registry.spelled.further(), registry.budget.promised()), (0, promised));
}

#[test]
fn a_restored_series_is_known_by_its_first_line_as_a_new_one_is() {
    let shapes = ["{}", "{ namespace: ns }", "{ tags: { env: prod } }"];
    for shape in shapes {
        let config: ShapeConfig = serde_yaml::from_str(shape).unwrap();
        let shaping = Arc::new(Shaping::new(&config, |_| Ok(String::new())).unwrap());
        let first = Registry::new(LimitsConfig::default(), shaping.clone());
        let born = series(&first, "hits", "b:2,a:1");
        let registry = Registry::new(LimitsConfig::default(), shaping);
        let tags: Vec<String> = born.tags().map(str::to_string).collect();
        let restored = registry.restore(Kind::Counter, born.name(), &tags, born.name()).unwrap();
        let met = series(&registry, "hits", "b:2,a:1");
        assert_eq!((met.spelling(), met.slot()), (spelling("hits", "b:2,a:1"), restored.slot()), "{shape}");
        assert!(restored.is_gone() && met.same(&series(&registry, "hits", "b:2,a:1")), "{shape}");
        assert_eq!((met.allocated_bytes(), registry.spelled.further()), (born.allocated_bytes(), 0), "{shape}");
        assert_eq!(registry.budget.promised(), first.budget.promised(), "{shape}");
        // What comes later is another spelling of it.
        assert!(met.same(&series(&registry, "hits", "a:1,b:2")));
        assert_eq!((registry.spelled.further(), registry.len()), (1, 1), "{shape}");
        close(&met);
        forget(&registry, &met);
        assert_eq!((registry.budget.promised(), registry.len()), (0, 0), "{shape}");
    }
}

#[test]
fn what_gathers_an_overflow_is_restored_beside_the_limits() {
    let registry = Registry::new(LimitsConfig { series_per_metric: 1, ..LimitsConfig::default() }, Arc::default());
    let restore = |tag: &str| registry.restore(Kind::Counter, "hits", &[tag.to_string()], "hits").is_some();
    assert_eq!([restore("of:a"), restore("of:b"), restore("overflow:true")], [true, false, true]);
}
