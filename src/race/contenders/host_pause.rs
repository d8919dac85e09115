//! The pauses that a server asks for, for contenders with a client of their own. The others have those of
//! the product's throttle.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::http::page::Page;
use crate::source::pauses::{self, MAX_PAUSED, MAX_RETRY_AFTER, MAX_UNSTATED, Pause, Pauses};
use crate::source::retry::FIRST_DELAY;

/// The pauses of one run. Requests wait for the end of a pause and then go all at once, without a probe.
pub struct HostPause {
    started: Instant,
    /// The end of the latest pause, in milliseconds after `started`. 0 without one.
    until_ms: AtomicU64,
    pauses: Mutex<Pauses>,
}

impl Default for HostPause {
    fn default() -> Self {
        HostPause {
            started: Instant::now(),
            until_ms: AtomicU64::new(0),
            pauses: Mutex::default(),
        }
    }
}

impl HostPause {
    /// How long a request has to wait; `None` if it may be sent. While there has been no pause, this is
    /// one atomic load.
    pub fn left(&self) -> Option<Duration> {
        let until = match self.until_ms.load(Relaxed) {
            0 => return None,
            until => Duration::from_millis(until),
        };
        let left = until.checked_sub(self.started.elapsed());
        left.filter(|left| !left.is_zero())
    }

    /// Begins the pause that a response asks for, if it asks for one. Fails where the product ends its run:
    /// at a pause of over two minutes, at ten minutes in all, or at too many 429s without `Retry-After`.
    pub fn record(&self, page: &Page) -> Result<(), String> {
        let Some(pause) = pauses::asked_for(page, FIRST_DELAY) else {
            return Ok(());
        };
        let status = page.status;
        if let Pause::Stated(pause) = pause
            && pause > MAX_RETRY_AFTER
        {
            return Err(format!(
                "HTTP status {status} asks for a pause of {} s, more than the {} s that a run accepts",
                pause.as_secs(),
                MAX_RETRY_AFTER.as_secs()
            ));
        }
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = pauses.begin(pause, Instant::now());
        let begun = begun.map_err(|_| {
            format!(
                "HTTP status {status} asks for too many pauses: more than {} s in all, or {} of no stated length",
                MAX_PAUSED.as_secs(),
                MAX_UNSTATED
            )
        })?;
        if let Some((_, until)) = begun {
            let until = until.duration_since(self.started).as_millis() as u64 + 1;
            self.until_ms.fetch_max(until, Relaxed);
        }
        Ok(())
    }
}
