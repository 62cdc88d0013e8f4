//! Mapping files of `tests/golden/mapping/` against the cases beside them: `LINE => SERIES [xSCALE]` or
//! `LINE => dropped by STEP`.

use std::fs;
use std::path::{Path, PathBuf};

use statsd_relay::parse::{Options, Record, each};
use statsd_relay::shape::{Hit, ShapeConfig, Shaping};

#[test]
fn every_golden_mapping_file_maps_its_cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/mapping");
    let files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    let mappings: Vec<&PathBuf> = files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "yml")).collect();
    assert!(mappings.len() >= 4, "{files:?}");
    let mut failures = Vec::new();
    for file in mappings {
        let config = ShapeConfig { mapping: Some(file.clone()), ..ShapeConfig::default() };
        let shaping = Shaping::new(&config, |file| Ok(fs::read_to_string(file).unwrap())).unwrap();
        let cases = fs::read_to_string(file.with_extension("txt")).unwrap();
        for (line, expected) in cases.lines().filter(|line| !line.starts_with('#')).map(|case| case.split_once(" => ").unwrap()) {
            let found = outcome(&shaping, line);
            if found != expected {
                failures.push(format!("{}: {line}\n  found    {found}\n  expected {expected}", file.display()));
            }
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn outcome(shaping: &Shaping, line: &str) -> String {
    let mut found = String::new();
    each(line.as_bytes(), &Options::default(), &mut |parsed| {
        let Ok(Record::Metric(metric)) = parsed.record else { panic!("{line} is no metric") };
        let kind = metric.spelling.kind;
        let shaped = shaping.apply(metric.identity(), kind);
        let explained = shaping.explain(metric.identity(), kind);
        assert_eq!((explained.name.as_str(), explained.dropped_by), (shaped.name.as_ref(), shaped.dropped_by), "{line}");
        assert_eq!(explained.steps.iter().map(|step| step.hit).collect::<Vec<_>>(), shaped.hits, "{line}");
        found = match shaped.dropped_by {
            Some(Hit::Rule(rule)) => format!("dropped by mappings[{rule}]"),
            Some(other) => format!("dropped by {}", shaping.place_of(other)),
            None => {
                let mut text = format!("{}|{}", shaped.name, kind.as_str());
                for (at, tag) in shaped.tags.iter().enumerate() {
                    text.push_str(if at == 0 { "|#" } else { "," });
                    text.push_str(tag);
                }
                if shaped.scale != 1.0 {
                    text.push_str(&format!(" x{}", shaped.scale));
                }
                text
            }
        };
    });
    found
}
