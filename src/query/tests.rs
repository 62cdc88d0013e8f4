use super::*;
use crate::model::{Matcher, Sample, SelectError, Selected, TimeRange};

struct Series(Vec<SeriesSlice>);

impl Select for Series {
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<Selected, SelectError> {
        let named = self.0.iter().filter(|slice| matchers.iter().all(|matcher| matcher.matches(slice.labels.get(&matcher.name))));
        let series = named
            .map(|slice| SeriesSlice {
                samples: slice.samples.iter().filter(|sample| range.start < sample.at && sample.at <= range.end).cloned().collect(),
                ..slice.clone()
            })
            .collect();
        Ok(Selected { series, warnings: Vec::new() })
    }
}

fn series(labels: &[(&str, &str)], samples: &[(i64, f64)], start_time: Option<i64>) -> SeriesSlice {
    let sample = |&(at, value): &(i64, f64)| Sample { at: at * 1_000, value: SampleValue::Float(value) };
    SeriesSlice { labels: Labels::new(labels.iter().copied()), samples: samples.iter().map(sample).collect(), start_time }
}

fn only_float(expr: &str, at: i64, data: &Series) -> Option<f64> {
    let answer = instant(&parse(expr).expect(expr), at, data, &Options::default()).expect(expr);
    match answer.value {
        Value::Scalar(value) => Some(value),
        Value::Vector(found) => match &found[..] {
            [VectorSample { value: SampleValue::Float(value), .. }] => Some(*value),
            _ => None,
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn printing_is_canonical() {
    for (text, printed) in [
        ("foo/bar", "foo / bar"),
        ("sum(rate(x[5m]))by(b,a)", "sum by (b, a) (rate(x[5m]))"),
        ("sum without() (x)", "sum without () (x)"),
        ("-2^2", "-2 ^ 2"),
        ("a and on() b", "a and on () b"),
        ("a*on(x)group_left(y)b", "a * on (x) group_left (y) b"),
        ("a > bool 1", "a > bool 1"),
        ("x{a='b',c=~\"d\"}[1h30m:10s] offset -5m @ start()", "x{a=\"b\",c=~\"d\"}[1h30m:10s] @ start() offset -5m"),
        ("{\"my.metric\",\"my.label\"=\"v\"}", "{\"my.metric\",\"my.label\"=\"v\"}"),
        ("topk(3,x)", "topk(3, x)"),
        ("1e6 + 0x10 + .5 + 1h", "1e+06 + 16 + 0.5 + 3600"),
        ("quantile_over_time(0.9, (x)[5m:])", "quantile_over_time(0.9, (x)[5m:])"),
        ("x @ 1.5", "x @ 1.500"),
        ("NaN", "NaN"),
        ("a + fill(0) b", "a + fill (0) b"),
        ("\"a\\n\\\"b\"", "\"a\\n\\\"b\""),
    ] {
        let expr = parse(text).expect(text);
        assert_eq!(expr.to_string(), printed);
        assert_eq!(parse(printed).expect(printed).to_string(), printed);
    }
}

#[test]
fn errors_say_where_and_what() {
    for (text, message) in [
        ("", "1:1: parse error: no expression found in input"),
        ("sum(", "1:5: parse error: unexpected end of input"),
        ("foo bar", "1:5: parse error: unexpected \"bar\", expected end of input"),
        ("nope(1)", "1:1: parse error: unknown function with name \"nope\""),
        ("rate(x)", "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector"),
        ("rate(x[5m], 1)", "1:1: parse error: expected 1 argument(s) in call to \"rate\", got 2"),
        ("round()", "1:1: parse error: expected at least 1 argument(s) in call to \"round\", got 0"),
        ("sum(1)", "1:5: parse error: expected type instant vector in aggregation expression, got scalar"),
        ("topk(x)", "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1"),
        ("1 == 2", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
        ("a + bool b", "1:3: parse error: bool modifier can only be used on comparison operators"),
        ("1 and 2", "1:3: parse error: set operator \"and\" not allowed in binary scalar expression"),
        ("a and on(x) group_left b", "1:3: parse error: no grouping allowed for \"and\" operation"),
        ("1 + \"a\"", "1:5: parse error: binary expression must contain only scalar and instant vector types"),
        ("-x[5m]", "1:2: parse error: unary expression only allowed on expressions of type scalar or instant vector, got \"range vector\""),
        ("sum(x)[5m]", "1:1: parse error: ranges only allowed for vector selectors"),
        ("1[5m:]", "1:1: parse error: subquery is only allowed on instant vector, got scalar instead"),
        ("x[0s]", "1:3: parse error: duration must be greater than 0"),
        ("x offset 1m offset 2m", "1:1: parse error: offset may not be set multiple times"),
        ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ("{a=~\".*\"}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ("x{__name__=\"y\"}", "1:1: parse error: metric name must not be set twice: \"x\" or \"y\""),
        ("x\n+\n$", "3:1: parse error: unexpected character: '$'"),
        ("\"open", "1:1: parse error: unterminated quoted string"),
        ("5x", "1:1: parse error: bad number or duration syntax: \"5x\""),
    ] {
        let error = parse(text).expect_err(text);
        assert_eq!((error.to_string().as_str(), error.kind), (message, ErrorKind::BadData), "{text}");
    }
}

#[test]
fn what_is_not_evaluated_is_named() {
    for (text, name) in [("start_timestamp(x)", "\"start_timestamp\""), ("x </ 5", "\"</\""), ("x[5m] smoothed", "\"smoothed\"")] {
        let error = parse(text).expect_err(text);
        assert_eq!(error.kind, ErrorKind::Unsupported);
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn nesting_of_every_kind_is_bounded() {
    let many = 30_000;
    for text in [
        "(".repeat(many),
        "-".repeat(many) + "1",
        "+-".repeat(many) + "1",
        "1^".repeat(many) + "1",
        "1+".repeat(many) + "1",
        "abs(".repeat(many / 2),
        "sum(".repeat(many / 2),
        "max_over_time(".repeat(many / 8) + "x",
        "x[".to_string() + &"(".repeat(many),
        "x[".to_string() + &"-".repeat(many) + "1]",
        "x[".to_string() + &"1+".repeat(many) + "1]",
        "x offset ".to_string() + &"-".repeat(many) + "1",
        "x[".to_string() + &"min_of(".repeat(many / 4),
        "a or ".repeat(many / 4) + "a",
    ] {
        let error = parse(&text).expect_err("bounded");
        assert!(error.message.contains("levels deep"), "{}: {error}", &text[..10]);
    }
    assert!(parse(&" ".repeat(70_000)).expect_err("bounded").message.contains("longer than 65536 bytes"));
    assert!(parse(&("1+".repeat(100) + "1")).is_ok());
    assert!(parse("x{a=~\"(a{1000}){1000}\"}").expect_err("bounded").message.contains("error parsing regexp"));
    let regexes = "y{a=~\"b\"},".repeat(101);
    assert!(parse(&format!("label_join({regexes} x)")).expect_err("bounded").message.contains("more than 100 regular expressions"));
}

#[test]
fn a_counter_born_inside_the_range_began_at_zero() {
    let labels = [("__name__", "hits_total")];
    let samples = [(110, 5.0), (120, 5.0)];
    let born = Series(vec![series(&labels, &samples, Some(100_000))]);
    assert_eq!(only_float("increase(hits_total[30s])", 120_000, &born), Some(5.0));
    assert_eq!(only_float("increase(hits_total[10s])", 110_000, &born), Some(5.0));
    assert_eq!(only_float("increase(hits_total[30s])", 110_000, &born), Some(5.0));
    assert_eq!(only_float("increase(hits_total[9s])", 110_000, &born), None);
    let old = Series(vec![series(&labels, &samples, Some(10_000))]);
    assert_eq!(only_float("increase(hits_total[30s])", 120_000, &old), Some(0.0));
    assert_eq!(only_float("delta(hits_total[30s])", 120_000, &born), Some(0.0));
}

#[test]
fn budgets_end_a_query() {
    let data = Series((0..10).map(|at| series(&[("__name__", "x"), ("n", &at.to_string())], &[(1, 1.0), (2, 1.0)], None)).collect());
    let expr = parse("x").expect("parses");
    let samples = Options { max_samples: 19, ..Options::default() };
    let series = Options { max_series: 9, ..Options::default() };
    for options in [&samples, &series] {
        assert_eq!(instant(&expr, 2_000, &data, options).expect_err("too much").kind, ErrorKind::Execution);
    }
    #[allow(clippy::disallowed_methods, reason = "a deadline that has passed")]
    let late = Options { deadline: Some(Instant::now()), ..Options::default() };
    assert_eq!(instant(&expr, 2_000, &data, &late).expect_err("late").kind, ErrorKind::Timeout);
    let endless = parse("max_over_time(y[200y:1ms])").expect("parses");
    assert_eq!(instant(&endless, 2_000, &data, &Options::default()).expect_err("too much").kind, ErrorKind::Execution);
    assert!(range(&expr, i64::MIN, i64::MAX, 1, &data, &Options::default()).is_err());
    assert!(instant(&parse("max_over_time(y[1m:1m] @ -8e12 offset 200y)").expect("parses"), i64::MIN, &data, &Options::default()).is_ok());
}

#[test]
fn a_plain_selector_gives_its_matchers() {
    let names: Vec<String> = matchers("up{job=\"x\",env!=\"y\"}").expect("a selector").into_iter().map(|matcher| matcher.name).collect();
    assert_eq!(names, ["__name__", "job", "env"]);
    for text in ["up offset 5m", "up[5m]", "1", "{job!=\"x\"}", "sum(up)"] {
        assert!(matchers(text).is_err(), "{text}");
    }
}

#[test]
fn a_range_query_gives_a_sorted_matrix() {
    let data = Series(vec![
        series(&[("__name__", "x"), ("n", "b")], &[(0, 1.0), (10, 2.0)], None),
        series(&[("__name__", "x"), ("n", "a")], &[(0, 3.0), (10, 4.0)], None),
    ]);
    let answer = range(&parse("x + 1").expect("parses"), 0, 10_000, 10_000, &data, &Options::default()).expect("evaluates");
    let Value::Matrix(found) = answer.value else { panic!("no matrix") };
    let values: Vec<(&str, Vec<&SampleValue>)> =
        found.iter().map(|slice| (slice.labels.get("n"), slice.samples.iter().map(|sample| &sample.value).collect())).collect();
    let float = SampleValue::Float;
    assert_eq!(values, [("a", vec![&float(4.0), &float(5.0)]), ("b", vec![&float(2.0), &float(3.0)])]);
}

/// Texts made of pieces of the language, most of them wrong.
fn pieces() -> impl proptest::strategy::Strategy<Value = String> {
    const PIECES: [&str; 64] = [
        "x",
        "y_total",
        "sum",
        "by",
        "without",
        "(",
        ")",
        "(",
        ")",
        "[5m]",
        "[5m:1m]",
        "[1m:]",
        "{",
        "}",
        "a=\"b\"",
        "a=~\"b.*\"",
        ",",
        "+",
        "-",
        "*",
        "/",
        "%",
        "^",
        "==",
        "!=",
        "<",
        ">=",
        "bool",
        "and",
        "or",
        "unless",
        "on",
        "ignoring",
        "group_left",
        "offset",
        "5m",
        "1",
        "2.5",
        "1e3",
        "0x1F",
        "NaN",
        "Inf",
        "\"s\"",
        "@",
        "start()",
        "end()",
        "rate",
        "max_over_time",
        "topk",
        "quantile",
        "histogram_quantile",
        "label_replace",
        "absent",
        "time()",
        "step()",
        "atan2",
        "fill(0)",
        ":",
        "`",
        "é",
        "_",
        "limit_ratio",
        "round",
        "</",
    ];
    use proptest::prelude::*;
    proptest::collection::vec(proptest::sample::select(&PIECES[..]), 1..14).prop_map(|pieces| pieces.join(" "))
}

proptest::proptest! {
    #[test]
    fn no_text_panics_and_printing_is_stable(text in pieces()) {
        if let Ok(expr) = parse(&text) {
            let printed = expr.to_string();
            let again = parse(&printed).unwrap_or_else(|why| panic!("{text} printed as {printed}: {why}"));
            proptest::prop_assert_eq!(again.to_string(), printed);
            let data = Series(vec![series(&[("__name__", "x"), ("a", "b")], &[(1, 1.0), (2, f64::NAN)], None)]);
            for at in [i64::MIN, 2_000, i64::MAX] {
                let _ = instant(&expr, at, &data, &Options::default());
            }
            let _ = range(&expr, 0, 5_000, 1_000, &data, &Options::default());
        }
    }

    #[test]
    fn no_bytes_panic(text in "\\PC*") {
        let _ = parse(&text);
    }
}
