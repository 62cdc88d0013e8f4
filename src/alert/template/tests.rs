use super::*;

fn expand(text: &str) -> String {
    let labels = Labels::new([("instance", "db.example.org:9100"), ("job", "api")]);
    let query = |expr: &str| match expr {
        "up" => Ok(vec![(Labels::new([("job", "b")]), 2.0), (Labels::new([("job", "a")]), 1.0)]),
        _ => Err(format!("no answer to {expr}")),
    };
    let context = Context { labels: &labels, value: 1_234.5, external_url: "http://relay:9102/x", now_ms: 90_500, query: &query };
    match Template::parse(text) {
        Ok(template) => template.expand(&context),
        Err(error) => format!("PARSE {error}"),
    }
}

#[test]
fn templates_expand_as_in_prometheus() {
    for (text, expected) in [
        ("plain } text", "plain } text"),
        ("{{ $labels.job }}-{{ .Labels.job }}-{{ $labels.none }}.", "api-api-."),
        ("{{ $value }} {{.Value}}", "1234.5 1234.5"),
        ("a  {{- /* gone */ -}}  b {{- 1 }}", "ab1"),
        ("{{ $value | printf \"%.2f|%6.1f|%-8v|%05d\" 1.0 2.0 \"x\" }}", "1.00|   2.0|x       |%!d(float64=1234.5)"),
        ("{{ printf `%q %s %d %% %x` \"a\" \"b\" 7 255 }}", "\"a\" b 7 % ff"),
        ("{{ printf \"%d\" }} {{ printf \"x\" 1 }}", "%!d(MISSING) x%!(EXTRA int=1)"),
        ("{{ if gt $value 1000 }}high{{ else if gt $value 10.0 }}mid{{ else }}low{{ end }}", "high"),
        ("{{ if and (eq $labels.job \"x\" \"api\") (not false) }}y{{ end }}", "y"),
        ("{{ with $labels.none }}a{{ else with .Labels.job }}<{{ . }}>{{ end }}", "<api>"),
        ("{{ range $name, $value := $labels }}{{ $name }}={{ $value }};{{ end }}", "instance=db.example.org:9100;job=api;"),
        ("{{ range query \"up\" }}{{ .Labels.job }}{{ .Value }}{{ if eq .Value 2.0 }}{{ continue }}{{ end }},{{ end }}", "b2a1,"),
        ("{{ range query \"up\" | sortByLabel \"job\" }}{{ . | value }}{{ break }}{{ end }}", "1"),
        ("{{ query \"up\" | first | label \"job\" }}", "b"),
        ("{{ (query \"up\" | first).Value }}", "2"),
        ("{{ $x := 1 }}{{ range query \"up\" }}{{ $x = .Value }}{{ end }}{{ $x }}", "1"),
        ("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}", "21"),
        ("{{ \"a b\" | title }} {{ toUpper \"x\" }}{{ toLower \"Y\" }}", "A B Xy"),
        ("{{ $labels.instance | stripPort }} {{ $labels.instance | stripDomain }}", "db.example.org db:9100"),
        ("{{ reReplaceAll \"(.*):.*\" \"<$1>\" $labels.instance }} {{ match \"^ap\" $labels.job }}", "<db.example.org> true"),
        ("{{ externalURL }}{{ pathPrefix }} {{ $externalURL }}", "http://relay:9102/x/x http://relay:9102/x"),
        ("{{ graphLink \"a b{c=\\\"d\\\"}\" }}", "/graph?g0.expr=a+b%7Bc%3D%22d%22%7D&g0.tab=0"),
        ("{{ len \"abc\" }} {{ index $labels \"job\" }} {{ print 1 2 \"x\" 3 }}", "3 api 1 2x3"),
        ("{{ 1e21 }} {{ 1e20 }} {{ 0.00001 }} {{ 100000000.0 }}", "1e+21 100000000000000000000 1e-05 100000000"),
        ("{{ toTime 90.5 }} {{ now }} {{ parseDuration \"1h30m\" }}", "1970-01-01 00:01:30.5 +0000 UTC 90.5 5400"),
        ("{{ if or true (query \"broken\") }}short{{ end }}", "short"),
    ] {
        assert_eq!(expand(text), expected, "{text}");
    }
}

