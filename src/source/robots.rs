//! robots.txt during a run: fetched once, before anything else is requested from its host.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::http::error::{PageError, Reason};
use crate::site::paths::{self, LETTERS, letter_page};
use crate::site::robots::Rules;

/// The rules of the host.
#[derive(Debug)]
pub struct HostRules {
    /// Empty until the request has ended.
    state: OnceLock<State>,
    /// Whether a thread has been told to request them.
    is_requested: AtomicBool,
}

#[derive(Debug)]
enum State {
    Known(Rules),
    /// robots.txt exists and could not be fetched or obeyed.
    Unavailable(PageError),
    Ignored,
}

impl HostRules {
    /// Rules that a run obeys once they are [set](HostRules::set).
    pub fn obeyed() -> Self {
        HostRules {
            state: OnceLock::new(),
            is_requested: AtomicBool::new(false),
        }
    }

    pub fn ignored() -> Self {
        HostRules {
            state: State::Ignored.into(),
            is_requested: AtomicBool::new(false),
        }
    }

    /// Whether robots.txt has to be requested.
    pub fn is_wanted(&self) -> bool {
        self.state.get().is_none()
    }

    /// Whether robots.txt has to be requested, and by the caller: true once.
    pub fn is_first(&self) -> bool {
        self.is_wanted() && !self.is_requested.swap(true, Relaxed)
    }

    /// Whether robots.txt exists and could not be fetched or obeyed.
    pub fn is_unavailable(&self) -> bool {
        matches!(self.state.get(), Some(State::Unavailable(_)))
    }

    /// Sets the rules and releases the requests that wait for them. As RFC 9309 demands, a site whose
    /// robots.txt exists but cannot be fetched allows nothing.
    pub fn set(&self, fetched: Result<Rules, PageError>) {
        let state = fetched.map_or_else(State::Unavailable, State::Known);
        // The rules are fetched once; a second result would change nothing.
        let _ = self.state.set(state);
    }

    /// Whether page 1 of an index may be requested. Blocks until the rules are known.
    pub fn allows_first_page(&self, index: &str) -> bool {
        self.check(&paths::numbered_page(index, 1)).is_ok()
    }

    /// Whether all letter pages of an index may be requested. Blocks until the rules are known.
    pub fn allows_letter_pages(&self, index: &str) -> bool {
        let mut pages = LETTERS.iter().map(|letter| letter_page(index, letter));
        pages.all(|path| self.check(&path).is_ok())
    }

    /// Whether a path may be requested. Blocks until the rules are known.
    pub fn check(&self, path: &str) -> Result<(), PageError> {
        match self.state.wait() {
            State::Known(rules) => match rules.forbidden_by(path) {
                Some(pattern) => {
                    let detail = format!("the site's robots.txt forbids it (Disallow: {pattern})");
                    Err(PageError::new(Reason::Robots, detail))
                }
                None => Ok(()),
            },
            State::Unavailable(error) => Err(unavailable(error)),
            State::Ignored => Ok(()),
        }
    }
}

/// The error of a request to a host whose robots.txt could not be fetched or obeyed.
fn unavailable(error: &PageError) -> PageError {
    use Reason::{Broken, Proxy, Stopped, Timeout, Tls, TooManyFiles, Unreachable};
    let (reason, detail) = match error.reason {
        Stopped => return error.clone(),
        // No page of the host could be fetched either, so the advice is that for the host.
        reason @ (Unreachable | Proxy | TooManyFiles | Timeout | Tls | Broken) => (
            reason,
            format!("robots.txt, which is requested first: {error}"),
        ),
        _ => (
            Reason::Robots,
            format!(
                "the site's robots.txt cannot be obeyed ({error}), so no request is known to be allowed"
            ),
        ),
    };
    PageError::new(reason, detail).caused_by(error.clone())
}
