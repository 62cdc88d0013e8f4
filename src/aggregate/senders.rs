//! Who sends how much: the senders of one lane, in memory that is bounded whoever sends.

use std::collections::HashMap;
use std::net::IpAddr;

use foldhash::quality::RandomState;

/// Senders of a window that are told apart. When there are more, the lighter half is forgotten.
const SENDERS_MAX: usize = 512;

/// What a sender sent in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    pub lines: u64,
    pub bytes: u64,
}

impl Sent {
    pub(super) fn add(&mut self, more: Sent) {
        self.lines += more.lines;
        self.bytes += more.bytes;
    }
}

/// What was sent in one window, by whom; `None` is everyone whose transport names no sender.
#[derive(Debug, Default)]
pub(super) struct SentBy {
    pub(super) of: HashMap<Option<IpAddr>, Sent, RandomState>,
    /// Some were forgotten: figures are lower bounds.
    pub(super) forgot: bool,
}

impl SentBy {
    fn add(&mut self, sender: Option<IpAddr>, sent: Sent) {
        if self.of.len() >= SENDERS_MAX && !self.of.contains_key(&sender) {
            self.forget_the_lighter_half();
        }
        self.of.entry(sender).or_default().add(sent);
    }

    /// One pass for every half that is new, so that a flood of senders costs each of them a constant; what a sender
    /// can lose is what as many others have sent more of.
    #[cold]
    fn forget_the_lighter_half(&mut self) {
        let mut all: Vec<(Option<IpAddr>, Sent)> = self.of.drain().collect();
        let middle = all.len() / 2;
        all.select_nth_unstable_by_key(middle, |(_, sent)| std::cmp::Reverse((sent.lines, sent.bytes)));
        self.of.extend(all.drain(..middle));
        self.forgot = true;
    }
}

/// What was sent in the open window of a lane, and in the one before.
#[derive(Debug, Default)]
pub(super) struct Senders {
    window: u32,
    open: SentBy,
    closed: SentBy,
}

impl Senders {
    pub(super) fn add(&mut self, window: u32, sender: Option<IpAddr>, sent: Sent) {
        if window != self.window {
            let before = std::mem::take(&mut self.open);
            self.closed = if self.window.wrapping_add(1) == window { before } else { SentBy::default() };
            self.window = window;
        }
        self.open.add(sender, sent);
    }

    /// What was sent in a window, if that is one of the last two in which anything was.
    pub(super) fn of(&self, window: u32) -> Option<&SentBy> {
        if window == self.window { Some(&self.open) } else { (window.wrapping_add(1) == self.window).then_some(&self.closed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u32) -> Option<IpAddr> {
        Some(IpAddr::from(number.to_be_bytes()))
    }

    #[test]
    fn heavy_senders_stay_whoever_else_sends() {
        let mut senders = Senders::default();
        let one = Sent { lines: 1, bytes: 10 };
        for flood in 0..100_000 {
            senders.add(7, address(flood), one);
            if flood % 100 == 0 {
                senders.add(7, address(u32::MAX), Sent { lines: 50, bytes: 500 });
            }
        }
        let sent = senders.of(7).unwrap();
        assert!(sent.of.len() <= SENDERS_MAX && sent.forgot);
        assert_eq!(sent.of[&address(u32::MAX)], Sent { lines: 50_000, bytes: 500_000 });
    }

    #[test]
    fn a_window_is_told_until_the_one_after_the_next() {
        let mut senders = Senders::default();
        let lines = |senders: &Senders, window| senders.of(window).map(|sent| sent.of.values().map(|sent| sent.lines).sum::<u64>());
        senders.add(7, None, Sent { lines: 3, bytes: 0 });
        assert_eq!((lines(&senders, 6), lines(&senders, 7), lines(&senders, 8)), (Some(0), Some(3), None));
        senders.add(8, None, Sent { lines: 5, bytes: 0 });
        assert_eq!((lines(&senders, 7), lines(&senders, 8)), (Some(3), Some(5)));
        senders.add(10, None, Sent { lines: 9, bytes: 0 });
        assert_eq!((lines(&senders, 8), lines(&senders, 9), lines(&senders, 10)), (None, Some(0), Some(9)));
    }
}
