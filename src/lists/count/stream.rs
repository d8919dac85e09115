//! Counts in what can only be read from front to back: pipes, and gzip files.

use std::io::{self, BufReader, Read};
use std::iter;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use encoding_rs::Encoding;
use flate2::bufread::MultiGzDecoder;
use rayon::prelude::*;

use super::block::Block;
use super::reading::{Reading, encoding_of};
use super::sum::Sum;

/// The first bytes of each member of a gzip file.
pub(super) const GZIP: [u8; 2] = [0x1F, 0x8B];

/// Compressed bytes that are read at once.
const GZIP_BUFFER: usize = 64 << 10;

/// Counts in a stream. One thread reads, or inflates, the next blocks while the others search the current
/// ones.
pub(super) fn count<'a>(
    reading: &Reading<'a>,
    mut reader: impl Read + Send,
) -> io::Result<Sum<'a>> {
    let head = reading.head(&mut reader)?;
    let (encoding, mark) = encoding_of(&head);
    let mut stream = Stream {
        reading,
        reader,
        block_size: reading.block_size(encoding),
        beyond: head[mark..].to_vec(),
        is_first: true,
        has_ended: false,
    };
    let mut sum = Sum::new(reading.words);
    let new_blocks = || iter::repeat_with(Block::default).take(reading.blocks);
    let mut current: Vec<Block> = new_blocks().collect();
    let mut next: Vec<Block> = new_blocks().collect();
    stream.fill(&mut current)?;
    loop {
        let is_last = stream.has_ended;
        let (filled, ()) = rayon::join(
            || stream.fill(&mut next),
            || search(&mut current, reading, encoding),
        );
        filled?;
        for block in &current {
            sum.add(block);
        }
        if is_last {
            return Ok(sum);
        }
        mem::swap(&mut current, &mut next);
    }
}

fn search(blocks: &mut [Block], reading: &Reading, encoding: &'static Encoding) {
    let blocks = blocks.par_iter_mut().with_max_len(1);
    blocks.for_each(|block| block.search(reading.words, encoding));
}

/// What is read from front to back.
struct Stream<'a, R> {
    reading: &'a Reading<'a>,
    reader: R,
    block_size: usize,
    /// What was read beyond the last block: the beginning of the next one.
    beyond: Vec<u8>,
    is_first: bool,
    has_ended: bool,
}

impl<R: Read> Stream<'_, R> {
    /// Fills blocks with what comes next. Blocks after the end are empty.
    fn fill(&mut self, blocks: &mut [Block]) -> io::Result<()> {
        let wanted = self.block_size + self.reading.words.reach;
        for block in blocks {
            if self.has_ended {
                block.clear();
                continue;
            }
            block.fill(&self.beyond, wanted, |buffer| {
                self.reading.checked(|| self.reader.read(buffer))
            })?;
            self.has_ended = block.filled() < wanted;
            let owned = if self.has_ended {
                wanted
            } else {
                self.block_size
            };
            block.own(owned, self.is_first);
            self.is_first = false;
            self.beyond.clear();
            self.beyond.extend_from_slice(block.beyond());
        }
        Ok(())
    }
}

/// Counts the bytes that are read.
pub(super) struct Counted<'a, R> {
    reader: R,
    bytes: &'a AtomicU64,
    on_bytes: &'a (dyn Fn(u64) + Sync),
}

impl<'a, R> Counted<'a, R> {
    pub fn new(reader: R, bytes: &'a AtomicU64, on_bytes: &'a (dyn Fn(u64) + Sync)) -> Self {
        Counted {
            reader,
            bytes,
            on_bytes,
        }
    }
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.bytes.fetch_add(count as u64, Relaxed);
        (self.on_bytes)(count as u64);
        Ok(count)
    }
}

/// Inflates a gzip file of one or more members, and says where it is damaged.
pub(super) struct Gunzip<R> {
    decoder: MultiGzDecoder<BufReader<R>>,
    inflated: u64,
}

impl<R: Read> Gunzip<R> {
    pub fn new(reader: R) -> Gunzip<R> {
        let reader = BufReader::with_capacity(GZIP_BUFFER, reader);
        Gunzip {
            decoder: MultiGzDecoder::new(reader),
            inflated: 0,
        }
    }

    fn explain(&self, error: io::Error) -> io::Error {
        // Errors of the file itself stay as they are.
        if error.raw_os_error().is_some() || error.kind() == io::ErrorKind::Interrupted {
            return error;
        }
        let what = match error.kind() {
            io::ErrorKind::UnexpectedEof => "ends early".to_owned(),
            _ => format!("is damaged ({error})"),
        };
        let text = format!(
            "the gzip data {what} after {} inflated bytes",
            self.inflated
        );
        io::Error::new(error.kind(), text)
    }
}

impl<R: Read> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.decoder.read(buffer);
        let count = read.map_err(|error| self.explain(error))?;
        self.inflated += count as u64;
        Ok(count)
    }
}
