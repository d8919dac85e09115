//! Reads WARC archives. [`writer`](crate::warc::writer) writes them.
//!
//! The format is WARC 1.1 (<https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/>).
//! Compressed archives have one gzip member per record, as its annex D requires. A page is found by
//! the path and query of its address, whatever the host. So an archive of one server can replace
//! another server. [`path_map`](crate::warc::path_map) says when another spelling of a path finds its
//! page.

use std::borrow::Cow;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use flate2::bufread::GzDecoder;
use jiff::Timestamp;

use crate::http::decode::Inflater;
use crate::http::error::{PageError, Reason};
use crate::http::page::{MAX_BODY, Page};
use crate::warc::contents::{Contents, Found, NotFound, RESPONSES};
use crate::warc::digest;
use crate::warc::raw::{MAX_RECORD, NO_RECORD, Next, Records};
use crate::warc::record::{self, REDIRECTED_TO, Record};
use crate::warc::stored::Location;
use crate::warc::stored_response::StoredResponse;
use crate::words::{form, quantity};

/// An archive opened for reading. It keeps only the locations of its records in memory.
#[derive(Debug)]
pub struct Archive {
    path: PathBuf,
    file: Mutex<File>,
    is_gzip: bool,
    contents: Contents,
    /// Number of bytes between its records that are no record.
    skipped: u64,
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
    /// that is not a WARC archive is an error. Of pages whose paths no run asks for, at least the first
    /// 75,000 with paths of 20 bytes are kept, which take 32 MB.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let mut archive = Archive::open_unfinished(path)?;
        archive.contents.drop_unused();
        Ok(archive)
    }

    /// Opens an archive like [`open`](Self::open), with the pages that were too old for the last run which
    /// resumed it. The next run may have another limit.
    pub fn open_unfinished(path: &Path) -> anyhow::Result<Self> {
        let context = || format!("cannot open {}", path.display());
        // To open a pipe would wait for its writer.
        if !fs::metadata(path).with_context(context)?.is_file() {
            bail!("{} is not a plain file", path.display());
        }
        let file = File::open(path).with_context(context)?;
        let mut records = Records::new(file)?;
        let mut contents = Contents::default();
        let mut buffer = Vec::new();
        let mut has_record = false;
        // Where the last complete record ends.
        let mut end = 0;
        let cut = loop {
            let next = match records.next(&mut buffer) {
                Ok(Next::End) => break None,
                Ok(next) => next,
                Err(error) => break Some(error.to_string()),
            };
            let record = match next {
                Next::Damaged => None,
                _ => Record::parse(&buffer),
            };
            if let Some((_, rest)) = record
                && record::has_version(rest)
            {
                bail!(
                    "{} has more than one record in a gzip member, so its pages cannot be found one by one; \
                     `warcio recompress` (PyPI) fixes that",
                    path.display()
                );
            }
            match (next, record) {
                (Next::TooLarge, _) => {}
                (_, Some((record, _))) => {
                    let length = records.position() - records.start;
                    contents.add(&record, records.start, length);
                }
                (_, None) => {
                    contents.add_damaged();
                    continue;
                }
            }
            has_record = true;
            end = records.position();
        };
        if !has_record {
            let is_empty = end == 0 && records.position() == 0;
            let why =
                cut.unwrap_or_else(|| if is_empty { "it is empty" } else { NO_RECORD }.into());
            bail!("{} is not a WARC archive: {why}", path.display());
        }
        Ok(Archive {
            path: path.to_owned(),
            is_gzip: records.is_gzip,
            skipped: records.skipped,
            file: Mutex::new(records.into_file()),
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
        let skipped = (self.skipped > 0).then(|| {
            let bytes = quantity(self.skipped as usize, "byte", "bytes");
            let verb = form(self.skipped as usize, "is", "are");
            let skipped = form(self.skipped as usize, "was", "were");
            format!("{bytes} of {path} {verb} no readable record and {skipped} skipped")
        });
        let dropped = self.contents.dropped;
        let dropped = (dropped > 0).then(|| {
            let responses = quantity(dropped, "response", "responses");
            let verb = form(dropped, "was", "were");
            format!("{path} has more pages than fit into memory, and {responses} {verb} skipped")
        });
        let sentences = damaged.into_iter().chain(skipped).chain(dropped).chain(cut);
        let sentences: Vec<String> = sentences.collect();
        (!sentences.is_empty()).then(|| sentences.join("; "))
    }

    /// Number of records that are known to be damaged. A truncated one at the end does not count.
    pub fn damaged_records(&self) -> usize {
        self.contents.damaged
    }

    /// Whether the first record is damaged, so that [`about`](Self::about) may be wrong.
    pub fn is_about_damaged(&self) -> bool {
        self.contents.is_about_damaged
    }

    /// A field of the first record, such as `software`, if the record has it.
    pub fn about(&self, name: &str) -> Option<&str> {
        field(&self.contents.about, name)
    }

    /// A field of the last record, if that describes others and is not the first: of a record that
    /// [closes](crate::warc::journal::Journal::finish_recording) a recording, or of one with which a resumed run
    /// begins.
    pub fn closing(&self, name: &str) -> Option<&str> {
        field(&self.contents.closing, name)
    }

    /// Whether the archive has as many responses as the record says that closes it.
    pub fn has_all_responses(&self) -> bool {
        self.closing(RESPONSES) == Some(&self.contents.response_records.to_string())
    }

    /// Number of `response` records, those with the same address all counted.
    pub fn responses(&self) -> u64 {
        self.contents.response_records
    }

    /// Whether the file has another recording of this program behind the first.
    pub fn is_joined(&self) -> bool {
        self.contents.is_joined
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
        self.contents.find(path).ok().map(|found| found.path)
    }

    /// Whether the archive has the page of a path with status 200.
    pub fn has_page(&self, path: &str) -> bool {
        let found = self.contents.find(path);
        found.is_ok_and(|found| found.page.is_ok)
    }

    /// Whether the archive has a page with status 200.
    pub fn has_pages(&self) -> bool {
        self.contents.has_pages()
    }

    /// Whether a second look at the page of a path was recorded. [`get_second_look`](Self::get_second_look)
    /// reads it.
    pub fn has_second_look(&self, path: &str) -> bool {
        let found = self.contents.find(path);
        found.is_ok_and(|found| found.second_look.is_some())
    }

    /// Reads the page of a path and query; its body replaces the content of `buffer`. Without a page of
    /// exactly this spelling, it is the only page whose path has the same percent-decoded bytes. In an
    /// archive of another program, redirects and `revisit` records are followed, and parameters that do
    /// not change a page may differ.
    ///
    /// Errors: [`Reason::NotArchived`] if no page matches, several do, or the target of a redirect or revisit
    /// is missing. [`Reason::Redirects`] after too many redirects, [`Reason::Damaged`] for a damaged record,
    /// [`Reason::TooLarge`] over [`MAX_BODY`]. Bodies of other programs also fail as
    /// [`encodings::decode`](crate::http::encodings::decode) does.
    pub fn get(&self, path: &str, buffer: Vec<u8>) -> Result<Page, PageError> {
        let found = self.find(path)?;
        let page = self.read_page(path, found.page, buffer)?;
        Ok(Page {
            reached: page.reached.or(found.reached.map(str::to_owned)),
            ..page
        })
    }

    /// Reads the second look at the page of a path and query, as [`get`](Self::get) reads the page.
    pub fn get_second_look(&self, path: &str, buffer: Vec<u8>) -> Result<Page, PageError> {
        let look = self.find(path)?.second_look;
        let look =
            look.ok_or_else(|| self.missing(Reason::NotArchived, "has no second look at it"))?;
        self.read_page(path, look, buffer)
    }

    fn find(&self, path: &str) -> Result<Found<'_>, PageError> {
        self.contents.find(path).map_err(|not_found| {
            let reason = match not_found {
                NotFound::TooManyRedirects => Reason::Redirects,
                _ => Reason::NotArchived,
            };
            self.missing(reason, not_found)
        })
    }

    fn missing(&self, reason: Reason, why: impl Display) -> PageError {
        let detail = format!("the archive {} {why}", self.path.display());
        PageError::new(reason, detail)
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
        let Parsed {
            response,
            reached,
            is_own,
        } = self.parse_response(&record).map_err(damaged)?;
        if response.body.len() as u64 > MAX_BODY {
            return Err(PageError::new(
                Reason::TooLarge,
                format!("the body is larger than {} MiB", MAX_BODY >> 20),
            ));
        }
        let mut headers = response.headers();
        if is_own {
            buffer.clear();
            buffer.extend_from_slice(response.body);
        } else {
            response.copy_body(&mut headers, &mut buffer)?;
        }
        Ok(Page {
            status: response.status,
            headers,
            body: buffer,
            waited: Duration::ZERO,
            elapsed: started.elapsed(),
            asked: path.to_owned(),
            reached,
            from_journal: false,
            not_followed: None,
            large: None,
            saved: None,
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
        match inflater.gunzip_first(&stored) {
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

    /// Parses the response in a record. Verifies the cheapest digest that the record has. An error says
    /// what is damaged.
    fn parse_response<'a>(&self, record: &'a [u8]) -> Result<Parsed<'a>, &'static str> {
        let (record, _) = Record::parse(record).ok_or(NO_RECORD)?;
        let own = digest::matches_record(&record);
        let response = StoredResponse::of_record(&record, own.is_some());
        let is_intact = match own {
            None if self.contents.promises_digests() => return Err("its digest is missing"),
            None => response
                .as_ref()
                .and_then(|response| digest::matches_sha1(&record, response)),
            own => own,
        };
        if is_intact == Some(false) {
            return Err("its digest does not match");
        }
        Ok(Parsed {
            response: response.ok_or("there is no HTTP response")?,
            reached: record.field(REDIRECTED_TO).map(Cow::into_owned),
            is_own: own.is_some(),
        })
    }
}

fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut fields = fields.iter();
    let (_, value) = fields.find(|(field, _)| field.eq_ignore_ascii_case(name))?;
    Some(value)
}

/// The response in a record.
struct Parsed<'a> {
    response: StoredResponse<'a>,
    /// The target of the last redirect before it, if this program has stored one.
    reached: Option<String>,
    /// Whether this program has stored it, so that its body is what the run got.
    is_own: bool,
}
