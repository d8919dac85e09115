//! The pages to fetch, for contenders with a client of their own: the index pages first, then the
//! companies that they list. It also decides how many workers there are.
//!
//! A worker is a thread or an async task that has at most one request under way. It ends when there
//! is no page for it. New pages start new workers, up to the number in flight.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::shared::Outcome;
use crate::pipeline::harvest::Harvest;
use crate::race::contenders::extract::Extract;
use crate::site::index::{IndexPage, Link, MAX_PAGES};
use crate::site::paths;
use crate::site::rates::Rates;
use crate::source::purpose::{Purpose, Request};

/// CPU time to inflate and parse a page: 0.2 ms on the machine of the README.
const CPU_PER_PAGE: Duration = Duration::from_micros(200);

/// A page to fetch.
pub enum Target {
    IndexPage { path: String },
    Rates { path: String },
    Company(Link),
}

impl Target {
    pub fn path(&self) -> &str {
        match self {
            Target::IndexPage { path } | Target::Rates { path } => path,
            Target::Company(link) => &link.path,
        }
    }

    pub fn request(&self) -> Request<'_> {
        let purpose = match self {
            Target::IndexPage { .. } => Purpose::Index,
            Target::Rates { .. } => Purpose::Rates,
            Target::Company(_) => Purpose::Company,
        };
        Request::new(purpose, self.path())
    }
}

/// What bounds the number of workers.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Requests under way at the same time.
    pub in_flight: usize,
    /// Threads that parse pages, at most one for each core.
    pub threads: usize,
}

/// What a worker does next.
pub struct Next {
    /// `None` ends the worker.
    pub target: Option<Target>,
    /// Workers to start beside it.
    pub to_start: usize,
}

pub struct Frontier {
    /// Maximum number of workers.
    in_flight: usize,
    /// `None` for a list of addresses.
    index: Option<String>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Threads that parse pages, at most one for each core.
    threads: usize,
    /// Index pages and the exchange rates.
    first: VecDeque<Target>,
    companies: VecDeque<Link>,
    /// Index pages known to exist.
    pages: u32,
    listed: HashSet<Arc<str>>,
    running: usize,
    /// Workers worth having, by the waiting time of the responses so far.
    wanted: usize,
    /// Responses since `wanted` was set, and the sum of their waiting times.
    responses: u32,
    waited: Duration,
    rates: Option<Rates>,
    failure: Option<String>,
}

impl Frontier {
    /// The pages of an index and its exchange rates.
    pub fn of_index(index: &str, limits: Limits) -> Self {
        let rates = Target::Rates {
            path: paths::rates(None),
        };
        Frontier {
            in_flight: limits.in_flight,
            index: Some(index.to_owned()),
            state: Mutex::new(State {
                first: VecDeque::from([index_page(index, 1), rates]),
                pages: 1,
                ..State::new(limits.threads)
            }),
        }
    }

