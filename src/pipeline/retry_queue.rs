//! Tasks that wait for their next attempt. No thread waits with them but this one.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, at, never, select};

use crate::pipeline::task::{DelayedTask, Task};
use crate::telemetry::counters::Counters;
use crate::telemetry::trace::{Label, Phase};

/// Sends each task to the fetchers when it is due, until no task is left anywhere. When `cancelled`
/// disconnects, all tasks are due at once.
///
/// Retries queue up behind first attempts. A second channel for retries, which the fetchers would have
/// to select from, takes 4 % more CPU time on a run without failures.
pub fn run(
    incoming: Receiver<DelayedTask>,
    tasks: Sender<Task>,
    mut cancelled: Receiver<Infallible>,
    counters: &Counters,
) {
    // The key is the due time, and a number that makes every key unique.
    let mut waiting = BTreeMap::new();
    let mut number = 0;
    let mut is_cancelled = false;
    loop {
        let next = waiting.first_key_value().map(|((due, _), _)| *due);
        let next = next.map(|due: Instant| if is_cancelled { Instant::now() } else { due });
        select! {
            recv(incoming) -> delayed => match delayed {
                Ok(DelayedTask { task, due }) => {
                    number += 1;
                    let mut lane = counters.lane(Label::Waiting);
                    lane.set_path(&task.link.path);
                    waiting.insert((due, number), (task, lane, Instant::now()));
                    counters.waiting.add(1);
                }
                Err(_) => return,
            },
            recv(cancelled) -> _ => {
                is_cancelled = true;
                cancelled = never();
            }
            recv(next.map_or_else(never, at)) -> _ => if let Some((_, (task, mut lane, since))) = waiting.pop_first() {
                lane.record(Phase::Pausing, since, Instant::now());
                counters.waiting.sub(1);
                // Without fetchers, the task ends here.
                let _ = tasks.send(task);
            }
        }
    }
}
