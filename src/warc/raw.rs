//! Reads the bytes of one record after another from the file of an archive.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

use crate::warc::record::{self, GZIP_MAGIC};

/// The largest record that is parsed; larger ones are skipped. Bodies are limited to 2 MiB.
pub const MAX_RECORD: usize = 32 << 20;
/// Maximum size of the head of a record. Real ones have a few hundred bytes.
const MAX_HEAD: usize = 64 << 10;
pub const NO_RECORD: &str = "there is no WARC record";

/// What the file contains next.
pub enum Next {
    /// A record, now in the buffer.
    Record,
    /// A record over [`MAX_RECORD`], a video for example. It was skipped, because no run requests it.
    TooLarge,
    End,
}

/// Reads and inflates one gzip member into `buffer`.
pub fn read_member(file: &mut BufReader<File>, buffer: &mut Vec<u8>) -> io::Result<Next> {
    buffer.clear();
    if file.fill_buf()?.is_empty() {
        return Ok(Next::End);
    }
    let mut member = GzDecoder::new(file);
    member
        .by_ref()
        .take(MAX_RECORD as u64)
        .read_to_end(buffer)?;
    let skipped = io::copy(&mut member, &mut io::sink())?;
    Ok(if skipped > 0 {
        Next::TooLarge
    } else {
        Next::Record
    })
}

/// Reads one record of an uncompressed archive into `buffer`: its head, and as many bytes as its
/// Content-Length says. Whether it is a WARC record is left to the caller, so that a damaged one does
/// not hide those after it.
pub fn read_plain_record(file: &mut BufReader<File>, buffer: &mut Vec<u8>) -> io::Result<Next> {
    buffer.clear();
    while !buffer.ends_with(b"\r\n\r\n") {
        let line = file
            .by_ref()
            .take(MAX_HEAD as u64)
            .read_until(b'\n', buffer)?;
        if line == 0 && buffer.is_empty() {
            return Ok(Next::End);
        }
        if line == 0 || buffer.len() > MAX_HEAD {
            return Err(io::Error::other(NO_RECORD));
        }
    }
    let length =
        record::field(buffer, "content-length").and_then(|value| value.parse::<u64>().ok());
    let length = length.ok_or_else(|| io::Error::other(NO_RECORD))?;
    // The block and the two line ends after it.
    let block = length.saturating_add(4);
    let is_too_large = block > MAX_RECORD as u64;
    let read = if is_too_large {
        io::copy(&mut file.take(block), &mut io::sink())?
    } else {
        file.take(block).read_to_end(buffer)? as u64
    };
    if read < block {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    }
    Ok(if is_too_large {
        Next::TooLarge
    } else {
        Next::Record
    })
}

/// Whether the next bytes are the beginning of a record.
pub fn is_at_record(file: &mut BufReader<File>, is_gzip: bool) -> bool {
    let start: &[u8] = if is_gzip { &GZIP_MAGIC } else { b"WARC/" };
    file.fill_buf().is_ok_and(|next| next.starts_with(start))
}
