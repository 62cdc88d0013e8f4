//! Every case of the conformance suite and of the project's own golden file, through the entry points of listeners.
#![allow(clippy::unwrap_used, reason = "a test file: helpers outside test functions may fail the test")]

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use statsd_relay::parse::frame::{Frames, LIMIT, Lines, Unit};
use statsd_relay::parse::{Dialect, Options, ParseError, Parsed, Record, Tolerated, each, each_truncated, json};

#[derive(Deserialize)]
struct Case {
    id: String,
    #[serde(default)]
    input: String,
    input_b64: Option<String>,
    /// Hexadecimal bytes, in the project's own file.
    input_hex: Option<String>,
    #[serde(default)]
    dialect: Dialect,
    #[serde(default)]
    strict: bool,
    #[serde(default)]
    eol_required: bool,
    #[serde(default)]
    transport: Transport,
    /// Of frames and lines of a stream, in the project's own file.
    #[serde(default = "default_limit")]
    limit: usize,
    expect: Vec<Value>,
    /// Blemishes of all records together, in the project's own file.
    tolerated: Option<Vec<String>>,
}

fn default_limit() -> usize {
    LIMIT
}

#[derive(Deserialize, Default, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Transport {
    #[default]
    Datagram,
    /// A datagram that the kernel has cut.
    TruncatedDatagram,
    LengthPrefixed,
    NewlineStream,
}

impl Case {
    fn bytes(&self) -> Vec<u8> {
        match (&self.input_b64, &self.input_hex) {
            (Some(text), _) => base64(text),
            (_, Some(text)) => {
                text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
            }
            _ => self.input.clone().into_bytes(),
        }
    }
}

fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    for group in text.trim_end_matches('=').as_bytes().chunks(4) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 6 | ALPHABET.iter().position(|known| known == byte).unwrap() as u32);
        bytes.extend(&(bits << (6 * (4 - group.len()))).to_be_bytes()[1..group.len()]);
    }
    bytes
}

/// What a listener makes of a unit: the records as JSON, and the blemishes.
#[derive(Default, Debug, PartialEq)]
struct Outcome {
    records: Vec<Value>,
    tolerated: Vec<String>,
}

impl Outcome {
    fn add(&mut self, parsed: &Parsed<'_>) {
        self.records.push(serde_json::to_value(json::object(&parsed.record)).unwrap());
        let mut blemishes: Vec<Tolerated> = Vec::new();
        match &parsed.record {
            Ok(Record::Metric(metric)) => blemishes.extend(metric.tolerated.iter().chain(metric.identity().tolerated.iter())),
            Ok(Record::Event(_, _, tolerated) | Record::Check(_, _, tolerated)) => blemishes.extend(tolerated.iter()),
            Err(_) => {}
        }
        self.tolerated.extend(blemishes.into_iter().map(|kind| kind.as_str().to_string()));
    }

    /// Streams are fed `step` bytes at a time.
    fn of(case: &Case, step: usize) -> Outcome {
        let mut outcome = Outcome::default();
        let (bytes, options) = (case.bytes(), Options { dialect: case.dialect, strict: case.strict, eol_required: case.eol_required });
        let mut unit = |unit: Unit<'_>| match unit {
            Ok(bytes) => each(bytes, &options, &mut |parsed| outcome.add(&parsed)),
            Err(reason) => outcome.add(&Parsed { line: b"", record: Err(reason) }),
        };
        match case.transport {
            Transport::Datagram => unit(Ok(&bytes)),
            Transport::TruncatedDatagram => each_truncated(&bytes, &options, &mut |parsed| outcome.add(&parsed)),
            Transport::LengthPrefixed => {
                let mut frames = Frames::new(case.limit);
                let _ = bytes.chunks(step).try_for_each(|chunk| frames.push(chunk, &mut unit));
                frames.finish(&mut unit);
            }
            Transport::NewlineStream => {
                let mut lines = Lines::new(case.limit);
                bytes.chunks(step).for_each(|chunk| lines.push(chunk, &mut unit));
                lines.finish(&mut unit);
            }
        }
        outcome
    }
}

/// Numbers agree within 1e-12 of their size, everything else exactly.
fn agree(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            let (left, right) = (left.as_f64().unwrap(), right.as_f64().unwrap());
            left == right || (left - right).abs() <= 1e-12 * left.abs().max(right.abs())
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| agree(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len() && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| agree(value, other)))
        }
        _ => left == right,
    }
}

/// Runs all cases of a file, when it is there.
fn run(path: &Path) -> Option<Vec<Case>> {
    let text = std::fs::read_to_string(path).ok()?;
    let cases: Vec<Case> = text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect();
    let mut failures = Vec::new();
    for (case, step) in cases.iter().flat_map(|case| [1, 3, 4096].map(|step| (case, step))) {
        let Outcome { records, tolerated } = Outcome::of(case, step);
        let (expected, records) = (Value::Array(case.expect.clone()), Value::Array(records));
        if !agree(&records, &expected) {
            failures.push(format!("{}: expected {expected}\n    got {records}", case.id));
        }
        if case.tolerated.as_ref().is_some_and(|expected| *expected != tolerated) {
            failures.push(format!("{}: expected blemishes {:?}, got {tolerated:?}", case.id, case.tolerated));
        }
    }
    assert!(failures.is_empty(), "{} failures\n{}", failures.len(), failures.join("\n"));
    Some(cases)
}

#[test]
fn the_conformance_suite_holds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    match ["../shared", "../../shared"].iter().find_map(|shared| run(&root.join(shared).join("conformance/dogstatsd.jsonl"))) {
        Some(cases) => println!("{} cases", cases.len()),
        None => println!("SKIPPED: no ../shared/conformance/dogstatsd.jsonl"),
    }
}

#[test]
fn the_golden_lines_hold_and_show_every_reason_blemish_and_dialect() {
    let cases =
        run(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/lines.jsonl")).expect("the golden file is part of the project");
    let reasons: BTreeSet<&str> = cases.iter().flat_map(|case| &case.expect).filter_map(|record| record["reason"].as_str()).collect();
    assert_eq!(reasons, ParseError::ALL.map(ParseError::as_str).into());
    let blemishes: BTreeSet<&str> = cases.iter().flat_map(|case| case.tolerated.iter().flatten()).map(String::as_str).collect();
    assert_eq!(blemishes, Tolerated::ALL.map(Tolerated::as_str).into());
    for dialect in Dialect::ALL {
        for strict in [false, true] {
            assert!(cases.iter().any(|case| case.dialect == dialect && case.strict == strict), "{dialect:?}, strict: {strict}");
        }
    }
}
