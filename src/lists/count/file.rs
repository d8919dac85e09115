//! Opens a file, finds out what it is, and has it counted.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;
use std::sync::atomic::AtomicU64;

use super::positioned::Positioned;
use super::reading::{Reading, encoding_of};
use super::stream::{self, Counted, GZIP, Gunzip};
use super::waiting::WaitingReader;
use super::words::Words;

/// What was counted in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCount {
    /// One count per word, in the order of [`Words::words`].
    pub counts: Vec<u64>,
    /// The bytes of the file, of a gzip file as they are compressed.
    pub bytes: u64,
    /// The characters (Unicode scalar values) of the text without its byte order mark. Of UTF-8 that is
    /// invalid, every byte counts that does not continue a character (is not 80 to BF).
    pub chars: u64,
}

impl Words {
    /// Counts the words in a file with the threads of the current rayon pool. Each call uses all of them, so
    /// several files are best counted one after the other.
    ///
    /// * The text is UTF-8, or UTF-16 if the file begins with its byte order mark. The mark of either is no
    ///   part of the text. Bytes that are invalid in UTF-8 match no word, and the text around them counts. In
    ///   UTF-16, each lone surrogate is a U+FFFD.
    /// * A file that begins with the bytes 1F 8B is a gzip file of one or more members, whatever its name.
    ///   The text is what they hold together.
    /// * A regular file is read up to its length at the start, or to its end if it becomes shorter. Pipes,
    ///   devices and files of `/proc` are read until they end.
    ///
    /// The memory needed does not depend on the file: 0.2 MB per thread for a regular file, 0.4 MB if it is
    /// UTF-16, and 9 or 22 MB for a pipe or a gzip file.
    ///
    /// `on_bytes` gets the bytes of the file that a thread has read since the last call. They add up to
    /// [`FileCount::bytes`], unless the file becomes shorter. `is_cancelled` is asked before each read, so
    /// at least once per 128 KiB of text. Both are called from any thread. A read that blocks, as of a pipe,
    /// delays the cancellation.
    ///
    /// # Errors
    ///
    /// * The file cannot be opened or read, or is a folder: the error of the system.
    /// * The gzip data is damaged or ends early: an error without a number of the system. Its text gives the
    ///   reason and the number of bytes that were inflated before.
    /// * `is_cancelled` returned true: [`io::ErrorKind::Interrupted`], which no other error has.
    pub fn count_file(
        &self,
        path: &Path,
        on_bytes: &(dyn Fn(u64) + Sync),
        is_cancelled: &(dyn Fn() -> bool + Sync),
    ) -> io::Result<FileCount> {
        count(path, &Reading::new(self, on_bytes, is_cancelled))
    }
}

/// Counts in a file with the blocks and the callbacks of `reading`.
pub(super) fn count(path: &Path, reading: &Reading) -> io::Result<FileCount> {
    let metadata = path.metadata()?;
    // Files of /proc have a length of 0.
    if !metadata.is_file() || metadata.len() == 0 {
        let mut reader = WaitingReader::open(path, reading.is_cancelled)?;
        let head = reading.head(&mut reader)?;
        return count_stream(reading, head, reader);
    }
    let length = metadata.len();
    let mut file = File::open(path)?;
    let head = reading.head(&mut file)?;
    if head.starts_with(&GZIP) {
        let rest = length.saturating_sub(head.len() as u64);
        return count_stream(reading, head, file.take(rest));
    }
    let (encoding, mark) = encoding_of(&head);
    let mark = mark as u64;
    (reading.on_bytes)(mark);
    let sum = Positioned::new(reading, &file, encoding, mark..length.max(mark)).count()?;
    Ok(FileCount {
        counts: sum.counts,
        bytes: mark + sum.bytes,
        chars: sum.chars,
    })
}

/// Counts in what begins with `head` and goes on with what the reader has.
fn count_stream(reading: &Reading, head: Vec<u8>, rest: impl Read + Send) -> io::Result<FileCount> {
    let bytes = AtomicU64::new(0);
    let is_gzip = head.starts_with(&GZIP);
    let reader = Counted::new(Cursor::new(head).chain(rest), &bytes, reading.on_bytes);
    let sum = if is_gzip {
        stream::count(reading, Gunzip::new(reader))?
    } else {
        stream::count(reading, reader)?
    };
    Ok(FileCount {
        counts: sum.counts,
        bytes: bytes.into_inner(),
        chars: sum.chars,
    })
}
