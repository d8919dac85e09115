//! The bottleneck of a round set, and its wall times relative to the minimum, computed from the
//! measured numbers.

use std::fmt;

use crate::words::quantity;

use crate::race::contenders::{BASELINE, PRODUCT};
use crate::race::minimum_time::JobModel;
use crate::race::options::{RaceArgs, WorkArg};
use crate::race::round_set::{Entry, RoundSet};

/// Companies on an index page of the real site and of the embedded market.
const INDEX_ROWS: usize = 46;

/// The `Display` form is two sentences for the user.
pub struct Bottleneck {
    job: JobModel,
    cores: usize,
    /// Requests of a run of the reference.
    requests: f64,
    /// Name and median wall time in seconds, the fastest first.
    walls: Vec<(String, f64)>,
    /// The contender whose CPU time and traffic the model uses: the product if it took part, else
    /// the fastest.
    pub reference: String,
}

impl Bottleneck {
    /// `None` if no contender completed a run, or if the reference fetched no page.
    pub fn of(args: &RaceArgs, set: &RoundSet, cores: usize) -> Option<Self> {
        let has_measurement = |entry: &&Entry| {
            entry
                .runs
                .first()
                .is_some_and(|run| run.measurement.is_some())
        };
        let mut measured = set.entries.iter().filter(has_measurement);
        let find = |name: &str| measured.clone().find(|entry| entry.name() == name);
        let product = find(PRODUCT);
        let baseline = find(BASELINE);
        let reference = product.or_else(|| measured.next())?;
        let pages = reference.runs[0].measurement.as_ref()?.pages;
        if pages == 0 {
            return None;
        }
        let has_index = args.urls.is_none() && args.work != WorkArg::Io;
        let bits = reference.median(|run| run.traffic.bytes as f64 * 8.0)?;
        let walls = set
            .entries
            .iter()
            .filter_map(|entry| Some((entry.name().to_owned(), entry.wall()?.median)));
        Some(Bottleneck {
            job: JobModel {
                pages,
                in_flight: set.workers as usize,
                latency: latency(args, set, baseline.unwrap_or(reference))?,
                first_index_rows: has_index.then_some(INDEX_ROWS),
                transfer: args
                    .bandwidth
                    .map_or(0.0, |megabits| bits / (megabits * 1e6)),
                computing: reference.median(|run| run.cpu_s)? / cores as f64,
            },
            cores,
            requests: reference.requests()?,
            walls: walls.collect(),
            reference: reference.name().to_owned(),
        })
    }

    /// At least one page for each core, so that all cores can compute.
    fn sufficient_in_flight(&self) -> usize {
        self.job.sufficient_in_flight().max(self.cores)
    }

    /// The highest number of pages per second that the reference could reach.
    pub fn max_pages_per_s(&self) -> f64 {
        self.requests / self.job.minimum()
    }

    fn resource(&self) -> &'static str {
        let JobModel {
            transfer,
            computing,
            in_flight,
            ..
        } = self.job;
        let waiting = self.job.waiting();
        if computing >= waiting.max(transfer) {
            "the CPU"
        } else if transfer >= waiting {
            "the bandwidth of the line"
        } else if in_flight < self.sufficient_in_flight() {
            "the number of pages in flight"
        } else {
            "the latency of the network"
        }
    }
}

/// Seconds from a request to its page. `None` if `sequential` has no measurement to take it from.
///
/// Foreign servers have an unknown latency. `sequential`, with one request at a time, measures it
/// best. The server of a race adds the configured latency and, on average over many pages, half of
/// the maximum jitter.
fn latency(args: &RaceArgs, set: &RoundSet, sequential: &Entry) -> Option<f64> {
    if args.urls.is_none() {
        return Some((set.latency_ms as f64 + args.jitter as f64 / 2.0) / 1e3);
    }
    let p50_ms = sequential.median(|run| {
        run.measurement
            .as_ref()
            .map_or(0.0, |measurement| measurement.latency_p50_ms)
    })?;
    Some(p50_ms / 1e3)
}

impl fmt::Display for Bottleneck {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let JobModel {
            pages,
            in_flight,
            computing,
            transfer,
            ..
        } = self.job;
        write!(
            f,
            "Bound by {}: waiting for {}, {in_flight} at a time, takes at least {:.2} s; \
             {} computes for {computing:.2} s on {}",
            self.resource(),
            quantity(pages, "page", "pages"),
            self.job.waiting(),
            self.reference,
            quantity(self.cores, "core", "cores")
        )?;
        if transfer > 0.0 {
            write!(f, "; the transfer takes {transfer:.2} s")?;
        }
        writeln!(
            f,
            ". More than {} in flight gain nothing.",
            quantity(self.sufficient_in_flight(), "page", "pages")
        )?;
        let minimum = self.job.minimum();
        let ratios: Vec<String> = self
            .walls
            .iter()
            .map(|(name, wall)| format!("{name} {:.2}", wall / minimum))
            .collect();
        writeln!(
            f,
            "Wall time ÷ the minimum for {} ({minimum:.2} s): {}",
            self.reference,
            ratios.join(", ")
        )
    }
}
