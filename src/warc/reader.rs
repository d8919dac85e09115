//! Reads WARC archives. [`writer`](crate::warc::writer) writes them.
//!
//! The format is WARC 1.1 (<https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/>).
//! Compressed archives have one gzip member per record, as its annex D requires. A page is found by
//! the path and query of its address, whatever the host. So an archive of one server can replace
//! another server. [`path_map`](crate::warc::path_map) says when another spelling of a path finds its
//! page.

use std::borrow::Cow;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use flate2::bufread::GzDecoder;
use jiff::Timestamp;

use crate::http::decode::Inflater;
use crate::http::error::{PageError, Reason};
use crate::http::page::{MAX_BODY, Page};
use crate::warc::contents::{Contents, Location};
use crate::warc::digest;
use crate::warc::raw::{self, MAX_RECORD, NO_RECORD, Next};
use crate::warc::record::{GZIP_MAGIC, HttpResponse, REDIRECTED_TO, Record};
use crate::words::{form, quantity};

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
    cut: Option<String>,
}

/// A page with status 200.
#[derive(Debug, Clone, Copy)]
pub struct GoodPage<'a> {
    /// Path and query, as stored.
    pub path: &'a str,
    /// When the response arrived.
    pub date: Timestamp,
    /// Where its record ends, in bytes of the file.
    pub end: u64,
}

