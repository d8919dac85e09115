//! Whether enough of the listed companies have a usable page. A top ten of four companies must not
//! replace one of 496.
//!
//! A company is missing if its page failed for any reason or was not requested, and if its page is that
//! of a company listed under another path: where many are, redirects or a cache have replaced them.

use std::fmt;

use crate::pipeline::harvest::Ledger;
use crate::words::quantity;

/// Share of the listed companies that may be missing. On a real index of 496 companies, a handful of
/// pages are gone or broken on any day.
const MAX_MISSING_PER_CENT: usize = 5;
/// This many may always be missing. In an index of 30 companies, 5 % would be only one.
const MAY_BE_MISSING: usize = 2;

/// The least number of companies that a run needs to write its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MinCompanies {
    /// All listed companies except 5 % of them, or except two if that is more.
    Usual,
    /// This number of companies.
    Number(usize),
    /// This share of the listed companies in per cent, at most 100.
    PerCent(usize),
}

impl MinCompanies {
    /// The number of companies needed.
    pub fn needed(self, ledger: &Ledger) -> usize {
        let listed = ledger.listed;
        match self {
            MinCompanies::Usual => listed.saturating_sub(may_be_missing(listed)),
            MinCompanies::Number(number) => number,
            MinCompanies::PerCent(share) => (listed * share).div_ceil(100),
        }
    }
}

/// How many of this number of companies may be missing from a ranking.
pub fn may_be_missing(companies: usize) -> usize {
    (companies * MAX_MISSING_PER_CENT / 100).max(MAY_BE_MISSING)
}

/// Too few companies: what a run has, and what it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortfall {
    pub companies: usize,
    pub listed: usize,
    pub needed: usize,
}

/// `None` if there are enough companies.
pub fn shortfall(ledger: &Ledger, min: MinCompanies) -> Option<Shortfall> {
    let needed = min.needed(ledger);
    (ledger.ok < needed).then_some(Shortfall {
        companies: ledger.ok,
        listed: ledger.listed,
        needed,
    })
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Shortfall {
            companies,
            listed,
            needed,
        } = self;
        let are = quantity(*needed, "is", "are");
        write!(
            f,
            "too few companies: {companies} of {listed}, at least {are} needed"
        )
    }
}
