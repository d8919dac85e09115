//! When a request may be sent: what all who ask the site have in common.
//!
//! Everybody passes the [`Gate`] before each request. On a quiet run it is wide open and costs a few
//! atomic additions. It keeps requests apart (`--rps`, a crawl delay), holds all of them back while
//! the site asks for a pause, lets fewer fetchers work at a time while many requests fail, and is
//! closed for good when the run must end.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::http::page::{PageError, Reason};
use crate::source::retry;
use crate::telemetry::counters::Meter;
use crate::telemetry::trace::{Lane, Phase, Role};

/// So many results are looked back at; when more than half of them failed, half of the fetchers
/// rest.
const LOOK_BACK: u32 = 20;
/// Good results after which one more fetcher works again.
const RECOVERY: u32 = 10;
/// Refusals in a row that end the run: who is not wanted does not ask 500 times.
const REFUSALS: u32 = 5;

/// Why the gate was closed before everything was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A signal of the operating system, by its number.
    Signal(i32),
    /// `--max-time` is over.
    MaxTime(Duration),
    /// The site refuses to be read; the last refusal.
    Refused { path: String, error: PageError },
    /// The site asks for a pause that is too long to wait for.
    LongPause(Duration),
}

/// What all requests of a run pass.
#[derive(Debug)]
pub struct Gate {
    /// Whether there is nothing to wait for. A lock for each request instead, shared by 32 fetchers on
    /// two cores, takes a twentieth of the speed of a quiet run.
    wide_open: AtomicBool,
    /// Fetchers whose request is under way.
    fetching: AtomicUsize,
    /// The most that there were at one time.
    most_fetching: AtomicUsize,
    state: Mutex<State>,
    changed: Condvar,
    /// Nothing is ever sent on it: it is disconnected when the gate closes.
    closing: Receiver<Infallible>,
}

#[derive(Debug)]
struct State {
    open: Option<Sender<Infallible>>,
    cause: Option<Cause>,
    paused_until: Option<Instant>,
    /// The least time between requests, and when the next may go.
    interval: Duration,
    next_at: Instant,
    /// Fetchers that may have a request under way.
    limit: usize,
    widest: usize,
    /// The last results, 1 for a failure, the newest in the lowest bit.
    failures: u32,
    results: u32,
    good_in_a_row: u32,
    refused_in_a_row: u32,
}

impl Gate {
    /// A gate for so many fetchers, and no more than these.
    pub fn new(fetchers: usize) -> Self {
        let (open, closing) = bounded(0);
        Gate {
            wide_open: AtomicBool::new(true),
            fetching: AtomicUsize::new(0),
            most_fetching: AtomicUsize::new(0),
            state: Mutex::new(State {
                open: Some(open),
                cause: None,
                paused_until: None,
                interval: Duration::ZERO,
                next_at: Instant::now(),
                limit: fetchers,
                widest: fetchers,
                failures: 0,
                results: 0,
                good_in_a_row: 0,
                refused_in_a_row: 0,
            }),
            changed: Condvar::new(),
            closing,
        }
    }

