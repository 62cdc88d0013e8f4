//! Why the relay did not start, as the exit status a supervisor sees.

use std::fmt;

/// Exit statuses of the binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitStatus {
    /// A busy port, an unusable data directory, and the like.
    Failed = 1,
    /// The data directory belongs to a relay that runs.
    InUse = 75,
    /// The configuration, a rule file or a secret is wrong.
    Config = 78,
}

/// A start that failed: one sentence with the remedy, and the exit status.
#[derive(Debug)]
pub struct StartError {
    pub status: ExitStatus,
    pub message: String,
}

impl StartError {
    pub(super) fn failed(message: impl Into<String>) -> StartError {
        StartError { status: ExitStatus::Failed, message: message.into() }
    }

    pub(super) fn config(message: impl Into<String>) -> StartError {
        StartError { status: ExitStatus::Config, message: message.into() }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for StartError {}