#[test]
fn numbers_are_humanized_as_in_prometheus() {
    for (function, value, expected) in [
        ("humanize", "0.0", "0"),
        ("humanize", "1234567.0", "1.235M"),
        ("humanize", "0.00012", "120u"),
        ("humanize", "-999.96", "-1000"),
        ("humanize", "\"+Inf\"", "+Inf"),
        ("humanize1024", "1048576.0", "1Mi"),
        ("humanize1024", "0.5", "0.5"),
        ("humanizeDuration", "0", "0s"),
        ("humanizeDuration", "59.5", "59.5s"),
        ("humanizeDuration", "3661", "1h 1m 1s"),
        ("humanizeDuration", "-90061", "-1d 1h 1m 1s"),
        ("humanizeDuration", "0.0123", "12.3ms"),
        ("humanizePercentage", "0.12345", "12.35%"),
        ("humanizeTimestamp", "1435065584.128", "2015-06-23 13:19:44.128 +0000 UTC"),
        ("toDuration", "5400", "1h30m0s"),
        ("toDuration", "0.25", "250ms"),
    ] {
        assert_eq!(expand(&format!("{{{{ {function} {value} }}}}")), expected, "{function} {value}");
    }
}

#[test]
fn mistakes_are_named_when_the_template_is_read() {
    let deep = "{{".to_string() + &"(".repeat(100_000);
    for (text, expected) in [
        ("{{ $nope }}", "undefined variable $nope"),
        ("{{ frobnicate 1 }}", "the function frobnicate is not known"),
        ("{{ template \"x\" }}", "template is not supported"),
        ("{{ if true }}", "if without its end"),
        ("{{ end }}", "an end without"),
        ("{{ $value", "without its }}"),
        ("{{ \"x }}", "unclosed string"),
        ("{{ 1 2 }}", "only a function takes arguments"),
        ("{{ $value | 2 }}", "is no function"),
        ("{{ }}", "a value is missing"),
        ("{{ break }}", "outside of range"),
        ("{{ . é }}", "the function é"),
        ("{{ ; }}", "unexpected \";\""),
        ("{{ if true }}{{ $x := 1 }}{{ end }}{{ $x }}", "undefined variable $x"),
        (deep.as_str(), "longer than"),
        (&deep[..60_000], "nested deeper"),
    ] {
        let error = expand(text);
        assert!(error.starts_with("PARSE") && error.contains(expected), "{:.60}: {error}", text);
    }
}

#[test]
fn what_fails_later_is_part_of_the_text() {
    for (text, expected) in [
        ("{{ query \"broken\" }}", "<error expanding template: query: no answer to broken>"),
        ("{{ $value.x }}", "<error expanding template: a float64 has no field x>"),
        ("{{ humanize \"x\" }}", "<error expanding template: humanize: \"x\" is not a number>"),
        ("{{ toUpper }}", "<error expanding template: toUpper got 0 arguments>"),
        ("{{ reReplaceAll \"(\" \"\" \"\" }}", "<error expanding template: reReplaceAll: regex parse error"),
    ] {
        let text = expand(text);
        assert!(text.starts_with(expected), "{text}");
    }
}

#[test]
fn text_and_work_are_bounded() {
    let doubling = format!("{{{{ $x := \"0123456789\" }}}}{}{{{{ $x }}}}", "{{ $x = print $x $x }}".repeat(40));
    assert!(expand(&doubling).contains("longer than 65536 bytes"));
    let loops = "{{ range query \"up\" }}".repeat(14) + &"{{ range $labels }}x{{ end }}{{ end }}".repeat(14);
    assert!(expand(&loops).contains("error expanding template"), "{:.80}", expand(&loops));
    assert!(expand("{{ printf \"%999999999d\" 1 }}").len() <= 1_000);
}
