//! What a summary's quantiles are taken from: the last ten minutes, as five blocks of two minutes aligned
//! to the epoch. The page and queries share it, so they show the same numbers.

use super::ExpHist;

/// Length of a block in milliseconds.
pub const BLOCK_MS: i64 = 120_000;
/// Blocks looked at: the open one and the four before it.
const BLOCKS: i64 = 5;

/// The recent sketches of one series: few of most, so that there is no room beyond them.
#[derive(Clone, Debug, Default)]
pub struct Recent(Vec<(i64, ExpHist)>);

impl Recent {
    /// Adds what a window received. `window_start` is unix milliseconds; windows come in order.
    pub fn add(&mut self, window_start: i64, sketch: &ExpHist) {
        let block = window_start.div_euclid(BLOCK_MS);
        self.forget(block);
        match self.0.last_mut() {
            Some((last, merged)) if *last == block => merged.merge(sketch),
            _ => {
                self.0.reserve_exact(1);
                self.0.push((block, sketch.clone()));
            }
        }
    }

    /// Everything in the five blocks that end with the one holding `window_start`.
    pub fn merged(&self, window_start: i64) -> ExpHist {
        let block = window_start.div_euclid(BLOCK_MS);
        let mut merged = ExpHist::default();
        for (at, sketch) in &self.0 {
            if (block - BLOCKS + 1..=block).contains(at) {
                merged.merge(sketch);
            }
        }
        merged
    }

    /// Drops blocks that no later window can ask for.
    pub fn forget(&mut self, block_of_now: i64) {
        self.0.retain(|(block, _)| *block > block_of_now - BLOCKS);
    }

    /// Bytes it takes.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(_, sketch)| size_of::<i64>() + sketch.bytes()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_blocks_are_looked_at_and_no_more() {
        let mut recent = Recent::default();
        for minute in 0..12 {
            let mut sketch = ExpHist::default();
            sketch.record(f64::from(minute) + 1.0, 1.0);
            recent.add(i64::from(minute) * 60_000, &sketch);
        }
        assert_eq!(recent.merged(11 * 60_000).count, 10.0);
        assert_eq!(recent.merged(12 * 60_000).count, 8.0);
        assert!(recent.merged(60 * 60_000).quantile(0.5).is_nan());
    }
}
