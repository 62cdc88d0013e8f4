//! Any datagram, in any dialect: no panic, every line accounted for, and what is accepted reads the same when written anew.
//!
//! The first byte chooses the switches, so that one corpus covers them all.
#![no_main]

#[path = "datagram/line.rs"]
mod line;

use libfuzzer_sys::fuzz_target;
use statsd_relay::parse::frame::{Frames, Lines};
use statsd_relay::parse::{self, Dialect, Options, ParseError, Record, each, each_truncated, json};

fuzz_target!(|data: &[u8]| {
    let Some((&switches, unit)) = data.split_first() else { return };
    let dialect = Dialect::ALL[usize::from(switches >> 2) % Dialect::ALL.len()];
    let options = Options { dialect, strict: switches & 1 != 0, eol_required: switches & 2 != 0 };
    let mut records = 0;
    each(unit, &options, &mut |parsed| {
        records += 1;
        if let Ok(record) = &parsed.record {
            let line = line::of(record);
            assert_eq!(read(&line, &options), [shown(&parsed.record)], "{:?}", String::from_utf8_lossy(&line));
        }
        if let Ok(Record::Metric(metric)) = &parsed.record {
            assert!(metric.rate > 0.0 && metric.rate <= 1.0);
            assert!(metric.values.iter().all(f64::is_finite));
            let tags = metric.identity().tags;
            assert!(tags.windows(2).all(|pair| pair[0] < pair[1]));
        }
    });
    if dialect == Dialect::DogStatsd {
        let lines = unit.split(|&byte| byte == b'\n').filter(|line| !matches!(line, [] | [b'\r'])).count();
        assert_eq!(records, lines);
    }
    assert_eq!(read(unit, &options), read_in_full(unit, &options));
    each_truncated(unit, &options, &mut |_| {});
    streams(unit);
});

fn read(unit: &[u8], options: &Options) -> Vec<String> {
    let mut all = Vec::new();
    each(unit, options, &mut |parsed| all.push(shown(&parsed.record)));
    all
}

/// Without the reader of the common shape.
fn read_in_full(unit: &[u8], options: &Options) -> Vec<String> {
    let (mut rest, mut all) = (unit, Vec::new());
    while !rest.is_empty() {
        rest = parse::line(rest, options, &mut |parsed| all.push(shown(&parsed.record)));
    }
    all
}

fn shown(record: &Result<Record<'_>, ParseError>) -> String {
    serde_json::to_string(&json::object(record)).expect("records are plain")
}

/// Cut in two anywhere, a stream gives the same bytes.
fn streams(stream: &[u8]) {
    let (left, right) = stream.split_at(stream.len() / 2);
    let lines = |pieces: &[&[u8]]| {
        let (mut decoder, mut seen) = (Lines::new(64), Vec::<u8>::new());
        pieces.iter().for_each(|piece| decoder.push(piece, &mut |unit| seen.extend(unit.unwrap_or(b"too long\n"))));
        decoder.finish(&mut |unit| seen.extend(unit.unwrap_or(b"too long\n")));
        seen
    };
    assert_eq!(lines(&[stream]), lines(&[left, right]));
    let frames = |pieces: &[&[u8]]| {
        let (mut decoder, mut seen) = (Frames::new(64), Vec::new());
        let _ = pieces.iter().try_for_each(|piece| decoder.push(piece, &mut |unit| seen.push(unit.map(<[u8]>::to_vec))));
        decoder.finish(&mut |unit| seen.push(unit.map(<[u8]>::to_vec)));
        seen
    };
    assert_eq!(frames(&[stream]), frames(&[left, right]));
}
