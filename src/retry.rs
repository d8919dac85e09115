//! What is worth another try, how often, and after which pause.

use std::thread;
use std::time::Duration;

use crate::page::{Page, PageError, Reason};
use crate::source::Source;
use crate::trace::Lane;

/// Attempts at one address, the first included.
pub const MAX_ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Whether the failure may pass by itself.
pub fn is_transient(reason: Reason) -> bool {
    use Reason::*;
    matches!(
        reason,
        Unreachable | Timeout | Broken | Truncated | Protocol | Busy | BadEncoding
    )
}

/// The pause after the given number of attempts: anything from nothing to 0.5 s · 2ⁿ⁻¹, 30 s at
/// the most ("full jitter", <https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/>).
pub fn pause(attempts: u32) -> Duration {
    let longest = FIRST_PAUSE
        .saturating_mul(1 << attempts.saturating_sub(1).min(16))
        .min(LONGEST_PAUSE);
    longest.mul_f64(fastrand::f64())
}

/// How many of a run's requests may be repeated: a fifth, and never fewer than twenty. A site that
/// fails more than that is not helped by asking again.
pub fn budget(requests: usize) -> usize {
    (requests / 5).max(20)
}

/// A page of the index or the rates, and how often it has been asked for. The pauses are slept by who
/// asks: this is for threads that have nothing else to do.
pub struct Patience<'a> {
    source: &'a Source,
    pub path: String,
    attempts: u32,
}

impl<'a> Patience<'a> {
    pub fn new(source: &'a Source, path: String) -> Self {
        Patience {
            source,
            path,
            attempts: 0,
        }
    }

    /// Fetches the page and reads it, as often as the policy allows.
    pub fn get<T>(
        &mut self,
        lane: &mut Lane,
        mut read: impl FnMut(Page, &mut Lane) -> Result<T, PageError>,
    ) -> Result<T, PageError> {
        loop {
            if self.attempts > 0 {
                thread::sleep(pause(self.attempts));
                lane.meter.retries.add(1);
            }
            self.attempts += 1;
            let page = self.source.get(&self.path, Vec::new(), lane);
            match page.and_then(|page| read(page, lane)) {
                Err(error) if self.has_another(&error) => {}
                result => return result,
            }
        }
    }

    /// Whether there is another attempt after this failure.
    pub fn has_another(&self, error: &PageError) -> bool {
        self.attempts < MAX_ATTEMPTS && self.source.may_change() && is_transient(error.reason)
    }
}
