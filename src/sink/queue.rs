//! Windows that wait, and which of their points are still to be settled. No time, no locks.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::model::{Column, Sketches, Window};

/// What waits, oldest first. Each route works through the windows by itself; one goes when all are done with it.
#[derive(Debug)]
pub(super) struct Queue {
    entries: VecDeque<Entry>,
    /// Bytes that the waiting windows pin.
    bytes: usize,
    limit: usize,
    next: u64,
    /// Points on their way whose window was given up meanwhile.
    adrift: u64,
}

#[derive(Debug)]
struct Entry {
    id: u64,
    window: Arc<Window>,
    bytes: usize,
    routes: Vec<Progress>,
}

/// Points of one route: `left` are not settled, `sent` of them are on their way.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    left: u64,
    sent: u64,
}

impl Queue {
    /// A queue that pins about `limit` bytes, but always takes one window.
    pub(super) fn new(limit: usize) -> Queue {
        Queue { entries: VecDeque::new(), bytes: 0, limit, next: 0, adrift: 0 }
    }

    /// Adds a window with its points by route. Returns the points given up to stay within the limit.
    pub(super) fn push(&mut self, window: Arc<Window>, points: &[u64]) -> u64 {
        let bytes = pinned_bytes(&window);
        let routes = points.iter().map(|&left| Progress { left, sent: 0 }).collect();
        self.entries.push_back(Entry { id: self.next, window, bytes, routes });
        self.next += 1;
        self.bytes += bytes;
        let mut dropped = 0;
        while self.bytes > self.limit && self.entries.len() > 1 {
            dropped += self.give_up_oldest();
        }
        dropped
    }

    /// Gives up the windows that ended before `time` (unix milliseconds). Returns their points.
    pub(super) fn expire(&mut self, time: i64) -> u64 {
        let mut dropped = 0;
        while self.entries.front().is_some_and(|entry| entry.window.end < time) {
            dropped += self.give_up_oldest();
        }
        dropped
    }

    /// Gives up everything, also what is on its way. Returns the points.
    pub(super) fn clear(&mut self) -> u64 {
        let points = self.points();
        *self = Queue { next: self.next, ..Queue::new(self.limit) };
        points
    }

    /// The oldest window that has points left for the route.
    pub(super) fn oldest(&self, route: usize) -> Option<(u64, Arc<Window>)> {
        let entry = self.entries.iter().find(|entry| entry.routes[route].left > 0)?;
        Some((entry.id, Arc::clone(&entry.window)))
    }

    /// Notes that points are on their way. False when the window was given up: do not send them.
    pub(super) fn depart(&mut self, id: u64, route: usize, points: u64) -> bool {
        self.progress(id, route).map(|progress| progress.sent = points).is_some()
    }

    /// Notes that points came back undelivered. False when the window was given up: they are to be counted.
    pub(super) fn come_back(&mut self, id: u64, route: usize, points: u64) -> bool {
        let waiting = self.progress(id, route).map(|progress| progress.sent = 0).is_some();
        if !waiting {
            self.adrift = self.adrift.saturating_sub(points);
        }
        waiting
    }

    /// Notes that points are settled, whatever became of them.
    pub(super) fn settle(&mut self, id: u64, route: usize, points: u64) {
        match self.progress(id, route) {
            Some(progress) => *progress = Progress { left: progress.left.saturating_sub(points), sent: 0 },
            None => self.adrift = self.adrift.saturating_sub(points),
        }
        let done = |entry: &Entry| entry.routes.iter().all(|route| route.left == 0);
        if let Some(at) = self.entries.iter().position(|entry| entry.id == id && done(entry)) {
            self.bytes -= self.entries.remove(at).map_or(0, |entry| entry.bytes);
        }
    }

    /// Notes that the route has sent all it finds in the window. Returns points that were promised and not
    /// found, so that they are counted and the window is not sent again and again.
    pub(super) fn finish(&mut self, id: u64, route: usize) -> u64 {
        let missing = self.progress(id, route).map_or(0, |progress| progress.left);
        if missing > 0 {
            self.settle(id, route, missing);
        }
        missing
    }

    /// Points not settled yet.
    pub(super) fn points(&self) -> u64 {
        self.adrift + self.entries.iter().flat_map(|entry| &entry.routes).map(|route| route.left).sum::<u64>()
    }

