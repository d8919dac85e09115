//! Several archives as one source: the shards of a job, or one archive alone.

use std::num::NonZeroU32;

use crate::http::error::{PageError, Reason};
use crate::http::page::Page;
use crate::source::shard::{self, Shard};
use crate::warc::reader::Archive;
use crate::words::count;

/// One archive, or the shards of one job.
///
/// A company page is that of the shard which the company is dealt to. Every shard has recorded the index and
/// the rates, and one answers for them.
#[derive(Debug)]
pub struct Archives {
    /// At least one, in the order in which they answer for other pages than companies.
    parts: Vec<(Shard, Archive)>,
    /// A sentence about what the shards lack, if they lack something.
    warning: Option<String>,
}

impl From<Archive> for Archives {
    /// An archive that answers for everything.
    fn from(archive: Archive) -> Self {
        Archives {
            parts: vec![(Shard::WHOLE, archive)],
            warning: None,
        }
    }
}

impl Archives {
    /// Different shards of one job, at least one. The first one that has a page of the index answers for it.
    /// `warning` says what the shards lack.
    pub fn of_shards(parts: Vec<(Shard, Archive)>, warning: Option<String>) -> Self {
        Archives { parts, warning }
    }

    /// The name of the first archive, and how many others there are.
    pub fn name(&self) -> String {
        let first = self.first().path().display();
        match self.parts.len() - 1 {
            0 => first.to_string(),
            others => format!("{first} and {}", count(others, "other", "others")),
        }
    }

    /// A sentence about what is damaged or missing. `None` if everything is there.
    pub fn damage(&self) -> Option<String> {
        match &*self.parts {
            [(Shard::WHOLE, only)] => only.damage(),
            _ => self.warning.clone(),
        }
    }

    /// Whether shards are missing or incomplete, or have recorded different indices.
    pub fn lack_shards(&self) -> bool {
        self.warning.is_some()
    }

    /// A field of the record that closes the archive which answers for the index.
    pub fn closing(&self, name: &str) -> Option<&str> {
        self.first().closing(name)
    }

    /// Path and query of the page that [`get`](Self::get) reads for `path`, as stored.
    pub fn stored_path(&self, path: &str) -> Option<&str> {
        self.of_page(path).stored_path(path)
    }

    /// Whether a second look at the page of a path was recorded.
    pub fn has_second_look(&self, path: &str) -> bool {
        self.of_page(path).has_second_look(path)
    }

    /// Reads the page of a path that is no company's, like [`Archive::get`].
    pub fn get(&self, path: &str, buffer: Vec<u8>) -> Result<Page, PageError> {
        self.of_page(path).get(path, buffer)
    }

    /// Reads the second look at an index page, like [`Archive::get_second_look`].
    pub fn get_second_look(&self, path: &str, buffer: Vec<u8>) -> Result<Page, PageError> {
        self.of_page(path).get_second_look(path, buffer)
    }

    /// Reads the page of a company, like [`Archive::get`]. [`Reason::NotArchived`] also if its shard is
    /// missing.
    pub fn get_company(&self, path: &str, buffer: Vec<u8>) -> Result<Page, PageError> {
        let (Shard { of, .. }, _) = self.parts[0];
        let number = shard::number_of(path, of);
        let mut parts = self.parts.iter();
        match parts.find(|(shard, _)| shard.number == number) {
            Some((_, archive)) => archive.get(path, buffer),
            None => {
                let detail = format!("shard {number} of {of} is missing");
                Err(PageError::new(Reason::NotArchived, detail))
            }
        }
    }

    /// The archive that answers for a page which is no company's: the first one that has it with status 200,
    /// or else the first one.
    fn of_page(&self, path: &str) -> &Archive {
        let mut archives = self.parts.iter().map(|(_, archive)| archive);
        let found = archives.find(|archive| archive.has_page(path));
        found.unwrap_or_else(|| self.first())
    }

    /// What precedes the paths of company pages in their addresses: `FILE#`, of their shard.
    pub fn bases(&self) -> Bases {
        let (first, _) = &self.parts[0];
        let bases = (1..=first.of.get()).map(|number| {
            match self.parts.iter().find(|(shard, _)| shard.number == number) {
                Some((_, archive)) => format!("{}#", archive.path().display()),
                None => format!("shard {number}/{}#", first.of),
            }
        });
        Bases(bases.collect())
    }

    fn first(&self) -> &Archive {
        &self.parts[0].1
    }
}

/// What precedes the paths of company pages in their addresses, for each shard in turn. Never empty.
#[derive(Debug, Clone)]
pub struct Bases(Vec<String>);

impl Bases {
    /// The same for all pages: scheme and host.
    pub fn of_all(base: String) -> Self {
        Bases(vec![base])
    }

    /// The address of a company page.
    pub fn address(&self, path: &str) -> String {
        let shards = u32::try_from(self.0.len()).ok().and_then(NonZeroU32::new);
        let number = shard::number_of(path, shards.unwrap_or(NonZeroU32::MIN));
        format!("{}{path}", self.0[number as usize - 1])
    }
}
