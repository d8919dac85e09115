//! How long a race takes, estimated. Pure functions.

use crate::race::contenders::BASELINE;
use crate::race::findings::round_set::Entry;
use crate::race::minimum_time::JobModel;
use crate::race::options::{Condition, RaceArgs, WorkArg};
use crate::race::run::participant::Participant;
use crate::source::origin::Origin;

/// Seconds to start a process, to write and compare its answer, and to read the counters of the server.
const RUN_OVERHEAD: f64 = 0.04;
/// Seconds to start the server.
const SERVER_START: f64 = 0.2;
/// Seconds of computing for a page, the server's share included, on the cores of a small machine.
const COMPUTING: f64 = 0.000_2;
/// Company pages of an archive, as those of the S&P 500.
const PAGES_OF_ARCHIVE: usize = 500;

/// The seconds that the race takes, if every run takes little more than the least possible time.
pub fn total_seconds(args: &RaceArgs, participants: &[Participant]) -> f64 {
    let conditions = args.conditions();
    seconds_after(args, participants, &conditions, 0)
}

/// The seconds that the conditions from number `next` on take.
pub fn seconds_after(
    args: &RaceArgs,
    participants: &[Participant],
    conditions: &[Condition],
    next: usize,
) -> f64 {
    let later = conditions.iter().enumerate().skip(next);
    let seconds = later.map(|(at, condition)| {
        let is_repeated = conditions[..at]
            .iter()
            .any(|earlier| earlier.latency_ms == condition.latency_ms);
        let runs = participants
            .iter()
            .filter(|participant| match participant.name() {
                BASELINE => !is_repeated,
                name => args.sweeps(name, condition.workers),
            })
            .map(|participant| {
                let seconds = run_seconds(args, *condition, participant.name());
                let (_, has_warm_up) = args.rounds();
                let rounds = args.affordable_rounds(seconds) + u32::from(has_warm_up);
                f64::from(rounds) * (seconds + RUN_OVERHEAD)
            });
        SERVER_START + runs.sum::<f64>()
    });
    seconds.sum()
}

/// The seconds that the rounds of a condition from `round` on take.
pub fn seconds_left(args: &RaceArgs, condition: Condition, entries: &[Entry], round: u32) -> f64 {
    let of_entry = |entry: &Entry| {
        let measured = entry.wall().map(|wall| wall.median);
        let seconds = measured.unwrap_or_else(|| run_seconds(args, condition, entry.name()));
        let last_round = match round {
            0 => args.affordable_rounds(seconds),
            _ => entry.last_round,
        };
        f64::from((last_round + 1).saturating_sub(round)) * (seconds + RUN_OVERHEAD)
    };
    let running = entries.iter().filter(|entry| entry.broken.is_none());
    running.map(of_entry).sum()
}

/// Estimates the seconds of one run.
fn run_seconds(args: &RaceArgs, condition: Condition, name: &str) -> f64 {
    let pages = match args.from {
        Origin::Archive(_) | Origin::Shards(_) => PAGES_OF_ARCHIVE,
        _ => args.companies() as usize,
    };
    let in_flight = match name {
        BASELINE => 1,
        _ => condition.workers as usize,
    };
    let job = JobModel {
        pages,
        in_flight,
        has_index: args.work == WorkArg::Job,
        latency: condition.latency_ms as f64 / 1e3,
        jitter: args.jitter as f64 / 1e3,
        transfer: 0.0,
        computing: pages as f64 * COMPUTING,
    };
    job.minimum()
}
