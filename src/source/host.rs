//! One host: when requests to it may be sent, and whether.

use crate::source::robots::HostRules;
use crate::source::throttle::Throttle;

#[derive(Debug)]
pub struct Host {
    pub throttle: Throttle,
    pub robots: HostRules,
}

impl Host {
    /// A host with at most `workers` requests under way, no rate limit and no robots.txt.
    pub fn new(workers: usize) -> Self {
        Host {
            throttle: Throttle::new(workers),
            robots: HostRules::ignored(),
        }
    }
}
