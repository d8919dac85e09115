//! All conditions of a race, one after the other.

use anyhow::{Result, bail};
use crossbeam_channel::Receiver;

use crate::exit::Exit;
use crate::job::advice::Stop;
use crate::race::board::Board;
use crate::race::contenders::BASELINE;
use crate::race::findings::labels;
use crate::race::findings::round_set::{Entry, RoundSet};
use crate::race::options::{Condition, RaceArgs};
use crate::race::publisher::Publisher;
use crate::race::rounds::Rounds;
use crate::race::run::participant::Participant;
use crate::race::schedule;
use crate::race::setup::Setup;
use crate::race::tls::Certificates;
use crate::words::quantity;

pub struct Conditions<'a> {
    pub args: &'a RaceArgs,
    pub participants: &'a [Participant],
    /// Of a race over TLS.
    pub certificates: Option<&'a Certificates>,
    /// Signals to this process, which end the race.
    pub signals: &'a Receiver<i32>,
}

impl Conditions<'_> {
    /// Runs the conditions in their order. A signal is an error, a [`Stop`].
    pub fn run(&self, publisher: &mut Publisher, board: &mut Board) -> Result<()> {
        let args = self.args;
        let conditions = args.conditions();
        for (at, &condition) in conditions.iter().enumerate() {
            let baseline = measured_baseline(&publisher.sets, condition);
            let participants = self.participants_of(condition, baseline.is_some());
            if participants.is_empty() {
                continue;
            }
            let mut setup = Setup::prepare(args, self.certificates, condition.latency_ms)?;
            let (rounds, _) = args.rounds();
            if let Some(text) = setup.announcement(participants.len(), condition.workers, rounds) {
                publisher.print(&text, board);
            }
            let label = labels::condition(args, condition);
            let number = at + 1;
            let heading = format!("{label}: condition {number} of {}", conditions.len());
            let names = participants.iter().map(Participant::name);
            let later = schedule::seconds_after(args, self.participants, &conditions, number);
            board.begin(heading, names, later);
            let mut rounds = Rounds {
                args,
                signals: self.signals,
                board,
            };
            let mut set = rounds.run(&participants, &mut setup, condition)?;
            set.add(baseline);
            if let Some(signal) = set.interrupted {
                board.erase();
                if set.ranked().next().is_some() {
                    publisher.add(set, board);
                }
                let message = format!(
                    "interrupted at {label}: {at} of {} complete",
                    quantity(conditions.len(), "condition", "conditions")
                );
                bail!(Stop::new(Exit::of_signal(signal), message));
            }
            let first = first_place(&set);
            board.end(&format!(
                "{label}: {first}; {number} of {} done",
                conditions.len()
            ));
            publisher.add(set, board);
            if !publisher.has_reader() {
                break;
            }
        }
        Ok(())
    }

    /// The participants that run under a condition. A sweep stops at the bound of each contender.
    fn participants_of(&self, condition: Condition, has_baseline: bool) -> Vec<Participant> {
        let runs = |participant: &&Participant| match participant.name() {
            BASELINE => !has_baseline,
            name => self.args.sweeps(name, condition.workers),
        };
        self.participants.iter().filter(runs).cloned().collect()
    }
}

fn first_place(set: &RoundSet) -> String {
    let mut ranked = set.ranked();
    let first = ranked
        .next()
        .and_then(|entry| Some((entry.name(), entry.wall()?)));
    first.map_or("no result".to_owned(), |(name, wall)| {
        format!("{name} is first with {:.3} s", wall.median)
    })
}

/// The results of the baseline at the same latency. It has one request in flight under every condition,
/// so it runs once for each latency.
fn measured_baseline(sets: &[RoundSet], condition: Condition) -> Option<Entry> {
    let mut of_latency = sets
        .iter()
        .filter(|set| set.condition.latency_ms == condition.latency_ms);
    let entry = of_latency.next()?.entry(BASELINE)?;
    Some(Entry {
        is_copied: true,
        timeline: None,
        ..entry.clone()
    })
}