impl Archive {
    /// Opens an archive and reads the whole file once. A truncated record at the end, left by an
    /// interrupted recording, is ignored, and so is a damaged one that another record follows. A file
    /// that is not a WARC archive is an error.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let mut archive = Archive::open_unfinished(path)?;
        archive.contents.drop_unused();
        Ok(archive)
    }

    /// Opens an archive like [`open`](Self::open), with the pages that were too old for the last run which
    /// resumed it. The next run may have another limit.
    pub fn open_unfinished(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let mut file = BufReader::with_capacity(1 << 20, file);
        let is_gzip = file.fill_buf()?.starts_with(&GZIP_MAGIC);
        let mut contents = Contents::default();
        let mut buffer = Vec::new();
        // Where the last complete record ends.
        let mut end = 0;
        let cut = loop {
            let offset = file.stream_position()?;
            let next = if is_gzip {
                raw::read_member(&mut file, &mut buffer)
            } else {
                raw::read_plain_record(&mut file, &mut buffer)
            };
            let parsed = match next {
                Ok(Next::TooLarge) => {
                    end = file.stream_position()?;
                    continue;
                }
                Ok(Next::End) if offset > 0 => break None,
                Ok(Next::End) => Err("it is empty".to_owned()),
                Ok(Next::Record) => Record::parse(&buffer).ok_or_else(|| NO_RECORD.to_owned()),
                Err(error) => Err(error.to_string()),
            };
            let (record, rest) = match parsed {
                Ok(parsed) => parsed,
                Err(why) if offset == 0 => {
                    bail!("{} is not a WARC archive: {why}", path.display())
                }
                Err(_) if raw::is_at_record(&mut file, is_gzip) => {
                    contents.damaged += 1;
                    continue;
                }
                Err(why) => break Some(why),
            };
            if rest.starts_with(b"WARC/") {
                bail!(
                    "{} has more than one record in a gzip member, so its pages cannot be found one by one; \
                     `warcio recompress` (PyPI) fixes that",
                    path.display()
                );
            }
            end = file.stream_position()?;
            contents.add(&record, offset, end - offset);
        };
        Ok(Archive {
            path: path.to_owned(),
            file: Mutex::new(file.into_inner()),
            is_gzip,
            contents,
            end,
            cut,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A sentence that says which parts of the file are damaged. `None` if all of it was read.
    pub fn damage(&self) -> Option<String> {
        let path = self.path.display();
        let cut = self.cut.as_ref().map(|why| {
            let number = self.contents.responses.iter().len();
            let pages = quantity(number, "page before that is", "pages before that are");
            let end = self.end;
            format!("{path} cannot be read from byte {end} on ({why}); the {pages} used")
        });
        let damaged = self.contents.damaged;
        let damaged = (damaged > 0).then(|| {
            let records = quantity(damaged, "record", "records");
            let verb = form(damaged, "is", "are");
            format!("{records} of {path} {verb} damaged and not used")
        });
        let sentences: Vec<String> = damaged.into_iter().chain(cut).collect();
        (!sentences.is_empty()).then(|| sentences.join("; "))
    }

    /// Number of records that are known to be damaged. A truncated one at the end does not count.
    pub fn damaged_records(&self) -> usize {
        self.contents.damaged
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

    /// Every page with status 200, in no order.
    pub fn good_pages(&self) -> impl Iterator<Item = GoodPage<'_>> {
        let responses = self.contents.responses.iter();
        let good = responses.filter(|(_, stored)| stored.page.is_ok);
        good.map(|(path, stored)| GoodPage {
            path,
            date: stored.page.date,
            end: stored.page.end(),
        })
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

    /// Whether a second look at the page of a path was recorded. [`get_second_look`](Self::get_second_look)
    /// reads it.
    pub fn has_second_look(&self, path: &str) -> bool {
        let stored = self.contents.responses.find(path);
        stored.is_ok_and(|(_, stored)| stored.second_look.is_some())
    }

    /// Reads the page of a path and query; its body replaces the content of `buffer`. Without a page of
    /// exactly this spelling, it is the only page whose path has the same percent-decoded bytes.
    ///
    /// The error is [`Reason::NotArchived`] if there is none or more than one such page,
    /// [`Reason::Damaged`] if its record is damaged, and [`Reason::TooLarge`] if its body has more than
    /// [`MAX_BODY`] bytes.
    pub fn get(&self, path: &str, buffer: Vec<u8>) -> Result<Page, PageError> {
        let found = self.contents.responses.find(path);
        let (_, stored) = found.map_err(|no_match| self.not_archived(no_match))?;
        self.read_page(path, stored.page, buffer)
    }

    /// Reads the second look at the page of a path and query, as [`get`](Self::get) reads the page.
    pub fn get_second_look(&self, path: &str, buffer: Vec<u8>) -> Result<Page, PageError> {
        let found = self.contents.responses.find(path);
        let (_, stored) = found.map_err(|no_match| self.not_archived(no_match))?;
        let look = stored.second_look;
        let look = look.ok_or_else(|| self.not_archived("has no second look at it"))?;
        self.read_page(path, look, buffer)
    }

    fn not_archived(&self, why: impl Display) -> PageError {
        let detail = format!("the archive {} {why}", self.path.display());
        PageError::new(Reason::NotArchived, detail)
    }

    fn read_page(
        &self,
        path: &str,
        location: Location,
        mut buffer: Vec<u8>,
    ) -> Result<Page, PageError> {
        let started = Instant::now();
        let damaged = |what: &str| {
            let archive = self.path.display();
            let detail = format!("its record in {archive} is damaged: {what}");
            PageError::new(Reason::Damaged, detail)
        };
        let mut inflater = Inflater::default();
        let record = self
            .read_record(location, &mut inflater)
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

    /// Reads and inflates a record. The inflater may hold it.
    fn read_record<'a>(
        &self,
        location: Location,
        inflater: &'a mut Inflater,
    ) -> io::Result<Cow<'a, [u8]>> {
        let mut stored = vec![0; location.length as usize];
        {
            let mut file = self.file.lock().expect("no panic under this lock");
            file.seek(SeekFrom::Start(location.offset))?;
            file.read_exact(&mut stored)?;
        }
        if !self.is_gzip {
            return Ok(Cow::Owned(stored));
        }
        // This takes two thirds of the time of `GzDecoder`, which pays for verifying a SHA-1.
        match inflater.gunzip(&stored) {
            Ok(record) => Ok(Cow::Borrowed(record)),
            // The record has more than 2 MiB, or is damaged.
            Err(_) => {
                let mut record = Vec::new();
                GzDecoder::new(&stored[..])
                    .take(MAX_RECORD as u64)
                    .read_to_end(&mut record)?;
                Ok(Cow::Owned(record))
            }
        }
    }

    /// Parses the response in a record, and the target of the last redirect before it. Verifies the
    /// cheapest digest that the record has. An error says what is damaged.
    fn parse_response<'a>(
        &self,
        record: &'a [u8],
    ) -> Result<(HttpResponse<'a>, Option<String>), &'static str> {
        let (record, _) = Record::parse(record).ok_or(NO_RECORD)?;
        let response = HttpResponse::parse(record.block);
        let is_intact = match digest::matches_record(&record) {
            None if self.contents.promises_digests() => return Err("its digest is missing"),
            None => response
                .as_ref()
                .and_then(|response| digest::matches_sha1(&record, response)),
            own => own,
        };
        if is_intact == Some(false) {
            return Err("its digest does not match");
        }
        let response = response.ok_or("there is no HTTP response")?;
        let reached = record.field(REDIRECTED_TO).map(str::to_owned);
        Ok((response, reached))
    }
}
