//! What the figures of a heat say in words. Pure: computed from the figures, never canned.

use std::fmt;

use crate::cli::{RaceArgs, WorkArg};
use crate::round_set::{Entry, Heat};
use crate::stats::Course;

/// The entrant that the others are held against.
pub const PRODUCT: &str = "pipeline";

/// Companies on a page of the real site's index, and of the embedded market's.
const INDEX_ROWS: usize = 46;

/// What a job was bound by, and how near to the least possible time everybody came.
pub struct Verdict {
    pub course: Course,
    cores: usize,
    requests: f64,
    /// Name and seconds, the fastest first.
    medians: Vec<(String, f64)>,
    /// Whose CPU time the course is of.
    pub reference: String,
}

impl Verdict {
    /// None where nobody ran to the end.
    pub fn of(args: &RaceArgs, heat: &Heat, cores: usize) -> Option<Self> {
        let ran = |entry: &&Entry| !entry.runs.is_empty() && entry.runs[0].measured.is_some();
        let named = |name: &str| {
            heat.entries
                .iter()
                .filter(ran)
                .find(|entry| entry.entrant.name() == name)
        };
        let reference = named(PRODUCT).or(heat.entries.iter().find(ran))?;
        let measured = reference.runs[0]
            .measured
            .as_ref()
            .filter(|measured| measured.pages > 0)?;
        // Nobody knows how long other people's servers take but who asks one page at a time.
        let alone = named("sequential").unwrap_or(reference);
        let latency = if args.urls.is_some() {
            alone.median(|run| {
                run.measured
                    .as_ref()
                    .map_or(0.0, |measured| measured.latency_p50_ms)
            })? / 1e3
        } else {
            // Of many pages, each waits half of the most jitter longer.
            (heat.latency_ms as f64 + args.jitter as f64 / 2.0) / 1e3
        };
        let has_index = args.urls.is_none() && args.work != WorkArg::Io;
        let bits = reference.median(|run| run.traffic.bytes as f64 * 8.0)?;
        let walls = heat
            .entries
            .iter()
            .filter_map(|entry| Some((entry.entrant.name().to_owned(), entry.wall()?.median)));
        Some(Verdict {
            course: Course {
                pages: measured.pages,
                in_flight: heat.workers as usize,
                latency,
                listed_first: has_index.then_some(INDEX_ROWS),
                transfer: args
                    .bandwidth
                    .map_or(0.0, |megabits| bits / (megabits * 1e6)),
                computing: reference.median(|run| run.cpu_s)? / cores as f64,
            },
            cores,
            requests: reference.median(|run| run.traffic.requests as f64)?,
            medians: walls.collect(),
            reference: reference.entrant.name().to_owned(),
        })
    }

    /// Each core needs a page to compute on, whatever the waiting.
    fn enough_in_flight(&self) -> usize {
        self.course.enough_in_flight().max(self.cores)
    }

    /// The most pages a second that the reference could make.
    pub fn most_pages_per_s(&self) -> f64 {
        self.requests / self.course.least()
    }

    fn bound(&self) -> &'static str {
        let Course {
            transfer,
            computing,
            in_flight,
            ..
        } = self.course;
        let waiting = self.course.waiting();
        if computing >= waiting.max(transfer) {
            "the CPU"
        } else if transfer >= waiting {
            "the bandwidth of the line"
        } else if in_flight < self.enough_in_flight() {
            "the number of pages in flight"
        } else {
            "the latency of the network"
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Course {
            pages,
            in_flight,
            computing,
            transfer,
            ..
        } = self.course;
        write!(
            f,
            "Bound by {}: the waiting for {pages} pages, {in_flight} at a time, takes {:.2} s at the least, \
             the computing of {} {computing:.2} s on {} cores",
            self.bound(),
            self.course.waiting(),
            self.reference,
            self.cores
        )?;
        if transfer > 0.0 {
            write!(f, ", the sending {transfer:.2} s")?;
        }
        writeln!(
            f,
            ". More than {} in flight gain nothing.",
            self.enough_in_flight()
        )?;
        let least = self.course.least();
        let near: Vec<String> = self
            .medians
            .iter()
            .map(|(name, wall)| format!("{name} {:.2}", wall / least))
            .collect();
        writeln!(
            f,
            "Times the least possible for {}, {least:.2} s: {}",
            self.reference,
            near.join(", ")
        )
    }
}
