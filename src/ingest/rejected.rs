//! Examples of lines that were refused: some distinct ones of each reason, with how often and when.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::quality::RandomState;
use parking_lot::Mutex;

use crate::parse::{self, ParseError};

/// Distinct examples of one reason; a new one takes the place of the one not seen for longest.
const EXAMPLES_MAX: usize = 16;
/// Bytes of a line that are kept, and told apart.
const LINE_MAX: usize = 200;

/// Shared by all listeners. One reason's flood takes nothing from the others.
pub struct Rejected {
    hasher: RandomState,
    reasons: [Mutex<Vec<Example>>; ParseError::ALL.len()],
}

struct Example {
    hash: u64,
    line: Box<[u8]>,
    listener: Arc<str>,
    sender: Option<IpAddr>,
    count: u64,
    first: i64,
    last: i64,
}

/// A refused line, to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedLine {
    pub reason: ParseError,
    /// Escaped, and cut at 200 bytes.
    pub line: String,
    /// Where it went wrong, in bytes, when that is one place.
    pub offset: Option<usize>,
    pub listener: Arc<str>,
    /// Who sent the last one, where the transport tells.
    pub sender: Option<IpAddr>,
    pub count: u64,
    /// Unix milliseconds.
    pub first_seen: i64,
    pub last_seen: i64,
}

impl Default for Rejected {
    fn default() -> Rejected {
        Rejected { hasher: RandomState::default(), reasons: std::array::from_fn(|_| Mutex::default()) }
    }
}

impl Rejected {
    /// Notes a refused line at `now` (unix milliseconds).
    pub(super) fn note(&self, reason: ParseError, line: &[u8], listener: &Arc<str>, sender: Option<IpAddr>, now: i64) {
        let line = &line[..line.len().min(LINE_MAX)];
        let hash = self.hasher.hash_one((line, listener));
        let mut examples = self.reasons[reason as usize].lock();
        if let Some(known) = examples.iter_mut().find(|known| known.hash == hash) {
            known.count += 1;
            known.last = now;
            known.sender = sender;
            return;
        }
        if examples.len() >= EXAMPLES_MAX
            && let Some(oldest) = (0..examples.len()).min_by_key(|&at| examples[at].last)
        {
            examples.swap_remove(oldest);
        }
        examples.push(Example { hash, line: line.into(), listener: listener.clone(), sender, count: 1, first: now, last: now });
    }

    /// Every example, the last seen first.
    pub fn examples(&self) -> Vec<RejectedLine> {
        let mut all = Vec::new();
        for (reason, examples) in ParseError::ALL.into_iter().zip(&self.reasons) {
            all.extend(examples.lock().iter().map(|example| RejectedLine {
                reason,
                line: parse::escaped(&example.line, LINE_MAX),
                offset: parse::place(&example.line, reason),
                listener: example.listener.clone(),
                sender: example.sender,
                count: example.count,
                first_seen: example.first,
                last_seen: example.last,
            }));
        }
        all.sort_by_key(|line| std::cmp::Reverse(line.last_seen));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_are_distinct_counted_and_few() {
        let (rejected, listener) = (Rejected::default(), Arc::from("udp:x"));
        for now in 0..3 {
            rejected.note(ParseError::BadValue, b"a:\x1bx|c", &listener, None, now);
        }
        let [one] = &rejected.examples()[..] else { panic!() };
        assert_eq!((one.count, one.first_seen, one.last_seen, one.offset), (3, 0, 2, Some(2)));
        assert_eq!(one.line, r"a:\u{1b}x|c");
        rejected.note(ParseError::MissingColon, b"kept", &listener, None, 3);
        for now in 4..1_000 {
            rejected.note(ParseError::BadValue, format!("a:{now}x|c").as_bytes(), &listener, None, now);
        }
        let all = rejected.examples();
        assert_eq!(all.len(), EXAMPLES_MAX + 1);
        assert_eq!((all[0].line.as_str(), all[EXAMPLES_MAX].line.as_str()), ("a:999x|c", "kept"));
    }
}
