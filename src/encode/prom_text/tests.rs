use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::model::series::{NameStyle, Spelling};

fn series(slot: u32, kind: Kind, name: &str, tags: &[&str]) -> Series {
    let mut sorted: Vec<&str> = tags.to_vec();
    sorted.sort_unstable();
    let tags: Vec<Cow<'_, str>> = sorted.into_iter().map(Cow::Borrowed).collect();
    Series::new(slot, Spelling { name: name.as_bytes(), tags: b"", kind, style: NameStyle::Plain }, name, &tags).unwrap()
}

fn family(kind: Kind, name: &str, tag_sets: &[&[&str]]) -> Arc<Family> {
    let series = tag_sets.iter().enumerate().map(|(slot, tags)| series(slot as u32, kind, name, tags)).collect();
    Arc::new(Family { name: name.into(), prom_name: labels::metric_name(name).into(), kind, help: None, form: Form::default(), series })
}

fn counter(totals: &[f64]) -> Column {
    Column::Counter { gain: totals.to_vec(), total: totals.to_vec(), age: vec![0; totals.len()] }
}

fn timer(counts: &[f64], sums: &[f64]) -> Column {
    Column::Timer {
        count: counts.to_vec(),
        sum: sums.to_vec(),
        window: vec![None; counts.len()],
        buckets: Vec::new(),
        age: vec![0; counts.len()],
    }
}

fn window(families: Vec<(Arc<Family>, Column)>) -> Window {
    Window::of(1_000_000_010_000, Duration::from_secs(10), families)
}

fn text(window: &Window) -> ClientText {
    render(window, &[0.5, 0.99], &|_| None)
}

#[test]
fn each_kind_has_its_form_and_families_are_sorted() {
    let window = window(vec![
        (family(Kind::Timer, "z.time", &[&["a:1"], &[]]), timer(&[2.0, 0.0], &[0.5, 0.0])),
        (family(Kind::Counter, "hits", &[&["env:prod", "bare"], &[]]), counter(&[1e6, 2.5])),
        (family(Kind::Set, "users", &[&[]]), Column::Set { count: vec![3.0], age: vec![0] }),
        (family(Kind::Gauge, "load\\x", &[&["v:a\"b\\c\nd"]]), Column::Gauge { value: vec![-0.25], age: vec![0] }),
    ]);
    let mut recent = Recent::default();
    let mut sketch = ExpHist::default();
    sketch.record(0.25, 2.0);
    recent.add(window.start(), &sketch);
    let text = render(&window, &[0.5, 0.99], &|series| series.tags().next().map(|_| &recent));
    let expected = r#"# HELP hits StatsD counter hits
# TYPE hits counter
hits{bare="true",env="prod"} 1000000
hits 2.5
# HELP load_x StatsD gauge load\\x
# TYPE load_x gauge
load_x{v="a\"b\\c\nd"} -0.25
"#;
    assert_eq!(text.before, expected);
    let expected = r#"# HELP users StatsD set users
# TYPE users gauge
users 3
# HELP z_time StatsD timer z.time
# TYPE z_time summary
z_time{a="1",quantile="0.5"} 0.25
z_time{a="1",quantile="0.99"} 0.25
z_time_sum{a="1"} 0.5
z_time_count{a="1"} 2
z_time{quantile="0.5"} NaN
z_time{quantile="0.99"} NaN
z_time_sum 0
z_time_count 0
"#;
    assert_eq!(text.after, expected);
    assert_eq!((text.merged, text.omitted), (0, 0));
}

#[test]
fn series_that_collide_after_rewriting_are_one_sample() {
    let counters = window(vec![
        (family(Kind::Counter, "a.b", &[&["k.x:1"], &["k_x:1"], &["k_x:2"]]), counter(&[1.0, 2.0, 4.0])),
        (family(Kind::Counter, "a_b", &[&["k-x:1"]]), counter(&[8.0])),
    ]);
    let got = text(&counters);
    assert_eq!(got.before, "# HELP a_b StatsD counter a.b\n# TYPE a_b counter\na_b{k_x=\"1\"} 11\na_b{k_x=\"2\"} 4\n");
    assert_eq!((got.merged, got.omitted), (2, 0));

    let gauges = window(vec![
        (family(Kind::Gauge, "a.b", &[&[]]), Column::Gauge { value: vec![7.0], age: vec![0] }),
        (family(Kind::Gauge, "a_b", &[&[]]), Column::Gauge { value: vec![9.0], age: vec![3] }),
    ]);
    assert!(text(&gauges).before.ends_with("gauge\na_b 7\n"), "the one that changed last is shown");
}

#[test]
fn names_of_the_relay_and_of_summaries_are_left_out() {
    let window = window(vec![
        (family(Kind::Counter, "statsd_relay_lies_total", &[&[]]), counter(&[1.0])),
        (family(Kind::Timer, "t", &[&[]]), timer(&[1.0], &[1.0])),
        (family(Kind::Counter, "t.count", &[&[], &["a:b"]]), counter(&[5.0, 6.0])),
        (family(Kind::Counter, "other_count", &[&[]]), counter(&[5.0])),
    ]);
    let text = text(&window);
    assert_eq!(text.omitted, 3);
    assert!(text.before.contains("other_count 5\n") && text.after.contains("\nt_count 1\n"));
    assert!(!text.after.contains("t_count 5") && !text.before.contains("lies") && !text.after.contains("lies"));
}

