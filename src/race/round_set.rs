//! A round set: all rounds of a race with one latency and one number of workers.

use std::time::Duration;

use crate::telemetry::trace::Timeline;
use crate::words::quantity;
use anyhow::{Result, bail};
use crossbeam_channel::Receiver;

use crate::race::answer::Answer;
use crate::race::contenders::BASELINE;
use crate::race::options::RaceArgs;
use crate::race::participant::Participant;
use crate::race::progress;
use crate::race::run::{self, Failure, Limits, Run};
use crate::race::samples::Sample;
use crate::race::setup::Setup;
use crate::race::stats::{Spread, median};
use crate::race::task::Task;

/// The results of one participant in a round set.
pub struct Entry {
    pub participant: Participant,
    /// The counted runs.
    pub runs: Vec<Run>,
    /// Why the participant was disqualified.
    pub broken: Option<String>,
    /// The first difference from the expected answer, where pages may change between runs.
    pub differs: Option<String>,
    /// Timeline of the workers, from the uncounted run if there is one.
    pub timeline: Option<Timeline>,
    /// The last round that fits into the time budget.
    last_round: u32,
}

impl Entry {
    fn new(participant: &Participant, rounds: u32) -> Self {
        Entry {
            participant: participant.clone(),
            runs: Vec::new(),
            broken: None,
            differs: None,
            timeline: None,
            last_round: rounds,
        }
    }

    pub fn name(&self) -> &str {
        self.participant.name()
    }

    /// Whether a run has given an answer that was compared with that of others.
    fn has_answer(&self, run: &Run) -> bool {
        matches!(self.participant, Participant::Contender { .. }) || !run.answer.rankings.is_empty()
    }

    /// Wall time of each run in seconds.
    pub fn walls(&self) -> Vec<f64> {
        self.runs.iter().map(|run| run.wall_s).collect()
    }

    /// The samples of the first run.
    pub fn samples(&self) -> &[Sample] {
        self.runs.first().map_or(&[], |run| &run.samples)
    }

    /// Wall time in seconds. `None` without a counted run.
    pub fn wall(&self) -> Option<Spread> {
        Spread::of(self.walls())
    }

    /// The median of a value over all runs. `None` without a counted run.
    pub fn median(&self, value: impl Fn(&Run) -> f64) -> Option<f64> {
        median(self.runs.iter().map(value))
    }

    /// Requests of a run, including index and exchange rate. `None` without a counted run.
    pub fn requests(&self) -> Option<f64> {
        self.median(|run| run.traffic.requests as f64)
    }

    pub fn pages_per_s(&self) -> Option<f64> {
        Some(self.requests()? / self.wall()?.median)
    }

    /// `None` without a server that counts connections.
    pub fn connections(&self) -> Option<f64> {
        let counts = self.runs.iter().filter_map(|run| run.traffic.connections);
        median(counts.map(|count| count as f64))
    }

    /// TLS handshakes of a run, and how many of them resumed a session. `None` without a server that
    /// counts them.
    pub fn handshakes(&self) -> Option<(f64, f64)> {
        let counts = || self.runs.iter().filter_map(|run| run.traffic.handshakes);
        let all = median(counts().map(|(all, _)| all as f64))?;
        Some((all, median(counts().map(|(_, resumed)| resumed as f64))?))
    }

    /// Connections that the system dropped in all runs. `None` if it does not count them.
    pub fn dropped_connections(&self) -> Option<u64> {
        self.runs.iter().map(|run| run.dropped_connections).sum()
    }

    pub fn cpu_ms_per_page(&self) -> Option<f64> {
        self.median(|run| run.cpu_s * 1e3 / (run.traffic.requests as f64).max(1.0))
    }

    /// Compares a run with the expected answer. Disqualifies the participant if they differ, but
    /// not if the pages are live: those may change between runs, and some may fail.
    fn check(&mut self, run: &Run, expected: Option<&Answer>, is_live: bool) {
        if is_live {
            let difference = expected.and_then(|expected| run.answer.difference(expected));
            self.differs = self.differs.take().or(difference);
            return;
        }
        self.broken = mistake(run, expected);
        if self.broken.is_none() && !self.has_answer(run) {
            self.broken =
                Some("gave no answer: none of its rankings is in INDEXRANK_OUT".to_owned());
        }
        if self.broken.is_some() {
            // Otherwise tables would compare the times of a disqualified participant.
            self.runs.clear();
        }
    }

    /// Adds a correct run. Round 0 is not counted; its time decides how many rounds fit into the
    /// budget.
    fn record(&mut self, run: Run, round: u32, budget_s: u64) {
        self.timeline = self.timeline.take().or(run.timeline.clone());
        if round == 0 {
            let affordable = (budget_s as f64 / run.wall_s) as u32;
            self.last_round = affordable.clamp(1, self.last_round);
        } else {
            self.runs.push(run);
        }
    }
}

/// The results of all participants, the fastest first.
pub struct RoundSet {
    pub latency_ms: u64,
    pub workers: u64,
    pub entries: Vec<Entry>,
}

impl RoundSet {
    /// Wall time of the contender that speedups are relative to. `None` if it did not take part.
    pub fn baseline_wall(&self) -> Option<Spread> {
        self.entries
            .iter()
            .find(|entry| entry.name() == BASELINE)
            .and_then(Entry::wall)
    }
}

/// A signal to this process, by its number, has ended a run.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted(pub i32);

