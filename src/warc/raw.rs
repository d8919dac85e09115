//! Reads the bytes of one record after another from the file of an archive.
//!
//! Some programs write fewer or more than two line ends between records, other white space, or empty gzip
//! members. All are ignored. Other bytes between records, and records whose end is unknown, are skipped up to
//! the next record, and counted.

use std::fs::File;
use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;
use flate2::{Decompress, FlushDecompress};
use memchr::{memchr, memchr2_iter, memmem};

use crate::http::decode::GZIP_MEMBER;
use crate::warc::record::{self, VERSION};
use crate::warc::window::Window;

/// The largest record that is parsed; larger ones are skipped. Bodies are limited to 2 MiB.
pub const MAX_RECORD: usize = 32 << 20;
/// Maximum size of the head of a record. Real ones have a few hundred bytes.
const MAX_HEAD: usize = 64 << 10;
/// A head is searched for its end in a part of this size first. A search of 64 KiB for each damaged head
/// takes 1,000 times as long.
const FIRST_PART_OF_HEAD: usize = 1 << 10;
/// Length of a version line with a line end of one byte.
const VERSION_LINE: usize = "WARC/1.1\n".len();
/// Maximum size of the header of a gzip member, of the names in it, and of the compressed start of its
/// record, in bytes. A member that exceeds one is not found after damage.
const MAX_MEMBER_HEADER: usize = 64 << 10;
const MAX_MEMBER_NAME: usize = 1 << 10;
const MAX_MEMBER_START: usize = 4 << 10;
/// After this many inflated bytes of damaged members, and 8 for each byte of the file, no member is searched
/// in a damaged one. Otherwise members that contain the start of others are inflated again and again.
const MAX_IN_VAIN: u64 = 64 << 20;
pub const NO_RECORD: &str = "there is no WARC record";

/// What the file contains next.
pub enum Next {
    /// A record, now in the buffer. It begins at [`Records::start`] and ends at [`Records::position`].
    Record,
    /// A record over [`MAX_RECORD`], a video for example. Only its start is in the buffer, because no run
    /// requests it.
    TooLarge,
    /// A damaged record. Its bytes were skipped, and counted unless its end is known.
    Damaged,
    End,
}

/// The records of an archive.
pub struct Records {
    window: Window,
    pub is_gzip: bool,
    /// The offset of the record that was read last.
    pub start: u64,
    /// Number of bytes skipped so far.
    pub skipped: u64,
    /// Number of inflated bytes of damaged members so far.
    in_vain: u64,
}

impl Records {
    pub fn new(file: File) -> io::Result<Self> {
        let mut window = Window::new(file)?;
        skip_white_space(&mut window)?;
        Ok(Records {
            is_gzip: starts_with(&mut window, &GZIP_MEMBER[..2])?,
            window,
            start: 0,
            skipped: 0,
            in_vain: 0,
        })
    }

    /// The offset of the next byte to read.
    pub fn position(&self) -> u64 {
        self.window.position()
    }

    pub fn into_file(self) -> File {
        self.window.into_file()
    }

