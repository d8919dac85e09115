//! A company page that has to be fetched, on its way through the stages.

use std::time::Instant;

use crossbeam_channel::Sender;

use crate::site::index::Link;
use crate::source::retry::Attempts;

/// A company page to fetch.
///
/// Every task owns a sender of the retry queue. So the queue's channel disconnects when the last task
/// is gone, whether it was finished, given up, or dropped by a thread that panicked.
#[derive(Debug)]
pub struct Task {
    pub link: Link,
    pub attempts: Attempts,
    pub retry_queue: Sender<DelayedTask>,
}

/// A task and when its next attempt is due.
#[derive(Debug)]
pub struct DelayedTask {
    pub task: Task,
    pub due: Instant,
}

impl Task {
    /// Moves the task to the retry queue. Returns it if the queue has ended.
    pub fn retry_at(self, due: Instant) -> Result<(), Task> {
        let queue = self.retry_queue.clone();
        queue
            .send(DelayedTask { task: self, due })
            .map_err(|unsent| unsent.0.task)
    }
}
