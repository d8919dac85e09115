//! robots.txt during a run: fetched once; company requests block until it is known.

use std::sync::OnceLock;

use crate::http::error::{PageError, Reason};
use crate::site::robots::Rules;
use crate::source::purpose::{Request, RobotsPolicy};

/// The rules of the host. robots.txt is fetched at the same time as the first index page.
#[derive(Debug)]
pub struct HostRules {
    /// Empty until the request has ended.
    state: OnceLock<State>,
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
        }
    }

    pub fn ignored() -> Self {
        HostRules {
            state: State::Ignored.into(),
        }
    }

    /// Whether robots.txt has to be requested.
    pub fn is_wanted(&self) -> bool {
        self.state.get().is_none()
    }

    /// Sets the rules and releases the requests that wait for them. As RFC 9309 demands, a site whose
    /// robots.txt exists but cannot be fetched allows nothing.
    pub fn set(&self, fetched: Result<Rules, PageError>) {
        let state = fetched.map_or_else(State::Unavailable, State::Known);
        // The rules are fetched once; a second result would change nothing.
        let _ = self.state.set(state);
    }

    /// Whether a request may be sent. May block until the rules are known.
    pub fn allow(&self, request: Request) -> Result<(), PageError> {
        match request.purpose.policy().robots {
            RobotsPolicy::Exempt => Ok(()),
            // If robots.txt cannot be fetched, the index probably cannot be either, and its failure
            // is the more useful message.
            RobotsPolicy::ObeyIfKnown if !matches!(self.state.get(), Some(State::Known(_))) => {
                Ok(())
            }
            RobotsPolicy::ObeyIfKnown | RobotsPolicy::Obey => self.check(request.path),
        }
    }

    /// Whether a response may be used whose request did not wait for the rules. May block until they are
    /// known.
    pub fn check_response(&self, request: Request) -> Result<(), PageError> {
        match request.purpose.policy().robots {
            RobotsPolicy::ObeyIfKnown => self.check(request.path),
            RobotsPolicy::Obey | RobotsPolicy::Exempt => Ok(()),
        }
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
            State::Unavailable(error) if error.reason == Reason::Stopped => Err(error.clone()),
            State::Unavailable(error) => {
                let detail = format!(
                    "the site's robots.txt cannot be obeyed ({error}), so no request is known to be allowed"
                );
                Err(PageError::new(Reason::Robots, detail).caused_by(error.clone()))
            }
            State::Ignored => Ok(()),
        }
    }
}
