//! Reads WARC archives. [`writer`](crate::warc::writer) writes them.
//!
//! The format is WARC 1.1 (<https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/>).
//! Compressed archives have one gzip member per record, as its annex D requires. A page is found by
//! the path and query of its address, whatever the host. So an archive of one server can replace
//! another server. [`PathMap`] says when another spelling of a path finds its page.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use flate2::bufread::GzDecoder;
use http::header::CONTENT_ENCODING;
use jiff::Timestamp;

use crate::http::error::{PageError, Reason};
use crate::http::page::{MAX_BODY, Page};
use crate::warc::path_map::PathMap;
use crate::warc::record::{self, GZIP_MAGIC, HttpResponse, REDIRECTED_TO, Record};
use crate::warc::writer::crc32;

/// The largest record that is parsed; larger ones are skipped. Bodies are limited to [`MAX_BODY`]
/// bytes.
const MAX_RECORD: usize = 32 << 20;
/// At most this many fields of the first record are kept, to bound memory for hostile archives.
const MAX_FIRST_RECORD_FIELDS: usize = 32;
/// Longer paths are skipped, for the same reason.
const MAX_PATH: usize = 2 << 10;
/// Maximum size of the head of a record. Real ones have a few hundred bytes.
const MAX_HEAD: usize = 64 << 10;
const NO_RECORD: &str = "there is no WARC record";

/// An archive opened for reading. It keeps only the locations of its records in memory.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    file: Mutex<File>,
    is_gzip: bool,
    contents: Contents,
    /// Where its last complete record ends.
    end: u64,
    /// Why reading stopped at `end`, if that is before the end of the file.
    damage: Option<String>,
}

/// The contents of an archive.
#[derive(Debug, Default)]
struct Contents {
    responses: PathMap<Location>,
    /// The fields of the first record, if that is a `warcinfo` record.
    about: Vec<(String, String)>,
}

/// Where the record of a response is in the file, in bytes as stored.
#[derive(Debug, Clone, Copy)]
struct Location {
    offset: u64,
    length: u64,
    is_ok: bool,
    date: Timestamp,
}

