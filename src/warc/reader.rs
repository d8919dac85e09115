//! Recorded pages, read: WARC in. Out is [`recorder`](crate::warc::writer).
//!
//! The format is WARC 1.1 (<https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/>);
//! compressed archives have one gzip member a record, as its annex D asks. A page is found by the
//! path and query of its address, whatever the host, so that an archive of one server can be
//! played in place of another.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use flate2::bufread::GzDecoder;
use http::header::{CONTENT_ENCODING, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;

use crate::http::error::{PageError, Reason};
use crate::http::page::{MAX_BODY, Page};
use crate::warc::writer::crc32;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The largest record that is looked at; a body in it has at most [`MAX_BODY`] bytes.
const MAX_RECORD: usize = 32 << 20;
/// Fields of the first record that are kept, and bytes of a path: of no file are more kept in memory
/// than of an honest one.
const FIELDS: usize = 32;
const LONGEST_PATH: usize = 2 << 10;
/// Header lines of a record are a few hundred bytes.
const MAX_HEAD: usize = 64 << 10;

/// An archive opened for reading. Only the places of its records are in memory.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    file: Mutex<File>,
    gzip: bool,
    places: HashMap<String, Place>,
    /// The fields of its first record.
    about: Vec<(String, String)>,
    /// Where its last whole record ends.
    end: u64,
    /// Where reading stopped before the end of the file, and why.
    torn: Option<(u64, String)>,
}

/// Where a record stands in the file, as stored.
#[derive(Debug, Clone, Copy)]
struct Place {
    offset: u64,
    length: u64,
    is_ok: bool,
    date: Timestamp,
}

