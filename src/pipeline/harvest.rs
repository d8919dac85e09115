//! What a run brings home: companies, failures, and the ledger in which they add up.

use std::mem;
use std::time::Duration;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::http::page::{PageError, Reason};
use crate::pipeline::letters::Walk;
use crate::pipeline::packed::Packed;
use crate::site::company::CompanyPage;
use crate::site::index::Link;

/// A company of the index with all that is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Company<P = CompanyPage> {
    pub page: P,
    pub path: String,
    /// Growth over one year in per cent.
    pub growth: Option<Decimal>,
}

/// A listed company that the run does without, and why.
#[derive(Debug, Clone)]
pub struct Failure {
    pub link: Link,
    pub error: PageError,
}

/// Two addresses whose pages show the same code: one company, listed twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Duplicate {
    pub path: String,
    pub code: String,
    pub same_as: String,
}

/// Where every listed address went: `listed` is the sum of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Ledger {
    pub listed: usize,
    pub ok: usize,
    pub failed: usize,
    /// The same company under a second address.
    pub skipped: usize,
    /// Listed, and the run ended before it had an answer; 0 in a run that ended by itself.
    pub not_attempted: usize,
}

/// The results of a run; one reader fills one, and they are put together at the end. `P` is what is
/// read from a page.
#[derive(Debug)]
pub struct Harvest<P = CompanyPage> {
    pub companies: Packed<Company<P>>,
    pub failures: Vec<Failure>,
    pub duplicates: Vec<Duplicate>,
    /// One entry a page that came, as long as the request took, in microseconds.
    pub latencies: Vec<u32>,
    /// Distinct addresses in the index.
    pub listed: usize,
    /// What each way through the index listed.
    pub walks: Vec<Walk>,
    /// A sentence about an index that changed while it was walked.
    pub index_changed: Option<String>,
}

impl<P> Default for Harvest<P> {
    fn default() -> Self {
        Harvest {
            companies: Packed::default(),
            failures: Vec::new(),
            duplicates: Vec::new(),
            latencies: Vec::new(),
            listed: 0,
            walks: Vec::new(),
            index_changed: None,
        }
    }
}

impl<P: Serialize> Harvest<P> {
    pub fn add(&mut self, link: Link, result: Result<P, PageError>) {
        match result {
            Ok(page) => self.companies.push(&Company {
                page,
                path: link.path,
                growth: link.growth,
            }),
            // Nobody has asked for it.
            Err(error) if error.reason == Reason::Stopped => {}
            Err(error) => self.failures.push(Failure { link, error }),
        }
    }
}

impl<P> Harvest<P> {
    /// Notes how long the request of a page took that came.
    pub fn came_after(&mut self, elapsed: Duration) {
        let micros = elapsed.as_micros().try_into();
        self.latencies.push(micros.unwrap_or(u32::MAX));
    }

    /// Takes over what another reader brought. Duplicates and the number of addresses are known
    /// only at the end and belong to the whole.
    pub fn absorb(&mut self, mut other: Harvest<P>) {
        self.companies.append(other.companies);
        self.failures.append(&mut other.failures);
        self.latencies.append(&mut other.latencies);
    }

    pub fn ledger(&self) -> Ledger {
        let (ok, failed, skipped) = (
            self.companies.len(),
            self.failures.len(),
            self.duplicates.len(),
        );
        Ledger {
            listed: self.listed,
            ok,
            failed,
            skipped,
            not_attempted: self.listed.saturating_sub(ok + failed + skipped),
        }
    }
}

impl Harvest {
    /// Puts everything in an order that does not depend on threads, and merges addresses with one
    /// code: of each code the first path in alphabetical order stays.
    pub fn settle(&mut self) {
        self.failures
            .sort_unstable_by(|a, b| a.link.path.cmp(&b.link.path));
        self.latencies.sort_unstable();
        let companies = mem::take(&mut self.companies);
        let mut kept: Option<Company> = None;
        for company in companies.sorted_by(|a, b| identity(a).cmp(&identity(b))) {
            match &kept {
                Some(kept) if kept.page.code == company.page.code => {
                    self.duplicates.push(Duplicate {
                        path: company.path,
                        code: company.page.code,
                        same_as: kept.path.clone(),
                    });
                }
                _ => {
                    self.companies.push(&company);
                    kept = Some(company);
                }
            }
        }
    }
}

fn identity(company: &Company) -> (&str, &str) {
    (&company.page.code, &company.path)
}
