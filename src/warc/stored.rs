//! What is kept of the responses for a path: where their records are, or which other record has the page.

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use crate::warc::record::Record;

/// The responses for a path.
#[derive(Debug)]
pub struct Stored {
    pub page: Location,
    /// The second look at an index page, if one was recorded after `page`.
    pub second_look: Option<Box<Location>>,
    /// The record that has the page, if this one has not.
    pub leads_to: Option<Box<LeadsTo>>,
}

/// What another program has stored instead of a page.
#[derive(Debug)]
pub enum LeadsTo {
    /// A redirect to this address.
    Redirect(String),
    /// A `revisit` record: the page had been stored before.
    Original {
        /// Hashes of what identifies it: see [`keys`].
        keys: Vec<u64>,
        path: Option<String>,
    },
}

/// Where the record of a response is in the file, in bytes as stored.
#[derive(Debug, Clone, Copy)]
pub struct Location {
    pub offset: u64,
    pub length: u64,
    /// Hash of scheme and host.
    pub host: u64,
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

impl Stored {
    pub fn new(page: Location, leads_to: Option<LeadsTo>) -> Self {
        Stored {
            page,
            second_look: None,
            leads_to: leads_to.map(Box::new),
        }
    }

    /// Memory that this refers to, in bytes.
    pub fn referred(&self) -> usize {
        let of_look = self
            .second_look
            .as_ref()
            .map_or(0, |_| size_of::<Location>());
        let of_target = self.leads_to.as_ref().map_or(0, |leads_to| {
            let text = match &**leads_to {
                LeadsTo::Redirect(target) => target.len(),
                LeadsTo::Original { keys, path } => {
                    size_of_val(&**keys) + path.as_ref().map_or(0, String::len)
                }
            };
            size_of::<LeadsTo>() + text
        });
        of_look + of_target
    }
}

/// Hashes of the values of these fields, as far as the record has them, in lower case: programs write the
/// digits of a digest in either.
pub fn keys(record: &Record, names: [&str; 2]) -> impl Iterator<Item = u64> {
    let values = names.map(|name| record.field(name).filter(|value| !value.is_empty()));
    values
        .into_iter()
        .flatten()
        .map(|value| hash(&value.to_ascii_lowercase()))
}

pub fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
