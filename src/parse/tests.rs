//! Laws of the parser.

use std::fmt::Write;

use proptest::collection::vec;
use proptest::prelude::*;

use super::frame::{Frames, Lines, Unit};
use super::*;
use crate::model::Kind;
use crate::model::series::Spelling;

fn read(unit: &[u8], options: &Options) -> Vec<String> {
    let mut records = Vec::new();
    each(unit, options, &mut |parsed| records.push(shown(&parsed.record)));
    records
}

fn shown(record: &Result<Record<'_>, ParseError>) -> String {
    serde_json::to_string(&json::object(record)).unwrap()
}

/// A line that says what `metric` says, in the same dialect.
fn written(metric: &Metric<'_>) -> Vec<u8> {
    let mut line = metric.spelling.name.to_vec();
    match metric.values {
        Values::Member(member) => line.extend([b":", member].concat()),
        numbers => numbers.iter().for_each(|value| {
            let sign = if metric.relative && !value.is_sign_negative() { "+" } else { "" };
            line.extend(format!(":{sign}{value}").bytes());
        }),
    }
    let kind = match metric.spelling.kind {
        Kind::Counter => "c",
        Kind::Gauge => "g",
        Kind::Timer => "ms",
        Kind::Histogram => "h",
        Kind::Distribution => "d",
        Kind::Set => "s",
    };
    line.extend(format!("|{kind}|@{}", metric.rate).bytes());
    if !metric.spelling.tags.is_empty() {
        line.extend([b"|#", metric.spelling.tags].concat());
    }
    let mut text = String::new();
    if let Some(seconds) = metric.timestamp {
        write!(text, "|T{seconds}").unwrap();
    }
    if let Some(cardinality) = metric.origin.cardinality {
        write!(text, "|card:{}", cardinality.as_str()).unwrap();
    }
    line.extend(text.bytes());
    match (metric.origin.container_id, metric.origin.inode) {
        (Some(id), Some(inode)) => line.extend([b"|c:ci-", id, format!(",in-{inode}").as_bytes()].concat()),
        (Some(id), None) => line.extend([b"|c:ci-", id].concat()),
        (None, Some(inode)) => line.extend(format!("|c:in-{inode}").bytes()),
        (None, None) => {}
    }
    if let Some(data) = metric.origin.external_data {
        line.extend([b"|e:", data].concat());
    }
    line
}

fn options() -> impl Strategy<Value = Options> {
    (prop::sample::select(Dialect::ALL.to_vec()), any::<bool>(), any::<bool>()).prop_map(|(dialect, strict, eol_required)| Options {
        dialect,
        strict,
        eol_required,
    })
}

