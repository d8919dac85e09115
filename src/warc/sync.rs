//! Makes a growing file durable while other threads write it.

use std::convert::Infallible;
use std::io;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded, select, tick};

/// A thread that calls a function at regular intervals. Dropped, it ends after a call under way.
#[derive(Debug)]
pub struct SyncThread {
    /// `None` once the thread has been told to end.
    running: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl SyncThread {
    /// Starts the thread. The first call comes after one interval.
    pub fn start(interval: Duration, sync: impl Fn() + Send + 'static) -> io::Result<Self> {
        let (running, ended) = bounded::<Infallible>(0);
        // Ticks keep the interval even if a sync takes a part of it.
        let ticks = tick(interval);
        let thread = thread::Builder::new()
            .name("journal-sync".to_owned())
            .spawn(move || {
                loop {
                    select! {
                        recv(ended) -> _ => return,
                        recv(ticks) -> _ => sync(),
                    }
                }
            })?;
        Ok(SyncThread {
            running: Some(running),
            thread: Some(thread),
        })
    }
}

impl Drop for SyncThread {
    fn drop(&mut self) {
        self.running = None;
        if let Some(thread) = self.thread.take() {
            // The message of a panic has been printed; unsynced records do not count as synced.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::time::Instant;

    use super::*;

    #[test]
    fn calls_at_intervals_until_dropped() {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let started = Instant::now();
        let thread = SyncThread::start(Duration::from_millis(20), move || {
            counted.fetch_add(1, SeqCst);
        });
        while calls.load(SeqCst) < 5 {
            assert!(started.elapsed() < Duration::from_secs(60), "5 calls");
            thread::sleep(Duration::from_millis(1));
        }
        assert!(started.elapsed() >= Duration::from_millis(80));
        drop(thread);
        let at_end = calls.load(SeqCst);
        thread::sleep(Duration::from_millis(60));
        assert_eq!(calls.load(SeqCst), at_end);
    }

    /// The interval is an hour, so a thread that waits for its next tick fails the test.
    #[test]
    fn ends_without_waiting_for_the_next_interval() {
        let started = Instant::now();
        drop(SyncThread::start(Duration::from_secs(3600), || ()).unwrap());
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}
