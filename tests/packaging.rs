//! The units that ship are understood by systemd and leave the service little to do harm with.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The exposure that `systemd-analyze security` may find, in tenths: what remains is the network itself.
const EXPOSURE: &str = "--threshold=12";

fn units() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd")
}

/// Runs systemd-analyze; `None`, said as a skip, where there is none. `CI` does not accept that.
fn analyze(arguments: &[&str], files: &[PathBuf]) -> Option<Output> {
    match Command::new("systemd-analyze").args(arguments).args(files).output() {
        Ok(output) => Some(output),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "CI judges the units, but systemd-analyze: {error}");
            let mut stderr = std::io::stderr();
            writeln!(stderr, "SKIPPED: systemd-analyze: {error}").unwrap();
            None
        }
    }
}

#[test]
fn the_service_is_exposed_by_its_network_and_little_else() {
    let Some(output) = analyze(&["security", "--offline=yes", EXPOSURE], &[units().join("statsd-relay.service")]) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));

    // A bare unit of the same program is refused, so the threshold is one.
    let folder = tempfile::tempdir().unwrap();
    let bare = folder.path().join("statsd-relay.service");
    std::fs::write(&bare, "[Service]\nExecStart=/usr/bin/statsd-relay run\n").unwrap();
    let output = analyze(&["security", "--offline=yes", EXPOSURE], &[bare]).unwrap();
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn systemd_understands_every_line_of_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let service = std::fs::read_to_string(units().join("statsd-relay.service")).unwrap();
    let socket = std::fs::read_to_string(units().join("statsd-relay.socket")).unwrap();
    // The program lies where it was built, not yet where a package puts it.
    let built = service.replace("/usr/bin/statsd-relay", env!("CARGO_BIN_EXE_statsd-relay"));
    assert_ne!(built, service, "the unit does not start /usr/bin/statsd-relay");
    let files = ["statsd-relay.service", "statsd-relay.socket"].map(|name| folder.path().join(name));
    for (file, text) in files.iter().zip([&built, &socket]) {
        std::fs::write(file, text).unwrap();
    }
    let Some(output) = analyze(&["verify"], &files) else { return };
    let said = String::from_utf8_lossy(&output.stderr);
    // Units of the machine at hand are loaded too; only words about ours count.
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("statsd-relay")).collect();
    assert!(output.status.success() && ours.is_empty(), "{said}");
}
