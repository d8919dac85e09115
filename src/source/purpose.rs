//! Kinds of requests, and the limits and rules that apply to each.

use crate::http::body;
use crate::http::client::{BodySink, Limits};
use crate::http::page;
use crate::http::redirect::Redirects;
use crate::source::host::Host;
use crate::source::retry::{Attempts, MAX_ATTEMPTS};
use crate::warc::journal::Keep;

/// The kind of a request.
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
    /// An index page, fetched again after the walk to detect that the index has changed.
    Recheck,
    /// A page of a list of addresses.
    Listed,
}

/// A request for the page of a path.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub purpose: Purpose,
    /// The path on the site, or a whole address if it is of a list.
    pub path: &'a str,
    /// The host, if the address is of a list.
    pub host: Option<&'a Host>,
    /// Takes the body of a download.
    pub sink: Option<&'a dyn BodySink>,
    /// Whether it must not be sent on a connection that has carried another request.
    pub needs_new_connection: bool,
    /// Whether the page has been requested before.
    pub is_retry: bool,
}

impl<'a> Request<'a> {
    pub fn new(purpose: Purpose, path: &'a str) -> Self {
        Request {
            purpose,
            path,
            host: None,
            sink: None,
            needs_new_connection: false,
            is_retry: false,
        }
    }

    /// The same request as the next attempt after these.
    pub fn after(self, attempts: Attempts) -> Self {
        Request {
            needs_new_connection: attempts.got_other_page,
            is_retry: attempts.is_retry(),
            ..self
        }
    }
}

/// Maximum size of the body of a listed page, in bytes on the wire. Downloads have no limit here.
pub const MAX_LISTED: u64 = 16 << 20;
/// Maximum size of the body of robots.txt, in bytes on the wire; the rest is not read. The rules are in
/// its first 500 KiB, and gzip can make bytes that do not compress a little longer.
const MAX_ROBOTS: u64 = 512 << 10;

/// Limits and rules for one kind of request.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// How long a body may be, and where redirects may lead.
    pub limits: Limits,
    /// Whether, and for what, the journal keeps the response.
    pub keep: Keep,
    /// Whether a resumed run may take the response from its journal.
    pub resumable: bool,
    /// Whether a 429, or a 503 with `Retry-After`, pauses all requests.
    pub pauses_host: bool,
    /// Whether only status 200 is a page. robots.txt has a meaning with others too.
    pub requires_status_200: bool,
    /// Whether robots.txt of its host may forbid it.
    pub obeys_robots: bool,
    /// Maximum number of attempts, including the first.
    pub max_attempts: u32,
}

impl Purpose {
    pub const fn policy(self) -> Policy {
        let company = Policy {
            limits: Limits {
                max_body: page::MAX_BODY,
                cuts_body: false,
                redirects: Redirects::OnHost,
            },
            keep: Keep::ForResume,
            resumable: true,
            pauses_host: true,
            requires_status_200: true,
            obeys_robots: true,
            max_attempts: MAX_ATTEMPTS,
        };
        let index = Policy {
            limits: Limits {
                max_body: body::MAX_UNSHARED,
                ..company.limits
            },
            ..company
        };
        match self {
            Purpose::Company => company,
            Purpose::Index => index,
            Purpose::Rates => Policy {
                // The Bank of Russia checks by a cookie, at times, whether a client keeps one.
                limits: Limits {
                    redirects: Redirects::OnHostWithCookie,
                    ..index.limits
                },
                keep: Keep::ForRecording,
                pauses_host: false,
                ..index
            },
            Purpose::Robots => Policy {
                limits: Limits {
                    max_body: MAX_ROBOTS,
                    cuts_body: true,
                    redirects: Redirects::AnyHost,
                },
                keep: Keep::ForRecording,
                requires_status_200: false,
                obeys_robots: false,
                ..index
            },
            Purpose::Listed => Policy {
                limits: Limits {
                    max_body: MAX_LISTED,
                    cuts_body: false,
                    redirects: Redirects::AnyHost,
                },
                resumable: false,
                requires_status_200: false,
                ..company
            },
            Purpose::Recheck => Policy {
                keep: Keep::Nothing,
                resumable: false,
                pauses_host: false,
                max_attempts: 1,
                ..index
            },
        }
    }
}
