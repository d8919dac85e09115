//! The fetchers: started as they are wanted; who comes back from a page and is not needed any more,
//! leaves.
//!
//! A thread costs 0.1 ms to start and to end, and a page that waits in one is no longer in the
//! processor's cache.

use std::convert::Infallible;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::{self, Scope};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::http::page::{self, Page, PageError};
use crate::pipeline::retry_queue::Errand;
use crate::source::Source;
use crate::telemetry::counters::Meter;
use crate::telemetry::trace::Role;

/// How often is looked whether there are pages for the readers.
const LOOK: Duration = Duration::from_millis(1);
/// Looks after which it is believed that too few pages come, if some do.
const MANY_LOOKS: u32 = 16;

/// What a fetcher hands on: a company and its page as it came, or why there is none.
pub struct Fetched {
    pub errand: Errand,
    pub page: Result<Page, PageError>,
}

/// How many pages may still have to be fetched, and who is there to do it.
pub struct Prospect {
    fetchers: AtomicUsize,
    /// Pages that are listed and not settled; as long as the walk goes on, any number more.
    pages: AtomicUsize,
}

const ANY_NUMBER: usize = usize::MAX / 2;

impl Default for Prospect {
    fn default() -> Self {
        Prospect {
            fetchers: AtomicUsize::new(0),
            pages: AtomicUsize::new(ANY_NUMBER),
        }
    }
}

impl Prospect {
    pub fn one_more(&self) {
        self.pages.fetch_add(1, Relaxed);
    }

    pub fn one_is_settled(&self) {
        self.pages.fetch_sub(1, Relaxed);
    }

    /// The walk is over.
    pub fn no_more(&self) {
        self.pages.fetch_sub(ANY_NUMBER, Relaxed);
    }

    /// Whether a fetcher may leave: if each page that may come finds one without it. (One that
    /// panicked is still counted, but then the whole run ends.)
    fn can_spare_one(&self) -> bool {
        let pages = self.pages.load(Relaxed);
        let without = |fetchers| (fetchers > pages).then(|| fetchers - 1);
        self.fetchers
            .fetch_update(Relaxed, Relaxed, without)
            .is_ok()
    }
}

/// What every fetcher works with: where links come from, where empty buffers do, where pages go.
#[derive(Clone)]
pub struct Fetcher<'a> {
    pub source: &'a Source,
    pub meter: &'a Meter,
    pub links: Receiver<Errand>,
    pub spares: Receiver<Vec<u8>>,
    pub fetched: Sender<Fetched>,
    pub prospect: Arc<Prospect>,
}

impl<'a> Fetcher<'a> {
    /// Starts a few fetchers at first, and twice as many whenever readers go short of pages, up to
    /// `workers`. Ends when there are enough, or with `over`.
    ///
    /// Where pages come as fast as they are read, more fetchers only keep more pages waiting: 32 of
    /// them take 1.2 times as long as four. Where a page takes 50 ms, all are at work after 5 ms.
    pub fn engage<'scope>(
        self,
        scope: &'scope Scope<'scope, '_>,
        workers: usize,
        few: usize,
        over: &Receiver<Infallible>,
    ) where
        'a: 'scope,
    {
        let (mut started, mut wanted) = (0, workers.min(few));
        let (mut looks, mut short) = (0, 0);
        let mut came = 0;
        loop {
            while started < wanted {
                let fetcher = self.clone();
                let thread = thread::Builder::new().name("fetcher".to_owned());
                match thread.spawn_scoped(scope, move || fetcher.work()) {
                    Ok(_) => started += 1,
                    // The system has no more threads for this process: those there are go on.
                    Err(_) if started > 0 => return,
                    Err(error) => panic!("no thread for a fetcher: {error}"),
                }
            }
            let enough = workers.min(self.prospect.pages.load(Relaxed));
            if started >= enough || over.recv_timeout(LOOK) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let before = mem::replace(&mut came, self.meter.fetched.get());
            if self.links.is_empty() {
                continue;
            }
            looks += 1;
            short += u32::from(self.fetched.is_empty());
            // That none comes for a short while may be chance where they mostly do.
            if 2 * short > looks && (came == before || looks >= MANY_LOOKS) {
                wanted = workers.min(2 * started);
                (looks, short) = (0, 0);
            }
            // What was long ago counts less and less.
            if looks >= 2 * MANY_LOOKS {
                (looks, short) = (looks / 2, short / 2);
            }
        }
    }

    /// One fetcher: gets page after page, into buffers that come back from the readers.
    fn work(&self) {
        self.prospect.fetchers.fetch_add(1, Relaxed);
        let mut lane = self.meter.lane(Role::Fetcher);
        for errand in &self.links {
            let spare = || self.spares.try_recv().unwrap_or_default();
            let get = || self.source.get(&errand.link.path, spare, &mut lane);
            let page = page::guarded("fetching", get);
            self.meter.fetched.add(1);
            if self.fetched.send(Fetched { errand, page }).is_err() {
                // What waits in the channel would keep the run alive.
                self.links.iter().for_each(drop);
                return;
            }
            if self.prospect.can_spare_one() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_leaves_only_if_the_others_are_enough() {
        let prospect = Prospect::default();
        prospect.fetchers.store(4, Relaxed);
        for _ in 0..3 {
            prospect.one_more();
        }
        assert!(!prospect.can_spare_one(), "there may be any number more");
        prospect.no_more();
        let leave = || (0..9).filter(|_| prospect.can_spare_one()).count();
        assert_eq!(leave(), 1, "of four, for three pages");
        assert_eq!(leave(), 0);
        prospect.one_is_settled();
        prospect.one_is_settled();
        assert_eq!(leave(), 2);
        prospect.one_is_settled();
        assert_eq!(leave(), 1, "the last one");
        assert_eq!(leave(), 0);
    }
}