/// Bytes that look like lines, now and then with something else among them.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        8 => "(a|b\\.c|_|,k=v|#k=v|\\[k=v\\]|:|::|\\||\\|#|,|\\n|\\r\\n)",
        8 => "(:1|:-2\\.5|:\\+3|:nan|:1e400|x|:4:-5:\\+6|\\|c|\\|g|\\|ms|\\|h|\\|d|\\|s|\\|kv)",
        4 => "(\\|@0\\.5|\\|@0|\\|@7|\\|#a:1,b|\\|# c ,#d|\\|T12|\\|c:ci-9,in-4|\\|c:x|\\|e:it|\\|card:low|\\|card:odd|\\|zz)",
        1 => "(_e\\{2,2\\}:hi\\|yo|_e\\{1,2\\}:é\\|yo|_sc\\|up\\|0|\\|m:well|\\|d:5|\\|t:error|\\|p:no)",
    ];
    let odd = vec(any::<u8>(), 0..4);
    vec(prop_oneof![12 => fragment.prop_map(String::into_bytes), 1 => odd], 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_read_without_a_panic(unit in vec(any::<u8>(), 0..200), options in options()) {
        read(&unit, &options);
        each_truncated(&unit, &options, &mut |_| {});
    }

    #[test]
    fn every_line_is_accepted_or_refused_once(unit in bytes(), strict in any::<bool>()) {
        let lines = unit.split(|&byte| byte == b'\n').filter(|line| !matches!(line, [] | [b'\r'])).count();
        prop_assert_eq!(read(&unit, &Options { strict, ..Options::default() }).len(), lines);
    }

    #[test]
    fn units_joined_by_a_newline_are_read_one_after_the_other(left in bytes(), right in bytes(), options in options()) {
        let joined = [&left[..], b"\n", &right].concat();
        let lenient_end = Options { eol_required: false, ..options };
        prop_assert_eq!(read(&joined, &options), [read(&left, &lenient_end), read(&right, &options)].concat());
    }

    #[test]
    fn an_accepted_metric_written_again_is_the_same_metric(unit in bytes(), options in options()) {
        let lenient = Options { strict: false, eol_required: false, ..options };
        let mut pairs = Vec::new();
        each(&unit, &options, &mut |parsed| if let Ok(Record::Metric(metric)) = &parsed.record {
            pairs.push((shown(&parsed.record), written(metric)));
        });
        for (record, line) in pairs {
            prop_assert_eq!(read(&line, &lenient), [record], "{}", line.escape_ascii());
        }
    }

    #[test]
    fn what_strict_mode_accepts_has_no_blemish_and_reads_the_same(unit in bytes(), dialect in prop::sample::select(Dialect::ALL.to_vec())) {
        let strict = Options { dialect, strict: true, eol_required: false };
        let mut accepted = Vec::new();
        each(&unit, &strict, &mut |parsed| match &parsed.record {
            Ok(Record::Metric(metric)) if metric.tolerated.is_empty() && metric.identity().tolerated.is_empty() => accepted.push((parsed.line, shown(&parsed.record))),
            Ok(Record::Event(_, _, tolerated) | Record::Check(_, _, tolerated)) if tolerated.is_empty() => accepted.push((parsed.line, shown(&parsed.record))),
            Ok(blemished) => panic!("{blemished:?}"),
            Err(_) => {}
        });
        let lenient = Options { strict: false, ..strict };
        for (line, record) in accepted {
            prop_assert!(read(line, &lenient).contains(&record));
        }
    }

    #[test]
    fn identities_are_sorted_and_distinct(name in bytes(), tags in bytes(), dialect in prop::sample::select(Dialect::ALL.to_vec())) {
        let spelling = Spelling { name: &name, tags: &tags, kind: Kind::Counter, style: dialect.name_style() };
        let identity = identity(spelling);
        prop_assert!(identity.tags.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", identity.tags);
        prop_assert!(identity.tags.iter().all(|tag| !tag.is_empty() && !tag.contains(',')));
    }

    #[test]
    fn streams_read_the_same_however_they_are_cut(stream in bytes(), cuts in vec(1..9_usize, 0..40), limit in 1..40_usize) {
        let pieces = |mut rest: &[u8]| {
            let mut pieces: Vec<Vec<u8>> = Vec::new();
            for &cut in &cuts {
                let (piece, left) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece.to_vec());
                rest = left;
            }
            pieces.push(rest.to_vec());
            pieces
        };
        prop_assert_eq!(lines(std::slice::from_ref(&stream), limit), lines(&pieces(&stream), limit));
        let framed: Vec<u8> = stream.chunks(7).flat_map(|chunk| [&(chunk.len() as u32).to_le_bytes()[..], chunk].concat()).collect();
        prop_assert_eq!(frames(std::slice::from_ref(&framed), limit), frames(&pieces(&framed), limit));
        prop_assert_eq!(frames(std::slice::from_ref(&stream), limit), frames(&pieces(&stream), limit));
    }
}

/// The lines of a stream, and its refusals.
fn lines(pieces: &[Vec<u8>], limit: usize) -> Vec<Result<Vec<u8>, ParseError>> {
    let mut seen = Vec::new();
    let mut sink = |unit: Unit<'_>| match unit {
        Ok(unit) => seen.extend(unit.split_inclusive(|&byte| byte == b'\n').map(|line| Ok(line.to_vec()))),
        Err(reason) => seen.push(Err(reason)),
    };
    let mut decoder = Lines::new(limit);
    pieces.iter().for_each(|piece| decoder.push(piece, &mut sink));
    decoder.finish(&mut sink);
    seen
}

