//! All rounds under one condition.

use std::time::Duration;

use anyhow::Result;
use indexrank::telemetry::trace::Timeline;

use crate::cli::RaceArgs;
use crate::run::{self, Answer, Entrant, Run};
use crate::samples::Moment;
use crate::setup::Ground;
use crate::stats::Spread;
use crate::task::Task;
use crate::terminal;

/// What became of one entrant under one condition.
pub struct Entry {
    pub entrant: Entrant,
    pub runs: Vec<Run>,
    /// Why it was taken out of the race.
    pub broken: Option<String>,
    /// Where its answer is not the others' and need not be: the first difference.
    pub differs: Option<String>,
    /// What its workers did when, in a run that is not counted where there is one.
    pub timeline: Option<Timeline>,
}

impl Entry {
    /// Seconds of each run.
    pub fn walls(&self) -> Vec<f64> {
        self.runs.iter().map(|run| run.wall_s).collect()
    }

    /// How its first run went on.
    pub fn course(&self) -> &[Moment] {
        self.runs.first().map_or(&[], |run| &run.course)
    }

    pub fn wall(&self) -> Option<Spread> {
        Spread::of(&self.walls())
    }

    /// The middle of a figure of all runs.
    pub fn median(&self, of: impl Fn(&Run) -> f64) -> Option<f64> {
        Spread::of(&self.runs.iter().map(of).collect::<Vec<f64>>()).map(|spread| spread.median)
    }

    pub fn pages_per_s(&self) -> Option<f64> {
        Some(self.median(|run| run.traffic.requests as f64)? / self.wall()?.median)
    }

    /// None where nobody counted them.
    pub fn connections(&self) -> Option<f64> {
        let counted = self.runs.iter().filter_map(|run| run.traffic.connections);
        let counted: Vec<f64> = counted.map(|count| count as f64).collect();
        Spread::of(&counted).map(|spread| spread.median)
    }

    pub fn cpu_ms_per_page(&self) -> Option<f64> {
        self.median(|run| run.cpu_s * 1e3 / (run.traffic.requests as f64).max(1.0))
    }
}

/// One condition and how all did under it, the fastest first.
pub struct Heat {
    pub latency_ms: u64,
    pub workers: u64,
    pub entries: Vec<Entry>,
}

/// All rounds.
pub fn run(
    args: &RaceArgs,
    entrants: &[Entrant],
    ground: &mut Ground,
    workers: u64,
) -> Result<Heat> {
    let task = ground.task(workers as usize);
    let patience = Duration::from_secs(args.patience);
    let (most, warm_up) = args.rounds();
    let first = u32::from(!warm_up);
    let wants_timelines = args.html.is_some() || args.trace.is_some();
    let mut entries: Vec<Entry> = entrants
        .iter()
        .map(|entrant| Entry {
            entrant: entrant.clone(),
            runs: Vec::new(),
            broken: None,
            differs: None,
            timeline: None,
        })
        .collect();
    let mut rounds = vec![most; entries.len()];
    let mut right: Option<Answer> = None;
    // Round 0 is not counted: it warms the machine up, shows how long a run takes and what is done
    // in it, and gives the answer that all others are held against.
    for round in first..=most {
        for turn in 0..entries.len() {
            let at = (turn + (round - first) as usize) % entries.len();
            let entry = &mut entries[at];
            if entry.broken.is_some() || round > rounds[at] {
                continue;
            }
            terminal::progress(
                ground.latency_ms,
                workers,
                round,
                most,
                entry.entrant.name(),
            );
            let fault = args
                .fault
                .as_ref()
                .filter(|(name, _)| name == entry.entrant.name());
            let task = Task {
                trace: wants_timelines && round == first,
                fault: fault.map(|(_, fault)| *fault),
                ..task.clone()
            };
            // One that counts, for a trace would be in its memory. Of a program of the user's, a
            // shell would be watched.
            let is_own = matches!(entry.entrant, Entrant::Own { .. });
            let is_followed = args.html.is_some() && round == 1 && is_own;
            let run = run::run(
                &entry.entrant,
                &mut ground.server,
                &task,
                patience,
                is_followed,
            )?;
            let run = match run {
                Err(why) => {
                    entry.broken = Some(why);
                    continue;
                }
                Ok(run) => run,
            };
            let may_be_right = run.lost() == 0 || args.urls.is_some();
            if right.is_none() && may_be_right && run.answer.companies.is_some() {
                right = Some(run.answer.clone());
            }
            if args.urls.is_some() {
                // Pages of the world outside may be others each time, and some may be lost.
                let difference = right
                    .as_ref()
                    .and_then(|right| run.answer.difference(right));
                entry.differs = entry.differs.take().or(difference);
            } else {
                entry.broken = wrong(&run, right.as_ref());
                // A figure of one who is out would be compared all the same.
                if entry.broken.is_some() {
                    entry.runs.clear();
                    continue;
                }
            }
            entry.timeline = entry.timeline.take().or(run.timeline.clone());
            if round == 0 {
                let affordable = (args.budget as f64 / run.wall_s) as u32;
                rounds[at] = affordable.clamp(1, most);
            } else {
                entry.runs.push(run);
            }
        }
    }
    terminal::progress_end();
    let wall = |entry: &Entry| entry.wall().map_or(f64::INFINITY, |spread| spread.median);
    entries.sort_by(|one, other| wall(one).total_cmp(&wall(other)));
    Ok(Heat {
        latency_ms: ground.latency_ms,
        workers,
        entries,
    })
}

fn wrong(run: &Run, right: Option<&Answer>) -> Option<String> {
    if run.lost() > 0 {
        return Some(format!("loses {} pages", run.lost()));
    }
    right
        .and_then(|right| run.answer.difference(right))
        .map(|difference| format!("another answer: {difference}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::Measured;
    use crate::run::Traffic;

    fn run(failures: usize, companies: &str) -> Run {
        Run {
            wall_s: 1.0,
            cpu_s: 1.0,
            peak_mb: 1.0,
            measured: Some(Measured {
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
            },
            timeline: None,
            course: Vec::new(),
            answer: Answer {
                companies: Some(companies.to_owned()),
                rankings: Vec::new(),
            },
        }
    }

    /// A run that lost a page, has another company, or lacks one is found out.
    #[test]
    fn wrong_answers() {
        let right = run(0, "A\nB\n").answer;
        for (failures, companies, expected) in [
            (0, "A\nB\n", None),
            (1, "A\nB\n", Some("loses 1 pages")),
            (0, "A\n", Some("another answer: nothing instead of B")),
            (0, "A\nB\nC\n", Some("another answer: C instead of nothing")),
            (0, "A\nX\n", Some("another answer: X instead of B")),
        ] {
            assert_eq!(
                wrong(&run(failures, companies), Some(&right)).as_deref(),
                expected,
                "{companies:?}"
            );
        }
        assert_eq!(wrong(&run(0, "A\n"), None), None);
    }
}
