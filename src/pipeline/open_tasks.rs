//! Counts the tasks that are open, so that the walker is woken for the last one and not for each.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// The number of tasks handed out and not ended.
#[derive(Debug, Default)]
pub struct OpenTasks {
    open: AtomicUsize,
    /// The walker gets an event when at most so many are open.
    wake_at: AtomicUsize,
}

impl OpenTasks {
    pub fn add(&self) {
        self.open.fetch_add(1, SeqCst);
    }

    /// Counts a task as ended. Returns whether as few are open as the walker [waits for](Self::wait_for):
    /// then it needs an event.
    pub fn end(&self) -> bool {
        let open = self.open.fetch_sub(1, SeqCst) - 1;
        open <= self.wake_at.load(SeqCst)
    }

    /// Asks for an event once at most `few` tasks are open. Returns how many are open now; if these are as
    /// few already, the event may not come.
    ///
    /// The order decides that none is lost: this stores first and then counts, `end` counts first and then
    /// loads.
    pub fn wait_for(&self, few: usize) -> usize {
        self.wake_at.store(few, SeqCst);
        self.open.load(SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    /// Two threads end tasks while this one asks for the last.
    #[test]
    fn the_last_task_gives_an_event() {
        for _ in 0..2_000 {
            let tasks = Arc::new(OpenTasks::default());
            for _ in 0..4 {
                tasks.add();
            }
            let (events_out, events_in) = channel();
            for _ in 0..2 {
                let (tasks, events) = (tasks.clone(), events_out.clone());
                thread::spawn(move || {
                    for _ in 0..2 {
                        if tasks.end() {
                            events.send(()).unwrap();
                        }
                    }
                });
            }
            drop(events_out);
            for few in [2, 0] {
                while tasks.wait_for(few) > few {
                    events_in.recv().expect("an event for the last task");
                }
            }
        }
    }
}
