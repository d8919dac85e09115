//! The harvest: the companies and failures of a run, and the ledger that counts them.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::http::error::PageError;
use crate::pipeline::series::WalkReport;
use crate::pipeline::shard_rows::IndexDigest;
use crate::site::company::{Company, CompanyPage};
use crate::site::currency::Currency;
use crate::site::index::Link;

/// A listed company without a usable page, and why.
#[derive(Debug, Clone)]
pub struct Failure {
    pub path: Arc<str>,
    /// Without its cause, because 100,000 pages may fail.
    pub error: PageError,
}

impl Failure {
    pub fn new(link: Link, error: PageError) -> Self {
        Failure {
            path: link.path,
            error: error.without_cause(),
        }
    }
}

/// A company listed under two paths: both pages show the same code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Duplicate {
    pub path: Arc<str>,
    pub code: String,
    pub same_as: Arc<str>,
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
    pub companies: Vec<Company<P>>,
    pub failures: Vec<Failure>,
    pub duplicates: Vec<Duplicate>,
    /// One entry for each page fetched: how long its request took, in microseconds.
    pub latencies: Vec<u32>,
    /// Distinct companies in the index, or those of the shard.
    pub listed: usize,
    /// What the numbered and the letter pages listed.
    pub walks: Vec<WalkReport>,
    /// Rows of the index without a readable address, so their companies are not listed.
    pub unread_rows: usize,
    /// A sentence about an index that changed during the walk.
    pub index_changed: Option<String>,
    /// The whole index, if this run is a shard or ranks shards.
    pub index: Option<IndexDigest>,
}

impl<P> Default for Harvest<P> {
    fn default() -> Self {
        Harvest {
            companies: Vec::new(),
            failures: Vec::new(),
            duplicates: Vec::new(),
            latencies: Vec::new(),
            listed: 0,
            walks: Vec::new(),
            unread_rows: 0,
            index_changed: None,
            index: None,
        }
    }
}

impl<P> Harvest<P> {
    /// Adds the page of a company that was fetched without a redirect.
    pub fn add_company(&mut self, link: Link, page: P) -> &mut Company<P> {
        self.companies.push(Company {
            page,
            path: link.path,
            is_redirected: false,
            currency: Currency::UNKNOWN,
            growth: link.growth,
            index_note: link.note,
        });
        self.companies.last_mut().expect("one was pushed")
    }

    /// Adds the time that the request of a page took.
    pub fn add_latency(&mut self, elapsed: Duration) {
        let micros = elapsed.as_micros().try_into();
        self.latencies.push(micros.unwrap_or(u32::MAX));
    }

    /// Merges the harvest of another parser. Duplicates and the number of listed companies are known
    /// only at the end, so neither harvest has any yet.
    pub fn absorb(&mut self, mut other: Harvest<P>) {
        // Exactly, because doubling could leave half of the memory unused.
        self.companies.reserve_exact(other.companies.len());
        self.companies.append(&mut other.companies);
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
    /// Sorts everything, so that the order does not depend on threads, separates duplicates, and gives
    /// every company a currency. Of several pages with the same code, one without a redirect stays, and
    /// of several such the one with the first path in byte order. The others move to `duplicates`.
    pub fn settle(&mut self) {
        self.failures.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        self.latencies.sort_unstable();
        self.companies.sort_unstable_by(|a, b| {
            let a = (&a.page.code, a.is_redirected, &a.path);
            a.cmp(&(&b.page.code, b.is_redirected, &b.path))
        });
        let duplicates = &mut self.duplicates;
        self.companies.dedup_by(|company, kept| {
            let is_duplicate = company.page.code == kept.page.code;
            if is_duplicate {
                duplicates.push(Duplicate {
                    path: company.path.clone(),
                    code: mem::take(&mut company.page.code),
                    same_as: kept.path.clone(),
                });
            }
            is_duplicate
        });
        self.settle_currencies();
    }

    /// A page that states no currency is taken to have the most common one of the index, the first by
    /// code of several; if no page states any, dollars.
    fn settle_currencies(&mut self) {
        let mut pages: BTreeMap<Currency, usize> = BTreeMap::new();
        for stated in self.companies.iter().filter_map(|one| one.page.currency) {
            *pages.entry(stated).or_default() += 1;
        }
        pages.remove(&Currency::UNKNOWN);
        let most_common = pages
            .iter()
            .max_by_key(|(currency, pages)| (**pages, Reverse(**currency)));
        let (assumed, why) = match most_common {
            Some((currency, _)) => (*currency, "the most common one of the index"),
            None => (Currency::USD, "as no page states one"),
        };
        for Company { page, currency, .. } in &mut self.companies {
            *currency = page.currency.unwrap_or_else(|| {
                let note = format!("no currency is stated; {assumed} is assumed, {why}");
                page.notes.push(&note);
                assumed
            });
        }
    }
}