impl Archive {
    /// Reads through the whole file once. A record cut off at the end, where a recording was
    /// interrupted, is left out; a file that is not WARC at all is an error.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let gzip = reader.fill_buf()?.starts_with(&GZIP_MAGIC);
        let mut places: HashMap<String, Place> = HashMap::new();
        let (mut about, mut torn) = (Vec::new(), None);
        let mut buffer = Vec::new();
        loop {
            let offset = reader.stream_position()?;
            let read = if gzip {
                next_member(&mut reader, &mut buffer)
            } else {
                next_plain(&mut reader, &mut buffer)
            };
            let parsed = match read {
                Ok(Read::End) if offset > 0 => break,
                Ok(Read::End) => Err("it is empty".to_owned()),
                // A film, say: nothing that a run asks for.
                Ok(Read::TooLarge) => continue,
                Ok(Read::Record) => {
                    Record::parse(&buffer).ok_or("there is no WARC record".to_owned())
                }
                Err(error) => Err(error.to_string()),
            };
            let (record, rest) = match parsed {
                Ok(parsed) => parsed,
                Err(why) if offset > 0 => {
                    torn = Some((offset, why));
                    break;
                }
                Err(why) => bail!("{} is not a WARC archive: {why}", path.display()),
            };
            if rest.starts_with(b"WARC/") {
                bail!(
                    "{} has more than one record in a gzip member, so its pages cannot be found one by one; \
                     `warcio recompress` (PyPI) mends that",
                    path.display()
                );
            }
            if offset == 0 && record.field("warc-type") == Some("warcinfo") {
                let fields = head_fields(record.block).take(FIELDS);
                about.extend(fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
            }
            if let Some((address, status)) = record
                .response()
                .filter(|(path, _)| path.len() <= LONGEST_PATH)
            {
                let length = reader.stream_position()? - offset;
                let place = Place {
                    offset,
                    length,
                    is_ok: status == 200,
                    date: record.date(),
                };
                // Of several answers of one address the last good one counts, else the first: one
                // that came good when it was asked for again, or the newest.
                let known = places.entry(address).or_insert(place);
                if place.is_ok {
                    *known = place;
                }
            }
        }
        let end = match torn {
            Some((offset, _)) => offset,
            None => reader.stream_position()?,
        };
        Ok(Archive {
            path: path.to_owned(),
            file: Mutex::new(reader.into_inner()),
            gzip,
            places,
            about,
            end,
            torn,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A sentence about an archive that could not be read to its end.
    pub fn damage(&self) -> Option<String> {
        let (offset, why) = self.torn.as_ref()?;
        let (path, pages) = (self.path.display(), self.places.len());
        Some(format!(
            "{path} cannot be read from byte {offset} on ({why}); the {pages} pages before that are used"
        ))
    }

    /// A field of its first record, which tells who wrote it and why.
    pub fn about(&self, name: &str) -> Option<&str> {
        let mut fields = self.about.iter();
        let (_, value) = fields.find(|(field, _)| field.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    /// Where its last whole record ends.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Path and query, and the time of its answer, of every page of status 200.
    pub fn good_pages(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        let good = self.places.iter().filter(|(_, place)| place.is_ok);
        good.map(|(path, place)| (path.as_str(), place.date))
    }

    /// Path and query of every page it holds, in no order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    /// The page stored under a path and query. One that is not there is that page's failure.
    pub fn get(&self, path: &str, mut buffer: Vec<u8>) -> Result<Page, PageError> {
        let started = Instant::now();
        let place = self.places.get(&decoded(path)).ok_or_else(|| {
            PageError::new(
                Reason::NotArchived,
                format!("the archive {} does not hold it", self.path.display()),
            )
        })?;
        let damaged = |what: &str| {
            PageError::new(
                Reason::Truncated,
                format!("its record in {} is damaged: {what}", self.path.display()),
            )
        };
        let stored = self
            .stored(*place)
            .map_err(|error| damaged(&error.to_string()))?;
        let (record, _) = Record::parse(&stored).ok_or_else(|| damaged("no WARC record"))?;
        let digest = record.field("warc-block-digest").unwrap_or_default();
        if digest.starts_with("crc32:") && digest != crc32(&[record.block]) {
            return Err(damaged("its checksum is another one"));
        }
        let (status, mut headers, body) =
            http_message(record.block).ok_or_else(|| damaged("no HTTP answer in it"))?;
        // What is compressed has a checksum within, and other programs may write none.
        let is_ours = { self.about("software") }.is_some_and(|name| name.starts_with("indexrank/"));
        if is_ours && !digest.contains(':') && !headers.contains_key(CONTENT_ENCODING) {
            return Err(damaged("it has lost its checksum"));
        }
        if body.len() as u64 > MAX_BODY {
            return Err(PageError::new(
                Reason::TooLarge,
                format!("the body is larger than {} MiB", MAX_BODY >> 20),
            ));
        }
        // Some programs store bodies as they came and some store them joined and inflated, with the
        // headers of either as they came.
        buffer.clear();
        let is_chunked = headers
            .get(TRANSFER_ENCODING)
            .is_some_and(|coding| coding == "chunked");
        if !(is_chunked && join_chunks(body, &mut buffer).is_some()) {
            buffer.clear();
            buffer.extend_from_slice(body);
        }
        if !buffer.starts_with(&GZIP_MAGIC) {
            headers.remove(CONTENT_ENCODING);
        }
        Ok(Page {
            status,
            headers,
            body: buffer,
            waited: Duration::ZERO,
            elapsed: started.elapsed(),
            from_journal: false,
            large: None,
        })
    }

    fn stored(&self, place: Place) -> io::Result<Vec<u8>> {
        let mut stored = vec![0; place.length as usize];
        {
            let mut file = self.file.lock().expect("no panic holds the lock");
            file.seek(SeekFrom::Start(place.offset))?;
            file.read_exact(&mut stored)?;
        }
        if !self.gzip {
            return Ok(stored);
        }
        let mut record = Vec::new();
        GzDecoder::new(&stored[..])
            .take(MAX_RECORD as u64)
            .read_to_end(&mut record)?;
        Ok(record)
    }
}

/// What was found at a place of the file.
enum Read {
    Record,
    /// Passed over.
    TooLarge,
    End,
}

/// One gzip member, inflated.
fn next_member(reader: &mut BufReader<File>, buffer: &mut Vec<u8>) -> io::Result<Read> {
    buffer.clear();
    if reader.fill_buf()?.is_empty() {
        return Ok(Read::End);
    }
    let mut member = GzDecoder::new(reader);
    member
        .by_ref()
        .take(MAX_RECORD as u64)
        .read_to_end(buffer)?;
    let beyond = io::copy(&mut member, &mut io::sink())?;
    Ok(if beyond > 0 {
        Read::TooLarge
    } else {
        Read::Record
    })
}

/// One record of an archive that is not compressed.
fn next_plain(reader: &mut BufReader<File>, buffer: &mut Vec<u8>) -> io::Result<Read> {
    buffer.clear();
    while !buffer.ends_with(b"\r\n\r\n") {
        let line = reader
            .by_ref()
            .take(MAX_HEAD as u64)
            .read_until(b'\n', buffer)?;
        if line == 0 && buffer.is_empty() {
            return Ok(Read::End);
        }
        if line == 0 || buffer.len() > MAX_HEAD || !buffer.starts_with(b"WARC/") {
            return Err(io::Error::other("there is no WARC record"));
        }
    }
    let length = head_fields(buffer).find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length
        .and_then(|(_, value)| value.parse::<u64>().ok())
        .unwrap_or(0);
    // The block and the two line ends behind it.
    let block = length.saturating_add(4);
    let read = if block > MAX_RECORD as u64 {
        io::copy(&mut reader.take(block), &mut io::sink())?
    } else {
        reader.take(block).read_to_end(buffer)? as u64
    };
    if read < block {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    }
    Ok(if block > MAX_RECORD as u64 {
        Read::TooLarge
    } else {
        Read::Record
    })
}

/// One record: its head and its block.
struct Record<'a> {
    head: &'a [u8],
    block: &'a [u8],
}

impl<'a> Record<'a> {
    /// The record at the beginning of `bytes`, and what follows it.
    fn parse(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        if !bytes.starts_with(b"WARC/") {
            return None;
        }
        let end = memchr::memmem::find(bytes, b"\r\n\r\n")? + 4;
        let (head, rest) = bytes.split_at(end);
        let mut record = Record { head, block: &[] };
        let length = record.field("content-length")?.parse().ok()?;
        record.block = rest.get(..length)?;
        Some((record, rest[length..].trim_ascii_start()))
    }

    fn field(&self, name: &str) -> Option<&'a str> {
        head_fields(self.head)
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// When its answer came; the beginning of time if it does not say.
    fn date(&self) -> Timestamp {
        let date = self.field("warc-date").and_then(|date| date.parse().ok());
        date.unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Path and query of the address, and the status, if this is the answer of a server.
    fn response(&self) -> Option<(String, u16)> {
        if self.field("warc-type")? != "response" {
            return None;
        }
        // Some writers put the address into angle brackets, as WARC 1.0 had it.
        let address = self.field("warc-target-uri")?.trim_matches(['<', '>']);
        let (_, after_scheme) = address.split_once("://")?;
        let path = &after_scheme[after_scheme.find('/')?..];
        Some((decoded(path), http_message(self.block)?.0))
    }
}

/// `s%26p_500` and `s&p_500` are one address, and programs write either.
pub fn decoded(path: &str) -> String {
    percent_decode_str(path).decode_utf8_lossy().into_owned()
}

/// The `name: value` lines of a record's head.
fn head_fields(head: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    let text = std::str::from_utf8(head).unwrap_or("");
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim(), value.trim()))
}

/// Status, headers and body of a stored HTTP answer.
fn http_message(block: &[u8]) -> Option<(u16, HeaderMap, &[u8])> {
    let mut slots = [httparse::EMPTY_HEADER; 128];
    let mut response = httparse::Response::new(&mut slots);
    let httparse::Status::Complete(head) = response.parse(block).ok()? else {
        return None;
    };
    let mut headers = HeaderMap::new();
    for header in response.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
        headers.append(name, HeaderValue::from_bytes(header.value).ok()?);
    }
    Some((response.code?, headers, &block[head..]))
}

/// Bodies that other programs stored with their chunks.
fn join_chunks(mut body: &[u8], joined: &mut Vec<u8>) -> Option<()> {
    loop {
        let httparse::Status::Complete((start, size)) = httparse::parse_chunk_size(body).ok()?
        else {
            return None;
        };
        if size == 0 {
            return Some(());
        }
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        joined.extend_from_slice(body.get(start..end)?);
        body = body.get(end..)?.strip_prefix(b"\r\n")?;
    }
}
