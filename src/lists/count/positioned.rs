//! Counts in a regular file, from several places at once.
//!
//! The file is cut into runs of blocks. A thread counts a whole run with one buffer, which stays in the cache
//! of its core, and takes the next run. Threads wait for each other only at the end of the file.

use std::fs::File;
use std::io;
use std::ops::{ControlFlow, Range};

use encoding_rs::Encoding;
use rayon::prelude::*;

use super::block::Block;
use super::reading::Reading;
use super::sum::Sum;

/// The most runs of a file. Each needs 16 bytes per word until the end.
const MAX_RUNS: u64 = 1024;

/// A regular file without compression.
pub(super) struct Positioned<'a> {
    reading: &'a Reading<'a>,
    file: &'a File,
    encoding: &'static Encoding,
    block_size: usize,
    /// Where the text is in the file.
    text: Range<u64>,
}

impl<'a> Positioned<'a> {
    pub fn new(
        reading: &'a Reading<'a>,
        file: &'a File,
        encoding: &'static Encoding,
        text: Range<u64>,
    ) -> Positioned<'a> {
        Positioned {
            reading,
            file,
            encoding,
            block_size: reading.block_size(encoding),
            text,
        }
    }

    /// Counts in the text, with all threads.
    pub fn count(&self) -> io::Result<Sum<'a>> {
        let size = self.run_size();
        let length = self.text.end - self.text.start;
        let runs = (0..length.div_ceil(size)).into_par_iter();
        let runs = runs.map_init(Block::default, |block, at| {
            let start = self.text.start + at * size;
            self.count_run(start..start.saturating_add(size), block)
        });
        let runs = runs.collect::<io::Result<Vec<Sum>>>()?;
        let mut sum = Sum::new(self.reading.words);
        for mut run in runs {
            if sum.covers_more() {
                let start = self.text.start + sum.bytes;
                let range = start..start + run.bytes;
                self.correct(&mut run, range, &sum)?;
            }
            let is_whole = run.bytes == size;
            sum.append(run);
            if !is_whole {
                // The last run, or the file has become shorter.
                break;
            }
        }
        Ok(sum)
    }

    /// The bytes of a run: a multiple of the size of a block.
    pub fn run_size(&self) -> u64 {
        let block_size = self.block_size as u64;
        let smallest = block_size * self.reading.blocks as u64;
        let fair_share = self.text.end.div_ceil(MAX_RUNS);
        smallest.max(fair_share.next_multiple_of(block_size))
    }

    /// Counts a run as if no occurrence before it extended into it.
    fn count_run(&self, run: Range<u64>, block: &mut Block) -> io::Result<Sum<'a>> {
        let mut sum = Sum::new(self.reading.words);
        self.for_each_block(run, block, |block| {
            (self.reading.on_bytes)(block.owned() as u64);
            sum.add(block);
            ControlFlow::Continue(())
        })?;
        Ok(sum)
    }

    /// Corrects the sum of a run into which occurrences before it extend. Reads its first blocks again, until
    /// it makes no difference any more for what follows. That is one block but for words and texts like
    /// `aaa`.
    fn correct(&self, run: &mut Sum<'a>, range: Range<u64>, earlier: &Sum<'a>) -> io::Result<()> {
        let mut before = Sum::new(self.reading.words);
        let mut after = Sum::behind(earlier);
        self.for_each_block(range, &mut Block::default(), |block| {
            before.add(block);
            after.add(block);
            if after.ends_like(&before) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        run.replace(&before, after);
        Ok(())
    }

    /// Reads and searches the blocks of a run, up to the end of the text or of a file that became shorter.
    fn for_each_block(
        &self,
        run: Range<u64>,
        block: &mut Block,
        mut take: impl FnMut(&Block) -> ControlFlow<()>,
    ) -> io::Result<()> {
        let reading = self.reading;
        let mut start = run.start;
        while start < run.end {
            let left = usize::try_from(self.text.end - start).unwrap_or(usize::MAX);
            let wanted = left.min(self.block_size + reading.words.reach);
            let mut at = start;
            block.fill(&[], wanted, |buffer| {
                let count = reading.checked(|| read_at(self.file, buffer, at))?;
                at += count as u64;
                Ok(count)
            })?;
            block.own(self.block_size, start == self.text.start);
            block.search(reading.words, self.encoding);
            if take(block).is_break() || block.owned() < self.block_size {
                break;
            }
            start += self.block_size as u64;
        }
        Ok(())
    }
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, at)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, at)
}
