//! The contents of an archive: where its responses are, and which record answers a path.
//!
//! They take at most 64 MB of memory. A record that needs more is counted, but not kept. Pages of paths
//! that no site of a run has, which only `serve` asks for, take half of that at most.

use std::collections::HashMap;
use std::mem;

use jiff::Timestamp;

use crate::http::redirect::MAX_REDIRECTS;
use crate::site::paths;
use crate::warc::digest::{self, EACH_RECORD};
use crate::warc::path_map::{NoMatch, PathMap};
use crate::warc::record::{self, Address, Record, SECOND_LOOK};
use crate::warc::stored::{LeadsTo, Location, Stored, hash, keys};
use crate::warc::stored_response::StoredResponse;

/// At most this many fields of a record that describes others are kept, to bound memory for hostile archives.
const MAX_INFO_FIELDS: usize = 32;
/// Longer paths and targets of redirects are skipped, for the same reason.
const MAX_PATH: usize = 2 << 10;
/// Maximum memory of the contents, in bytes: 300,000 pages, or 150,000 with record IDs and digests. A run of
/// 100,000 companies has 64 MB left for everything else.
const MAX_MEMORY: usize = 64_000_000;
/// Memory of an original in a table that has just grown, in bytes.
const SIZE_OF_ORIGINAL: usize = 2 * size_of::<(u64, Location)>();
/// The fields of the record that a resumed run writes: it uses earlier pages of this time only.
pub const PAGES_FROM: &str = "pages-from";
pub const PAGES_UNTIL: &str = "pages-until";
/// The field of the record that closes a recording: how many responses it has.
pub const RESPONSES: &str = "responses";

#[derive(Debug, Default)]
pub struct Contents {
    pub responses: PathMap<Stored>,
    /// The fields of the first record, if that is a `warcinfo` record.
    pub about: Vec<(String, String)>,
    /// Number of `response` records, damaged ones included.
    pub response_records: u64,
    /// Whether another recording of this program follows the first.
    pub is_joined: bool,
    /// Whether the first record is damaged.
    pub is_about_damaged: bool,
    /// The fields of the last record, if that is another `warcinfo` record.
    pub closing: Vec<(String, String)>,
    /// Number of records, damaged ones included.
    pub records: usize,
    /// Number of records whose digest does not match, or that cannot be parsed.
    pub damaged: usize,
    /// Number of responses that are not kept, to bound memory.
    pub dropped: usize,
    /// The pages of status 200 that a `revisit` record may refer to, by the hash of their record ID and of
    /// their payload digest. Empty for a recording of this program.
    originals: HashMap<u64, Location>,
    /// Memory of what `responses` refer to, in bytes.
    referred: usize,
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

impl Contents {
    /// Adds the record at `offset`.
    ///
    /// Of several responses for one address, the last one in the file counts, whatever its status: a
    /// retry, or what the page is now. It counts even if it is damaged, so that no older one is taken for
    /// it. A response of another host for the same path counts if its status is 200; its redirects and
    /// failures do not hide a page. Nor does a `resource` record: it may be another form of the page, such
    /// as its text.
    pub fn add(&mut self, record: &Record, offset: u64, length: u64) {
        self.records += 1;
        self.response_records += u64::from(record.is("response"));
        self.closing.clear();
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
                self.referred -= known.referred();
                known.second_look = Some(Box::new(page));
                self.referred += known.referred();
            }
            return;
        }
        let stored = match response {
            _ if record.is("revisit") => self.revisit(record, page, response),
            Some(response) => {
                let target = redirect(response, &address);
                Stored::new(page, target)
            }
            None if is_damaged => Stored::new(page, None),
            None => return,
        };
        let is_original = page.is_ok && own_digest.is_none() && !record.is("revisit");
        let has_room = self.has_room(&address.path);
        if has_room && is_original {
            let keys = keys(record, ["warc-record-id", "warc-payload-digest"]);
            self.originals.extend(keys.map(|key| (key, page)));
        }
        let known = self.responses.get_mut(&address.path);
        let is_no_larger = known.is_some_and(|known| stored.referred() <= known.referred());
        if has_room || is_no_larger {
            self.keep(address, stored, is_damaged, record.is("resource"));
        } else {
            self.dropped += 1;
        }
    }

    /// Whether there is memory for another page of this path.
    fn has_room(&self, path: &str) -> bool {
        let of_originals = self.originals.len() * SIZE_OF_ORIGINAL;
        let limit = if paths::may_be_requested(path) {
            MAX_MEMORY
        } else {
            MAX_MEMORY / 2
        };
        self.responses.size() + self.referred + of_originals < limit
    }

    fn add_info(&mut self, record: &Record, offset: u64, is_damaged: bool) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let fields = record::fields(record.block).take(MAX_INFO_FIELDS);
        let fields = fields.map(|(name, value)| (text(name), text(&value)));
        if self.records == 1 {
            self.about.extend(fields);
            self.is_about_damaged = is_damaged;
        } else if !is_damaged {
            self.closing.extend(fields);
            self.is_joined |= self.closing.iter().any(|(name, _)| name == EACH_RECORD);
            self.note_resumed(record, offset);
        }
    }

    /// Counts a record that cannot be parsed.
    pub fn add_damaged(&mut self) {
        self.records += 1;
        self.damaged += 1;
        self.closing.clear();
    }

    /// Stores the response for its address, unless the known one takes precedence (see
    /// [`add`](Self::add)).
    fn keep(&mut self, address: Address, stored: Stored, is_damaged: bool, is_resource: bool) {
        let page = stored.page;
        let is_own = self.promises_digests();
        let Some(known) = self.responses.get_mut(&address.path) else {
            self.referred += stored.referred();
            self.responses.or_insert(&address.path, stored);
            return;
        };
        let confirms_known = match stored.leads_to.as_deref() {
            // It asked for a cookie, say.
            Some(LeadsTo::Redirect(target)) if !is_own => {
                let to_itself =
                    paths::canonical(paths::of_address(target)) == paths::canonical(&address.path);
                to_itself && known.page.is_ok
            }
            // Without a reference to another page, it says that the known one has not changed.
            Some(LeadsTo::Original { path, .. }) => {
                let of_known = path.as_ref().is_none_or(|path| *path == address.path);
                of_known && known.page.is_ok
            }
            _ => is_resource && known.page.is_ok,
        };
        let counts = page.is_ok || is_damaged || page.host == known.page.host;
        if counts && !confirms_known {
            self.referred += stored.referred();
            self.referred -= known.referred();
            *known = stored;
        }
    }

    /// What a `revisit` record stands for: the page that it refers to, if that is known already. Its own
    /// head counts if that is of a redirect or of a failure.
    fn revisit(&self, record: &Record, page: Location, response: Option<StoredResponse>) -> Stored {
        let response = response.filter(|response| ![200, 304].contains(&response.status));
        if let Some(response) = response {
            let address = record.address();
            let target = address.and_then(|address| redirect(response, &address));
            return Stored::new(page, target);
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
        let path = path.filter(|path| path.len() <= MAX_PATH);
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
                second_look: stored.second_look.as_deref().copied(),
                reached,
            };
            let (target, missing) = match stored.leads_to.as_deref() {
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

/// Where a redirect leads, unless the address is too long.
fn redirect(response: StoredResponse, from: &Address) -> Option<LeadsTo> {
    let target = response.redirect(from);
    let mut target = target.filter(|target| target.len() <= MAX_PATH)?;
    target.shrink_to_fit();
    Some(LeadsTo::Redirect(target))
}