    fn give_up_oldest(&mut self) -> u64 {
        let Some(entry) = self.entries.pop_front() else { return 0 };
        self.bytes -= entry.bytes;
        self.adrift += entry.routes.iter().map(|route| route.sent).sum::<u64>();
        entry.routes.iter().map(|route| route.left - route.sent).sum()
    }

    fn progress(&mut self, id: u64, route: usize) -> Option<&mut Progress> {
        self.entries.iter_mut().find(|entry| entry.id == id).map(|entry| &mut entry.routes[route])
    }
}

/// Bytes a waiting window keeps from being freed; the roster is shared with every other window.
fn pinned_bytes(window: &Window) -> usize {
    let columns: usize = window.columns.iter().map(column_bytes).sum();
    let events: usize = window.events.iter().map(|(_, event)| event.bytes()).sum();
    let checks: usize = window.checks.iter().map(|(_, check)| check.bytes()).sum();
    let stamped: usize = window.stamped.iter().map(|stamped| stamped.series.allocated_bytes() + size_of_val(stamped)).sum();
    let handles = (window.births.len() + window.gone.len()) * 8 + window.own.len() * 40;
    std::mem::size_of::<Window>() + columns + events + checks + stamped + handles
}

fn column_bytes(column: &Column) -> usize {
    match column {
        Column::Counter { age, .. } => age.len() * 18,
        Column::Gauge { age, .. } | Column::Set { age, .. } => age.len() * 10,
        Column::Timer { window, age, .. } => age.len() * 26 + window.iter().flatten().map(|sketches| sketch_bytes(sketches)).sum::<usize>(),
    }
}

fn sketch_bytes(sketches: &Sketches) -> usize {
    let pairs = sketches.raw.as_ref().map_or(0, Vec::len) + sketches.exp.positive.len() + sketches.exp.negative.len();
    std::mem::size_of::<Sketches>() + (pairs + sketches.dd.as_ref().map_or(0, |dd| dd.bins.len())) * 16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(end: i64, rows: usize) -> Arc<Window> {
        let columns = vec![Column::Gauge { value: vec![0.0; rows], age: vec![0; rows] }];
        let (roster, length) = (Arc::from([]), std::time::Duration::from_secs(10));
        let (births, gone, stamped, events, checks, own) = Default::default();
        Arc::new(Window { end, length, roster, columns, births, gone, stamped, events, checks, own })
    }

    #[test]
    fn over_the_limit_the_oldest_goes_but_one_always_stays() {
        let mut queue = Queue::new(25_000);
        assert_eq!(queue.push(window(1, 1_000), &[10, 1]), 0);
        assert_eq!(queue.push(window(2, 1_000), &[20, 2]), 0);
        assert_eq!(queue.push(window(3, 1_000), &[30, 3]), 11);
        assert_eq!(queue.push(window(4, 100_000), &[40, 4]), 55);
        assert_eq!((queue.points(), queue.oldest(0).unwrap().0), (44, 3));
        assert!(queue.bytes > 25_000 && queue.push(window(5, 1), &[1, 0]) == 44 && queue.bytes < 1_000);
    }

    #[test]
    fn points_on_their_way_are_counted_by_their_answer_alone() {
        let mut queue = Queue::new(1_000_000);
        queue.push(window(1, 1), &[10]);
        assert!(queue.depart(0, 0, 4));
        assert_eq!((queue.expire(2), queue.points()), (6, 4));
        queue.settle(0, 0, 4);
        assert_eq!(queue.points(), 0);
        queue.push(window(3, 1), &[10]);
        assert!(queue.depart(1, 0, 4) && queue.come_back(1, 0, 4) && queue.points() == 10);
        assert!(queue.depart(1, 0, 4) && queue.expire(4) == 6);
        assert!(!queue.come_back(1, 0, 4) && queue.points() == 0 && !queue.depart(1, 0, 4));
    }

    #[test]
    fn a_window_goes_when_every_route_is_done_with_it() {
        let mut queue = Queue::new(1_000_000);
        queue.push(window(1, 1), &[2, 1, 0]);
        queue.settle(0, 1, 1);
        assert!(queue.oldest(1).is_none() && queue.oldest(2).is_none() && queue.oldest(0).is_some());
        queue.settle(0, 0, 2);
        assert!(queue.entries.is_empty() && queue.bytes == 0);
        assert_eq!(queue.finish(0, 0), 0);
        queue.push(window(2, 1), &[2]);
        queue.settle(1, 0, 1);
        assert!(queue.finish(1, 0) == 1 && queue.entries.is_empty());
    }
}