    /// Reads the next record into `buffer`. Whether it is a WARC record is left to the caller, so that a
    /// damaged one does not hide those after it. Fails if the rest of the file is one damaged record.
    pub fn next(&mut self, buffer: &mut Vec<u8>) -> io::Result<Next> {
        loop {
            buffer.clear();
            if !self.is_gzip {
                skip_white_space(&mut self.window)?;
            }
            self.start = self.position();
            if self.window.fill_buf()?.is_empty() {
                return Ok(Next::End);
            }
            let beginning: &[u8] = if self.is_gzip { &GZIP_MEMBER } else { VERSION };
            let has_beginning = starts_with(&mut self.window, beginning)?;
            let read = if self.is_gzip {
                self.read_member(buffer)
            } else {
                self.read_plain_record(buffer)
            };
            let error = match read {
                // An empty member.
                Ok(Next::Record) if buffer.trim_ascii().is_empty() => continue,
                Ok(next) => return Ok(next),
                Err(error) => error,
            };
            let is_at_next = self.is_gzip
                && has_beginning
                && self
                    .window
                    .fill(GZIP_MEMBER.len())?
                    .starts_with(&GZIP_MEMBER);
            if is_at_next {
                // Its checksum is wrong, and it ends here.
                return Ok(Next::Damaged);
            }
            if self.is_gzip {
                self.in_vain += buffer.len() as u64;
                let is_searched = self.in_vain < MAX_IN_VAIN + 8 * self.window.size;
                let from = if is_searched { 0 } else { self.position() };
                self.window.seek(from.max(self.start + 1));
            }
            let is_found = self.find_record(self.window.size)?;
            if !is_found && has_beginning {
                return Err(error);
            }
            self.skipped += self.position() - self.start;
            if has_beginning {
                return Ok(Next::Damaged);
            }
        }
    }

    /// Reads and inflates one gzip member into `buffer`.
    fn read_member(&mut self, buffer: &mut Vec<u8>) -> io::Result<Next> {
        let mut member = GzDecoder::new(&mut self.window);
        member
            .by_ref()
            .take(MAX_RECORD as u64)
            .read_to_end(buffer)?;
        let rest = io::copy(&mut member, &mut io::sink())?;
        Ok(if rest > 0 {
            Next::TooLarge
        } else {
            Next::Record
        })
    }