/// Runs all rounds.
///
/// Round 0, the warm-up, is not counted. It provides the timelines, the number of rounds that fit
/// into the budget, and the answer that all runs are compared with.
pub fn run(
    args: &RaceArgs,
    participants: &[Participant],
    setup: &mut Setup,
    workers: u64,
    signals: &Receiver<i32>,
) -> Result<RoundSet> {
    let (rounds, has_warm_up) = args.rounds();
    let first_round = u32::from(!has_warm_up);
    let is_live = args.urls.is_some();
    let limits = Limits {
        timeout: Duration::from_secs(args.run_timeout),
        signals,
    };
    let latency_ms = setup.latency_ms;
    let task = setup.task(workers as usize);
    let mut entries: Vec<Entry> = participants
        .iter()
        .map(|participant| Entry::new(participant, rounds))
        .collect();
    let mut expected: Option<Answer> = None;
    for round in first_round..=rounds {
        for turn in 0..entries.len() {
            // The starting position rotates, so that no participant always runs first.
            let at = (turn + (round - first_round) as usize) % entries.len();
            let entry = &mut entries[at];
            if entry.broken.is_some() || round > entry.last_round {
                continue;
            }
            progress::show(&format!(
                "{latency_ms} ms, {}, round {round}/{rounds}: {}",
                quantity(workers as usize, "worker", "workers"),
                entry.name()
            ));
            let run = run::measure(
                &entry.participant,
                &mut setup.server,
                &task_in_round(args, &task, entry.name(), round == first_round),
                &limits,
                wants_samples(args, &entry.participant, round),
            )?;
            let run = match run {
                Ok(run) => run,
                Err(Failure::Broken(reason)) => {
                    entry.broken = Some(reason);
                    continue;
                }
                Err(Failure::Interrupted(signal)) => {
                    progress::clear();
                    bail!(Interrupted(signal));
                }
            };
            let is_acceptable = run.lost() == 0 || is_live;
            if expected.is_none() && is_acceptable && run.answer.companies.is_some() {
                expected = Some(run.answer.clone());
            }
            entry.check(&run, expected.as_ref(), is_live);
            if entry.broken.is_none() {
                entry.record(run, round, args.budget);
            }
        }
    }
    progress::clear();
    // A program without an answer has no place: it may have done anything.
    let wall = |entry: &Entry| {
        let answers = entry.runs.first().is_some_and(|run| entry.has_answer(run));
        let median = entry.wall().map(|spread| spread.median);
        median.filter(|_| answers).unwrap_or(f64::INFINITY)
    };
    entries.sort_by(|one, other| wall(one).total_cmp(&wall(other)));
    Ok(RoundSet {
        latency_ms,
        workers,
        entries,
    })
}

/// The task of a participant in one round: traced in the first round if an output needs timelines.
fn task_in_round(args: &RaceArgs, task: &Task, name: &str, is_first_round: bool) -> Task {
    let wants_timelines = args.html.is_some() || args.trace.is_some();
    let fault = args.fault.as_ref().filter(|(faulty, _)| faulty == name);
    Task {
        trace: wants_timelines && is_first_round,
        fault: fault.map(|(_, fault)| *fault),
        ..task.clone()
    }
}

/// Samples are taken in a counted run, because a trace would add to its memory. Programs of the user
/// are not sampled: the process is their shell.
fn wants_samples(args: &RaceArgs, participant: &Participant, round: u32) -> bool {
    let is_contender = matches!(participant, Participant::Contender { .. });
    args.html.is_some() && round == 1 && is_contender
}

/// Why a run disqualifies its participant. `None` if the run is correct.
fn mistake(run: &Run, expected: Option<&Answer>) -> Option<String> {
    match run.lost() {
        0 => {}
        1 => return Some("lost 1 page".to_owned()),
        many => return Some(format!("lost {many} pages")),
    }
    expected
        .and_then(|expected| run.answer.difference(expected))
        .map(|difference| format!("different answer: {difference}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::race::child::Measurement;
    use crate::race::run::Traffic;

    fn run(failures: usize, companies: &str) -> Run {
        Run {
            wall_s: 1.0,
            cpu_s: 1.0,
            peak_mb: 1.0,
            measurement: Some(Measurement {
                wall_s: 1.0,
                pages: 2,
                failures,
                requests: 2,
                bytes: 3,
                peak_memory: None,
                latency_p50_ms: 1.0,
                latency_p99_ms: 1.0,
            }),
            traffic: Traffic {
                requests: 2,
                bytes: 3,
                connections: Some(1),
                handshakes: None,
            },
            dropped_connections: None,
            timeline: None,
            samples: Vec::new(),
            answer: Answer {
                companies: Some(companies.to_owned()),
                rankings: Vec::new(),
            },
        }
    }

    #[test]
    fn rejects_lost_pages_and_different_companies() {
        let expected_answer = run(0, "A\nB\n").answer;
        for (failures, companies, expected) in [
            (0, "A\nB\n", None),
            (1, "A\nB\n", Some("lost 1 page")),
            (0, "A\n", Some("different answer: got nothing, expected B")),
            (
                0,
                "A\nB\nC\n",
                Some("different answer: got C, expected nothing"),
            ),
            (0, "A\nX\n", Some("different answer: got X, expected B")),
        ] {
            assert_eq!(
                mistake(&run(failures, companies), Some(&expected_answer)).as_deref(),
                expected,
                "{companies:?}"
            );
        }
        assert_eq!(mistake(&run(0, "A\n"), None), None);
    }
}
