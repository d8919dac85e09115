//! The task of one run. The race passes it to the contender's process as JSON.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::http::client::{Client, Options};
use crate::http::connections::MAX_RESPONSE;
use crate::http::decode::{self, Inflater};
use crate::http::error::{PageError, Reason};
use crate::http::page::Page;
use crate::http::proxy::ProxyChoice;
use crate::http::tls::Authorities;
use crate::job::exchange_rate::{self, RateChoice};
use crate::pipeline::index_walk::{IndexWalk, WalkMode};
use crate::pipeline::{self, PoolSizes, Walk};
use crate::race::contenders::blocking_walk;
use crate::race::contenders::extract::Extract;
use crate::race::contenders::fault::Fault;
use crate::site::index::Link;
use crate::site::page_text::PageText;
use crate::site::rates::Rates;
use crate::source::{Site, Source};
use crate::telemetry::counters::Counters;
use crate::telemetry::lane::Lane;
use crate::telemetry::trace::{Phase, Trace};
use crate::warc::journal::{Identity, Journal};
use crate::warc::reader::Archive;
use crate::warc::writer::Checksum;

pub const TIMEOUT: Duration = Duration::from_secs(45);
pub const USER_AGENT: &str = concat!("indexrank-race/", env!("CARGO_PKG_VERSION"));

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    /// Name of the contender.
    pub name: String,
    /// Scheme, host and port of the server. Empty for a list of absolute addresses.
    pub site: String,
    pub work: Work,
    /// Pages in flight at the same time.
    pub workers: usize,
    /// Whether to record a timeline of each worker.
    pub trace: bool,
    /// Folder for the measurement and the answer.
    pub out: PathBuf,
    pub fault: Option<Fault>,
    /// A PEM file of the only certificate authorities to trust. `None` for Mozilla's.
    pub authorities: Option<PathBuf>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Work {
    /// Walk an index, then fetch and parse the company pages.
    Job { index: String },
    /// The same from an archive in memory.
    Read { index: String, archive: PathBuf },
    /// Fetch the paths in a file, one a line, from the server; do not parse them.
    Fetch { list: PathBuf },
    /// Fetch the addresses in a file, one a line, and count their headings.
    Visit { list: PathBuf },
}

impl Work {
    /// The index to walk; `None` if the addresses come from a file.
    pub fn index(&self) -> Option<&str> {
        match self {
            Work::Job { index } | Work::Read { index, .. } => Some(index),
            Work::Fetch { .. } | Work::Visit { .. } => None,
        }
    }
}

impl Task {
    /// A page source of the product, with its own client.
    pub fn source(&self) -> Result<Source, String> {
        match self.archive_source()? {
            Some(archive) => Ok(archive),
            None => self.site_source(None),
        }
    }

    /// The archive to read pages from; `None` if a server has them.
    pub fn archive_source(&self) -> Result<Option<Source>, String> {
        let Work::Read { archive, .. } = &self.work else {
            return Ok(None);
        };
        let archive = Archive::open(archive).map_err(|error| format!("{error:#}"))?;
        Ok(Some(Source::archive(archive.into(), self.workers)))
    }

    fn site_source(&self, journal: Option<Journal>) -> Result<Source, String> {
        let file = self.authorities.as_deref();
        let authorities = file.map(|file| Authorities::read(&file.to_string_lossy()));
        let client = Client::new(Options {
            connections: self.workers,
            timeout: Some(TIMEOUT),
            max_response: MAX_RESPONSE,
            user_agent: USER_AGENT.to_owned(),
            proxy: ProxyChoice::Direct,
            authorities: authorities.transpose()?,
        });
        let site = Site {
            client,
            pages: self.site.clone(),
            rates: self.site.clone(),
            journal,
        };
        Ok(Source::site(site, self.workers))
    }

    pub fn counters(&self) -> Counters {
        Counters {
            trace: if self.trace {
                Trace::begin()
            } else {
                Trace::default()
            },
            ..Counters::default()
        }
    }

