//! The contents of an archive: where its responses are, and which record answers a path.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem;

use jiff::Timestamp;

use crate::http::redirect::MAX_REDIRECTS;
use crate::site::paths;
use crate::warc::digest::{self, EACH_RECORD};
use crate::warc::path_map::{NoMatch, PathMap};
use crate::warc::record::{self, Address, Record, SECOND_LOOK};
use crate::warc::stored_response::StoredResponse;

/// At most this many fields of the first record are kept, to bound memory for hostile archives.
const MAX_FIRST_RECORD_FIELDS: usize = 32;
/// Longer paths are skipped, for the same reason.
const MAX_PATH: usize = 2 << 10;
/// The fields of the record that a resumed run writes: it uses earlier pages of this time only.
pub const PAGES_FROM: &str = "pages-from";
pub const PAGES_UNTIL: &str = "pages-until";

#[derive(Debug, Default)]
pub struct Contents {
    pub responses: PathMap<Stored>,
    /// The fields of the first record, if that is a `warcinfo` record.
    pub about: Vec<(String, String)>,
    /// Number of records, damaged ones included.
    pub records: usize,
    /// Number of records whose digest does not match, or that cannot be parsed.
    pub damaged: usize,
    /// The pages of status 200 that a `revisit` record may refer to, by the hash of their record ID and of
    /// their payload digest. Empty for a recording of this program.
    originals: HashMap<u64, Location>,
    /// What the last run that resumed this recording has used of the records before.
    resumed: Option<Resumed>,
}

#[derive(Debug)]
struct Resumed {
    /// Where its first record is.
    offset: u64,
    from: Timestamp,
    until: Timestamp,
}

/// The responses for a path.
#[derive(Debug)]
pub struct Stored {
    pub page: Location,
    /// The second look at an index page, if one was recorded after `page`.
    pub second_look: Option<Location>,
    /// The record that has the page, if this one has not.
    leads_to: Option<LeadsTo>,
}

/// What another program has stored instead of a page.
#[derive(Debug)]
enum LeadsTo {
    /// A redirect to this address.
    Redirect(String),
    /// A `revisit` record: the page had been stored before.
    Original {
        /// Keys of [`Contents::originals`].
        keys: Vec<u64>,
        path: Option<String>,
    },
}

/// The record that answers a path.
#[derive(Debug)]
pub struct Found<'a> {
    /// The path as stored.
    pub path: &'a str,
    pub page: Location,
    pub second_look: Option<Location>,
    /// The target of the last redirect that led to the record, if one did.
    pub reached: Option<&'a str>,
}

/// Why no record answers a path. Each phrase follows the name of the archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    #[error(transparent)]
    NoMatch(#[from] NoMatch),
    #[error("contains only a redirect to {0} for it, and not that page")]
    RedirectAway(String),
    #[error("contains more than {MAX_REDIRECTS} redirects in a row for it")]
    TooManyRedirects,
    #[error("contains only a revisit record of it, and not the page that the record refers to")]
    NoOriginal,
}

/// Where the record of a response is in the file, in bytes as stored.
#[derive(Debug, Clone, Copy)]
pub struct Location {
    pub offset: u64,
    pub length: u64,
    /// Hash of scheme and host.
    host: u64,
    /// Whether the status is 200 and the record is not known to be damaged.
    pub is_ok: bool,
    pub date: Timestamp,
}

impl Location {
    /// Where the record ends.
    pub fn end(&self) -> u64 {
        self.offset + self.length
    }
}

impl Contents {
    /// Adds the record at `offset`.
    ///
    /// Of several responses for one address, the last one in the file counts, whatever its status: a
    /// retry, or what the page is now. It counts even if it is damaged, so that no older one is taken for
    /// it. A response of another host for the same path counts if its status is 200; its redirects and
    /// failures do not hide a page. Nor does a `resource` record: it may be another form of the page, such as its
    /// text.
    pub fn add(&mut self, record: &Record, offset: u64, length: u64) {
        self.records += 1;
        let own_digest = digest::matches_record(record);
        let is_damaged = match own_digest {
            Some(matches) => !matches,
            None => record.is("response") && self.promises_digests(),
        };
        self.damaged += usize::from(is_damaged);
        if record.is("warcinfo") {
            self.add_info(record, offset, is_damaged);
        }
        let is_page = ["response", "revisit", "resource"]
            .iter()
            .any(|kind| record.is(kind));
        let address = record.address().filter(|_| is_page);
        let Some(address) = address.filter(|address| address.path.len() <= MAX_PATH) else {
            return;
        };
        let response = StoredResponse::of_record(record, own_digest.is_some());
        let page = Location {
            offset,
            length,
            host: hash(&address.site),
            is_ok: response.is_some_and(|response| response.status == 200) && !is_damaged,
            date: record.date(),
        };
        if record.field(SECOND_LOOK).is_some() {
            if let Some(known) = self.responses.get_mut(&address.path) {
                known.second_look = Some(page);
            }
            return;
        }
        let stored = match response {
            _ if record.is("revisit") => self.revisit(record, page, response),
            Some(response) => {
                if page.is_ok && own_digest.is_none() {
                    let keys = keys(record, ["warc-record-id", "warc-payload-digest"]);
                    self.originals.extend(keys.map(|key| (key, page)));
                }
                let target = response.redirect(&address);
                Stored::new(page, target.map(LeadsTo::Redirect))
            }
            None if is_damaged => Stored::new(page, None),
            None => return,
        };
        self.keep(address, stored, is_damaged, record.is("resource"));
    }