#[test]
fn a_clients_quantile_tag_steps_aside_in_a_summary() {
    let tags: &[&str] = &["quantile:0.5", "exported_quantile:x"];
    let window = window(vec![
        (family(Kind::Distribution, "d", &[tags]), timer(&[1.0], &[1.0])),
        (family(Kind::Counter, "c", &[tags]), counter(&[1.0])),
    ]);
    let text = text(&window);
    let labels = r#"exported_exported_quantile="0.5",exported_quantile="x""#;
    assert!(text.before.contains(&format!("d{{{labels},quantile=\"0.99\"}} NaN\nd_sum{{{labels}}} 1\n")), "{}", text.before);
    assert!(text.before.contains(r#"c{exported_quantile="x",quantile="0.5"} 1"#));
}

/// The same with a form of its own.
fn shown_as(form: Form, family: &Arc<Family>) -> Arc<Family> {
    Arc::new(Family { form, ..(**family).clone() })
}

#[test]
fn a_histogram_counts_what_does_not_exceed_each_bound_and_moves_a_clients_le_aside() {
    let bounds: Arc<[f64]> = [0.25, 1.0, 2.5e-7_f64.recip()].as_slice().into();
    let within = |weights: &[f64]| Arc::new(Buckets::with_weights(&bounds, weights.to_vec()));
    let mut columns = timer(&[7.0, 2.0], &[3.5, 0.5]);
    if let Column::Timer { buckets, .. } = &mut columns {
        *buckets = vec![within(&[1.0, 2.5, 0.0]), within(&[2.0, 0.0, 0.0])];
    }
    let family = family(Kind::Timer, "t", &[&["a:b", "le:x"], &[]]);
    let window = window(vec![(shown_as(Form::Histogram(bounds.clone()), &family), columns)]);
    let expected = r#"# HELP t StatsD timer t
# TYPE t histogram
t_bucket{a="b",exported_le="x",le="0.25"} 1
t_bucket{a="b",exported_le="x",le="1"} 3.5
t_bucket{a="b",exported_le="x",le="4000000"} 3.5
t_bucket{a="b",exported_le="x",le="+Inf"} 7
t_sum{a="b",exported_le="x"} 3.5
t_count{a="b",exported_le="x"} 7
t_bucket{le="0.25"} 2
t_bucket{le="1"} 2
t_bucket{le="4000000"} 2
t_bucket{le="+Inf"} 2
t_sum 0.5
t_count 2
"#;
    assert_eq!(text(&window).after, expected);
}

#[test]
fn a_family_shows_quantiles_of_its_own_and_keeps_the_names_of_its_samples_to_itself() {
    let shares = Form::Summary(Some([0.0, 0.75].as_slice().into()));
    let mut window = window(vec![
        (shown_as(shares, &family(Kind::Timer, "a", &[&[]])), timer(&[0.0], &[0.0])),
        (family(Kind::Gauge, "a.bucket", &[&[]]), Column::Gauge { value: vec![7.0], age: vec![0] }),
    ]);
    let shown = text(&window);
    assert!(shown.before.contains("a{quantile=\"0\"} NaN\na{quantile=\"0.75\"} NaN\na_sum 0\n"), "{}", shown.before);
    assert!(shown.before.contains("a_bucket 7\n") && shown.omitted == 0);
    window.roster = [shown_as(Form::Histogram(Arc::default()), &window.roster[0]), window.roster[1].clone()].into();
    let shown = text(&window);
    assert!(shown.before.contains("a_bucket{le=\"+Inf\"} 0\n") && shown.omitted == 1, "{}", shown.before);
}

#[test]
fn the_fast_writer_agrees_with_the_derivation_of_labels() {
    let keys = ["a", "a1", "a_b", "B", "_x", "__x", "9", "k.x", "é", "", "quantile"];
    let values = ["1", "", "with \"quote\"", "b:c", "ünï", "back\\slash\n"];
    let mut clean = 0;
    for first in keys {
        for second in keys {
            for value in values {
                let tags = [format!("{first}:{value}"), format!("{second}:2"), "z:end".to_string()];
                let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
                let series = series(0, Kind::Counter, "n", &tags);
                let (mut fast, mut derived) = (String::new(), String::new());
                if !is_clean(&series, None) {
                    continue;
                }
                clean += 1;
                clean_labels(&mut fast, &series);
                derived_labels(&mut derived, "n", &series, None);
                assert_eq!(fast, derived, "{tags:?}");
            }
        }
    }
    assert!(clean > 100, "the fast way was taken {clean} times");
}

#[test]
fn control_characters_of_a_name_are_spelled_in_its_help() {
    let text = text(&window(vec![(family(Kind::Counter, "x\u{0}\n\t\\", &[&[]]), counter(&[1.0]))]));
    assert!(text.after.starts_with("# HELP x____ StatsD counter x\\\\u{0}\\n\\\\t\\\\\n# TYPE"), "{}", text.after);
}
