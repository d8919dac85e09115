//! The contents of an archive: where its responses are, and which of several for one path counts.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem;

use jiff::Timestamp;

use crate::warc::digest::{self, EACH_RECORD};
use crate::warc::path_map::PathMap;
use crate::warc::record::{self, HttpResponse, Record, SECOND_LOOK};

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
    /// Number of records whose digest does not match, or that cannot be parsed.
    pub damaged: usize,
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
    /// failures do not hide a page.
    pub fn add(&mut self, record: &Record, offset: u64, length: u64) {
        let is_response = record.field("warc-type") == Some("response");
        let is_damaged = match digest::matches_record(record) {
            Some(matches) => !matches,
            None => is_response && self.promises_digests(),
        };
        self.damaged += usize::from(is_damaged);
        if record.field("warc-type") == Some("warcinfo") && offset == 0 {
            let fields = record::fields(record.block).take(MAX_FIRST_RECORD_FIELDS);
            self.about
                .extend(fields.map(|(name, value)| (name.to_owned(), value.to_owned())));
        } else if record.field("warc-type") == Some("warcinfo") && !is_damaged {
            self.note_resumed(record, offset);
        }
        let Some((host, path)) = record.address() else {
            return;
        };
        let status = HttpResponse::parse(record.block).map(|response| response.status);
        if path.len() > MAX_PATH || status.is_none() && !is_damaged {
            return;
        }
        let page = Location {
            offset,
            length,
            host: hash(host),
            is_ok: status == Some(200) && !is_damaged,
            date: record.date(),
        };
        if record.field(SECOND_LOOK).is_some() {
            if let Some(known) = self.responses.get_mut(path) {
                known.second_look = Some(page);
            }
            return;
        }
        let stored = || Stored {
            page,
            second_look: None,
        };
        let known = self.responses.or_insert(path, stored());
        if page.is_ok || is_damaged || page.host == known.page.host {
            *known = stored();
        }
    }

    /// Whether the first record says that each response has a digest.
    pub fn promises_digests(&self) -> bool {
        self.about.iter().any(|(name, _)| name == EACH_RECORD)
    }

    fn note_resumed(&mut self, record: &Record, offset: u64) {
        let time = |name| record::field(record.block, name)?.parse().ok();
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

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