    fn add_info(&mut self, record: &Record, offset: u64, is_damaged: bool) {
        if self.records == 1 {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let fields = record::fields(record.block).take(MAX_FIRST_RECORD_FIELDS);
            let fields = fields.map(|(name, value)| (text(name), text(&value)));
            self.about.extend(fields);
        } else if !is_damaged {
            self.note_resumed(record, offset);
        }
    }

    /// Counts a record that cannot be parsed.
    pub fn add_damaged(&mut self) {
        self.records += 1;
        self.damaged += 1;
    }

    /// Stores the response for its address, unless the known one takes precedence (see
    /// [`add`](Self::add)).
    fn keep(&mut self, address: Address, stored: Stored, is_damaged: bool, is_resource: bool) {
        let page = stored.page;
        let Some(known) = self.responses.get_mut(&address.path) else {
            self.responses.or_insert(&address.path, stored);
            return;
        };
        let confirms_known = match &stored.leads_to {
            // Without a reference to another page, it says that the known one has not changed.
            Some(LeadsTo::Original { path, .. }) => {
                let of_known = path.as_ref().is_none_or(|path| *path == address.path);
                of_known && known.page.is_ok
            }
            _ => is_resource && known.page.is_ok,
        };
        let counts = page.is_ok || is_damaged || page.host == known.page.host;
        if counts && !confirms_known {
            *known = stored;
        }
    }

    /// What a `revisit` record stands for: the page that it refers to, if that is known already. Its own
    /// head counts if that is of a redirect or of a failure.
    fn revisit(&self, record: &Record, page: Location, response: Option<StoredResponse>) -> Stored {
        let response = response.filter(|response| ![200, 304].contains(&response.status));
        if let Some(response) = response {
            let target = record
                .address()
                .and_then(|address| response.redirect(&address));
            return Stored::new(page, target.map(LeadsTo::Redirect));
        }
        let keys: Vec<u64> = keys(record, ["warc-refers-to", "warc-payload-digest"]).collect();
        if let Some(original) = self.original(&keys) {
            let Location { host, date, .. } = page;
            return Stored::new(
                Location {
                    host,
                    date,
                    ..original
                },
                None,
            );
        }
        let address = record.address_in("warc-refers-to-target-uri");
        let path = address.map(|address| address.path);
        let page = Location {
            is_ok: false,
            ..page
        };
        Stored::new(page, Some(LeadsTo::Original { keys, path }))
    }

    fn original(&self, keys: &[u64]) -> Option<Location> {
        keys.iter().find_map(|key| self.originals.get(key)).copied()
    }

    /// The record that answers a path: the one of exactly this spelling, or else of the only path with the
    /// same decoded bytes.
    ///
    /// In an archive of another program, the address of the same page with other parameters will do, and
    /// redirects and `revisit` records are followed. A recording of this program says itself where a
    /// redirect led.
    pub fn find(&self, path: &str) -> Result<Found<'_>, NotFound> {
        let is_own = self.promises_digests();
        let look_up = |path: &str| {
            if is_own {
                self.responses.find(path)
            } else {
                self.responses.find_page(path)
            }
        };
        let (mut path, mut stored) = look_up(path)?;
        let mut reached = None;
        for _ in 0..=MAX_REDIRECTS {
            let found = Found {
                path,
                page: stored.page,
                second_look: stored.second_look,
                reached,
            };
            let (target, missing) = match &stored.leads_to {
                Some(LeadsTo::Redirect(target)) if !is_own => {
                    reached = Some(target.as_str());
                    let missing = NotFound::RedirectAway(target.clone());
                    (Some(paths::of_address(target)), missing)
                }
                Some(LeadsTo::Original { keys, path }) => match self.original(keys) {
                    Some(page) => return Ok(Found { page, ..found }),
                    None => (path.as_deref(), NotFound::NoOriginal),
                },
                _ => return Ok(found),
            };
            let next = target.and_then(|target| look_up(target).ok());
            match next.filter(|(next, _)| *next != path) {
                Some(next) => (path, stored) = next,
                None => return Err(missing),
            }
        }
        Err(NotFound::TooManyRedirects)
    }

    /// Whether the archive has a page with status 200.
    pub fn has_pages(&self) -> bool {
        self.responses.iter().any(|(_, stored)| stored.page.is_ok)
    }

    /// Whether the first record says that each response has a digest.
    pub fn promises_digests(&self) -> bool {
        self.about.iter().any(|(name, _)| name == EACH_RECORD)
    }

    fn note_resumed(&mut self, record: &Record, offset: u64) {
        let time = |name| {
            record::text(record::field(record.block, name)?)?
                .parse()
                .ok()
        };
        if let (Some(from), Some(until)) = (time(PAGES_FROM), time(PAGES_UNTIL)) {
            self.resumed = Some(Resumed {
                offset,
                from,
                until,
            });
        }
    }

    /// Drops the pages that the last resumed run did not use because of their age. It may not have been
    /// able to fetch them again, and a replay must miss them too.
    pub fn drop_unused(&mut self) {
        let Some(resumed) = &self.resumed else {
            return;
        };
        let is_used = |page: &Location| {
            page.offset > resumed.offset || (resumed.from..=resumed.until).contains(&page.date)
        };
        let stored = mem::take(&mut self.responses).into_iter();
        self.responses = stored.filter(|(_, stored)| is_used(&stored.page)).collect();
    }
}

impl Stored {
    fn new(page: Location, leads_to: Option<LeadsTo>) -> Self {
        Stored {
            page,
            second_look: None,
            leads_to,
        }
    }
}

/// Hashes of the values of these fields, as far as the record has them.
fn keys(record: &Record, names: [&str; 2]) -> impl Iterator<Item = u64> {
    let values = names.map(|name| record.field(name).filter(|value| !value.is_empty()));
    values.into_iter().flatten().map(|value| hash(&value))
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