    /// The state, to make something in it that must be waited for.
    fn narrow(&self) -> MutexGuard<'_, State> {
        let state = self.state();
        self.wide_open.store(false, SeqCst);
        state
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What the state says stays true whoever panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a request may be sent.
    pub fn enter(&self, lane: &mut Lane) -> Result<Pass<'_>, PageError> {
        // Of the others there are a handful, and everything waits for them.
        let is_fetcher = matches!(lane.role(), Role::Fetcher | Role::Worker);
        let pass = Pass {
            gate: self,
            is_fetcher,
        };
        let others = self.fetching.fetch_add(usize::from(is_fetcher), SeqCst);
        let at_work = others + usize::from(is_fetcher);
        self.most_fetching.fetch_max(at_work, SeqCst);
        if self.wide_open.load(SeqCst) {
            return Ok(pass);
        }
        // It is given back while it waits.
        drop(pass);
        self.wait_for_turn(is_fetcher)
    }

    /// The same for one who has passed and must ask once more, for a redirect, say.
    pub fn enter_again(&self) -> Result<(), PageError> {
        if self.wide_open.load(SeqCst) {
            return Ok(());
        }
        self.wait_for_turn(false).map(drop)
    }

    fn wait_for_turn(&self, is_fetcher: bool) -> Result<Pass<'_>, PageError> {
        let mut state = self.state();
        loop {
            if state.cause.is_some() {
                return Err(stopped());
            }
            if is_fetcher && self.fetching.load(SeqCst) >= state.limit {
                state = self.wait(state, Duration::MAX);
                continue;
            }
            let now = Instant::now();
            if let Some(until) = state.paused_until {
                if now < until {
                    state = self.wait(state, until - now);
                    continue;
                }
                state.paused_until = None;
            }
            if !state.interval.is_zero() {
                if now < state.next_at {
                    let left = state.next_at - now;
                    state = self.wait(state, left);
                    continue;
                }
                // Who wakes late does not hold up the next: on the average they are so far apart.
                let earliest = now.checked_sub(state.interval).unwrap_or(now);
                state.next_at = state.next_at.max(earliest) + state.interval;
            }
            self.fetching.fetch_add(usize::from(is_fetcher), SeqCst);
            if state.limit == state.widest && state.interval.is_zero() {
                self.wide_open.store(true, SeqCst);
            }
            return Ok(Pass {
                gate: self,
                is_fetcher,
            });
        }
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, most: Duration) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, most);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Sleeps, but not beyond the end of the run.
    pub fn sleep(&self, duration: Duration) {
        let until = Instant::now() + duration;
        let mut state = self.state();
        while state.cause.is_none() {
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                return;
            };
            state = self.wait(state, left);
        }
    }

    /// Requests are at least this far apart from now on; what was further apart stays so.
    pub fn keep_apart(&self, interval: Duration) {
        let mut state = self.narrow();
        state.interval = state.interval.max(interval);
        // The first request is already on its way.
        state.next_at = state.next_at.max(Instant::now() + interval);
    }

    /// Nobody sends a request for so long. `lane` notes it.
    pub fn pause(&self, pause: Duration, lane: &mut Lane) {
        if pause > retry::LONGEST_ASKED {
            self.close(Cause::LongPause(pause));
            return;
        }
        let now = Instant::now();
        let mut state = self.narrow();
        let paused_from = state.paused_until.map_or(now, |until| until.max(now));
        let until = now + pause;
        if until > paused_from {
            lane.meter
                .paused
                .add((until - paused_from).as_millis() as u64);
            state.paused_until = Some(until);
            drop(state);
            self.changed.notify_all();
            lane.note(Phase::Pausing, paused_from, until);
        }
    }

    /// Takes in what came of a company's page, and rests or wakes fetchers by it.
    pub fn judge<T>(&self, path: &str, result: &Result<T, PageError>, meter: &Meter) {
        let failed = match result {
            Ok(_) => false,
            Err(error) if matches!(error.reason, Reason::Stopped | Reason::Postponed) => return,
            Err(error) => retry::attempts(error.reason) > 1,
        };
        let mut state = self.state();
        match result {
            Err(error) if matches!(error.reason, Reason::Blocked | Reason::Challenge) => {
                state.refused_in_a_row += 1;
                if state.refused_in_a_row >= REFUSALS {
                    drop(state);
                    self.close(Cause::Refused {
                        path: path.to_owned(),
                        error: error.clone(),
                    });
                    return;
                }
            }
            _ => state.refused_in_a_row = 0,
        }
        state.failures = (state.failures << 1 | u32::from(failed)) & ((1 << LOOK_BACK) - 1);
        state.results += 1;
        state.good_in_a_row = if failed { 0 } else { state.good_in_a_row + 1 };
        if state.results >= LOOK_BACK && state.failures.count_ones() > LOOK_BACK / 2 {
            // A new judgement wants new results.
            (state.failures, state.results) = (0, 0);
            // There may be fewer yet than there might be.
            let at_work = self.most_fetching.load(SeqCst).max(1);
            state.limit = (state.limit.min(at_work) / 2).max(1);
            self.wide_open.store(false, SeqCst);
            let resting = (state.widest - state.limit) as u64;
            meter.resting.set(resting);
            meter.most_resting.raise_to(resting);
        } else if state.limit < state.widest && state.good_in_a_row >= RECOVERY {
            state.good_in_a_row = 0;
            state.limit += 1;
            meter.resting.set((state.widest - state.limit) as u64);
            drop(state);
            self.changed.notify_all();
        }
    }

    /// Lets nobody pass any more. The first cause stays.
    pub fn close(&self, cause: Cause) {
        let mut state = self.narrow();
        state.cause.get_or_insert(cause);
        state.open = None;
        drop(state);
        self.changed.notify_all();
    }

    /// Why the gate is closed, if it is.
    pub fn cause(&self) -> Option<Cause> {
        if self.wide_open.load(SeqCst) {
            return None;
        }
        self.state().cause.clone()
    }

    /// Disconnected when the gate closes.
    pub fn closing(&self) -> Receiver<Infallible> {
        self.closing.clone()
    }
}

/// What becomes of a page that nobody may ask for any more.
pub fn stopped() -> PageError {
    PageError::new(Reason::Stopped, "the run ended before it was asked for")
}

/// The right to have one request under way.
#[derive(Debug)]
pub struct Pass<'a> {
    gate: &'a Gate,
    is_fetcher: bool,
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.is_fetcher {
            return;
        }
        self.gate.fetching.fetch_sub(1, SeqCst);
        if !self.gate.wide_open.load(SeqCst) {
            // Locked, so that nobody misses it between looking and waiting.
            drop(self.gate.state());
            self.gate.changed.notify_all();
        }
    }
}
