//! Shows lines to whoever listens, as they are received. With nobody listening it costs a batch one relaxed load.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::{Mutex, RwLock};
use serde::Serialize;

use crate::model::Glob;
use crate::parse::{self, Parsed, Record, json};

/// Taps at once.
const TAPS_MAX: usize = 4;
/// What waits for one reader: lines, and their bytes once written as JSON.
const LINES_MAX: usize = 1_024;
const BYTES_MAX: usize = 1 << 20;
/// Bytes of a line that are shown.
const SHOWN_MAX: usize = 4_096;
/// Longest pattern: it is tried on every line.
const PATTERN_MAX: usize = 200;

/// The place where lines can be watched.
#[derive(Default)]
pub struct Tap {
    listening: AtomicUsize,
    taps: RwLock<Taps>,
}

#[derive(Default)]
struct Taps {
    open: Vec<Arc<Queue>>,
    closed: bool,
}

/// Which lines a reader wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pattern: Option<Glob>,
    rejected: bool,
}

impl Wanted {
    /// Lines whose name matches, or with `rejected` refused lines that match. A pattern with `*` or `?` is a glob over
    /// the whole, any other a part of it.
    pub fn new(pattern: Option<&str>, rejected: bool) -> Result<Wanted, String> {
        let pattern = pattern.map(|text| if text.contains(['*', '?']) { text.to_string() } else { format!("*{text}*") });
        if pattern.as_ref().is_some_and(|pattern| pattern.len() > PATTERN_MAX) {
            return Err(format!("a filter has at most {PATTERN_MAX} bytes"));
        }
        Ok(Wanted { pattern: pattern.map(|pattern| Glob::new(&pattern)), rejected })
    }

    fn takes(&self, parsed: &Parsed<'_>) -> bool {
        let named = match &parsed.record {
            Err(_) if !self.rejected => return false,
            Ok(_) if self.rejected => return false,
            Err(_) => parsed.line,
            Ok(Record::Metric(metric)) => metric.spelling.name,
            Ok(Record::Event(event, ..)) => event.title.as_bytes(),
            Ok(Record::Check(check, ..)) => check.name.as_bytes(),
        };
        self.pattern.as_ref().is_none_or(|pattern| pattern.matches(named))
    }
}

/// What a reader gets.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// One line as a JSON object.
    Line(String),
    /// This many lines did not fit since the last one.
    Dropped(u64),
}

struct Queue {
    wanted: Wanted,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<String>,
    bytes: usize,
    dropped: u64,
    waker: Option<Waker>,
    closed: bool,
}

/// One reader's end. Dropping it ends the tap.
pub struct Listener {
    tap: Arc<Tap>,
    queue: Arc<Queue>,
}

/// A line as a reader sees it.
#[derive(Serialize)]
struct Shown<'a, R> {
    listener: &'a str,
    /// Control characters are escaped.
    line: String,
    /// Where a refused line went wrong, in bytes.
    offset: Option<usize>,
    record: R,
}

impl Tap {
    /// One more reader; `None` when there are enough already.
    pub fn listen(self: &Arc<Tap>, wanted: Wanted) -> Option<Listener> {
        let mut taps = self.taps.write();
        if taps.open.len() >= TAPS_MAX || taps.closed {
            return None;
        }
        let queue = Arc::new(Queue { wanted, waiting: Mutex::default() });
        taps.open.push(queue.clone());
        self.listening.store(taps.open.len(), Ordering::Relaxed);
        Some(Listener { tap: self.clone(), queue })
    }

    /// Whether anyone listens.
    pub(super) fn is_heard(&self) -> bool {
        self.listening.load(Ordering::Relaxed) > 0
    }

    /// Hands a line to every reader that wants it and has room.
    #[cold]
    pub(super) fn show(&self, listener: &str, parsed: &Parsed<'_>) {
        for queue in self.taps.read().open.iter().filter(|queue| queue.wanted.takes(parsed)) {
            queue.push(|| text(listener, parsed));
        }
    }

