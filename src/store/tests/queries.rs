//! What selections answer.

use super::*;

#[test]
fn old_hours_are_answered_from_the_file_as_they_were_from_memory() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let hits = family(vec![series(0, Kind::Counter, "hits", &[])]);
    let wait = family(vec![series(1, Kind::Timer, "wait", &["q:a"])]);
    let mut seen: Vec<Vec<SeriesText>> = Vec::new();
    let names = ["hits", "wait", "wait_count", "wait_sum"];
    let hour = |hour: i64| (START + hour * 3_600_000, START + (hour + 1) * 3_600_000);
    let native = |store: &Store, (start, end): (i64, i64)| {
        let selected = store.select(&matchers(&[("__name__", "wait")]), TimeRange { start, end }).unwrap();
        selected.series.into_iter().flat_map(|slice| slice.samples).collect::<Vec<_>>()
    };
    let mut natives = Vec::new();
    let (mut total, mut count, mut sum) = (0.0, 0.0, 0.0);
    for n in 1..=4 * 360 {
        let end = START + n * STEP;
        total += 3.0;
        let received = (n % 7 != 0).then(|| sketches(&[n as f64, 0.25])).flatten();
        if let Some(received) = &received {
            (count, sum) = (count + received.exp.count, sum + received.exp.sum * 1.000_000_000_000_001);
        }
        store.append(&window(end, vec![(hits.clone(), counter(3.0, total)), (wait.clone(), timer(received, count, sum))]));
        writer.commit(end).unwrap();
        if n % 360 == 0 {
            let (start, end) = hour(n / 360 - 1);
            let mut found: Vec<SeriesText> = names.iter().flat_map(|name| select(&store, &[("__name__", name)], start, end)).collect();
            found.extend(select(&store, &[("__name__", "wait"), ("quantile", "~.*")], start, end));
            seen.push(found);
            natives.push(native(&store, (start, end)));
        }
    }
    drop((store, writer));
    let (store, _writer) = open(dir.path());
    for (n, before) in seen.iter().enumerate() {
        let (start, end) = hour(n as i64);
        let mut found: Vec<SeriesText> = names.iter().flat_map(|name| select(&store, &[("__name__", name)], start, end)).collect();
        found.extend(select(&store, &[("__name__", "wait"), ("quantile", "~.*")], start, end));
        assert_eq!(&found, before, "hour {n}");
        assert!(native(&store, (start, end)) == natives[n], "whole sketches of hour {n}");
        assert_eq!(found.len(), 6);
        assert!(found.iter().all(|(_, samples)| samples.len() == 360));
    }
    let recent = store.recent(Kind::Timer, "wait", &mut ["q:a"].into_iter()).unwrap();
    assert!(recent.merged(hour(3).1 - STEP).count > 80.0);
}

/// A family that is shown in such a form.
fn shown_as(form: Form, series: Vec<Series>) -> Arc<Family> {
    Arc::new(Family { form, ..Arc::unwrap_or_clone(family(series)) })
}

fn histogram(bounds: &[f64]) -> Form {
    Form::Histogram(bounds.into())
}

/// A timer's window within bounds.
fn bounded(bounds: &[f64], values: &[f64], count: f64) -> Column {
    let mut received = Arc::unwrap_or_clone(sketches(values).unwrap());
    let mut buckets = Buckets::new(&bounds.into());
    values.iter().for_each(|&value| buckets.record(value, 1.0));
    received.exp.buckets = Some(Box::new(buckets));
    timer(Some(Arc::new(received)), count, count)
}

