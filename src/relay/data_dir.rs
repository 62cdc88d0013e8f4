//! Where the data lies: the directory that was asked for, or the first usable of the usual places.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::StartError;

/// `$STATE_DIRECTORY` is `state_directory`: systemd's, several joined by colons.
pub(super) fn choose(asked: Option<&Path>, state_directory: Option<OsString>) -> Result<PathBuf, StartError> {
    if let Some(asked) = asked {
        return usable(asked).map(|()| asked.to_path_buf()).map_err(|error| {
            StartError::failed(format!(
                "the data directory {} cannot be used: {error}. {}, or name another with --data-dir or data_dir",
                asked.display(),
                if asked.is_file() { "It is a file: move it away" } else { "Give the relay's user write access to it" }
            ))
        });
    }
    let state = state_directory.and_then(|value| std::env::split_paths(&value).next());
    let candidates: Vec<PathBuf> = state.into_iter().chain(["/var/lib/statsd-relay", "./statsd-relay-data"].map(PathBuf::from)).collect();
    let mut reasons = Vec::new();
    for candidate in &candidates {
        match usable(candidate) {
            Ok(()) => {
                if candidate.exists() && !reasons.is_empty() {
                    tracing::warn!("the data lies in {}: {}", candidate.display(), reasons.join("; "));
                }
                return Ok(candidate.clone());
            }
            Err(error) => reasons.push(format!("{}: {error}", candidate.display())),
        }
    }
    Err(StartError::failed(format!("no usable data directory ({}). Name one with --data-dir or data_dir", reasons.join("; "))))
}

/// Makes the directory if it is missing and proves that a file can be written in it.
fn usable(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let probe = directory.join(format!(".writable-{}", std::process::id()));
    fs::write(&probe, b"")?;
    fs::remove_file(&probe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asked_directory_is_made_and_a_file_in_its_place_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let wanted = root.path().join("a/b");
        assert_eq!(choose(Some(&wanted), None).unwrap(), wanted);
        fs::write(root.path().join("file"), "x").unwrap();
        let error = choose(Some(&root.path().join("file")), None).unwrap_err();
        assert!(error.message.contains("--data-dir"), "{error}");
    }

    #[test]
    fn the_state_directory_comes_before_the_usual_places() {
        let root = tempfile::tempdir().unwrap();
        let state = root.path().join("state");
        assert_eq!(choose(None, Some(state.clone().into_os_string())).unwrap(), state);
    }
}
