//! What reading the blocks of any file has in common.

use std::io::{self, Read};

use encoding_rs::{Encoding, UTF_8};

use super::block::read_full;
use super::words::Words;

/// The bytes of a block. Between 64 and 512 KiB, the speed is the same within 5 %.
const BLOCK: usize = 128 << 10;

/// The blocks that a thread counts in one go: 4 MiB. With 1 or 16 MiB, the speed is the same within 5 %.
const BLOCKS: usize = 32;

/// The length of the longest byte order mark.
const LONGEST_MARK: usize = 3;

/// How files are counted.
pub(super) struct Reading<'a> {
    pub words: &'a Words,
    pub on_bytes: &'a (dyn Fn(u64) + Sync),
    pub is_cancelled: &'a (dyn Fn() -> bool + Sync),
    /// The bytes of a block, without the beginning of the next one.
    block_size: usize,
    /// The blocks of a run, or those of a stream that are searched while the next ones are read.
    pub blocks: usize,
}

impl<'a> Reading<'a> {
    pub fn new(
        words: &'a Words,
        on_bytes: &'a (dyn Fn(u64) + Sync),
        is_cancelled: &'a (dyn Fn() -> bool + Sync),
    ) -> Reading<'a> {
        Reading {
            words,
            on_bytes,
            is_cancelled,
            block_size: BLOCK,
            blocks: BLOCKS,
        }
    }

    /// The same with other blocks.
    #[cfg(test)]
    pub fn with_blocks(self, blocks: usize, block_size: usize) -> Reading<'a> {
        Reading {
            blocks,
            block_size,
            ..self
        }
    }

    /// The first bytes of a file or stream, enough for [`encoding_of`].
    pub fn head(&self, reader: &mut impl Read) -> io::Result<Vec<u8>> {
        let mut head = vec![0; LONGEST_MARK];
        let length = read_full(&mut head, |buffer| self.checked(|| reader.read(buffer)))?;
        head.truncate(length);
        Ok(head)
    }

    /// Reads unless the counting is cancelled. A read that a signal interrupts is repeated.
    pub fn checked(&self, mut read: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
        loop {
            if (self.is_cancelled)() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            match read() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// The bytes of a block, without the beginning of the next one. In UTF-16, units of two bytes stay whole.
    pub fn block_size(&self, encoding: &'static Encoding) -> usize {
        if encoding == UTF_8 {
            self.block_size
        } else {
            self.block_size.next_multiple_of(2)
        }
    }
}

/// The encoding of a text and the length of its byte order mark.
pub(super) fn encoding_of(head: &[u8]) -> (&'static Encoding, usize) {
    Encoding::for_bom(head).unwrap_or((UTF_8, 0))
}
