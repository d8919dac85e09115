//! One page that is waited for, with as many attempts as the policy allows.

use std::time::Duration;

use crate::http::page::{self, Page, PageError};
use crate::source::Source;
use crate::source::retry::Attempts;
use crate::telemetry::trace::Lane;

/// A page of the index, the rates or the robots' rules, and how often it has been asked for. The
/// pauses are slept by who asks: this is for threads that have nothing else to do.
pub struct Patience<'a> {
    source: &'a Source,
    pub path: String,
    tried: Attempts,
    /// Before the next attempt.
    pause: Option<Duration>,
    /// Whether the last page was one that an earlier run had.
    was_kept: bool,
}

impl<'a> Patience<'a> {
    pub fn new(source: &'a Source, path: String) -> Self {
        Patience {
            source,
            path,
            tried: Attempts::default(),
            pause: None,
            was_kept: false,
        }
    }

    /// Fetches the page and reads it, as often as the policy allows.
    pub fn get<T>(
        &mut self,
        lane: &mut Lane,
        mut read: impl FnMut(Page, &mut Lane) -> Result<T, PageError>,
    ) -> Result<T, PageError> {
        loop {
            if let Some(pause) = self.pause.take() {
                self.source.gate.sleep(pause);
                lane.meter.retries.add(1);
            }
            let page = self.source.get(&self.path, Vec::new, lane);
            self.was_kept = page.as_ref().is_ok_and(|page| page.kept);
            match page.and_then(|page| page::guarded("reading", || read(page, lane))) {
                Err(error) if self.has_another(&error) => {}
                result => return result,
            }
        }
    }

    /// Whether there is another attempt after this failure.
    pub fn has_another(&mut self, error: &PageError) -> bool {
        if std::mem::take(&mut self.was_kept) {
            return true;
        }
        self.pause = self
            .source
            .pause_before_next(&self.path, &mut self.tried, error);
        self.pause.is_some()
    }
}
