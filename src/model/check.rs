//! A service check, as a client or a probe reported it.

use serde::Serialize;

/// The answer to "are you well?".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[repr(u8)]
#[serde(rename_all = "lowercase")]
pub enum CheckStatus {
    Ok = 0,
    Warning = 1,
    Critical = 2,
    Unknown = 3,
}

impl CheckStatus {
    /// The status with this wire number.
    pub fn from_u8(number: u8) -> Option<CheckStatus> {
        [CheckStatus::Ok, CheckStatus::Warning, CheckStatus::Critical, CheckStatus::Unknown].get(usize::from(number)).copied()
    }
}

/// One report of one check. Absent strings are `None`, never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub name: String,
    pub status: CheckStatus,
    /// Unix seconds the client gave.
    pub timestamp: Option<u64>,
    pub hostname: Option<String>,
    pub message: Option<String>,
    /// Canonical: trimmed, distinct, sorted.
    pub tags: Vec<String>,
}

impl Check {
    /// Memory it takes, in bytes.
    pub fn bytes(&self) -> usize {
        let texts = [Some(&self.name), self.hostname.as_ref(), self.message.as_ref()];
        let tags: usize = self.tags.iter().map(|tag| tag.len() + size_of::<String>()).sum();
        size_of::<Check>() + texts.into_iter().flatten().map(String::len).sum::<usize>() + tags
    }
}
