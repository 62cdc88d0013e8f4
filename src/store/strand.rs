//! Bytes that grow at the end, of many series side by side.
//!
//! A strand has its last bytes at hand and puts full blocks on a pile that all strands of an hour share: to grow it
//! allocates nothing, and an hour is let go of as one.

/// Bytes of a block: what a chunk can have at hand within one cache line.
const BLOCK: usize = 32;
/// In place of a block: there is none.
const NONE: u32 = u32::MAX;

#[derive(Clone, Debug)]
struct Block {
    bytes: [u8; BLOCK],
    /// The one before of the same strand.
    before: u32,
}

/// The full blocks of many strands.
#[derive(Debug, Default)]
pub(super) struct Pile {
    blocks: Vec<Block>,
    free: Vec<u32>,
}

impl Pile {
    /// Beyond 150 GB there is no place left, and the strand begins anew.
    fn put(&mut self, bytes: [u8; BLOCK], before: u32) -> u32 {
        let block = Block { bytes, before };
        if let Some(at) = self.free.pop() {
            self.blocks[at as usize] = block;
            return at;
        }
        let Some(at) = u32::try_from(self.blocks.len()).ok().filter(|&at| at != NONE) else { return NONE };
        self.blocks.push(block);
        at
    }

    /// The blocks of a strand, the newest first.
    fn chain(&self, newest: u32) -> impl Iterator<Item = (u32, &Block)> {
        let at = move |at: u32| self.blocks.get(at as usize).map(|block| (at, block));
        std::iter::successors(at(newest), move |(_, block)| at(block.before))
    }

    fn gather(&self, newest: u32, newest_len: usize) -> Vec<u8> {
        let blocks: Vec<&Block> = self.chain(newest).map(|(_, block)| block).collect();
        let mut bytes = Vec::with_capacity((blocks.len() + 1) * BLOCK);
        blocks.iter().rev().for_each(|block| bytes.extend_from_slice(&block.bytes));
        bytes.truncate(bytes.len().saturating_sub(BLOCK - newest_len));
        bytes
    }

    fn release(&mut self, newest: u32) {
        let blocks: Vec<u32> = self.chain(newest).map(|(at, _)| at).collect();
        self.free.extend(blocks);
    }
}

/// The bytes of one series that still grow.
#[derive(Clone, Debug)]
pub(super) struct Strand {
    tail: [u8; BLOCK],
    newest: u32,
    len: u8,
}

impl Default for Strand {
    fn default() -> Self {
        Strand { tail: [0; BLOCK], newest: NONE, len: 0 }
    }
}

impl Strand {
    pub(super) fn push(&mut self, pile: &mut Pile, byte: u8) {
        if usize::from(self.len) == BLOCK {
            self.newest = pile.put(self.tail, self.newest);
            self.len = 0;
        }
        self.tail[usize::from(self.len)] = byte;
        self.len += 1;
    }

    pub(super) fn extend(&mut self, pile: &mut Pile, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.push(pile, byte));
    }

    /// LEB128.
    pub(super) fn put_varint(&mut self, pile: &mut Pile, mut value: u64) {
        while value >= 0x80 {
            self.push(pile, value as u8 | 0x80);
            value >>= 7;
        }
        self.push(pile, value as u8);
    }

    pub(super) fn read(&self, pile: &Pile) -> Vec<u8> {
        let mut bytes = pile.gather(self.newest, BLOCK);
        bytes.extend_from_slice(&self.tail[..usize::from(self.len)]);
        bytes
    }

    /// Puts what is at hand on the pile too, and begins anew.
    pub(super) fn close(&mut self, pile: &mut Pile) -> Closed {
        let Strand { tail, newest, len } = std::mem::take(self);
        if len == 0 { Closed::default() } else { Closed { newest: pile.put(tail, newest), len } }
    }

    /// Gives its blocks back.
    pub(super) fn release(&self, pile: &mut Pile) {
        pile.release(self.newest);
    }
}

/// The bytes of one series that grow no more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closed {
    newest: u32,
    /// Bytes in the newest block.
    len: u8,
}

impl Default for Closed {
    fn default() -> Self {
        Closed { newest: NONE, len: BLOCK as u8 }
    }
}

impl Closed {
    pub(super) fn read(self, pile: &Pile) -> Vec<u8> {
        pile.gather(self.newest, usize::from(self.len))
    }

    /// Gives its blocks back.
    pub(super) fn release(self, pile: &mut Pile) {
        pile.release(self.newest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn strands_on_one_pile_keep_their_bytes(pieces in proptest::collection::vec((0usize..3, proptest::collection::vec(any::<u8>(), 0..70)), 0..40)) {
            let (mut pile, mut strands, mut expected) = (Pile::default(), vec![Strand::default(); 3], vec![Vec::new(); 3]);
            for (of, piece) in pieces {
                strands[of].extend(&mut pile, &piece);
                expected[of].extend(piece);
            }
            for (strand, expected) in strands.iter_mut().zip(&expected) {
                prop_assert_eq!(&strand.read(&pile), expected);
                let closed = strand.close(&mut pile);
                prop_assert_eq!(&closed.read(&pile), expected);
                prop_assert!(strand.read(&pile).is_empty());
            }
        }
    }

    #[test]
    fn blocks_given_back_are_used_again() {
        let mut pile = Pile::default();
        for round in 0..3u8 {
            let mut strand = Strand::default();
            strand.extend(&mut pile, &[round; 100]);
            let closed = strand.close(&mut pile);
            assert_eq!((closed.read(&pile), pile.blocks.len()), (vec![round; 100], 4));
            closed.release(&mut pile);
        }
    }
}
