//! What a request is for, and what follows from that.

use crate::http::body;
use crate::http::page;
use crate::source::retry::MAX_ATTEMPTS;
use crate::warc::journal::Keep;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A company page.
    Company,
    /// An index page.
    Index,
    /// The exchange rates, on a site of their own.
    Rates,
    /// robots.txt.
    Robots,
    /// A second look at an index page, for a warning only.
    Recheck,
}

/// A request for the page of a path.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub purpose: Purpose,
    pub path: &'a str,
}

impl<'a> Request<'a> {
    pub fn new(purpose: Purpose, path: &'a str) -> Self {
        Request { purpose, path }
    }
}

/// What a purpose decides.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// The largest body, in bytes on the wire.
    pub max_body: u64,
    /// What the journal keeps the response for.
    pub keep: Keep,
    /// Whether the journal of an interrupted run may answer instead of the site.
    pub resumable: bool,
    /// Whether a response with `Retry-After` pauses the whole host.
    pub pauses_host: bool,
    /// Whether the request counts against the concurrency limit.
    pub needs_permit: bool,
    pub robots: RobotsPolicy,
    /// Attempts at the most, the first included.
    pub attempts: u32,
}

/// Which requests robots.txt applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RobotsPolicy {
    /// The request waits for the rules and obeys them.
    Obey,
    /// The request obeys the rules if they are known. If it was sent before, the response is checked
    /// against them.
    ObeyIfKnown,
    /// The rules are for another site, or are the response itself.
    Exempt,
}

impl Purpose {
    pub const fn policy(self) -> Policy {
        let company = Policy {
            max_body: page::MAX_BODY,
            keep: Keep::ForResume,
            resumable: true,
            pauses_host: true,
            needs_permit: true,
            robots: RobotsPolicy::Obey,
            attempts: MAX_ATTEMPTS,
        };
        // The others are few and everything waits for them, so the concurrency limit does not.
        let index = Policy {
            max_body: body::MAX_UNSHARED,
            needs_permit: false,
            robots: RobotsPolicy::ObeyIfKnown,
            ..company
        };
        match self {
            Purpose::Company => company,
            Purpose::Index => index,
            Purpose::Rates => Policy {
                keep: Keep::ForRecording,
                pauses_host: false,
                robots: RobotsPolicy::Exempt,
                ..index
            },
            Purpose::Robots => Policy {
                keep: Keep::ForRecording,
                robots: RobotsPolicy::Exempt,
                ..index
            },
            Purpose::Recheck => Policy {
                keep: Keep::Nothing,
                resumable: false,
                pauses_host: false,
                robots: RobotsPolicy::Obey,
                attempts: 1,
                ..index
            },
        }
    }
}
