//! Refusals: answers of a site that are neither the page nor a fault of its own.
//!
//! Five in a row end the run. Until a page has been good, each fetcher waits for the verdict on its page
//! before it takes the next. Otherwise the pages that wait for a parser would be further requests to a
//! site that refuses them: with eight fetchers, 15 company pages instead of 12.

use crate::http::error::{PageError, Reason};
use crate::source::retry;

/// Give up after this many consecutive refusals (403, block pages, redirects to another site) instead of
/// asking for all 500 pages.
const MAX_REFUSALS: u32 = 5;

/// The verdicts on company pages. The throttle holds them under its lock.
#[derive(Debug, Default)]
pub struct Refusals {
    in_a_row: u32,
    /// Whether a page has been good since the last refusal, if there was one.
    is_proven: bool,
    /// Verdicts on pages of an unproven site that no fetcher has taken yet.
    verdicts: usize,
}

impl Refusals {
    /// Records the result of a page. Returns the error of the refusal that ends the run, if this is it.
    ///
    /// A transient failure says nothing about whether the site refuses, nor does a page that it has not
    /// been asked for.
    pub fn record<'a>(&mut self, error: Option<&'a PageError>) -> Option<&'a PageError> {
        use Reason::{Postponed, Robots, Stopped};
        let was_proven = self.is_proven;
        match error {
            None => {
                self.is_proven = true;
                self.in_a_row = 0;
            }
            Some(error) if error.reason.is_refusal() => {
                self.is_proven = false;
                self.in_a_row += 1;
            }
            Some(error) if matches!(error.reason, Postponed | Robots | Stopped) => {}
            Some(error) if retry::is_transient(error.reason) => {}
            Some(_) => self.in_a_row = 0,
        }
        self.verdicts = match was_proven || self.is_proven {
            true => 0,
            false => self.verdicts + 1,
        };
        let is_refusal = |error: &&PageError| error.reason.is_refusal();
        error.filter(|error| is_refusal(error) && self.in_a_row == MAX_REFUSALS)
    }

    pub fn is_proven(&self) -> bool {
        self.is_proven
    }

    /// Whether a fetcher may take its next page: the site is proven, or there is a verdict to take.
    pub fn take_verdict(&mut self) -> bool {
        if self.is_proven {
            return true;
        }
        let left = self.verdicts.checked_sub(1);
        self.verdicts = left.unwrap_or(0);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(refusals: &mut Refusals, reason: Reason) -> bool {
        let error = PageError::new(reason, "");
        refusals.record(Some(&error)).is_some()
    }

    #[test]
    fn five_refusals_in_a_row_end_the_run() {
        let mut refusals = Refusals::default();
        for reason in [Reason::Gone, Reason::Unrecognised] {
            for _ in 1..MAX_REFUSALS {
                assert!(!record(&mut refusals, Reason::Blocked));
                // Neither ends the row.
                assert!(!record(&mut refusals, Reason::Busy));
                assert!(!record(&mut refusals, Reason::Robots));
            }
            assert!(!record(&mut refusals, reason));
        }
        for _ in 1..MAX_REFUSALS {
            assert!(!record(&mut refusals, Reason::Offsite));
        }
        assert!(refusals.record(None).is_none());
        for _ in 1..MAX_REFUSALS {
            assert!(!record(&mut refusals, Reason::Challenge));
        }
        assert!(record(&mut refusals, Reason::Status));
        assert!(!record(&mut refusals, Reason::Status), "only once");
    }

    #[test]
    fn a_verdict_releases_one_fetcher_and_a_good_page_all() {
        let mut refusals = Refusals::default();
        assert!(!refusals.take_verdict());
        record(&mut refusals, Reason::Busy);
        record(&mut refusals, Reason::Blocked);
        assert!(refusals.take_verdict());
        assert!(refusals.take_verdict());
        assert!(!refusals.take_verdict());
        refusals.record(None);
        assert!(refusals.take_verdict());
        assert!(refusals.take_verdict());
        // The fetcher of this page has gone on.
        record(&mut refusals, Reason::Blocked);
        assert!(!refusals.take_verdict());
    }
}