    /// Reads one record of an uncompressed archive into `buffer`: its head, and as many bytes as its
    /// Content-Length says.
    ///
    /// Fails if another record begins in its head, or in its block with none right after it. Then the record
    /// was cut short, or its length is wrong. The next record is after the position, or at it. The block is
    /// read last, because most of it may be other records.
    fn read_plain_record(&mut self, buffer: &mut Vec<u8>) -> io::Result<Next> {
        let head = self.read_head(buffer)?;
        let block = self.start + head as u64;
        self.window.seek(block);
        let length = record::content_length(buffer).ok_or_else(no_record)?;
        if length > self.window.size - block {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        let end = block + length;
        if !self.has_record_or_end_at(end)? && self.find_record(end)? {
            return Err(no_record());
        }
        if length > MAX_RECORD as u64 {
            self.window.seek(end);
            return Ok(Next::TooLarge);
        }
        self.window.seek(block);
        self.window.by_ref().take(length).read_to_end(buffer)?;
        for line_end in [b"\r", b"\n", b"\r", b"\n"] {
            if self.window.fill_buf()?.starts_with(line_end) {
                self.window.consume(1);
            }
        }
        Ok(Next::Record)
    }

    /// Reads a head with the empty line after it into `buffer` and returns its length. If it is damaged,
    /// moves to where the next record may be.
    fn read_head(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let mut size = FIRST_PART_OF_HEAD;
        loop {
            let part = self.window.fill(size)?;
            let is_last = part.len() < size || size == MAX_HEAD;
            let part = &part[..part.len().min(size)];
            let other = find_version(&part[1..]).map(|at| at + 1);
            let end = record::head_end(&part[..other.unwrap_or(part.len())]);
            if let Some(end) = end {
                buffer.extend_from_slice(&part[..end]);
                return Ok(end);
            }
            if let Some(other) = other {
                self.window.consume(other);
                return Err(no_record());
            }
            if is_last {
                let searched = part.len().saturating_sub(VERSION_LINE).max(1);
                self.window.consume(searched);
                return Err(no_record());
            }
            size *= 8;
        }
    }

    /// Whether only white space is between an offset and another record, or the end of the file. White
    /// space over 4 KiB may count as something else.
    fn has_record_or_end_at(&mut self, at: u64) -> io::Result<bool> {
        let size = self.window.size;
        let next = self.window.peek(at)?;
        let is_whole = at + next.len() as u64 >= size;
        let next = next.trim_ascii_start();
        Ok(record::has_version(next) || is_whole && next.is_empty())
    }

    /// Moves to the next record, at the position or after it. Moves to `limit` if no record begins before it.
    fn find_record(&mut self, limit: u64) -> io::Result<bool> {
        let overlap = if self.is_gzip {
            MAX_MEMBER_HEADER + MAX_MEMBER_START
        } else {
            VERSION_LINE
        };
        loop {
            let rest = usize::try_from(limit - self.position()).unwrap_or(usize::MAX);
            let part = self.window.fill(2 * overlap)?;
            let is_last = rest <= part.len() || part.len() < 2 * overlap;
            let part = &part[..part.len().min(rest)];
            let searched = part.len() - if is_last { 0 } else { overlap };
            let start = if self.is_gzip {
                find_member(part, searched)
            } else {
                find_version(part).filter(|at| *at < searched)
            };
            self.window.consume(start.unwrap_or(searched));
            if start.is_some() || is_last {
                return Ok(start.is_some());
            }
        }
    }
}

fn no_record() -> io::Error {
    io::Error::other(NO_RECORD)
}

/// Where a version line begins in `bytes`.
fn find_version(bytes: &[u8]) -> Option<usize> {
    memchr2_iter(b'W', b'w', bytes).find(|at| record::begins(&bytes[*at..]))
}

/// Where a gzip member that contains a record begins, in the first `end` of `bytes`.
fn find_member(bytes: &[u8], end: usize) -> Option<usize> {
    let mut decompress = Decompress::new(false);
    let mut members = memmem::find_iter(bytes, &GZIP_MEMBER).take_while(|at| *at < end);
    members.find(|at| {
        member_content(&bytes[*at..]).is_some_and(|content| {
            let content = &content[..content.len().min(MAX_MEMBER_START)];
            let mut start = [0; VERSION.len()];
            decompress.reset(false);
            let inflated = decompress.decompress(content, &mut start, FlushDecompress::None);
            inflated.is_ok() && record::has_version(&start)
        })
    })
}

/// The compressed data of the gzip member at the start of `bytes` (RFC 1952, 2.3).
fn member_content(bytes: &[u8]) -> Option<&[u8]> {
    const HAS_CHECKSUM: u8 = 1 << 1;
    const HAS_EXTRA_FIELD: u8 = 1 << 2;
    const HAS_NAME: u8 = 1 << 3;
    const HAS_COMMENT: u8 = 1 << 4;
    const RESERVED: u8 = 0b1110_0000;
    let (header, mut rest) = bytes.split_first_chunk::<10>()?;
    let flags = header[3];
    if flags & RESERVED != 0 {
        return None;
    }
    if flags & HAS_EXTRA_FIELD != 0 {
        let (length, after) = rest.split_first_chunk()?;
        rest = after.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for text in [HAS_NAME, HAS_COMMENT] {
        if flags & text != 0 {
            let end = memchr(0, &rest[..rest.len().min(MAX_MEMBER_NAME)])?;
            rest = &rest[end + 1..];
        }
    }
    if flags & HAS_CHECKSUM != 0 {
        rest = rest.get(2..)?;
    }
    Some(rest)
}

fn skip_white_space(window: &mut Window) -> io::Result<()> {
    loop {
        let next = window.fill_buf()?;
        let spaces = next.len() - next.trim_ascii_start().len();
        let is_end = spaces < next.len() || next.is_empty();
        window.consume(spaces);
        if is_end {
            return Ok(());
        }
    }
}

/// Whether the next bytes are these, in any case. Of a file that ends in them, the first ones are enough:
/// the record is cut short there.
fn starts_with(window: &mut Window, bytes: &[u8]) -> io::Result<bool> {
    let next = window.fill(bytes.len())?;
    let length = next.len().min(bytes.len());
    Ok(next[..length].eq_ignore_ascii_case(&bytes[..length]))
}
