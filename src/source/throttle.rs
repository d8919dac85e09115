//! Throttling: when a request may be sent.
//!
//! Every request acquires a [`Permit`] first. The throttle enforces `--rps` and crawl delays, pauses the
//! host on `Retry-After` and 429, and lowers the concurrency limit while many requests fail. It cancels
//! the run after five refusals, and rejects all requests after that. When none of that is active,
//! acquiring a permit takes three atomic operations.

use std::cell::Cell;
use std::convert::Infallible;
use std::fmt::{self, Display};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::http::error::{PageError, Reason};
use crate::source::concurrency::{Change, Concurrency};
use crate::source::pace::Pace;
use crate::source::pauses::{Excess, MAX_PAUSED, MAX_RETRY_AFTER, Pause, Pauses, Turn};
use crate::source::refusals::Refusals;
use crate::source::retry;
use crate::telemetry::counters::Counters;
use crate::telemetry::lane::Lane;
use crate::telemetry::trace::Phase;

/// Why a run was cancelled.
#[derive(Debug, Clone, PartialEq)]
pub enum Cause {
    /// A signal of the operating system, by its number.
    Signal(i32),
    /// `--max-time` has passed.
    MaxTime(Duration),
    /// The site refused several requests; this is the last of them.
    Refused { path: String, error: PageError },
    /// The index could not be walked to its end, or a thread panicked. The walk has its own error.
    WalkFailed,
    /// The site asked for a pause of more than two minutes.
    LongPause(Duration),
    /// The site, given by its address, asked for pauses of more than ten minutes in all, the last time
    /// with this status.
    ManyPauses { site: String, status: u16 },
    /// The site, given by its address, answered 429 without `Retry-After` five times without a success
    /// between.
    TooManyRequests { site: String },
}

/// Why a host of a list gets no further requests, phrased to follow a colon.
impl Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Cause::LongPause(pause) => {
                let (pause, limit) = (pause.as_secs(), MAX_RETRY_AFTER.as_secs());
                write!(
                    f,
                    "the host demands a pause of {pause} s (Retry-After), more than {limit} s"
                )
            }
            Cause::ManyPauses { status, .. } => {
                let minutes = MAX_PAUSED.as_secs() / 60;
                write!(
                    f,
                    "the host demands pauses of more than {minutes} minutes in all (HTTP status {status})"
                )
            }
            Cause::TooManyRequests { .. } => f.write_str(
                "the host asks for fewer requests (HTTP status 429, again after each pause)",
            ),
            Cause::Signal(_) | Cause::MaxTime(_) | Cause::Refused { .. } | Cause::WalkFailed => {
                f.write_str("the run was cancelled")
            }
        }
    }
}

/// A response that asks for a pause.
#[derive(Debug, Clone, Copy)]
pub struct PauseResponse<'a> {
    /// The address of the site: scheme, host and port.
    pub site: &'a str,
    pub status: u16,
    pub pause: Pause,
}

/// The throttle of a run, shared by all threads that send requests.
#[derive(Debug)]
pub struct Throttle {
    /// Fast path: true while no limit, pause or cancellation is active. Taking the mutex on every
    /// request instead costs 5 % of throughput with 32 threads on two cores.
    is_unrestricted: AtomicBool,
    /// Requests under way.
    in_flight: AtomicUsize,
    /// The maximum of `in_flight` so far.
    most_in_flight: AtomicUsize,
    /// Threads that wait for a place below the limit.
    waiting: AtomicUsize,
    /// The highest concurrency limit.
    max_limit: usize,
    state: Mutex<State>,
    /// [`Refusals::serves_pages`], which fetchers read after every page.
    serves_pages: AtomicBool,
    /// Notified when a blocked request may be able to continue.
    changed: Condvar,
    /// Carries no messages. It disconnects when the run is cancelled.
    cancelled: Receiver<Infallible>,
}

#[derive(Debug)]
struct State {
    /// Dropped on cancellation, which disconnects the receiver.
    not_cancelled: Option<Sender<Infallible>>,
    /// Why the run was cancelled, if it was.
    cause: Option<Cause>,
    pauses: Pauses,
    /// The minimum time between two requests that the user or robots.txt demands; zero for none.
    interval: Duration,
    /// When the next request may be sent, if there is a rate limit.
    next_at: Instant,
    concurrency: Concurrency,
    refusals: Refusals,
    /// Used for the hosts of a list only.
    pace: Pace,
}