    /// A list of pages, without index and exchange rates.
    pub fn of_list(links: Vec<Link>, limits: Limits) -> Self {
        Frontier {
            in_flight: limits.in_flight,
            index: None,
            state: Mutex::new(State {
                listed: links.iter().map(|link| link.path.clone()).collect(),
                companies: links.into(),
                ..State::new(limits.threads)
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change leaves the state consistent, so a poisoned lock is still usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of workers to start first.
    pub fn first_workers(&self) -> usize {
        let mut state = self.state();
        self.start(&mut state)
    }

    /// The next page of a worker that has none under way. `waited` is how long its last request waited
    /// for a response.
    pub fn next(&self, waited: Option<Duration>) -> Next {
        let mut state = self.state();
        if let Some(waited) = waited {
            state.record_wait(waited);
        }
        let first = state.first.pop_front();
        let target = first.or_else(|| state.companies.pop_front().map(Target::Company));
        if target.is_none() {
            state.running -= 1;
        }
        let to_start = self.start(&mut state);
        Next { target, to_start }
    }

    /// Counts further workers as running: one for each page, up to the limits.
    fn start(&self, state: &mut State) -> usize {
        let most = self.in_flight.min(state.wanted);
        let waiting = state.first.len() + state.companies.len();
        let to_start = waiting.min(most.saturating_sub(state.running));
        state.running += to_start;
        to_start
    }

    /// Adds the companies of an index page, and the further pages that it names.
    pub fn add_index_page(&self, page: IndexPage) {
        let mut state = self.state();
        if state.failure.is_some() {
            return;
        }
        let index = self.index.as_deref().unwrap_or_default();
        for number in state.pages + 1..=page.pages.min(MAX_PAGES) {
            state.first.push_back(index_page(index, number));
            state.pages = number;
        }
        for link in page.rows {
            if state.listed.insert(link.path.clone()) {
                state.companies.push_back(link);
            }
        }
    }

    pub fn set_rates(&self, rates: Rates) {
        self.state().rates = Some(rates);
    }

    /// Ends the run: the workers get no further pages. The first failure stays.
    pub fn fail(&self, why: String) {
        let mut state = self.state();
        state.failure.get_or_insert(why);
        state.first.clear();
        state.companies.clear();
    }

    /// The outcome of a run whose workers have all ended.
    pub fn finish(&self, mut harvest: Harvest<Extract>) -> Outcome {
        let mut state = self.state();
        if let Some(why) = state.failure.take() {
            return Err(why);
        }
        harvest.listed = state.listed.len();
        Ok((harvest, state.rates.take()))
    }
}

impl State {
    /// `threads` is the number of threads that parse pages.
    fn new(threads: usize) -> Self {
        State {
            threads,
            wanted: threads.max(2),
            ..State::default()
        }
    }

    /// Raises the number of workers if more of them keep the cores busy: cores × (1 + waiting time ÷ CPU
    /// time) of a page (Goetz, "Java Concurrency in Practice", 8.2).
    ///
    /// Where responses come as fast as pages are parsed, workers wait for each other, and more of them wait
    /// longer. So the number is raised only to twice as many or more. On two cores at 0 ms, a run with 2
    /// workers takes 0.050 s (`sockets`) and 0.053 s (`async`), with 4 of them 0.051 and 0.057 s, with 32
    /// of them 0.059 and 0.063 s.
    fn record_wait(&mut self, waited: Duration) {
        self.responses += 1;
        self.waited += waited;
        let mean = self.waited / self.responses;
        let per_core = 1.0 + mean.as_secs_f64() / CPU_PER_PAGE.as_secs_f64();
        let busy = (self.threads as f64 * per_core) as usize;
        if busy >= 2 * self.wanted {
            self.wanted = busy;
            (self.responses, self.waited) = (0, Duration::ZERO);
        }
    }
}

fn index_page(index: &str, number: u32) -> Target {
    Target::IndexPage {
        path: paths::numbered_page(index, number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of workers after responses that waited this many microseconds.
    fn workers(in_flight: usize, waits: &[u64]) -> usize {
        let links = (0..5000).map(|n| Link::to(n.to_string())).collect();
        let limits = Limits {
            in_flight,
            threads: 2,
        };
        let frontier = Frontier::of_list(links, limits);
        let mut running = frontier.first_workers();
        for wait in waits {
            running += frontier.next(Some(Duration::from_micros(*wait))).to_start;
        }
        running
    }

    #[test]
    fn starts_as_many_workers_as_keep_the_cores_busy() {
        for (in_flight, waits, expected) in [
            (1024, &[][..], 2),
            (1, &[50_000], 1),
            (1024, &[100; 50], 2),
            (1024, &[100, 250, 100, 100], 2),
            (1024, &[400], 6),
            (128, &[50_000], 128),
            (1024, &[50_000], 502),
            (1024, &[500_000], 1024),
        ] {
            assert_eq!(workers(in_flight, waits), expected, "{in_flight} {waits:?}");
        }
    }

    /// A worker without a page ends; the companies of an index page start others.
    #[test]
    fn new_pages_start_new_workers() {
        let limits = Limits {
            in_flight: 3,
            threads: 3,
        };
        let frontier = Frontier::of_index("dax", limits);
        assert_eq!(frontier.first_workers(), 2);
        let next = || frontier.next(None);
        let is_index = |next: Next| matches!(next.target, Some(Target::IndexPage { .. }));
        assert!(is_index(next()));
        assert!(matches!(next().target, Some(Target::Rates { .. })));
        assert!(next().target.is_none());
        frontier.add_index_page(IndexPage {
            pages: 2,
            rows: vec![Link::to("/stocks/a-stock"), Link::to("/stocks/a-stock")],
            ..IndexPage::default()
        });
        let next_page = next();
        // Index page 2 is taken, and one company is left for another worker.
        assert_eq!(next_page.to_start, 1);
        assert!(is_index(next_page));
        assert!(matches!(next().target, Some(Target::Company(_))));
        assert!(next().target.is_none());
        frontier.fail("the index is broken".to_owned());
        assert!(frontier.finish(Harvest::default()).is_err());
    }

    /// Worker 1 has index page 1 when the rates of worker 2 fail.
    #[test]
    fn an_index_page_after_a_failure_starts_no_workers() {
        let limits = Limits {
            in_flight: 2,
            threads: 2,
        };
        let frontier = Frontier::of_index("dax", limits);
        assert_eq!(frontier.first_workers(), 2);
        assert!(frontier.next(None).target.is_some());
        assert!(frontier.next(None).target.is_some());
        frontier.fail("no rates".to_owned());
        frontier.add_index_page(IndexPage {
            pages: 2,
            rows: vec![Link::to("/stocks/a-stock")],
            ..IndexPage::default()
        });
        let next = frontier.next(None);
        assert!(next.target.is_none());
        assert_eq!(next.to_start, 0);
        assert_eq!(
            frontier.finish(Harvest::default()).err().unwrap(),
            "no rates"
        );
    }
}
