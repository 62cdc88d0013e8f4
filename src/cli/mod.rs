//! The command line.

pub mod query;

use std::process::ExitCode;

/// Runs the command the arguments name.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
