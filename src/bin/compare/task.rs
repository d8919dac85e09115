//! What every contender is asked to do, told to its process as JSON.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use indexrank::http::client::{Client, Options, ProxyChoice};
use indexrank::http::decode::Inflater;
use indexrank::http::page;
use indexrank::http::page::{Page, PageError};
use indexrank::job::exchange_rate::{self, RateChoice};
use indexrank::pipeline;
use indexrank::pipeline::walker;
use indexrank::site::company::CompanyPage;
use indexrank::site::index::Link;
use indexrank::site::rates::Rate;
use indexrank::source::{Site, Source};
use indexrank::telemetry::counters::Meter;
use indexrank::telemetry::trace::{Lane, Phase, Trace};
use indexrank::warc::journal::{Identity, Journal};
use indexrank::warc::reader::Archive;
use indexrank::warc::writer::Checksum;
use serde::{Deserialize, Serialize};

use crate::fault::Fault;
use crate::headings;

pub const TIMEOUT: Duration = Duration::from_secs(45);
pub const USER_AGENT: &str = concat!("indexrank-compare/", env!("CARGO_PKG_VERSION"));

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    /// Name of the contender.
    pub name: String,
    /// Scheme, host and port of the server; empty where addresses have their own.
    pub site: String,
    pub work: Work,
    /// Pages in flight at the same time.
    pub workers: usize,
    /// Whether it is to be known who did what when.
    pub trace: bool,
    /// Folder for what comes of it.
    pub out: PathBuf,
    /// What it is to do wrong.
    pub fault: Option<Fault>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Work {
    /// An index and its companies' pages, fetched and read.
    Job { index: String },
    /// The same from an archive in the system's memory.
    Read { index: String, archive: PathBuf },
    /// Pages of the server, one path a line, fetched and not looked at.
    Fetch { list: PathBuf },
    /// Pages of any server, one address a line, fetched and their headings counted.
    Visit { list: PathBuf },
}

/// What is seen on a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seen {
    Company(CompanyPage),
    /// Bytes as they came.
    Fetched {
        bytes: usize,
    },
    /// Bytes inflated, and numbers of h1, h2, h3 and h4.
    Visited {
        bytes: usize,
        headings: [usize; 4],
    },
    /// Not looked at.
    Nothing,
}

impl Work {
    /// The index to walk, if addresses come from one.
    pub fn index(&self) -> Option<&str> {
        match self {
            Work::Job { index } | Work::Read { index, .. } => Some(index),
            Work::Fetch { .. } | Work::Visit { .. } => None,
        }
    }
}

impl Task {
    /// The product's source of pages, with a client of its own.
    pub fn source(&self) -> Result<Source, String> {
        Ok(self.archive()?.unwrap_or_else(|| self.site(None)))
    }

    pub fn archive(&self) -> Result<Option<Source>, String> {
        let Work::Read { archive, .. } = &self.work else {
            return Ok(None);
        };
        let archive = Archive::open(archive).map_err(|error| format!("{error:#}"))?;
        Ok(Some(Source::archive(archive, self.workers)))
    }

    fn site(&self, journal: Option<Journal>) -> Source {
        let client = Client::new(Options {
            connections: self.workers + walker::SIDE_BY_SIDE + 1,
            timeout: TIMEOUT,
            user_agent: USER_AGENT.to_owned(),
            proxy: ProxyChoice::Direct,
            authorities: None,
        });
        let site = Site {
            client,
            pages: self.site.clone(),
            rates: self.site.clone(),
            journal,
        };
        Source::site(site, self.workers)
    }

    pub fn meter(&self) -> Meter {
        Meter {
            trace: if self.trace {
                Trace::begin()
            } else {
                Trace::default()
            },
            ..Meter::default()
        }
    }

    /// Hands on every link, those of an index as they come, until nobody listens. Gives their number.
    pub fn links(
        &self,
        source: &Source,
        side_by_side: usize,
        meter: &Meter,
        hand_on: impl FnMut(Link) -> bool,
    ) -> Result<usize, String> {
        match self.work.index() {
            Some(index) => walker::walk(source, index, side_by_side, meter, hand_on)
                .map_err(|error| error.to_string()),
            None => {
                let addresses = self.addresses()?;
                let listed = addresses.len();
                addresses.into_iter().all(hand_on);
                Ok(listed)
            }
        }
    }

    /// The addresses of a list.
    pub fn addresses(&self) -> Result<Vec<Link>, String> {
        let (Work::Fetch { list } | Work::Visit { list }) = &self.work else {
            return Ok(Vec::new());
        };
        let list = fs::read_to_string(list)
            .with_context(|| format!("cannot read {}", list.display()))
            .map_err(|error| format!("{error:#}"))?;
        Ok(list.lines().map(|line| Link::to(line.to_owned())).collect())
    }

    /// The rate, where the work asks for one.
    pub fn rate(&self, source: &Source, meter: &Meter) -> Result<Option<Rate>, String> {
        match self.work.index() {
            Some(_) => exchange_rate::find(RateChoice::OfDay(None), source, meter).map(Some),
            None => Ok(None),
        }
    }

    /// What the work wants to know of a page.
    pub fn read(
        &self,
        page: &Page,
        inflater: &mut Inflater,
        lane: &mut Lane,
    ) -> Result<Seen, PageError> {
        match &self.work {
            Work::Job { .. } | Work::Read { .. } => {
                pipeline::read(page, inflater, lane).map(Seen::Company)
            }
            Work::Fetch { .. } => Ok(Seen::Fetched {
                bytes: page.body.len(),
            }),
            Work::Visit { .. } => {
                let html = lane.time(Phase::Inflating, || page.inflate(inflater))?;
                let headings = lane.time(Phase::Reading, || {
                    headings::count(&page::to_utf8(html, page.charset().as_deref()))
                });
                Ok(Seen::Visited {
                    bytes: html.len(),
                    headings,
                })
            }
        }
    }

    /// Keeps the pages of a job in an archive.
    pub fn record(&self, index: &str, file: &std::path::Path) -> anyhow::Result<()> {
        let journal = Journal::begin(file.to_owned(), Checksum::Crc32, &Identity(Vec::new()))?;
        let (source, meter) = (self.site(Some(journal)), Meter::default());
        let widths = pipeline::Widths {
            workers: self.workers,
            readers: 1,
        };
        pipeline::run(&source, index, widths, &meter)?;
        exchange_rate::find(RateChoice::OfDay(None), &source, &meter)
            .map_err(anyhow::Error::msg)?;
        source
            .into_journal()
            .context("there was a journal")?
            .leave();
        Ok(())
    }
}