impl State {
    /// The minimum time between two requests; zero for no rate limit.
    fn interval(&self) -> Duration {
        self.interval.max(self.pace.interval)
    }
}

impl Throttle {
    /// A throttle that allows at most `max_limit` requests at a time.
    pub fn new(max_limit: usize) -> Self {
        let (not_cancelled, cancelled) = bounded(0);
        Throttle {
            is_unrestricted: AtomicBool::new(true),
            in_flight: AtomicUsize::new(0),
            most_in_flight: AtomicUsize::new(0),
            max_limit,
            waiting: AtomicUsize::new(0),
            state: Mutex::new(State {
                not_cancelled: Some(not_cancelled),
                cause: None,
                pauses: Pauses::default(),
                interval: Duration::ZERO,
                next_at: Instant::now(),
                concurrency: Concurrency::new(max_limit),
                refusals: Refusals::default(),
                pace: Pace::default(),
            }),
            serves_pages: AtomicBool::new(false),
            changed: Condvar::new(),
            cancelled,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change leaves the state consistent, so a poisoned lock is still usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the state and turns the fast path off.
    fn restrict(&self) -> MutexGuard<'_, State> {
        let state = self.state();
        self.is_unrestricted.store(false, SeqCst);
        state
    }

    /// Blocks until a request may be sent.
    pub fn acquire(&self) -> Result<Permit<'_>, PageError> {
        self.acquire_in_turn(Turn::New)
    }

