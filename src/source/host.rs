//! One host: when requests to it may be sent, and whether.

use crate::source::retry::Retries;
use crate::source::robots::HostRules;
use crate::source::throttle::Throttle;

#[derive(Debug)]
pub struct Host {
    /// Scheme, host and port, as addresses begin. Empty for the host of a run that requests paths.
    pub address: String,
    pub throttle: Throttle,
    pub robots: HostRules,
    /// Used for the hosts of a list only.
    pub retries: Retries,
}

impl Host {
    /// A host with at most `workers` requests under way, no rate limit and no robots.txt.
    pub fn new(workers: usize) -> Self {
        Host {
            address: String::new(),
            throttle: Throttle::new(workers),
            robots: HostRules::ignored(),
            retries: Retries::of_list_host(),
        }
    }
}
