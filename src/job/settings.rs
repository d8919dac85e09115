//! The settings of a run, and the part of them that a check shares.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Receiver;

use crate::http::proxy::ProxyChoice;
use crate::http::tls::Authorities;
use crate::job::exchange_rate::RateChoice;
use crate::pipeline::PoolSizes;
use crate::pipeline::index_walk::WalkMode;
use crate::results::coverage::MinCompanies;
use crate::results::ranking::PeRange;
use crate::results::write::Outputs;
use crate::site::currency::Currency;
use crate::site::paths::LIVE_PAGES;
use crate::source::origin::Origin;
use crate::source::shard::Shard;
use crate::telemetry::log::Log;
use crate::telemetry::progress::Style;

/// Where pages come from, and how requests are sent.
#[derive(Debug, Clone)]
pub struct Access {
    pub origin: Origin,
    pub user_agent: String,
    pub proxy: ProxyChoice,
    pub authorities: Option<Authorities>,
    pub ignore_robots: bool,
    /// Whether shards may be missing, damaged or of a changed index.
    pub allow_missing: bool,
}

impl Access {
    /// The name of the source in a summary: an address, a file, or the embedded market.
    pub fn source_name(&self) -> String {
        match &self.origin {
            Origin::Live => LIVE_PAGES.to_owned(),
            Origin::Replica => "the embedded market".to_owned(),
            origin => origin.to_string(),
        }
    }
}

/// The settings of a run, one for each option.
#[derive(Debug, Clone)]
pub struct Job {
    pub access: Access,
    pub index: String,
    pub walk: WalkMode,
    /// The part of the companies that is fetched, if it is not all of them. Such a run ranks nothing.
    pub shard: Option<Shard>,
    pub sizes: PoolSizes,
    /// Length of each ranking.
    pub top: usize,
    pub pe_range: PeRange,
    /// The least number of companies to write any file.
    pub min_companies: MinCompanies,
    pub rates: RateChoice,
    /// The currency of the ranking by price, which is no minor unit.
    pub price_currency: Currency,
    pub outputs: Outputs,
    /// The time limit of one attempt.
    pub timeout: Duration,
    /// Maximum number of requests per second, of all shards together. `None` for no limit.
    pub rps: Option<f64>,
    /// The time limit of the whole run, if any.
    pub max_time: Option<Duration>,
    /// Resumes an interrupted run, with pages up to this age.
    pub resume: Option<Duration>,
    pub retry: RetryTiming,
    /// Receives the numbers of signals that cancel the run.
    pub interrupts: Receiver<i32>,
    pub progress: Style,
    /// Opened with the outputs, if they name a log.
    pub log: Arc<Log>,
}

/// The delays before retries.
#[derive(Debug, Clone, Copy)]
pub struct RetryTiming {
    /// Seed of the jitter; `None` for a random one.
    pub seed: Option<u64>,
    pub first_delay: Duration,
}