impl Archive {
    /// Opens an archive and reads the whole file once. A truncated record at the end, left by an
    /// interrupted recording, is ignored. A file that is not a WARC archive is an error.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let mut file = BufReader::with_capacity(1 << 20, file);
        let is_gzip = file.fill_buf()?.starts_with(&GZIP_MAGIC);
        let mut contents = Contents::default();
        let mut buffer = Vec::new();
        let (end, damage) = loop {
            let offset = file.stream_position()?;
            let next = if is_gzip {
                read_member(&mut file, &mut buffer)
            } else {
                read_plain_record(&mut file, &mut buffer)
            };
            let parsed = match next {
                Ok(Next::TooLarge) => continue,
                Ok(Next::End) if offset > 0 => break (offset, None),
                Ok(Next::End) => Err("it is empty".to_owned()),
                Ok(Next::Record) => Record::parse(&buffer).ok_or_else(|| NO_RECORD.to_owned()),
                Err(error) => Err(error.to_string()),
            };
            let (record, rest) = match parsed {
                Ok(parsed) => parsed,
                Err(why) if offset > 0 => break (offset, Some(why)),
                Err(why) => bail!("{} is not a WARC archive: {why}", path.display()),
            };
            if rest.starts_with(b"WARC/") {
                bail!(
                    "{} has more than one record in a gzip member, so its pages cannot be found one by one; \
                     `warcio recompress` (PyPI) fixes that",
                    path.display()
                );
            }
            let length = file.stream_position()? - offset;
            contents.add(&record, offset, length);
        };
        Ok(Archive {
            path: path.to_owned(),
            file: Mutex::new(file.into_inner()),
            is_gzip,
            contents,
            end,
            damage,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A sentence that says where and why reading stopped. `None` if the archive was read to its end.
    pub fn damage(&self) -> Option<String> {
        let why = self.damage.as_ref()?;
        let pages = match self.contents.responses.iter().len() {
            1 => "1 page before that is".to_owned(),
            number => format!("{number} pages before that are"),
        };
        let (path, end) = (self.path.display(), self.end);
        Some(format!(
            "{path} cannot be read from byte {end} on ({why}); the {pages} used"
        ))
    }

    /// A field of the first record, such as `software`, if the record has it.
    pub fn about(&self, name: &str) -> Option<&str> {
        let mut fields = self.contents.about.iter();
        let (_, value) = fields.find(|(field, _)| field.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// Where the last complete record ends, in bytes.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Path and query of every page with status 200, as stored, and when its response arrived.
    pub fn good_pages(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        let responses = self.contents.responses.iter();
        let good = responses.filter(|(_, location)| location.is_ok);
        good.map(|(path, location)| (path, location.date))
    }

    /// Path and query of every page, as stored and in no order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.contents.responses.iter().map(|(path, _)| path)
    }

    /// The path and query of the page that [`get`](Self::get) reads for `path`, as stored. `None` if
    /// the archive does not contain the page.
    pub fn stored_path(&self, path: &str) -> Option<&str> {
        let (stored, _) = self.contents.responses.find(path).ok()?;
        Some(stored)
    }

    /// Reads the page of a path and query; its body replaces the content of `buffer`. Without a page of
    /// exactly this spelling, it is the only page whose path has the same percent-decoded bytes.
    ///
    /// The error is [`Reason::NotArchived`] if there is none or more than one such page,
    /// [`Reason::Truncated`] if its record is damaged, and [`Reason::TooLarge`] if its body has more than
    /// [`MAX_BODY`] bytes.
    pub fn get(&self, path: &str, mut buffer: Vec<u8>) -> Result<Page, PageError> {
        let started = Instant::now();
        let (_, location) = self.contents.responses.find(path).map_err(|no_match| {
            PageError::new(
                Reason::NotArchived,
                format!("the archive {} {no_match}", self.path.display()),
            )
        })?;
        let damaged = |what: &str| {
            PageError::new(
                Reason::Truncated,
                format!("its record in {} is damaged: {what}", self.path.display()),
            )
        };
        let record = self
            .read_record(*location)
            .map_err(|error| damaged(&error.to_string()))?;
        let (mut response, reached) = self.parse_response(&record).map_err(damaged)?;
        if response.body.len() as u64 > MAX_BODY {
            return Err(PageError::new(
                Reason::TooLarge,
                format!("the body is larger than {} MiB", MAX_BODY >> 20),
            ));
        }
        response.copy_body(&mut buffer);
        Ok(Page {
            status: response.status,
            headers: response.headers,
            body: buffer,
            waited: Duration::ZERO,
            elapsed: started.elapsed(),
            asked: path.to_owned(),
            reached,
            from_journal: false,
            large: None,
        })
    }

    /// Reads and inflates a record.
    fn read_record(&self, location: Location) -> io::Result<Vec<u8>> {
        let mut stored = vec![0; location.length as usize];
        {
            let mut file = self.file.lock().expect("no panic under this lock");
            file.seek(SeekFrom::Start(location.offset))?;
            file.read_exact(&mut stored)?;
        }
        if !self.is_gzip {
            return Ok(stored);
        }
        let mut record = Vec::new();
        GzDecoder::new(&stored[..])
            .take(MAX_RECORD as u64)
            .read_to_end(&mut record)?;
        Ok(record)
    }

    /// Parses the response in a record, and the target of the last redirect before it. Verifies the
    /// checksum of a journal. An error says what is damaged.
    fn parse_response<'a>(
        &self,
        record: &'a [u8],
    ) -> Result<(HttpResponse<'a>, Option<String>), &'static str> {
        let (record, _) = Record::parse(record).ok_or(NO_RECORD)?;
        let digest = record.field("warc-block-digest").unwrap_or_default();
        if digest.starts_with("crc32:") && digest != crc32(&[record.block]) {
            return Err("its checksum does not match");
        }
        let response = HttpResponse::parse(record.block).ok_or("there is no HTTP response")?;
        // A compressed body has a checksum of its own, and other programs may omit checksums.
        let is_ours = self
            .about("software")
            .is_some_and(|name| name.starts_with("indexrank/"));
        let is_compressed = response.headers.contains_key(CONTENT_ENCODING);
        if is_ours && !digest.contains(':') && !is_compressed {
            return Err("its checksum is missing");
        }
        let reached = record.field(REDIRECTED_TO).map(str::to_owned);
        Ok((response, reached))
    }
}

impl Contents {
    /// Adds the record at `offset`. Only the first record and responses are of interest.
    fn add(&mut self, record: &Record, offset: u64, length: u64) {
        if offset == 0 && record.field("warc-type") == Some("warcinfo") {
            let fields = record::fields(record.block).take(MAX_FIRST_RECORD_FIELDS);
            self.about
                .extend(fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
        let Some((path, status)) = record.path_and_status() else {
            return;
        };
        if path.len() > MAX_PATH {
            return;
        }
        let location = Location {
            offset,
            length,
            is_ok: status == 200,
            date: record.date(),
        };
        // Of several responses for one spelling of a path, the last one with status 200 counts: a
        // successful retry, or the newest copy. If none has status 200, the first counts.
        let known = self.responses.or_insert(path, location);
        if location.is_ok {
            *known = location;
        }
    }
}

/// What the file contains next.
enum Next {
    /// A record, now in the buffer.
    Record,
    /// A record over [`MAX_RECORD`], a video for example. It was skipped, because no run requests it.
    TooLarge,
    End,
}

/// Reads and inflates one gzip member into `buffer`.
fn read_member(file: &mut BufReader<File>, buffer: &mut Vec<u8>) -> io::Result<Next> {
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

/// Reads one record of an uncompressed archive into `buffer`.
fn read_plain_record(file: &mut BufReader<File>, buffer: &mut Vec<u8>) -> io::Result<Next> {
    buffer.clear();
    while !buffer.ends_with(b"\r\n\r\n") {
        let line = file
            .by_ref()
            .take(MAX_HEAD as u64)
            .read_until(b'\n', buffer)?;
        if line == 0 && buffer.is_empty() {
            return Ok(Next::End);
        }
        if line == 0 || buffer.len() > MAX_HEAD || !buffer.starts_with(b"WARC/") {
            return Err(io::Error::other(NO_RECORD));
        }
    }
    let length = record::fields(buffer)
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.parse::<u64>().ok())
        .unwrap_or(0);
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
