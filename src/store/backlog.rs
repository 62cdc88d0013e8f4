//! Windows of timers that only count for where each stands.

use super::bytes::Reader;
use super::sketch::read_sketch_into;
use super::tracks::Tracks;
use crate::model::ExpHist;

/// Bytes that may wait.
const BYTES: usize = 8 << 20;

/// What timers received, put aside so that each takes in many windows at once: there are more timers than a processor
/// has at hand, and a window touches one in many places.
#[derive(Default)]
pub(super) struct Backlog {
    spelled: Vec<u8>,
    /// A place, and where in `spelled` its window begins; in the order of windows for each place.
    waiting: Vec<(u32, u32)>,
    window: ExpHist,
}

impl Backlog {
    /// Puts a window aside, as it is spelled.
    pub(super) fn push(&mut self, tracks: &mut Tracks, place: usize, spelled: &[u8]) {
        if self.spelled.len() + spelled.len() > BYTES {
            self.merge_into(tracks);
        }
        self.waiting.push((place as u32, self.spelled.len() as u32));
        self.spelled.extend_from_slice(spelled);
    }

    /// Adds everything put aside to the timers.
    pub(super) fn merge_into(&mut self, tracks: &mut Tracks) {
        self.waiting.sort_unstable();
        for (place, at) in self.waiting.drain(..) {
            let read = read_sketch_into(&mut self.window, &mut Reader(&self.spelled[at as usize..]));
            if let (Some(()), Some((sketched, _))) = (read, tracks.sketched(place as usize)) {
                sketched.ever.merge(&self.window);
            }
        }
        self.spelled.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::role::Role;
    use super::super::sketch::put_sketch;
    use super::*;

    #[test]
    fn windows_add_up_in_their_order_whenever_there_are_too_many() {
        let (mut backlog, mut tracks) = (Backlog::default(), Tracks::new(Role::Sketch));
        let mut expected = vec![ExpHist::default(); 3];
        expected.iter().for_each(|_| tracks.add());
        let (mut spelled, mut all) = (Vec::new(), 0);
        for n in 0..1_000u32 {
            let mut window = ExpHist::default();
            // In another order the weights would have other sums.
            (0..1_000).for_each(|bucket| window.record((f64::from(bucket) / 32.0).exp2(), 1.0 / f64::from(n + bucket + 3)));
            spelled.clear();
            put_sketch(&mut spelled, &window);
            all += spelled.len();
            let place = (n * n % 7) as usize % 3;
            backlog.push(&mut tracks, place, &spelled);
            expected[place].merge(&window);
        }
        assert!(all > BYTES);
        backlog.merge_into(&mut tracks);
        for (place, expected) in expected.iter().enumerate() {
            assert_eq!(tracks.ever(place), Some(expected));
        }
    }
}