#[test]
fn buckets_are_answered_as_they_were_counted_also_after_a_restart_and_under_new_bounds() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let within = |bounds: &[f64]| shown_as(histogram(bounds), vec![series(0, Kind::Timer, "wait", &["q:a"])]);
    let wait = within(&[1.0, 2.0]);
    store.append(&window(START + STEP, vec![(wait.clone(), bounded(&[1.0, 2.0], &[1.0, 1.5, 9.0], 3.0))]));
    store.append(&window(START + 2 * STEP, vec![(wait, timer(None, 3.0, 3.0))]));
    writer.commit(START).unwrap();
    drop((store, writer));
    let (store, mut writer) = open(dir.path());
    let found = |store: &Store, le: &str| {
        let found = select(store, &[("__name__", "wait_bucket"), ("le", le)], START, START + 9 * STEP);
        found.into_iter().map(|(labels, samples)| (labels, samples.into_iter().map(|(_, value)| value).collect())).collect::<Vec<_>>()
    };
    let one = |le: &str, values: &[f64]| vec![(format!("wait_bucket{{le=\"{le}\", q=\"a\"}}"), values.to_vec())];
    assert_eq!(found(&store, "1"), one("1", &[1.0, 1.0]));
    assert_eq!(found(&store, "+Inf"), one("+Inf", &[3.0, 3.0]));
    assert_eq!(found(&store, "~.*").len(), 3);
    let base = store.live().remove(0).base;
    assert_eq!(base.buckets.unwrap().weights(), [1.0, 1.0]);
    store.append(&window(START + 3 * STEP, vec![(within(&[2.0, 5.0]), bounded(&[2.0, 5.0], &[0.5, 4.0], 5.0))]));
    writer.commit(START).unwrap();
    assert_eq!(found(&store, "2"), one("2", &[2.0, 2.0, 3.0]));
    assert_eq!(found(&store, "5"), one("5", &[4.0]));
    assert_eq!(found(&store, "1"), []);
    assert_eq!(select(&store, &[("__name__", "wait"), ("quantile", "~.*")], START, START + 9 * STEP), []);
    let sets = store.label_sets(&matchers(&[("__name__", "~wait.*")]), TimeRange { start: START, end: START + 9 * STEP }).unwrap();
    assert_eq!(sets.len(), 6);
}

#[test]
fn an_idle_timer_is_shown_in_the_form_of_its_family_after_that_changed() {
    let timed = || vec![series(0, Kind::Timer, "wait", &[])];
    let (summary, buckets) = (Form::default(), histogram(&[1.0]));
    for (before, after) in [(&summary, &buckets), (&buckets, &summary)] {
        let dir = TempDir::new().unwrap();
        let (store, mut writer) = open(dir.path());
        let received = if *before == summary { timer(sketches(&[0.5]), 1.0, 0.5) } else { bounded(&[1.0], &[0.5], 1.0) };
        store.append(&window(START + STEP, vec![(shown_as(before.clone(), timed()), received)]));
        writer.commit(START).unwrap();
        drop((store, writer));
        let (store, _writer) = open(dir.path());
        let has = |text: &[(&str, &str)]| !select(&store, text, START, START + 9 * STEP).is_empty();
        let shown = || (has(&[("__name__", "wait"), ("quantile", "0.5")]), has(&[("__name__", "wait_bucket"), ("le", "+Inf")]));
        assert_eq!(shown(), (*before == summary, *before == buckets), "what it was, before it is told");
        let after_family = shown_as(after.clone(), timed());
        store.present([&*after_family].into_iter());
        assert_eq!(shown(), (*after == summary, *after == buckets));
        store.append(&window(START + 2 * STEP, vec![(after_family, timer(None, 1.0, 0.5))]));
        assert_eq!(shown(), (*after == summary, *after == buckets));
    }
}

