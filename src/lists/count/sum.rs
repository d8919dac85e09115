//! What was counted in several blocks of a file.

use std::iter;

use super::block::Block;
use super::words::Words;

/// The sum of blocks that follow each other.
#[derive(Debug)]
pub(super) struct Sum<'a> {
    words: &'a Words,
    pub counts: Vec<u64>,
    pub chars: u64,
    /// The bytes of the blocks in the file.
    pub bytes: u64,
    /// One entry per word: how many bytes of the following text the last occurrence covers.
    covered: Vec<usize>,
}

impl<'a> Sum<'a> {
    /// The sum of no blocks, at the beginning of a text.
    pub fn new(words: &'a Words) -> Sum<'a> {
        Sum {
            words,
            counts: vec![0; words.searchers.len()],
            chars: 0,
            bytes: 0,
            covered: vec![0; words.searchers.len()],
        }
    }

    /// The sum of no blocks, behind other blocks.
    pub fn behind(earlier: &Sum<'a>) -> Sum<'a> {
        Sum {
            covered: earlier.covered.clone(),
            ..Sum::new(earlier.words)
        }
    }

    /// Adds the next block.
    ///
    /// The block was searched from its start, as if no earlier occurrence covered it. That differs only if a
    /// word can overlap itself and does so at the border. Then the block is searched again, for this word.
    pub fn add(&mut self, block: &Block) {
        let results = &block.results;
        self.chars += results.chars;
        self.bytes += block.owned() as u64;
        for (at, mut found) in results.found.iter().copied().enumerate() {
            let covered = &mut self.covered[at];
            if found.first < *covered {
                found = self.words.searchers[at].find(block.text(), *covered, results.text_length);
            }
            self.counts[at] += found.count;
            *covered = found.end.max(*covered).saturating_sub(results.text_length);
        }
    }

    /// Whether an occurrence extends into the following text.
    pub fn covers_more(&self) -> bool {
        self.covered.iter().any(|covered| *covered > 0)
    }

    /// Whether the following text counts alike behind both.
    pub fn ends_like(&self, other: &Sum) -> bool {
        self.covered == other.covered
    }

    /// Adds the blocks that follow.
    pub fn append(&mut self, next: Sum<'a>) {
        for (count, next) in iter::zip(&mut self.counts, next.counts) {
            *count += next;
        }
        self.chars += next.chars;
        self.bytes += next.bytes;
        self.covered = next.covered;
    }

    /// Counts the first blocks of the sum in another way: `after` instead of `before`. The other blocks
    /// follow alike on both, unless there are none.
    pub fn replace(&mut self, before: &Sum, after: Sum<'a>) {
        for (at, count) in self.counts.iter_mut().enumerate() {
            // Not exact if another program has changed the file since it was counted.
            *count = (*count + after.counts[at]).saturating_sub(before.counts[at]);
        }
        if !after.ends_like(before) {
            self.covered = after.covered;
        }
    }
}
