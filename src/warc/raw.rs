//! Reads the bytes of one record after another from the file of an archive.
//!
//! Some programs write fewer or more than two line ends between records, or empty gzip members. Both are
//! ignored. Other bytes between records, and records whose end is unknown, are skipped up to
//! the next record, and counted.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use flate2::bufread::GzDecoder;
use memchr::memmem;

use crate::http::decode::GZIP_MEMBER;
use crate::warc::record::{self, VERSION};

/// The largest record that is parsed; larger ones are skipped. Bodies are limited to 2 MiB.
pub const MAX_RECORD: usize = 32 << 20;
/// Maximum size of the head of a record. Real ones have a few hundred bytes.
const MAX_HEAD: usize = 64 << 10;
/// Size of the buffer of the file, and of the parts in which it is searched for the next record.
const BUFFER: usize = 1 << 20;
/// Bytes at the end of a part that are searched again with the next one. A member whose header exceeds this
/// is not found.
const OVERLAP: usize = 64 << 10;
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
    file: BufReader<File>,
    /// Size of the file in bytes.
    size: u64,
    pub is_gzip: bool,
    /// The offset of the record that was read last.
    pub start: u64,
    /// Number of bytes skipped so far.
    pub skipped: u64,
}

impl Records {
    pub fn new(file: File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let mut file = BufReader::with_capacity(BUFFER, file);
        skip_line_ends(&mut file)?;
        Ok(Records {
            is_gzip: starts_with(&mut file, &GZIP_MEMBER[..2])?,
            file,
            size,
            start: 0,
            skipped: 0,
        })
    }

    /// The offset of the next byte to read.
    pub fn position(&mut self) -> io::Result<u64> {
        self.file.stream_position()
    }

    pub fn into_file(self) -> File {
        self.file.into_inner()
    }

    /// Reads the next record into `buffer`. Whether it is a WARC record is left to the caller, so that a
    /// damaged one does not hide those after it. Fails if the rest of the file has no record.
    pub fn next(&mut self, buffer: &mut Vec<u8>) -> io::Result<Next> {
        loop {
            buffer.clear();
            if !self.is_gzip {
                skip_line_ends(&mut self.file)?;
            }
            self.start = self.position()?;
            let beginning: &[u8] = if self.is_gzip { &GZIP_MEMBER } else { VERSION };
            let has_beginning = starts_with(&mut self.file, beginning)?;
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
            if self.is_gzip && has_beginning && starts_with(&mut self.file, &GZIP_MEMBER)? {
                // Its checksum is wrong, and it ends here.
                return Ok(Next::Damaged);
            }
            let next = self.find_record(self.start + 1)?.ok_or(error)?;
            self.skipped += next - self.start;
            self.file.seek(SeekFrom::Start(next))?;
            if has_beginning {
                return Ok(Next::Damaged);
            }
        }
    }

    /// Reads and inflates one gzip member into `buffer`.
    fn read_member(&mut self, buffer: &mut Vec<u8>) -> io::Result<Next> {
        if self.file.fill_buf()?.is_empty() {
            return Ok(Next::End);
        }
        let mut member = GzDecoder::new(&mut self.file);
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
    /// was cut short, or its length is wrong.
    fn read_plain_record(&mut self, buffer: &mut Vec<u8>) -> io::Result<Next> {
        let no_record = || io::Error::other(NO_RECORD);
        loop {
            let line_start = buffer.len();
            let rest_of_head = (MAX_HEAD - line_start) as u64;
            self.file
                .by_ref()
                .take(rest_of_head)
                .read_until(b'\n', buffer)?;
            let line = &buffer[line_start..];
            if buffer.is_empty() {
                return Ok(Next::End);
            }
            if line.is_empty() {
                return Err(no_record());
            }
            if record::is_blank(line) {
                break;
            }
        }
        if find_version(&buffer[1..]).is_some() {
            return Err(no_record());
        }
        let length = record::content_length(buffer).ok_or_else(no_record)?;
        let block = self.position()?;
        if length > self.size.saturating_sub(block) {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        if length > MAX_RECORD as u64 {
            self.file.seek(SeekFrom::Start(block + length))?;
            return Ok(Next::TooLarge);
        }
        self.file.by_ref().take(length).read_to_end(buffer)?;
        skip_line_ends(&mut self.file)?;
        let is_at_end = self.file.fill_buf()?.is_empty();
        if !is_at_end
            && !starts_with(&mut self.file, VERSION)?
            && find_version(&buffer[1..]).is_some()
        {
            return Err(no_record());
        }
        Ok(Next::Record)
    }

    /// The offset of the next record at or after `from`.
    fn find_record(&mut self, from: u64) -> io::Result<Option<u64>> {
        self.file.seek(SeekFrom::Start(from))?;
        let (mut part, mut part_offset) = (Vec::new(), from);
        loop {
            let read = self
                .file
                .by_ref()
                .take(BUFFER as u64)
                .read_to_end(&mut part)?;
            let is_last = read < BUFFER;
            let searched = if is_last {
                part.len()
            } else {
                part.len() - OVERLAP
            };
            let start = if self.is_gzip {
                find_member(&part, searched)
            } else {
                find_version(&part).filter(|at| *at < searched)
            };
            if let Some(at) = start {
                return Ok(Some(part_offset + at as u64));
            }
            if is_last {
                return Ok(None);
            }
            part.drain(..searched);
            part_offset += searched as u64;
        }
    }
}

/// Where a version line begins in `bytes`.
fn find_version(bytes: &[u8]) -> Option<usize> {
    memmem::find_iter(bytes, VERSION).find(|at| record::begins(&bytes[*at..]))
}

/// Where a gzip member that contains a record begins, in the first `end` of `bytes`.
fn find_member(bytes: &[u8], end: usize) -> Option<usize> {
    let mut members = memmem::find_iter(bytes, &GZIP_MEMBER).take_while(|at| *at < end);
    members.find(|at| {
        let mut start = [0; VERSION.len()];
        let inflated = GzDecoder::new(&bytes[*at..]).read_exact(&mut start);
        inflated.is_ok() && start == *VERSION
    })
}

fn skip_line_ends(file: &mut BufReader<File>) -> io::Result<()> {
    loop {
        let next = file.fill_buf()?;
        let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let line_ends = next.iter().take_while(|byte| is_line_end(byte)).count();
        let is_end = line_ends < next.len() || next.is_empty();
        file.consume(line_ends);
        if is_end {
            return Ok(());
        }
    }
}

/// Whether the next bytes are these. They fit into the buffer of the file.
fn starts_with(file: &mut BufReader<File>, bytes: &[u8]) -> io::Result<bool> {
    if file.buffer().len() < bytes.len() {
        // This empties the buffer, so that it is filled from here.
        let position = file.stream_position()?;
        file.seek(SeekFrom::Start(position))?;
    }
    Ok(file.fill_buf()?.starts_with(bytes))
}