#[test]
fn a_tag_named_as_the_label_of_parts_moves_aside_as_on_the_page() {
    let dir = TempDir::new().unwrap();
    let (store, _writer) = open(dir.path());
    let of = |slot, name, tag| vec![series(slot, Kind::Timer, name, &[tag])];
    let [a, b] = [of(0, "wait", "le:a"), of(1, "wait", "le:b")].map(|series| shown_as(histogram(&[1.0]), series));
    let rest = family(of(2, "rest", "quantile:0.5"));
    let waits = || bounded(&[1.0], &[0.5], 1.0);
    store.append(&window(START + STEP, vec![(a, waits()), (b, waits()), (rest, timer(sketches(&[2.0]), 1.0, 2.0))]));
    let found = |text: &[(&str, &str)]| select(&store, text, START, START + STEP).into_iter().map(|(labels, _)| labels).collect::<Vec<_>>();
    let waits = |name: &str, le: &str| ["a", "b"].map(|own| format!("{name}{{exported_le=\"{own}\"{le}}}")).to_vec();
    assert_eq!(found(&[("__name__", "wait_count")]), waits("wait_count", ""));
    assert_eq!(found(&[("__name__", "wait_sum"), ("exported_le", "a")]), waits("wait_sum", "")[..1]);
    assert_eq!(found(&[("__name__", "wait_bucket"), ("le", "1")]), waits("wait_bucket", ", le=\"1\""));
    assert_eq!(found(&[("__name__", "wait_count"), ("le", "a")]), Vec::<String>::new());
    let quantiles = ["0.5", "0.99"].map(|q| format!("rest{{exported_quantile=\"0.5\", quantile=\"{q}\"}}"));
    assert_eq!(found(&[("__name__", "rest"), ("quantile", "~.+")]), quantiles);
    assert_eq!(found(&[("__name__", "rest_count")]), [r#"rest_count{exported_quantile="0.5"}"#]);
    let (store, _writer) = Store::in_memory(Duration::from_millis(STEP as u64), &[], Vec::new(), START).unwrap();
    let own = shown_as(histogram(&[1.0]), of(0, "wait", "le:a"));
    store.show(&Arc::new(window(START + STEP, vec![(own, timer(None, 1.0, 1.0))])));
    let shown = select(&store, &[("__name__", "wait_count")], START, START + STEP);
    assert_eq!(shown, [(r#"wait_count{exported_le="a"}"#.to_string(), vec![(START + STEP, 1.0)])], "of what is not kept");
}

#[test]
fn a_summary_has_the_shares_of_its_family_and_a_series_the_name_it_was_sent_under() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let spelling = Spelling { name: b"sent.a,k=v", tags: b"z,y", kind: Kind::Timer, style: NameStyle::Influx };
    let series = vec![Series::new(0, spelling, "wait", &["y".into(), "z".into()]).unwrap()];
    let form = Form::Summary(Some([0.25].as_slice().into()));
    let wait = Arc::new(Family { name: "wait".into(), prom_name: "wait".into(), kind: Kind::Timer, help: None, form, series });
    store.append(&window(START + STEP, vec![(wait.clone(), timer(sketches(&[1.0]), 1.0, 1.0))]));
    let shares = |store: &Store| {
        let found = select(store, &[("__name__", "wait"), ("quantile", "~.*")], START, START + STEP);
        found.into_iter().map(|(labels, _)| labels).collect::<Vec<_>>()
    };
    let own = [r#"wait{quantile="0.25", y="true", z="true"}"#];
    assert_eq!(shares(&store), own);
    writer.commit(START).unwrap();
    drop((store, writer));
    let (store, _writer) = open(dir.path());
    assert_eq!(store.live()[0].sent_name.as_deref(), Some("sent.a"));
    assert_eq!(shares(&store).len(), 2);
    store.present([&*wait].into_iter());
    assert_eq!(shares(&store), own);
}

#[test]
fn a_timer_is_a_histogram_a_count_a_sum_and_a_summary() {
    let dir = TempDir::new().unwrap();
    let (store, _writer) = open(dir.path());
    let wait = family(vec![series(0, Kind::Timer, "wait", &[])]);
    store.append(&window(START + STEP, vec![(wait.clone(), timer(sketches(&[1.0, 2.0, 4.0]), 3.0, 7.0))]));
    store.append(&window(START + 2 * STEP, vec![(wait, timer(None, 3.0, 7.0))]));
    let (start, end) = (START, START + 2 * STEP);
    let at = |value: f64| vec![(START + STEP, value), (end, value)];
    assert_eq!(select(&store, &[("__name__", "wait_count")], start, end), [("wait_count".to_string(), at(3.0))]);
    assert_eq!(select(&store, &[("__name__", "wait_sum")], start, end), [("wait_sum".to_string(), at(7.0))]);
    let summary = select(&store, &[("__name__", "wait"), ("quantile", "0.5")], start, end);
    assert_eq!(summary.len(), 1);
    assert_eq!(summary[0].0, r#"wait{quantile="0.5"}"#);
    assert!((summary[0].1[1].1 - 2.0).abs() < 0.03);
    assert_eq!(select(&store, &[("__name__", "wait_bucket")], start, end), []);
    let native = store.select(&matchers(&[("__name__", "wait")]), TimeRange { start, end }).unwrap();
    assert_eq!(native.series[0].start_time, Some(START));
    assert!(matches!(&native.series[0].samples[0].value, SampleValue::Histogram(ever) if ever.count == 3.0 && ever.sum == 7.0));
    assert_eq!(store.label_sets(&matchers(&[("__name__", "~wait.*")]), TimeRange { start, end }).unwrap().len(), 3);
}

#[test]
fn a_selection_has_a_budget_of_series_and_of_bytes() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let heat = family((0..3).map(|slot| series(slot, Kind::Gauge, "heat", &[&format!("n:{slot}")])).collect());
    let wait = family(vec![series(3, Kind::Timer, "wait", &[])]);
    let values: Vec<f64> = (1..=50).map(f64::from).collect();
    for n in 1..=3 * 360 {
        let heats = Column::Gauge { value: vec![1.0; 3], age: vec![0; 3] };
        let waits = timer(sketches(&values), 50.0 * n as f64, 1_275.0 * n as f64);
        store.append(&window(START + n * STEP, vec![(heat.clone(), heats), (wait.clone(), waits)]));
    }
    writer.commit(START).unwrap();
    let within = |series: usize, bytes: usize, text: &[(&str, &str)], hours: std::ops::Range<i64>| {
        let range = TimeRange { start: START + hours.start * 3_600_000, end: START + hours.end * 3_600_000 };
        let room = Room::new(bytes, None);
        let selected = store.select_of(series, &matchers(text), range, &room);
        selected.map(|found| (found.series.len(), room.taken())).map_err(|error| error.to_string())
    };
    let series = |most: usize| Err(format!("the query needs more than {most} series; narrow its matchers"));
    let full = |most: usize| {
        let most = crate::model::ByteSize(most as u64);
        Err(format!("the query needs more than {most} of memory for samples; shorten its range or narrow its matchers"))
    };
    let named = |name| [("__name__", name)];
    // A sample of a float is 24 bytes; lists have some room to grow.
    for (hours, kept) in [(2..3, "in memory"), (0..1, "in the file")] {
        let within = |most: usize, bytes: usize, text: &[(&str, &str)]| within(most, bytes, text, hours.clone());
        let ok = |found: &Result<(usize, usize), String>, sets: usize| {
            found.as_ref().is_ok_and(|&(found, taken)| found == sets && (sets * 360 * 24..sets * 360 * 30).contains(&taken))
        };
        assert!(ok(&within(3, 32_400, &named("heat")), 3), "{kept}");
        assert_eq!(within(2, 32_400, &named("heat")), series(2), "{kept}");
        assert_eq!(within(3, 25_919, &named("heat")), full(25_919), "{kept}");
        assert!(ok(&within(2, 30_000, &named("~wait_.*")), 2), "{kept}: {:?}", within(2, 30_000, &named("~wait_.*")));
        assert_eq!(within(1, 30_000, &named("~wait_.*")), series(1), "{kept}");
        assert_eq!(within(1, 200_000, &named("wait")), full(200_000), "{kept}");
        assert!(within(1, 1 << 20, &named("wait")).is_ok_and(|(found, taken)| found == 1 && taken > 300_000), "{kept}");
        assert!(ok(&within(2, 40_000, &[("__name__", "wait"), ("quantile", "~.*")]), 2), "{kept}");
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a deadline that has passed")]
fn a_selection_gives_up_at_its_deadline() {
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    let heat = family(vec![series(0, Kind::Gauge, "heat", &[])]);
    (1..=720).for_each(|n| store.append(&window(START + n * STEP, vec![(heat.clone(), gauge(1.0))])));
    writer.commit(START).unwrap();
    let late = Room::new(Room::OF_A_QUERY, Some(std::time::Instant::now()));
    let refused = store.select_within(&matchers(&[("__name__", "heat")]), TimeRange { start: START, end: START + 3_600_000 }, &late);
    assert!(matches!(refused, Err(crate::model::SelectError::Timeout)));
}

#[test]
fn all_of_too_many_series_is_refused_and_their_labels_are_not() {
    let (store, _writer) = Store::in_memory(Duration::from_millis(STEP as u64), &[], vec![Vec::new()], START).unwrap();
    let heat = family((0..50_001).map(|slot| series(slot, Kind::Gauge, "heat", &[&format!("n:{slot}")])).collect());
    store.append(&window(START + STEP, vec![(heat, Column::Gauge { value: vec![1.0; 50_001], age: vec![0; 50_001] })]));
    let range = TimeRange { start: START, end: START + STEP };
    let refused = store.select(&matchers(&[("__name__", "~.+")]), range);
    assert!(matches!(refused, Err(crate::model::SelectError::TooManySeries(50_000))));
    assert_eq!(store.label_sets(&matchers(&[("__name__", "~.+")]), range).unwrap().len(), 50_001);
}

#[test]
fn without_a_file_what_rules_read_is_kept_and_the_last_window_is_shown_of_the_rest() {
    let reads = vec![matchers(&[("__name__", "read")]), matchers(&[("__name__", "~wait_(bucket|other)")])];
    let (store, mut writer) = Store::in_memory(Duration::from_millis(STEP as u64), &[], reads, START).unwrap();
    let one_of = |slot, kind, name| family(vec![series(slot, kind, name, &["of:x"])]);
    let (read, other) = (one_of(0, Kind::Counter, "read"), one_of(1, Kind::Counter, "other"));
    let (wait, rest) = (one_of(2, Kind::Timer, "wait"), one_of(3, Kind::Timer, "rest"));
    for n in 1..=3 {
        let (at, total) = (START + n * STEP, n as f64);
        let timed = || timer(sketches(&[2.0]), total, 2.0 * total);
        let counters = [(read.clone(), counter(1.0, total)), (other.clone(), counter(1.0, total))];
        let window = Arc::new(window(at, counters.into_iter().chain([(wait.clone(), timed()), (rest.clone(), timed())]).collect()));
        store.append(&window);
        store.show(&window);
        writer.commit(at).unwrap();
    }
    let line = |name: &str| one(&store, name, START, START + 3 * STEP);
    assert_eq!(line("read"), [(START + STEP, 1.0), (START + 2 * STEP, 2.0), (START + 3 * STEP, 3.0)]);
    assert_eq!(line("wait_sum").len(), 3);
    assert_eq!((line("other"), line("rest_sum")), (vec![(START + 3 * STEP, 3.0)], vec![(START + 3 * STEP, 6.0)]));
    let before = TimeRange { start: START, end: START + 2 * STEP };
    assert!(store.select(&matchers(&[("__name__", "other")]), before).unwrap().series.is_empty());
    let all = TimeRange { start: START, end: START + 3 * STEP };
    assert_eq!(store.label_sets(&matchers(&[("of", "x")]), all).unwrap().len(), 7);
}

#[test]
fn a_selection_sees_that_an_hour_ended_meanwhile() {
    let (store, _writer) = Store::in_memory(Duration::from_millis(STEP as u64), &[], vec![Vec::new()], START).unwrap();
    let heat = family(vec![series(0, Kind::Gauge, "heat", &[])]);
    let append = |at: i64| store.append(&window(at, vec![(heat.clone(), gauge(1.0))]));
    append(START + STEP);
    append(START + 3_600_000 + STEP);
    let moment = store.moment(&[]);
    append(START + 3_600_000 + 2 * STEP);
    assert!(store.tracks(&moment, &[]).is_some());
    append(START + 2 * 3_600_000 + STEP);
    assert!(store.tracks(&moment, &[]).is_none());
}

#[test]
fn an_hour_that_is_on_disk_is_let_go_when_summaries_no_longer_look_there() {
    for (commits, from) in [(true, START + 3_600_000), (false, START)] {
        let dir = TempDir::new().unwrap();
        let (store, mut writer) = open(dir.path());
        let hits = family(vec![series(0, Kind::Counter, "hits", &[])]);
        for n in 1..=360 + 72 {
            store.append(&window(START + n * STEP, vec![(hits.clone(), counter(1.0, n as f64))]));
            if commits {
                writer.commit(START + n * STEP).unwrap();
            }
        }
        assert_eq!(store.0.head.read().windows.covered_from(), from);
        let line = one(&store, "hits", START, START + 999 * STEP);
        assert!(line.len() == 432 && line.iter().all(|&(at, total)| total == ((at - START) / STEP) as f64));
    }
}

#[test]
fn series_that_rewriting_gives_one_label_set_are_one_in_memory_in_the_file_and_at_a_glance() {
    let (dots, lines) = (family(vec![series(0, Kind::Counter, "a.b", &[])]), family(vec![series(1, Kind::Counter, "a_b", &[])]));
    let rows = |n: f64| vec![(dots.clone(), counter(1.0, n)), (lines.clone(), counter(10.0, 10.0 * n))];
    let windows = || (1..=3).map(|n| window(START + n * STEP, rows(n as f64)));
    let sums: Vec<_> = (1..=3).map(|n| (START + n * STEP, 11.0 * n as f64)).collect();
    let found = |store: &Store| select(store, &[("__name__", "a_b")], START, START + 3 * STEP);
    let dir = TempDir::new().unwrap();
    let (store, mut writer) = open(dir.path());
    windows().for_each(|window| store.append(&window));
    let in_memory = found(&store);
    assert_eq!((in_memory.len(), &in_memory[0].1), (1, &sums));
    writer.commit(START).unwrap();
    drop((store, writer));
    let (store, _writer) = open(dir.path());
    assert_eq!(found(&store), in_memory);

    let reads = vec![matchers(&[("__name__", "read")])];
    let (store, _writer) = Store::in_memory(Duration::from_millis(STEP as u64), &[], reads, START).unwrap();
    windows().for_each(|window| store.show(&Arc::new(window)));
    assert_eq!(found(&store), [(in_memory[0].0.clone(), sums[2..].to_vec())]);
}
