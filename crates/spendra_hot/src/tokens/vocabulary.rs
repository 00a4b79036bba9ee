//! One vocabulary, read in place from the tables that the build laid out, and the merging of bytes
//! into its tokens.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::spread::hash;

const LONGEST_PIECE: usize = 4096;

/// All tokens by rank, where each begins, and ranks by hash (`build.rs` says the form).
#[derive(Debug)]
pub(super) struct Vocabulary {
    pub text: &'static [u8],
    pub starts: &'static [u8],
    pub slots: &'static [u8],
}

/// Two neighbours that make a token: its rank, then where the first begins, where they meet and
/// where the second ends. The lowest rank merges first, the leftmost of equals.
type Pair = Reverse<(u32, usize, usize, usize)>;

impl Vocabulary {
    /// Tokens of one piece of text, as byte-pair encoding merges it. A piece longer than any that
    /// people write is merged in parts, so that no text is dear to count; that is a token more for
    /// each part at most.
    pub fn count(&self, piece: &[u8]) -> usize {
        match self.rank(piece) {
            Some(_) => 1,
            None => piece
                .chunks(LONGEST_PIECE)
                .map(|part| Merging::new(self, part).run())
                .sum(),
        }
    }

    fn rank(&self, token: &[u8]) -> Option<u32> {
        let slots = self.slots.len() >> 2;
        let mut slot = hash(token).checked_rem(slots)?;
        loop {
            let rank = number(self.slots, slot)?.checked_sub(1)?;
            if self.token(rank)? == token {
                return Some(rank);
            }
            slot = slot.saturating_add(1).checked_rem(slots)?;
        }
    }

    fn token(&self, rank: u32) -> Option<&'static [u8]> {
        let rank = usize::try_from(rank).ok()?;
        let start = number(self.starts, rank)?;
        let end = number(self.starts, rank.saturating_add(1))?;
        self.text
            .get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
    }
}

fn number(table: &[u8], at: usize) -> Option<u32> {
    let start = at.checked_mul(4)?;
    let bytes = table.get(start..start.checked_add(4)?)?;
    bytes.try_into().ok().map(u32::from_le_bytes)
}

/// A piece while its bytes merge. A part is named by where it begins.
struct Merging<'a> {
    vocabulary: &'a Vocabulary,
    piece: &'a [u8],
    /// Where the part that begins here ends; zero where none begins any more.
    ends: Vec<usize>,
    /// Where the part before the one that begins here begins.
    before: Vec<usize>,
    pairs: BinaryHeap<Pair>,
}

impl<'a> Merging<'a> {
    /// Each byte a part of its own.
    fn new(vocabulary: &'a Vocabulary, piece: &'a [u8]) -> Self {
        let mut merging = Self {
            vocabulary,
            piece,
            ends: (1..=piece.len()).collect(),
            before: (0..piece.len()).map(|at| at.saturating_sub(1)).collect(),
            pairs: BinaryHeap::new(),
        };
        (0..piece.len()).for_each(|at| merging.offer(at));
        merging
    }

    /// Merges until no two neighbours make a token; how many parts are left.
    fn run(mut self) -> usize {
        let mut parts = self.piece.len();
        while let Some(Reverse((_, start, middle, end))) = self.pairs.pop() {
            if self.end(start) == Some(middle) && self.end(middle) == Some(end) {
                self.merge(start, middle, end);
                parts = parts.saturating_sub(1);
            }
        }
        parts
    }

    fn merge(&mut self, start: usize, middle: usize, end: usize) {
        set(&mut self.ends, start, end);
        set(&mut self.ends, middle, 0);
        set(&mut self.before, end, start);
        if start > 0 {
            let before = self.before.get(start).copied();
            self.offer(before.unwrap_or(0));
        }
        self.offer(start);
    }

    /// Notes the pair that begins here, if it makes a token.
    fn offer(&mut self, start: usize) {
        let pair = self.end(start).and_then(|middle| {
            let end = self.end(middle)?;
            let rank = self.vocabulary.rank(self.piece.get(start..end)?)?;
            Some(Reverse((rank, start, middle, end)))
        });
        self.pairs.extend(pair);
    }

    fn end(&self, start: usize) -> Option<usize> {
        self.ends.get(start).copied()
    }
}

/// The piece's own end names no part, and is not kept.
fn set(table: &mut [usize], at: usize, value: usize) {
    if let Some(place) = table.get_mut(at) {
        *place = value;
    }
}
