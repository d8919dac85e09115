//! The options of `indexrank serve`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::values::{servable, whole_number};
use crate::pipeline::index_walk::MAX_COMPANIES;
use crate::replica::{Faults, Line, Plan, SEED, bandwidth};
use crate::source::origin::Origin;

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Serve SOURCE: replica (the embedded market), or an archive FILE.warc[.gz]
    #[arg(long, value_name = "SOURCE", default_value = "replica", value_parser = servable)]
    pub from: Origin,
    /// Listen on port N of 127.0.0.1, 0 to 65535; 0 picks a free port
    #[arg(long, value_name = "N", default_value = "0", value_parser = whole_number::<0, 65535>)]
    pub port: usize,
    /// Delay each response by MS milliseconds, 0 to 600000
    #[arg(long, value_name = "MS", default_value = "0", value_parser = whole_number::<0, 600_000>)]
    latency: usize,
    /// Add a random delay of up to MS milliseconds to each response, 0 to 600000
    ///
    /// The delay is uniformly distributed. It depends on --seed and the address alone, so an address
    /// has the same delay for every client.
    #[arg(long, value_name = "MS", default_value = "0", value_parser = whole_number::<0, 600_000>)]
    jitter: usize,
    /// Limit all responses together to MBIT megabits per second, 0.001 to 1000000 [default: no limit]
    #[arg(long, value_name = "MBIT", value_parser = bandwidth)]
    bandwidth: Option<f64>,
    /// Serve over TLS, with an authority that is made at the start; needs the cargo feature `race`
    ///
    /// The certificate is for 127.0.0.1 and localhost. --latency does not delay handshakes.
    #[arg(long)]
    pub tls: bool,
    /// Write the certificate of the authority to FILE, for clients: indexrank --ca-file, curl --cacert
    #[arg(long, value_name = "FILE.pem", requires = "tls")]
    pub ca_out: Option<PathBuf>,
    /// Inject faults, e.g. '503@20%,reset#1'; --help lists them
    #[arg(
        long,
        value_name = "SPEC",
        long_help = "Inject faults, e.g. '503@20%,reset#1'; see Faults at the end of this help"
    )]
    pub faults: Option<Faults>,
    /// Serve N companies in the index s&p_500 of the embedded market, 1 to 100000 [default: 496]
    ///
    /// The first 496 have the figures of a crawl of the S&P 500 on 2022-01-31. Further companies are
    /// synthetic and depend on --seed. The market has two more indices: dax, 40 companies quoted in
    /// euros, and mixed, 50 companies quoted in several currencies, of which one is unknown to the bank.
    #[arg(long, value_name = "N", value_parser = whole_number::<1, MAX_COMPANIES>)]
    pub companies: Option<usize>,
    /// Drop N companies from the numbered pages of s&p_500 in the embedded market, 0 to 100000
    ///
    /// Only the letter pages list these companies, so `indexrank --walk both` reports them. The first
    /// company of each page is never dropped, so no page is empty.
    #[arg(long, value_name = "N", default_value = "0", value_parser = whole_number::<0, MAX_COMPANIES>)]
    pub drop_rows: usize,
    /// Seed of the embedded market, its dropped companies, the jitter and the faults [default: 500]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

impl ServeArgs {
    /// The plan of `--faults`, or `None` if all responses are normal.
    pub fn plan(&self) -> Option<Plan> {
        let faults = self.faults.clone()?;
        Some(Plan::new(faults, self.seed.unwrap_or(SEED)))
    }

    pub fn line(&self) -> Line {
        let milliseconds = |number| Duration::from_millis(number as u64);
        Line {
            latency: milliseconds(self.latency),
            jitter: milliseconds(self.jitter),
            bandwidth: self.bandwidth.map(|megabits| megabits * 1e6),
            seed: self.seed.unwrap_or(SEED),
        }
    }
}
