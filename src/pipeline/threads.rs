//! Joining threads.

use std::panic::resume_unwind;
use std::thread::ScopedJoinHandle;

/// Joins a thread. If it panicked, its panic goes on here.
pub fn join<T>(thread: ScopedJoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}