#[test]
fn a_stream_that_breaks_off_gives_up_the_line_that_has_begun() {
    for (bytes, reason) in [("a:1|c\nb:1|c", Some(ParseError::UnterminatedLine)), ("a:1|c\n", None), ("", None)] {
        let mut refused = None;
        let mut decoder = Lines::new(100);
        decoder.push(bytes.as_bytes(), &mut |_| {});
        decoder.abandon(&mut |unit| refused = unit.err());
        assert_eq!(refused, reason, "{bytes:?}");
    }
}

fn frames(pieces: &[Vec<u8>], limit: usize) -> Vec<Result<Vec<u8>, ParseError>> {
    let mut seen = Vec::new();
    let mut sink = |unit: Unit<'_>| seen.push(unit.map(<[u8]>::to_vec));
    let mut decoder = Frames::new(limit);
    let _ = pieces.iter().try_for_each(|piece| decoder.push(piece, &mut sink));
    decoder.finish(&mut sink);
    seen
}

#[test]
fn what_nearly_every_client_sends_is_of_the_common_shape() {
    for unit in [
        "page.views:1|c",
        "page.views:-2.5|g|#env:prod\nnext",
        "a:1|ms|@0.1|#env:prod\n",
        "service_latency:0.25|d|#env:prod,\u{e9}|c:ci-0123|e:it-false",
        "users.online:1234|s|#a",
        "some name:12|h|#",
    ] {
        let read = common(unit.as_bytes(), &Options::default());
        assert!(read.is_some_and(|read| read.line == unit.split('\n').next().unwrap().as_bytes()), "{unit:?}");
    }
    for unit in [
        "_e{1,1}:1|c",
        "_e:1|c",
        "a:1:2|c",
        "a:x|s",
        "a|b:1|c",
        "a\nb:1|c",
        "a:1|c\r\n",
        "a:1|c|#t\r\n",
        "\u{e9}:1|c|#aaaa",
        ":1|c|#aaaaaaaa",
    ] {
        assert!(common(unit.as_bytes(), &Options::default()).is_none(), "{unit:?}");
    }
}

proptest! {
    #[test]
    fn the_common_shape_is_read_as_any_line_is(
        name in prop_oneof![4 => "[a-z][a-z ._]{0,20}", 1 => "[ a-z_.:{|\\n\u{e9}]{0,20}"],
        value in prop_oneof![4 => "[-+]?[0-9]{1,6}([.][0-9]{0,4})?", 1 => "[-+]?[0-9]{0,16}[.]?[0-9]{0,4}[:e]?"],
        kind in prop_oneof![4 => "c|g|ms|h|d|s", 1 => "m|kv| c|c:2|"],
        fields in vec(prop_oneof![
            4 => "[|](#[a-z:,]{0,12}|@0[.][0-9]|@2|c:(ci-|in-|)[a-z0-9]{0,4}|e:[a-z]{0,3})",
            1 => "[|](@[0-9.]{0,4}|card:low|T12|\r?|[a-z]{0,2})",
        ], 0..4),
        end in "|\n|\r\n|\r|\na:1[|]c",
        (classic, eol_required) in any::<(bool, bool)>(),
    ) {
        let unit = format!("{name}:{value}|{kind}{}{end}", fields.concat()).into_bytes();
        let options = Options { dialect: if classic { Dialect::Statsd } else { Dialect::DogStatsd }, strict: false, eol_required };
        if let Some(Common { metric, line: text, rest }) = common(&unit, &options) {
            let mut all = Vec::new();
            let after = line(&unit, &options, &mut |parsed| all.push(format!("{parsed:?}")));
            prop_assert_eq!(after, rest);
            prop_assert_eq!(all, [format!("{:?}", Parsed { line: text, record: Ok(Record::Metric(metric)) })]);
        }
    }
}