    /// The walk of the product over the same links.
    pub fn walk<'a>(
        &'a self,
        source: &'a Source,
        counters: &'a Counters,
    ) -> Result<Walk<'a>, String> {
        Ok(match self.work.index() {
            // Without the second look at the first page, as the other contenders have none.
            Some(index) => Walk::Index(IndexWalk::new(source, index, WalkMode::Pages, counters)),
            None => Walk::List(self.links_from_file()?.into_iter()),
        })
    }

    /// Passes every link to `send` until it returns false. Links of an index follow as soon as an
    /// index page arrives, with up to `in_flight` index pages in flight. Returns the number of
    /// listed links.
    pub fn for_each_link(
        &self,
        source: &Source,
        in_flight: usize,
        counters: &Counters,
        send: impl FnMut(Link) -> bool,
    ) -> Result<usize, String> {
        match self.work.index() {
            Some(index) => blocking_walk::walk(source, index, in_flight, counters, send),
            None => {
                let links = self.links_from_file()?;
                let listed = links.len();
                links.into_iter().all(send);
                Ok(listed)
            }
        }
    }

    /// The addresses in the file; none if they come from an index.
    pub fn links_from_file(&self) -> Result<Vec<Link>, String> {
        let (Work::Fetch { list } | Work::Visit { list }) = &self.work else {
            return Ok(Vec::new());
        };
        let list = fs::read_to_string(list)
            .with_context(|| format!("cannot read {}", list.display()))
            .map_err(|error| format!("{error:#}"))?;
        Ok(list.lines().map(|line| Link::to(line.to_owned())).collect())
    }

    /// Fetches the exchange rate. Only work with an index needs one.
    pub fn rate(&self, source: &Source, counters: &Counters) -> Result<Option<Rates>, String> {
        match self.work.index() {
            Some(_) => exchange_rate::find(&RateChoice::OfDay(None), source, counters)
                .map(Some)
                .map_err(|error| error.to_string()),
            None => Ok(None),
        }
    }

    /// Parses a page as far as the work requires.
    pub fn extract(
        &self,
        page: &Page,
        inflater: &mut Inflater,
        lane: &mut Lane,
    ) -> Result<Extract, PageError> {
        match &self.work {
            Work::Job { .. } | Work::Read { .. } => {
                pipeline::parse_company(page, inflater, lane).map(Extract::Company)
            }
            Work::Fetch { .. } => Ok(Extract::Fetched {
                bytes: page.body.len(),
            }),
            Work::Visit { .. } => {
                let html = lane.time(Phase::Inflating, || page.inflate(inflater))?;
                let counts = lane.time(Phase::Reading, || {
                    count_headings(&decode::to_utf8(html, page.charset().as_deref()))
                })?;
                Ok(Extract::Headings {
                    bytes: html.len(),
                    counts,
                })
            }
        }
    }

    /// Runs the job on `index` and records its pages in the archive `file`.
    pub fn record(&self, index: &str, file: &Path) -> anyhow::Result<()> {
        let journal = Journal::begin(file.to_owned(), Checksum::Crc32, &Identity(Vec::new()))?;
        let source = self.site_source(Some(journal));
        let mut source = source.map_err(anyhow::Error::msg)?;
        let counters = Counters::default();
        let walk = Walk::Index(IndexWalk::new(&source, index, WalkMode::Pages, &counters));
        let sizes = PoolSizes {
            fetchers: self.workers,
            parsers: 1,
        };
        pipeline::run(
            walk,
            &source,
            sizes,
            &counters,
            |_, page, inflater, lane| pipeline::parse_company(page, inflater, lane),
        )?;
        exchange_rate::find(&RateChoice::OfDay(None), &source, &counters)?;
        source
            .take_journal()
            .context("the source has no journal")?
            .close_for_resume();
        Ok(())
    }
}

/// Counts the headings of levels 1 to 4.
fn count_headings(html: &[u8]) -> Result<[usize; 4], PageError> {
    let text = PageText::with_headings(&String::from_utf8_lossy(html), None);
    let text = text.map_err(|error| PageError::new(Reason::TooLarge, error.to_string()))?;
    let mut counts = [0; 4];
    for heading in text.headings {
        counts[usize::from(heading.level) - 1] += 1;
    }
    Ok(counts)
}
