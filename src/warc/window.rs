//! A file as a window that moves over it. Bytes in the window are searched, skipped and returned to
//! without another read, so that reading past many damaged records takes time in proportion to their
//! bytes.

use std::fs::File;
use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::mem;

/// Size of the window in bytes.
const WINDOW: usize = 1 << 20;
/// Number of bytes that are read from a place beyond the window. Heads of records are shorter, so many
/// records that end close to each other need one read.
const AHEAD: usize = 4 << 10;
/// At least this many bytes are returned from a place beyond the window.
const MIN_AHEAD: usize = 64;

#[derive(Debug)]
pub struct Window {
    file: File,
    /// Size of the file in bytes.
    pub size: u64,
    bytes: Box<[u8]>,
    /// The part of `bytes` that was read and not consumed, from `start` to `end`.
    start: usize,
    end: usize,
    /// The offset of `bytes` in the file.
    offset: u64,
    ahead: Vec<u8>,
    ahead_offset: u64,
}

impl Window {
    pub fn new(file: File) -> io::Result<Self> {
        Ok(Window {
            size: file.metadata()?.len(),
            file,
            bytes: vec![0; WINDOW].into_boxed_slice(),
            start: 0,
            end: 0,
            offset: 0,
            ahead: Vec::new(),
            ahead_offset: 0,
        })
    }

    pub fn into_file(self) -> File {
        self.file
    }

    /// The offset of the next byte.
    pub fn position(&self) -> u64 {
        self.offset + self.start as u64
    }

    /// Moves to an offset. What is in the window stays there.
    pub fn seek(&mut self, to: u64) {
        let within = to.checked_sub(self.offset);
        let within = within.filter(|start| *start <= self.end as u64);
        self.start = match within {
            Some(start) => start as usize,
            None => {
                (self.offset, self.end) = (to, 0);
                0
            }
        };
    }

    /// The next bytes: at least `length`, which is less than the window, unless the file ends before.
    pub fn fill(&mut self, length: usize) -> io::Result<&[u8]> {
        if self.end - self.start < length && self.offset + (self.end as u64) < self.size {
            self.bytes.copy_within(self.start..self.end, 0);
            self.offset += self.start as u64;
            self.end -= mem::take(&mut self.start);
            self.file
                .seek(SeekFrom::Start(self.offset + self.end as u64))?;
            while self.end < length {
                match self.file.read(&mut self.bytes[self.end..])? {
                    0 => break,
                    read => self.end += read,
                }
            }
        }
        Ok(&self.bytes[self.start..self.end])
    }

    /// At least 64 bytes from an offset on, unless the file ends before. Does not move.
    pub fn peek(&mut self, at: u64) -> io::Result<&[u8]> {
        let wanted = (self.size.saturating_sub(at)).min(MIN_AHEAD as u64);
        let in_window = self.offset..=self.offset + self.end as u64;
        if in_window.contains(&at) && in_window.contains(&(at + wanted)) {
            let from = (at - self.offset) as usize;
            return Ok(&self.bytes[from..self.end.min(from + AHEAD)]);
        }
        let known = self.ahead_offset..=self.ahead_offset + self.ahead.len() as u64;
        if !known.contains(&at) || !known.contains(&(at + wanted)) {
            self.file.seek(SeekFrom::Start(at))?;
            self.ahead.clear();
            self.file
                .by_ref()
                .take(AHEAD as u64)
                .read_to_end(&mut self.ahead)?;
            self.ahead_offset = at;
        }
        let from = (at - self.ahead_offset) as usize;
        Ok(&self.ahead[from..])
    }
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Window {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.fill(1)
    }

    fn consume(&mut self, length: usize) {
        self.start += length;
    }
}
