//! Runs PromQL cases in the load/eval notation: our own, and the conformance files where they are at hand.

#![allow(clippy::expect_used, reason = "helpers of tests, too")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[path = "promql/compare.rs"]
mod compare;
#[path = "promql/notation.rs"]
mod notation;
#[path = "promql/series.rs"]
mod series;

/// Conformance files of which every evaluation passes; one that stops passing is a regression.
const COMPLETE: [&str; 8] = [
    "at_modifier.test",
    "collision.test",
    "duration_expression.test",
    "fill-modifier.test",
    "limit.test",
    "literals.test",
    "selectors.test",
    "trig_functions.test",
];

#[test]
fn our_own_cases_pass() {
    let files = test_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/promql"));
    assert!(!files.is_empty());
    for file in files {
        let report = notation::run(&file);
        assert!(report.failures.is_empty(), "{}:\n{}", file.display(), report.failures.join("\n"));
        assert!(report.total > 0, "{} holds no evaluation", file.display());
    }
}

#[test]
fn conformance_files_that_passed_still_pass() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places = ["../shared/conformance/promqltest", "../../shared/conformance/promqltest"];
    let Some(folder) = places.iter().map(|place| root.join(place)).find(|folder| folder.is_dir()) else {
        println!("skipped: no conformance files beside the repository");
        return;
    };
    let mut reports = BTreeMap::new();
    for file in test_files(&folder) {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        reports.insert(name, notation::run(&file));
    }
    for (name, report) in &reports {
        println!("{name}: {} of {}", report.total - report.failures.len(), report.total);
        report.failures.iter().for_each(|failure| println!("  {failure}"));
    }
    let broken: Vec<&str> =
        COMPLETE.into_iter().filter(|name| reports.get(*name).is_none_or(|report| !report.failures.is_empty())).collect();
    assert!(broken.is_empty(), "no longer complete: {broken:?}");
}

fn test_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder can be listed");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "test"));
    files.sort();
    files
}