    /// Like [`acquire`](Self::acquire), for a request that goes before all others after a pause.
    pub fn acquire_first(&self) -> Result<Permit<'_>, PageError> {
        self.acquire_in_turn(Turn::First)
    }

    /// Like [`acquire`](Self::acquire), for a request that may exceed the limit of requests under way.
    pub fn acquire_beyond_limit(&self) -> Result<Permit<'_>, PageError> {
        self.in_flight.fetch_add(1, SeqCst);
        let permit = Permit {
            throttle: self,
            is_probe: Cell::new(false),
        };
        permit.acquire_again()?;
        Ok(permit)
    }

    fn acquire_in_turn(&self, turn: Turn) -> Result<Permit<'_>, PageError> {
        let permit = Permit {
            throttle: self,
            is_probe: Cell::new(false),
        };
        let in_flight = self.in_flight.fetch_add(1, SeqCst) + 1;
        if in_flight <= self.max_limit && self.is_unrestricted.load(SeqCst) {
            self.most_in_flight.fetch_max(in_flight, SeqCst);
            return Ok(permit);
        }
        // A request that waits is not in flight.
        drop(permit);
        let is_probe = self.wait_for_turn(turn)?;
        self.most_in_flight
            .fetch_max(self.in_flight.load(SeqCst), SeqCst);
        Ok(Permit {
            throttle: self,
            is_probe: Cell::new(is_probe),
        })
    }

    /// Blocks until a request may be sent. A new one needs a place below the concurrency limit and takes
    /// it. Returns whether the request is the first one after a pause.
    fn wait_for_turn(&self, turn: Turn) -> Result<bool, PageError> {
        let mut state = self.state();
        state.pauses.add_waiting(turn);
        loop {
            if state.cause.is_some() {
                state.pauses.remove_waiting(turn);
                return Err(cancelled());
            }
            let now = Instant::now();
            if let Some(time) = state.pauses.wait_time(turn, now) {
                state = self.wait(state, time);
                continue;
            }
            let interval = state.interval();
            if !interval.is_zero() && now < state.next_at {
                let left = state.next_at - now;
                state = self.wait(state, left);
                continue;
            }
            if matches!(turn, Turn::New | Turn::First) {
                // Counted before the check: a permit that is dropped after the check sees this thread.
                self.waiting.fetch_add(1, SeqCst);
                let has_place = self.take_place(state.concurrency.limit);
                if !has_place {
                    state = self.wait(state, Duration::MAX);
                }
                self.waiting.fetch_sub(1, SeqCst);
                if !has_place {
                    continue;
                }
            }
            if !interval.is_zero() {
                // A thread that wakes late does not delay the next one, so the average interval is
                // kept.
                let earliest = now.checked_sub(interval).unwrap_or(now);
                state.next_at = state.next_at.max(earliest) + interval;
            }
            state.pauses.remove_waiting(turn);
            let is_probe = state.pauses.send();
            let is_free = !state.concurrency.is_lowered() && interval.is_zero();
            if is_free && state.pauses.is_running() {
                self.is_unrestricted.store(true, SeqCst);
            }
            return Ok(is_probe);
        }
    }

    fn take_place(&self, limit: usize) -> bool {
        let one_more = |in_flight| (in_flight < limit).then_some(in_flight + 1);
        self.in_flight
            .fetch_update(SeqCst, SeqCst, one_more)
            .is_ok()
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, at_most: Duration) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, at_most);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Sleeps for `duration`, or until the run is cancelled.
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

    /// Spaces requests at least `interval` apart from now on. A longer interval set before stays.
    pub fn space_requests(&self, interval: Duration) {
        let mut state = self.restrict();
        state.interval = state.interval.max(interval);
        // The first request is already under way.
        state.next_at = state.next_at.max(Instant::now() + interval);
    }

    /// Spaces the requests of a host further apart, because it has refused one that was sent at `sent`. Returns
    /// whether the pace is the reason.
    pub fn slow_down(&self, sent: Instant) -> bool {
        let mut state = self.restrict();
        let now = Instant::now();
        let is_pace = state.pace.slow_down(sent, now);
        state.next_at = state.next_at.max(now + state.pace.interval);
        is_pace
    }

    /// Spaces the requests of a host a little closer, because it has served one.
    pub fn speed_up(&self) {
        self.state().pace.speed_up(Instant::now());
    }

    /// Holds back all requests for as long as a response asks, and records the pause in `lane`. Returns
    /// whether a pause has begun, and not only become longer.
    ///
    /// Cancels the run instead if the pause is over two minutes, if all pauses are over ten, or at the fifth
    /// 429 of unstated length without a success between.
    pub fn pause(&self, response: PauseResponse, lane: &mut Lane) -> bool {
        let PauseResponse {
            site,
            status,
            pause,
        } = response;
        if let Pause::Stated(pause) = pause
            && pause > MAX_RETRY_AFTER
        {
            self.cancel(Cause::LongPause(pause));
            return false;
        }
        let mut state = self.restrict();
        let begins = state.pauses.is_running();
        let added = state.pauses.begin(pause, Instant::now());
        drop(state);
        let site = site.to_owned();
        match added {
            Ok(None) => {}
            Ok(Some((from, until))) => {
                lane.counters
                    .paused_ms
                    .add((until - from).as_millis() as u64);
                self.changed.notify_all();
                lane.record(Phase::Pausing, from, until);
            }
            Err(Excess::Time) => self.cancel(Cause::ManyPauses { site, status }),
            Err(Excess::Number) => self.cancel(Cause::TooManyRequests { site }),
        }
        begins
    }

    /// Records the result of a company page: adjusts the concurrency limit, and cancels the run after five
    /// refusals.
    pub fn record_result<T>(&self, path: &str, result: &Result<T, PageError>, counters: &Counters) {
        let mut state = self.state();
        let error = result.as_ref().err();
        if let Some(error) = state.refusals.record(error) {
            let (path, error) = (path.to_owned(), error.clone());
            self.cancel_in(&mut state, Cause::Refused { path, error });
        }
        self.serves_pages
            .store(state.refusals.serves_pages(), SeqCst);
        self.adjust_concurrency(state, error, counters);
    }

    /// Records the result of a listed page: adjusts the concurrency limit. A refusal is a result like others
    /// there.
    pub fn record_listed<T>(&self, result: &Result<T, PageError>, counters: &Counters) {
        self.adjust_concurrency(self.state(), result.as_ref().err(), counters);
    }

    fn adjust_concurrency(
        &self,
        mut state: MutexGuard<State>,
        error: Option<&PageError>,
        counters: &Counters,
    ) {
        use Reason::{Postponed, Robots, Stopped};
        let failed = match error {
            None => false,
            // The site has answered none of these.
            Some(error) if matches!(error.reason, Stopped | Postponed | Robots) => return,
            Some(error) => retry::is_transient(error.reason),
        };
        let most_in_flight = self.most_in_flight.load(SeqCst);
        let change = state.concurrency.record(failed, most_in_flight);
        let held_back = state.concurrency.held_back() as u64;
        match change {
            None => {}
            Some(Change::Lowered) => {
                self.is_unrestricted.store(false, SeqCst);
                counters.held_back.set(held_back);
                counters.most_held_back.raise_to(held_back);
            }
            Some(Change::Raised) => {
                counters.held_back.set(held_back);
                drop(state);
                self.changed.notify_all();
            }
        }
    }

    /// Whether requests wait for the end of a pause.
    pub fn is_paused(&self) -> bool {
        !self.is_unrestricted.load(SeqCst) && !self.state().pauses.is_running()
    }

    /// How many requests may be under way at a time while none fail.
    pub fn max_in_flight(&self) -> usize {
        self.max_limit
    }

    /// Whether the site has served a company page since its last refusal.
    pub fn serves_pages(&self) -> bool {
        self.serves_pages.load(SeqCst)
    }

    /// Rejects all requests from now on. The first cause stays.
    pub fn cancel(&self, cause: Cause) {
        self.cancel_in(&mut self.state(), cause);
    }

    fn cancel_in(&self, state: &mut State, cause: Cause) {
        self.is_unrestricted.store(false, SeqCst);
        state.cause.get_or_insert(cause);
        state.not_cancelled = None;
        self.changed.notify_all();
    }

    /// Why the run was cancelled. `None` if it was not.
    pub fn cause(&self) -> Option<Cause> {
        if self.is_unrestricted.load(SeqCst) {
            return None;
        }
        self.state().cause.clone()
    }

    /// A channel that disconnects when the run is cancelled.
    pub fn cancellation(&self) -> Receiver<Infallible> {
        self.cancelled.clone()
    }
}

