//! Refusals: block pages, statuses such as 403 or 405, and redirects to another site.
//!
//! Five without a company page between them end the run. Until the site has served a company page, each
//! fetcher waits until its page is parsed before it takes the next. Without that, the pages in the channel
//! to the parsers are further requests to a site that refuses them: with eight fetchers, 15 company pages
//! instead of 12.

use crate::http::error::PageError;

/// Give up after this many refusals (403, block pages, redirects to another site) without a company page
/// between them, instead of asking for all 500 pages.
const MAX_REFUSALS: u32 = 5;

/// What the results of company pages say about the site. The throttle holds it under its lock.
#[derive(Debug, Default)]
pub struct Refusals {
    /// Refusals since the last company page.
    since_page: u32,
    /// Whether the site has served a company page since its last refusal.
    serves_pages: bool,
}

impl Refusals {
    /// Records the result of a page. Returns the error of the refusal that ends the run, if this is it. Only
    /// a company page shows that the site does not refuse: a failure of another kind says nothing.
    pub fn record<'a>(&mut self, error: Option<&'a PageError>) -> Option<&'a PageError> {
        match error {
            None => {
                self.serves_pages = true;
                self.since_page = 0;
            }
            Some(error) if error.reason.is_refusal() => {
                self.serves_pages = false;
                self.since_page += 1;
            }
            Some(_) => {}
        }
        let is_last = self.since_page == MAX_REFUSALS;
        error.filter(|error| is_last && error.reason.is_refusal())
    }

    pub fn serves_pages(&self) -> bool {
        self.serves_pages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::error::Reason;

    fn record(refusals: &mut Refusals, reason: Reason) -> bool {
        let error = PageError::new(reason, "");
        refusals.record(Some(&error)).is_some()
    }

    #[test]
    fn five_refusals_without_a_page_between_end_the_run() {
        use Reason::{Blocked, Busy, Challenge, Gone, Offsite, Robots, Status, Unrecognised};
        let mut refusals = Refusals::default();
        for reason in [Blocked, Busy, Offsite, Gone, Challenge, Robots, Status] {
            assert!(!record(&mut refusals, reason));
        }
        assert!(refusals.record(None).is_none());
        for reason in [
            Blocked,
            Busy,
            Offsite,
            Gone,
            Challenge,
            Unrecognised,
            Status,
        ] {
            assert!(!record(&mut refusals, reason));
        }
        assert!(record(&mut refusals, Blocked));
        assert!(!record(&mut refusals, Blocked), "only once");
    }
}
