//! The plan of a server: which request gets which fault.

use std::collections::HashMap;
use std::sync::Mutex;

use super::fault::Fault;
use super::faults::Faults;
use crate::seeded;

/// Faults in use by a server: the plan counts requests and picks a fault for each.
#[derive(Debug)]
pub struct Plan {
    faults: Faults,
    seed: u64,
    received: Mutex<Received>,
}

/// Numbers of requests so far.
#[derive(Debug, Default)]
struct Received {
    total: u64,
    by_path: HashMap<String, u32>,
}

impl Plan {
    pub fn new(faults: Faults, seed: u64) -> Self {
        Plan {
            faults,
            seed,
            received: Mutex::default(),
        }
    }

    /// Counts a request for `path`. Returns its fault and its number among the requests for this path,
    /// from 1, or `None` for a normal response.
    pub fn next(&self, path: &str) -> Option<(&Fault, u32)> {
        let (request, occurrence) = {
            let mut received = self.received.lock().expect("no panic holds the lock");
            received.total += 1;
            let occurrence = received.by_path.entry(path.to_owned()).or_default();
            *occurrence += 1;
            let occurrence = *occurrence;
            (received.total, occurrence)
        };
        // One draw per request, so that the shares of several rules add up: each rule that matches
        // takes the next piece of [0, 1).
        let mut drawn = seeded::share((self.seed, path, occurrence));
        for (fault, scope) in &self.faults.rules {
            if !scope.contains(path, occurrence, request) {
                continue;
            }
            match scope.share {
                Some(share) if drawn >= share => drawn -= share,
                _ => return Some((fault, occurrence)),
            }
        }
        None
    }
}
