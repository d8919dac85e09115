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

/// One page that the run cannot do without, fetched and read, tried as often as the policy allows.
/// The pauses are slept by the caller: this is for threads that have nothing else to do.
pub fn get_patiently<T>(
    source: &Source,
    path: &str,
    lane: &mut Lane,
    read: impl Fn(&Page, &mut Lane) -> Result<T, PageError>,
) -> Result<T, PageError> {
    let mut attempts = 1;
    loop {
        match source
            .get(path, Vec::new(), lane)
            .and_then(|page| read(&page, lane))
        {
            Err(error)
                if attempts < MAX_ATTEMPTS && source.may_change() && is_transient(error.reason) =>
            {
                thread::sleep(pause(attempts));
                lane.meter.retries.add(1);
                attempts += 1;
            }
            result => return result,
        }
    }
}
