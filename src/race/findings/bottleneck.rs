//! The least possible time under a condition, computed from the measured numbers, and what bounds it.

use std::fmt;

use crate::race::findings::round_set::{Entry, RoundSet};
use crate::race::machine::cores;
use crate::race::minimum_time::JobModel;
use crate::race::options::{RaceArgs, WorkArg};
use crate::words::quantity;

/// What a job waits for if it takes the least possible time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    Cpu,
    Bandwidth,
    /// The server, with all requests in flight that may be.
    Waiting,
}

/// The `Display` form is a sentence for the user.
pub struct Bottleneck {
    job: JobModel,
    latency_ms: u64,
}

impl Bottleneck {
    /// `None` if no contender completed a run or fetched a page, and for servers of other people, whose
    /// latency is unknown.
    ///
    /// CPU time is the least of all runs with an answer. That of the server is left out: it is measured
    /// from before the start of the contender to after its end, so it may exceed that of the job.
    pub fn of(args: &RaceArgs, set: &RoundSet) -> Option<Self> {
        if args.urls.is_some() {
            return None;
        }
        let runs = || {
            let runs = set.ranked().flat_map(|entry: &Entry| &entry.runs);
            runs.filter(|run| run.measurement.is_some())
        };
        let pages = runs().find_map(|run| Some(run.measurement.as_ref()?.pages))?;
        let least = |values: &mut dyn Iterator<Item = f64>| values.min_by(f64::total_cmp);
        let bytes = least(&mut runs().map(|run| run.traffic.bytes as f64))?;
        let computing = least(&mut runs().map(|run| run.cpu_s))?;
        let seconds = |milliseconds: u64| milliseconds as f64 / 1e3;
        (pages > 0).then(|| Bottleneck {
            job: JobModel {
                pages,
                in_flight: set.condition.workers as usize,
                has_index: args.work != WorkArg::Io,
                latency: seconds(set.condition.latency_ms),
                jitter: seconds(args.jitter),
                transfer: args
                    .bandwidth
                    .map_or(0.0, |megabits| bytes * 8.0 / (megabits * 1e6)),
                computing: computing / cores() as f64,
            },
            latency_ms: set.condition.latency_ms,
        })
    }

    /// The least possible time in seconds.
    pub fn minimum(&self) -> f64 {
        self.job.minimum()
    }

    pub fn resource(&self) -> Resource {
        let JobModel {
            transfer,
            computing,
            ..
        } = self.job;
        let waiting = self.job.waiting();
        if computing >= waiting.max(transfer) {
            Resource::Cpu
        } else if transfer >= waiting {
            Resource::Bandwidth
        } else {
            Resource::Waiting
        }
    }
}

impl fmt::Display for Bottleneck {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Least possible time: {:.3} s, ", self.minimum())?;
        match self.resource() {
            Resource::Cpu => {
                let cores = quantity(cores(), "core", "cores");
                write!(f, "the CPU time of the contender on {cores}.")
            }
            Resource::Bandwidth => write!(f, "the transfer of all pages."),
            Resource::Waiting if self.job.jitter > 0.0 => write!(f, "waiting for the server."),
            Resource::Waiting => {
                let waves = quantity(self.job.waves(), "wave", "waves");
                write!(f, "{waves} of requests at {} ms each.", self.latency_ms)
            }
        }
    }
}
