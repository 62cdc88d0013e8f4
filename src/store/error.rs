//! Why the store cannot do something.

use std::path::{Path, PathBuf};

/// What went wrong with the store's file, and what helps.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another relay holds the data directory (exit status 75).
    #[error("{}: in use by another relay; stop it, or give this one a data_dir of its own", path.display())]
    InUse { path: PathBuf },
    /// A later version wrote the file.
    #[error("{}: written in format {found}, this version reads up to {known}; use the version that wrote it, or move the file away", path.display())]
    Newer { path: PathBuf, found: u64, known: u64 },
    /// Something else's file.
    #[error("{}: not a store of this relay ({reason}); move it away, or choose another data_dir", path.display())]
    Foreign { path: PathBuf, reason: String },
    /// Ours, and damaged beyond reading.
    #[error("{}: damaged ({reason}); move the file away to start afresh, or put a copy back", path.display())]
    Corrupt { path: PathBuf, reason: String },
    /// No room on the disk.
    #[error("{}: the disk is full; free some space or lower store.max_size: writing goes on by itself", path.display())]
    Full { path: PathBuf },
    /// There, and cannot be opened: the relay does not start.
    #[error("{}: cannot be opened: {source}; give the relay's user read and write access to it, or choose another data_dir", path.display())]
    Unopened { path: PathBuf, source: std::io::Error },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

impl StoreError {
    /// The word for it in self-metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            StoreError::InUse { .. } => "in_use",
            StoreError::Newer { .. } => "newer",
            StoreError::Foreign { .. } => "foreign",
            StoreError::Corrupt { .. } => "corrupt",
            StoreError::Full { .. } => "full",
            StoreError::Unopened { .. } | StoreError::Io { .. } => "io",
        }
    }

    pub(super) fn io(path: &Path, source: std::io::Error) -> StoreError {
        let path = path.to_path_buf();
        match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreError::Full { path },
            _ => StoreError::Io { path, source },
        }
    }

    /// The same while the file is being opened: nothing is tried again.
    pub(super) fn at_opening(self) -> StoreError {
        match self {
            StoreError::Io { path, source } => StoreError::Unopened { path, source },
            other => other,
        }
    }

    /// What a database error means for the file at `path`.
    pub(super) fn database(path: &Path, error: impl Into<redb::Error>) -> StoreError {
        let path_buf = path.to_path_buf();
        match error.into() {
            redb::Error::Io(source) => StoreError::io(path, source),
            redb::Error::DatabaseAlreadyOpen => StoreError::InUse { path: path_buf },
            redb::Error::Corrupted(reason) => StoreError::Corrupt { path: path_buf, reason },
            redb::Error::UpgradeRequired(version) => {
                StoreError::Foreign { path: path_buf, reason: format!("a database of file format {version}") }
            }
            other => StoreError::Io { path: path_buf, source: std::io::Error::other(other.to_string()) },
        }
    }
}
