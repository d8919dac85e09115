//! What travels through the pipeline: tasks to the fetchers, pages to the parsers, events to the walker.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;

use crate::http::client::BodySink;
use crate::http::error::PageError;
use crate::http::page::Page;
use crate::site::index::Link;
use crate::site::paths;
use crate::source::host::Host;
use crate::source::purpose::{Purpose, Request};
use crate::source::retry::Attempts;

/// A page to fetch. The walker hands it out, and gets it back in an [`Event`] unless it was parsed.
#[derive(Debug)]
pub struct Task {
    pub target: Target,
    pub attempts: Attempts,
}

#[derive(Debug)]
pub enum Target {
    Company(Link),
    IndexPage {
        id: IndexPageId,
        path: Arc<str>,
    },
    /// The second look at an index page, after the walk.
    Recheck {
        id: IndexPageId,
        path: Arc<str>,
    },
    /// A page of a list of addresses.
    Listed(Box<Listed>),
}

/// An address of a list, and what is known of its page.
#[derive(Debug)]
pub struct Listed {
    /// The place in the list, counted from 1.
    pub position: u64,
    pub address: Arc<str>,
    pub host: Arc<Host>,
    /// Takes the body, if the page is a download.
    pub sink: Option<Arc<dyn BodySink>>,
    /// What the last response was, also if the page has failed.
    pub seen: Option<Seen>,
}

/// A response to the request of a listed page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The address that has responded, if it is another one.
    pub reached: Option<String>,
    pub status: u16,
    /// From sending the request to the last byte of the response.
    pub elapsed: Duration,
    /// The value of `Content-Type`.
    pub content_type: Option<String>,
    /// Length of the body in bytes, without its Content-Encoding if that could be removed.
    pub bytes: u64,
}

/// Which page of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexPageId {
    /// `?p=1` and so on.
    Number(u32),
    /// `/A` to `/Z`, `/0-9`.
    Letter(&'static str),
}

/// A company page as fetched, or why there is none.
#[derive(Debug)]
pub struct Fetched {
    pub task: Task,
    pub page: Result<Page, PageError>,
    /// Dropped once the result of the page is recorded, or with the page. The fetcher may wait for that.
    pub unrecorded: Option<Sender<Infallible>>,
}

/// What the walker has to know of the tasks that it has handed out.
#[derive(Debug)]
pub enum Event {
    /// An index page as fetched, or why there is none.
    IndexPage(Box<Fetched>),
    /// A company is in a harvest, and as few tasks are open as the walker waits for.
    FewOpen,
    /// A listed page has its result.
    Done(Task),
    /// A company page was not fetched, or does not parse.
    Failed {
        task: Task,
        error: PageError,
        /// The page came from the journal, so the site has not been asked yet.
        from_journal: bool,
    },
    /// A thread panicked. The run ends, and the panic goes on where the thread is joined.
    Panicked,
}

impl Task {
    pub fn new(target: Target) -> Self {
        Task {
            target,
            attempts: Attempts::default(),
        }
    }

    pub fn path(&self) -> &Arc<str> {
        match &self.target {
            Target::Company(link) => &link.path,
            Target::IndexPage { path, .. } | Target::Recheck { path, .. } => path,
            Target::Listed(listed) => &listed.address,
        }
    }

    pub fn request(&self) -> Request<'_> {
        let purpose = match self.target {
            Target::Company(_) => Purpose::Company,
            Target::IndexPage { .. } => Purpose::Index,
            Target::Recheck { .. } => Purpose::Recheck,
            Target::Listed(_) => Purpose::Listed,
        };
        let request = Request::new(purpose, self.path()).after(self.attempts);
        match &self.target {
            Target::Listed(listed) => Request {
                host: Some(&listed.host),
                sink: listed.sink.as_deref(),
                ..request
            },
            _ => request,
        }
    }
}

impl IndexPageId {
    pub fn path(self, index: &str) -> String {
        match self {
            IndexPageId::Number(number) => paths::numbered_page(index, number),
            IndexPageId::Letter(letter) => paths::letter_page(index, letter),
        }
    }
}

impl fmt::Display for IndexPageId {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            IndexPageId::Number(number) => write!(f, "page {number}"),
            IndexPageId::Letter(letter) => write!(f, "letter page {letter}"),
        }
    }
}
