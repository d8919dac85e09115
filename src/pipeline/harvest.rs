//! The harvest: the companies and failures of a run, and the ledger that counts them.

use std::mem;
use std::time::Duration;

use serde::Serialize;

use crate::http::error::{PageError, Reason};
use crate::pipeline::packed::Packed;
use crate::pipeline::walker::Walk;
use crate::site::company::{Company, CompanyPage};
use crate::site::index::Link;

/// A listed company without a usable page, and why.
#[derive(Debug, Clone)]
pub struct Failure {
    pub link: Link,
    pub error: PageError,
}

/// A company listed under two paths: both pages show the same code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Duplicate {
    pub path: String,
    pub code: String,
    pub same_as: String,
}

/// The outcomes of all listed companies. `listed` is the sum of the other counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Ledger {
    pub listed: usize,
    pub ok: usize,
    pub failed: usize,
    /// Duplicates: the same company under a second path.
    pub skipped: usize,
    /// Companies whose pages were not requested, because the run was cancelled first. 0 in a run that
    /// was not cancelled.
    pub not_attempted: usize,
}

/// The results of a run. Every parser fills its own harvest, and the pipeline merges them at the end.
/// `P` is the parsed page.
#[derive(Debug)]
pub struct Harvest<P = CompanyPage> {
    pub companies: Packed<Company<P>>,
    pub failures: Vec<Failure>,
    pub duplicates: Vec<Duplicate>,
    /// One entry for each page fetched: how long its request took, in microseconds.
    pub latencies: Vec<u32>,
    /// Distinct companies in the index.
    pub listed: usize,
    /// What the numbered and the letter pages listed.
    pub walks: Vec<Walk>,
    /// A sentence about an index that changed during the walk.
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
    /// Adds the result of a company: its parsed page or its failure.
    pub fn add(&mut self, link: Link, result: Result<P, PageError>) {
        match result {
            Ok(page) => self.companies.push(&Company {
                page,
                path: link.path,
                growth: link.growth,
            }),
            // The page was not requested, so the company counts as not attempted.
            Err(error) if error.reason == Reason::Stopped => {}
            Err(error) => self.failures.push(Failure { link, error }),
        }
    }
}

impl<P> Harvest<P> {
    /// Adds the time that the request of a page took.
    pub fn add_latency(&mut self, elapsed: Duration) {
        let micros = elapsed.as_micros().try_into();
        self.latencies.push(micros.unwrap_or(u32::MAX));
    }

    /// Merges the harvest of another parser. Duplicates and the number of listed companies are known
    /// only at the end, so neither harvest has any yet.
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
    /// Sorts everything, so that the order does not depend on threads, and separates duplicates. Of
    /// several companies with the same code, the one with the first path in byte order stays. The
    /// others move to `duplicates`.
    pub fn settle(&mut self) {
        self.failures
            .sort_unstable_by(|a, b| a.link.path.cmp(&b.link.path));
        self.latencies.sort_unstable();
        let companies = mem::take(&mut self.companies);
        let mut kept: Option<Company> = None;
        for company in companies.sorted_by(|a, b| code_and_path(a).cmp(&code_and_path(b))) {
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

fn code_and_path(company: &Company) -> (&str, &str) {
    (&company.page.code, &company.path)
}
