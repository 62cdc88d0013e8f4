//! What is beyond a limit, and lines that are meant to cost much.

use super::*;

#[test]
fn limits_overflow_into_one_series_of_the_name_and_spare_the_known() {
    let limits = LimitsConfig { series: 3, ..LimitsConfig::default() };
    let mut bench = Bench::new(1, limits, 0);
    bench.send(0, "a:1|c|#n:1\na:1|c|#n:2\nb:1|c\na:1|c|#n:3\na:1:1|c|#n:4\nnew:1|c\na:1|c|#n:1");
    let window = bench.cut();
    let expected = [("a|counter|#n:1", "2/2"), ("a|counter|#n:2", "1/1"), ("a|counter|#overflow:true", "3/3"), ("b|counter", "1/1")];
    assert_rows(&window, &expected);
}

#[test]
fn what_overflowed_is_counted_when_its_series_gets_a_line_of_its_own() {
    let limits = LimitsConfig { series_per_metric: 1, ..LimitsConfig::default() };
    let mut bench = Bench::new(2, limits, 0);
    bench.send(0, "a:1|c|#n:1\na:2|c|#n:2");
    bench.send(1, "a:4|c|#overflow:true");
    bench.send(0, "a:8|c|#n:3");
    let expected = [("a|counter|#n:1", "1/1"), ("a|counter|#overflow:true", "14/14")];
    assert_rows(&bench.cut(), &expected);
}

#[test]
fn lines_that_are_meant_to_cost_much_are_counted_under_their_names() {
    let tags = |count: usize| (0..count).map(|tag| format!("{tag:x}:v")).collect::<Vec<_>>().join(",");
    let colons = ":".repeat(65_500);
    let table: [(String, &str); 8] = [
        ("a:1|c|@1e-300".into(), "accepted rate_clamped"),
        ("a:NaN|g".into(), "non_finite_value"),
        ("a:1:NaN|g".into(), "accepted non_finite_dropped"),
        (format!("a{colons}|c"), "empty_value"),
        (colons.clone(), "empty_name"),
        (format!("new:1|c|#{}", tags(8_000)), "tags_per_series shed"),
        (format!("a:1|c|#{}", tags(8_000)), "accepted tags_per_series"),
        (format!("a:1|c|#{}", ",".repeat(65_000)), "accepted"),
    ];
    let bench = one_lane();
    bench.send(0, "a:1|c");
    for (line, expected) in table {
        let before = bench.producers[0].counts();
        bench.send(0, &line);
        let after = bench.producers[0].counts();
        let mut told = Vec::new();
        told.extend((after.accepted > before.accepted).then_some("accepted"));
        told.extend(
            ParseError::ALL.into_iter().filter(|r| after.rejected[*r as usize] > before.rejected[*r as usize]).map(ParseError::as_str),
        );
        told.extend(
            Tolerated::ALL.into_iter().filter(|k| after.tolerated[*k as usize] > before.tolerated[*k as usize]).map(Tolerated::as_str),
        );
        told.extend(Limit::ALL.into_iter().filter(|l| after.limited[*l as usize] > before.limited[*l as usize]).map(Limit::as_str));
        told.extend((after.shed.iter().sum::<u64>() > before.shed.iter().sum::<u64>()).then_some("shed"));
        assert_eq!(told.join(" "), expected, "{}", &line[..line.len().min(60)]);
    }
}