    /// Ends every tap, now and later: the relay stops.
    pub fn close(&self) {
        let mut taps = self.taps.write();
        taps.closed = true;
        for queue in &taps.open {
            let mut waiting = queue.waiting.lock();
            waiting.closed = true;
            waiting.wake();
        }
    }
}

fn text(listener: &str, parsed: &Parsed<'_>) -> String {
    let offset = parsed.record.as_ref().err().and_then(|reason| parse::place(parsed.line, *reason));
    let line = parse::escaped(parsed.line, SHOWN_MAX);
    serde_json::to_string(&Shown { listener, line, offset, record: json::object(&parsed.record) }).unwrap_or_default()
}

impl Queue {
    fn push(&self, text: impl FnOnce() -> String) {
        let mut waiting = self.waiting.lock();
        if waiting.lines.len() >= LINES_MAX || waiting.bytes >= BYTES_MAX {
            waiting.dropped += 1;
            return;
        }
        let text = text();
        waiting.bytes += text.len();
        waiting.lines.push_back(text);
        waiting.wake();
    }
}

impl Waiting {
    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Listener {
    /// What came next; `None` once the tap is closed. What did not fit is told after what did.
    pub fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Heard>> {
        let mut waiting = self.queue.waiting.lock();
        if let Some(line) = waiting.lines.pop_front() {
            waiting.bytes -= line.len();
            return Poll::Ready(Some(Heard::Line(line)));
        }
        if waiting.dropped > 0 {
            return Poll::Ready(Some(Heard::Dropped(std::mem::take(&mut waiting.dropped))));
        }
        if waiting.closed {
            return Poll::Ready(None);
        }
        waiting.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut taps = self.tap.taps.write();
        taps.open.retain(|open| !Arc::ptr_eq(open, &self.queue));
        self.tap.listening.store(taps.open.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{Options, each};

    fn show(tap: &Tap, lines: &str) {
        each(lines.as_bytes(), &Options::default(), &mut |parsed| tap.show("test", &parsed));
    }

    fn heard(listener: &Listener) -> Vec<Heard> {
        let mut cx = Context::from_waker(Waker::noop());
        let mut all = Vec::new();
        while let Poll::Ready(Some(heard)) = listener.poll_next(&mut cx) {
            all.push(heard);
        }
        all
    }

    #[test]
    fn a_reader_gets_the_lines_it_wants() {
        let tap = Arc::new(Tap::default());
        let lines = "web.hits:1|c|c:abc|card:low\ndb.hits:2|c\nweb.\u{1b}[2J:x|c\n_e{3,1}:web|x";
        for (pattern, rejected, expected) in [
            (None, false, 3),
            (Some("web"), false, 2),
            (Some("*.hits"), false, 2),
            (Some("web?hits"), false, 1),
            (None, true, 1),
            (Some("db"), true, 0),
        ] {
            let listener = tap.listen(Wanted::new(pattern, rejected).unwrap()).unwrap();
            show(&tap, lines);
            assert_eq!(heard(&listener).len(), expected, "{pattern:?} {rejected}");
        }
        let listener = tap.listen(Wanted::new(None, true).unwrap()).unwrap();
        show(&tap, lines);
        let Some(Heard::Line(line)) = heard(&listener).pop() else { panic!() };
        assert_eq!(line, r#"{"listener":"test","line":"web.\\u{1b}[2J:x|c","offset":9,"record":{"kind":"error","reason":"bad_value"}}"#);
    }

    #[test]
    fn what_does_not_fit_is_counted_and_taps_are_few() {
        let tap = Arc::new(Tap::default());
        let listener = tap.listen(Wanted::default()).unwrap();
        for _ in 0..LINES_MAX + 7 {
            show(&tap, "a:1|c");
        }
        let all = heard(&listener);
        assert_eq!((all.len(), all.last()), (LINES_MAX + 1, Some(&Heard::Dropped(7))));
        let more: Vec<_> = (1..TAPS_MAX).map(|_| tap.listen(Wanted::default()).unwrap()).collect();
        assert!(tap.listen(Wanted::default()).is_none());
        drop((more, listener));
        assert!(!tap.is_heard());
        assert!(tap.listen(Wanted::default()).is_some());
    }
}
