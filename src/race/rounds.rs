//! Runs all rounds under one condition.

use std::time::Duration;

use anyhow::Result;
use crossbeam_channel::Receiver;

use crate::race::board::Board;
use crate::race::contenders::task::Task;
use crate::race::findings::round_set::{Entry, RoundSet};
use crate::race::options::{Condition, RaceArgs};
use crate::race::run::answer::Answer;
use crate::race::run::participant::Participant;
use crate::race::run::{self, Failure, Limits, Run};
use crate::race::schedule;
use crate::race::setup::Setup;

/// What all conditions have in common.
pub struct Rounds<'a> {
    pub args: &'a RaceArgs,
    /// Signals to this process, which end the race.
    pub signals: &'a Receiver<i32>,
    pub board: &'a mut Board,
}

impl Rounds<'_> {
    /// Runs all rounds. A signal ends them: the results are then those of the runs before it.
    ///
    /// Round 0, the warm-up, is not counted. It provides the timelines, the number of rounds that fit
    /// into the budget, and the answer that all runs are compared with.
    pub fn run(
        &mut self,
        participants: &[Participant],
        setup: &mut Setup,
        condition: Condition,
    ) -> Result<RoundSet> {
        let (rounds, has_warm_up) = self.args.rounds();
        let first_round = u32::from(!has_warm_up);
        let task = setup.task(condition.workers as usize);
        let mut entries: Vec<Entry> = participants
            .iter()
            .map(|participant| Entry::new(participant, rounds))
            .collect();
        let mut expected: Option<Answer> = None;
        for round in first_round..=rounds {
            for turn in 0..entries.len() {
                // The start rotates and the direction alternates, so that no participant always runs first,
                // or after the same one.
                let turn = match (round - first_round) % 2 {
                    0 => turn,
                    _ => entries.len() - 1 - turn,
                };
                let at = (turn + (round - first_round) as usize) % entries.len();
                if entries[at].broken.is_some() || round > entries[at].last_round {
                    continue;
                }
                let left = schedule::seconds_left(self.args, condition, &entries, round);
                self.board.begin_run(at, round, left);
                let entry = &mut entries[at];
                match self.measure(entry, setup, &task, round)? {
                    Ok(run) => {
                        self.board.end_run(at, (round > 0).then_some(run.wall_s));
                        self.check_and_record(entry, run, round, &mut expected);
                    }
                    Err(Failure::Broken(reason)) => entry.broken = Some(reason),
                    Err(Failure::Interrupted(signal)) => {
                        return Ok(RoundSet::new(condition, entries, Some(signal)));
                    }
                }
                if entries[at].broken.is_some() {
                    self.board.disqualify(at);
                }
            }
        }
        Ok(RoundSet::new(condition, entries, None))
    }

    fn measure(
        &self,
        entry: &Entry,
        setup: &mut Setup,
        task: &Task,
        round: u32,
    ) -> Result<Result<Run, Failure>> {
        let (_, has_warm_up) = self.args.rounds();
        let is_first_round = round == u32::from(!has_warm_up);
        let limits = Limits {
            timeout: Duration::from_secs(self.args.run_timeout),
            signals: self.signals,
        };
        run::measure(
            &entry.participant,
            &mut setup.server,
            &task_in_round(self.args, task, entry.name(), is_first_round),
            &limits,
            wants_samples(self.args, &entry.participant, round),
        )
    }

    /// Compares a run with the expected answer, and adds it to the results if it is correct.
    fn check_and_record(
        &self,
        entry: &mut Entry,
        run: Run,
        round: u32,
        expected: &mut Option<Answer>,
    ) {
        let is_live = self.args.urls.is_some();
        let is_acceptable = run.lost() == 0 || is_live;
        if expected.is_none() && is_acceptable && run.answer.companies.is_some() {
            *expected = Some(run.answer.clone());
        }
        entry.check(&run, expected.as_ref(), is_live);
        if entry.broken.is_some() {
            return;
        }
        if round == 0 {
            entry.last_round = self.args.affordable_rounds(run.wall_s);
        }
        entry.record(run, round);
    }
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
