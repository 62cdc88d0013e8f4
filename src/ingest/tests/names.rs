//! The names that families have on the page.

use super::*;

#[test]
fn one_name_with_two_types_is_two_series_with_stable_names() {
    let mut bench = one_lane();
    bench.send(0, "a.b:1|c\na.b:2|g\na.b_count:1|c\na.b:3|ms");
    let window = bench.cut();
    let mut names: Vec<String> = window.roster.iter().map(|family| format!("{}={}", family.kind.as_str(), family.prom_name)).collect();
    names.sort();
    assert_eq!(names, ["counter=a_b", "counter=a_b_count", "gauge=a_b_gauge", "timer=a_b_timer"]);
    assert_eq!(bench.report.clashes.len(), 2);
}

#[test]
fn clashing_types_keep_their_names_over_a_restart() {
    let named = |window: &Window| {
        let of = |family: &Arc<Family>| (family.name.to_string(), family.kind, family.prom_name.to_string());
        window.roster.iter().map(of).collect::<BTreeSet<_>>()
    };
    let lines = ["x:1|c", "x:1|g", "x:1|ms", "x_timer_sum:1|g", "y.z:1|ms", "y_z_count:1|c"];
    let mut bench = one_lane();
    bench.send(0, &lines.join("\n"));
    let before = named(&bench.cut());
    assert_eq!(before.iter().filter(|(name, _, page)| name != page).count(), 5);
    let stored: Vec<_> = before.iter().cloned().collect();
    for stored in [stored.clone(), stored.into_iter().rev().collect()] {
        let mut restarted = one_lane();
        restarted.cutter.keep_names(&stored);
        for line in lines.iter().rev() {
            restarted.send(0, line);
        }
        assert_eq!(named(&restarted.cut()), before);
    }
}

#[test]
fn families_are_named_anew_when_their_names_are_made_otherwise() {
    let mut bench = one_lane();
    let stored = [("c", Kind::Counter, "c_total"), ("c", Kind::Gauge, "c"), ("d", Kind::Gauge, "d_counter")];
    bench.cutter.keep_names(&stored.map(|(name, kind, page)| (name.to_string(), kind, page.to_string())));
    bench.send(0, "c:1|c\nc:1|g\nd:1|g");
    let mut names: Vec<String> = bench.cut().roster.iter().map(|family| family.prom_name.to_string()).collect();
    names.sort();
    assert_eq!(names, ["c", "c_counter", "d"]);
}
