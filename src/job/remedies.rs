//! The table of remedies: for each cause, what to do about it, and whether `--resume` may get further.

use std::io;

use crate::http::error::{PageError, Reason};
use crate::source::origin::Origin;
use crate::source::retry;
use crate::words;

/// What to do about a page that could not be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remedy {
    pub advice: &'static str,
    /// Whether the same request may succeed later, so that a resumed run may get further.
    pub may_succeed_later: bool,
}

/// What to do about a site, or another program, that refuses requests.
const REFUSED: &str = "indexrank does not try to get around that: wait, and send fewer requests with --workers 4 or --rps 1";

/// What to do about a site whose robots.txt forbids the numbered pages of an index, but no letter page.
pub const WALK_LETTERS: &str =
    "--walk letters needs only the letter pages, which robots.txt allows";

/// What to do about a site that asks for pauses.
pub const SLOW_DOWN: &str = "run the command again later, with --workers 4 or --rps 1";

const NO_NETWORK: &str = "check the network and try again later; `--from replica` needs no network";
const NO_SERVER: &str =
    "check the address in --from and the network; `--from replica` needs no network";
const NO_LOOPBACK: &str = "this machine does not let programs connect to 127.0.0.1";
const TOO_MANY_FILES: &str = "raise the limit of open files (`ulimit -n`)";

/// The remedy for a page of this origin.
pub fn of_page(error: &PageError, origin: &Origin) -> Remedy {
    use Reason::*;
    if origin.is_archived() {
        return Remedy {
            advice: of_archived(error.reason),
            may_succeed_later: false,
        };
    }
    let is_transient = retry::is_transient(error.reason);
    let (advice, may_succeed_later) = match error.reason {
        Unreachable => {
            let advice = match origin {
                Origin::Live | Origin::Archive(_) | Origin::Shards(_) => NO_NETWORK,
                Origin::Site(_) => NO_SERVER,
                Origin::Replica => NO_LOOPBACK,
            };
            (advice, is_transient)
        }
        Proxy => (
            "check the proxy: --proxy, or http_proxy, https_proxy and all_proxy in the environment",
            is_transient,
        ),
        TooManyFiles => (TOO_MANY_FILES, is_transient),
        Timeout => (
            "the site is slow: try again later, or with a longer --timeout",
            is_transient,
        ),
        Broken | Truncated | BadEncoding | Protocol => (
            "the site, or a proxy before it, breaks off or damages its responses: try again later",
            is_transient,
        ),
        Busy => (
            "the site is overloaded or out of order: try again later, with fewer --workers or a lower --rps",
            is_transient,
        ),
        ServerError => ("the site is out of order: try again later", false),
        // Pages of a journal may only together show that one of them is another page.
        OtherPage => (
            "the site, or a cache or proxy before it, answers with other pages than requested: check --index, and run again later without --resume",
            false,
        ),
        Gone => (
            "the index links a page that is gone: try again later",
            false,
        ),
        Blocked | Challenge => (of_refusal(error.reason), true),
        Postponed => (SLOW_DOWN, true),
        Robots => match error.cause_on_other_page() {
            Some(cause) if retry::is_transient(cause.reason) => (
                "try again later; --ignore-robots is for a server of your own",
                true,
            ),
            _ => ("--ignore-robots is for a server of your own", false),
        },
        Tls => ("no request is sent over such a connection", false),
        Status | Redirects | Offsite => (of_refusal(error.reason), false),
        HeadersTooLarge | TooLarge | UnsupportedEncoding => (
            "the site that indexrank is made for answers otherwise: check --from and --index",
            false,
        ),
        Unrecognised => (
            "`indexrank read FILE` shows what indexrank finds in a saved page",
            false,
        ),
        NotArchived | Damaged => ("check --index", false),
        Panic => ("this is a bug in indexrank", false),
        Stopped => ("run the command again", true),
    };
    Remedy {
        advice,
        may_succeed_later,
    }
}

/// What to do about a site that answers a request with [something else](Reason::is_refusal) than the page.
pub fn of_refusal(reason: Reason) -> &'static str {
    match reason {
        Reason::Blocked | Reason::Challenge => REFUSED,
        _ => {
            "open the address in a browser: the site may have moved, or may want a log-in or a consent"
        }
    }
}

/// What to do about a page of an archive. No reading of it gives another result.
fn of_archived(reason: Reason) -> &'static str {
    use Reason::*;
    match reason {
        NotArchived => "record a whole run with --record, or check --index",
        Unrecognised => "`indexrank read FILE` shows what indexrank finds in a saved page",
        Truncated | BadEncoding | Damaged => {
            "the archive is damaged: record the run again with --record"
        }
        TooManyFiles => TOO_MANY_FILES,
        Panic => "this is a bug in indexrank",
        _ => "the archive has no better answer: record the run again with --record",
    }
}

/// What to do about a file that cannot be written.
pub fn of_output(error: &io::Error) -> &'static str {
    use io::ErrorKind::*;
    match error.kind() {
        _ if words::is_out_of_files(error) => TOO_MANY_FILES,
        StorageFull | QuotaExceeded => "free some space, or choose another place for it",
        FileTooLarge => {
            "raise the limit of file sizes (`ulimit -f`), or choose another place for it"
        }
        _ => "choose another place for it",
    }
}

/// What to do about an archive that cannot be opened.
pub fn of_archive(error: &anyhow::Error) -> &'static str {
    match error.root_cause().downcast_ref() {
        Some(error) if words::is_out_of_files(error) => TOO_MANY_FILES,
        Some(_) => "check its permissions",
        None => "expected one that --record or another program has written as a WARC file",
    }
}
