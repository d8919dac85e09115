//! Threads that panic: the run ends, and the panic goes on where they are joined.

use std::panic::resume_unwind;
use std::thread::{self, ScopedJoinHandle};

use crossbeam_channel::Sender;

use crate::pipeline::task::Event;

/// Joins a thread. If it panicked, its panic goes on here.
pub fn join<T>(thread: ScopedJoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// Tells the walker when its thread panics. Without that, the walker would wait for ever for the task
/// that the thread had in hand.
pub struct PanicGuard<'a>(pub &'a Sender<Event>);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            // Without a receiver, the walker has ended already.
            let _ = self.0.send(Event::Panicked);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_reaches_the_walker() {
        let (events_out, events_in) = crossbeam_channel::unbounded();
        let thread = thread::spawn(move || {
            let _guard = PanicGuard(&events_out);
            panic!("with a task in hand");
        });
        assert!(thread.join().is_err());
        assert!(matches!(events_in.recv(), Ok(Event::Panicked)));
        assert!(events_in.recv().is_err());
    }
}