/// The error of a request that was rejected or aborted because the run was cancelled.
pub fn cancelled() -> PageError {
    PageError::new(Reason::Stopped, "the run was cancelled")
}

/// Permission to have one request under way.
#[derive(Debug)]
pub struct Permit<'a> {
    throttle: &'a Throttle,
    /// Whether the request is the first one after a pause, and all others wait for its outcome.
    is_probe: Cell<bool>,
}

impl Permit<'_> {
    /// Blocks until a further request may be sent under this permit, such as a redirect.
    pub fn acquire_again(&self) -> Result<(), PageError> {
        if self.throttle.is_unrestricted.load(SeqCst) {
            return Ok(());
        }
        if self.is_probe.get() {
            return self.throttle.wait_for_turn(Turn::OfProbe).map(|_| ());
        }
        self.is_probe
            .set(self.throttle.wait_for_turn(Turn::Further)?);
        Ok(())
    }

    /// Pauses the host, like [`Throttle::pause`]. Returns whether the request should go first after that:
    /// it has begun the pause, or has been the first one after the pause before.
    pub fn pause(&self, response: PauseResponse, lane: &mut Lane) -> bool {
        self.throttle.pause(response, lane) || self.is_probe.get()
    }

    /// Tells the throttle that the host serves requests. After a pause, this releases the others.
    pub fn succeed(&self) {
        self.end_probe(true);
    }

    fn end_probe(&self, is_success: bool) {
        if self.is_probe.take() {
            let mut state = self.throttle.state();
            state.pauses.end_probe(is_success, Instant::now());
            drop(state);
            self.throttle.changed.notify_all();
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.end_probe(false);
        let throttle = self.throttle;
        throttle.in_flight.fetch_sub(1, SeqCst);
        if throttle.waiting.load(SeqCst) > 0 {
            // With the lock, no thread misses this between its check and its wait.
            drop(throttle.state());
            throttle.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::trace::Label;

    #[test]
    fn pauses_of_more_than_ten_minutes_in_all_cancel_the_run() {
        let throttle = Throttle::new(1);
        let ten_minutes_ago = Instant::now().checked_sub(MAX_PAUSED).unwrap();
        let mut state = throttle.state();
        state
            .pauses
            .begin(Pause::Stated(MAX_PAUSED), ten_minutes_ago)
            .unwrap();
        drop(state);
        assert_eq!(throttle.cause(), None);
        let response = PauseResponse {
            site: "https://site.example",
            status: 503,
            pause: Pause::Stated(Duration::from_secs(1)),
        };
        let counters = Counters::default();
        throttle.pause(response, &mut counters.lane(Label::Fetcher));
        let site = response.site.to_owned();
        let cause = Cause::ManyPauses { site, status: 503 };
        assert_eq!(throttle.cause(), Some(cause));
    }
}
