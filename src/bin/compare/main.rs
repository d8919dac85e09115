//! compare: the same job run in other ways, side by side.
//!
//! One server process; every run a fresh process with a fresh client; rounds interleaved over the
//! entrants, their order rotating, the first round not counted. CPU time and memory are what the
//! operating system says of the process and its children.
//!
//! | Module | |
//! |---|---|
//! | `cli` | what the user may type |
//! | `contenders` | the ways of doing the job, one file each |
//! | `race` | rounds of runs, measured from outside |
//! | `parts` | the server and one run, seen from inside |
//! | `stats` | statistics of a few runs (pure) |
//! | `show` | the table and what it says in words |
//! | `export` | JSON and CSV |

mod cli;
mod contenders;
mod export;
mod parts;
mod race;
mod show;
mod stats;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Parser;
use indexrank::output::{self, Staged};

use cli::{Cli, Part, RaceArgs};
use contenders::{ALL, Task};
use race::{Answer, Entrant, Run, Server};

/// What became of one entrant under one condition.
pub struct Entry {
    pub entrant: Entrant,
    pub runs: Vec<Run>,
    /// Why it was taken out of the race.
    pub broken: Option<String>,
}

/// One condition and how all did under it, the fastest first.
pub struct Heat {
    pub latency_ms: u64,
    pub workers: u64,
    pub entries: Vec<Entry>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = match cli.part {
        Some(Part::Serve {
            from,
            companies,
            latency,
        }) => parts::serve(&from, companies, latency).map(|()| true),
        Some(Part::Run {
            name,
            site,
            workers,
            out,
        }) => {
            let task = Task {
                site,
                index: "s&p_500".to_owned(),
                workers,
            };
            parts::run(&name, &task, &out).map(|()| true)
        }
        Some(Part::Worker { site }) => contenders::worker(&site).map(|()| true).map_err(Into::into),
        None => compare(&cli.race),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "compare: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs every condition and shows each table as soon as it is there. True if every entrant gave the
/// same answer in every run.
fn compare(args: &RaceArgs) -> Result<bool> {
    let entrants = entrants(args)?;
    for file in args.json.iter().chain(&args.csv) {
        output::try_file(file)?;
    }
    let mut heats = Vec::new();
    for &latency_ms in &args.latency {
        for &workers in &args.workers {
            let heat = heat(args, &entrants, latency_ms, workers)?;
            print(&show::heat(&heat))?;
            heats.push(heat);
        }
    }
    if let Some(file) = &args.json {
        Staged::whole(file, &export::json(args, &heats))?.place()?;
    }
    if let Some(file) = &args.csv {
        Staged::whole(file, &export::csv(&heats)?)?.place()?;
    }
    Ok(heats
        .iter()
        .flat_map(|heat| &heat.entries)
        .all(|entry| entry.broken.is_none()))
}

fn entrants(args: &RaceArgs) -> Result<Vec<Entrant>> {
    let names = || {
        ALL.iter()
            .map(|contender| contender.name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    if let Some(unknown) = args
        .only
        .iter()
        .find(|name| ALL.iter().all(|contender| contender.name != **name))
    {
        bail!(
            "there is no contender {unknown:?}; --only takes {}",
            names()
        );
    }
    let chosen = |name: &str| args.only.is_empty() || args.only.iter().any(|only| only == name);
    let own = ALL.iter().filter(|contender| chosen(contender.name));
    let own = own.map(|contender| Entrant::Own {
        name: contender.name,
        answers: contender.answers,
    });
    let also = args
        .also
        .iter()
        .cloned()
        .map(|(name, command)| Entrant::Also { name, command });
    Ok(own.chain(also).collect())
}

/// All rounds under one condition.
fn heat(args: &RaceArgs, entrants: &[Entrant], latency_ms: u64, workers: u64) -> Result<Heat> {
    let mut server = Server::start(&args.from.to_string(), args.companies, latency_ms)?;
    let patience = Duration::from_secs(args.patience);
    let mut entries: Vec<Entry> = entrants
        .iter()
        .map(|entrant| Entry {
            entrant: entrant.clone(),
            runs: Vec::new(),
            broken: None,
        })
        .collect();
    let mut rounds = vec![args.rounds; entries.len()];
    let mut right: Option<Answer> = None;
    // Round 0 is not counted: it warms the machine up, shows how long a run takes, and gives the
    // answer that all others are held against.
    for round in 0..=args.rounds {
        for turn in 0..entries.len() {
            let at = (turn + round as usize) % entries.len();
            let entry = &mut entries[at];
            if entry.broken.is_some() || round > rounds[at] {
                continue;
            }
            show::progress(
                latency_ms,
                workers,
                round,
                args.rounds,
                entry.entrant.name(),
            );
            match race::run(&entry.entrant, &mut server, workers, patience)? {
                Err(why) => entry.broken = Some(why),
                Ok(run) => {
                    if right.is_none() && run.answer.companies.is_some() {
                        right = Some(run.answer.clone());
                    }
                    entry.broken = wrong(&run, right.as_ref());
                    if round == 0 {
                        let affordable = (args.budget as f64 / run.wall_s) as u32;
                        rounds[at] = affordable.clamp(1, args.rounds);
                    } else if entry.broken.is_none() {
                        entry.runs.push(run);
                    }
                }
            }
        }
    }
    show::progress_end();
    let wall = |entry: &Entry| {
        stats::Spread::of(&walls(entry)).map_or(f64::INFINITY, |spread| spread.median)
    };
    entries.sort_by(|one, other| wall(one).total_cmp(&wall(other)));
    Ok(Heat {
        latency_ms,
        workers,
        entries,
    })
}

fn wrong(run: &Run, right: Option<&Answer>) -> Option<String> {
    let lost = run
        .measured
        .as_ref()
        .map_or(0, |measured| measured.failures);
    if lost > 0 {
        return Some(format!("loses {lost} pages"));
    }
    right
        .and_then(|right| run.answer.difference(right))
        .map(|difference| format!("another answer: {difference}"))
}

pub fn walls(entry: &Entry) -> Vec<f64> {
    entry.runs.iter().map(|run| run.wall_s).collect()
}

fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::Measured;
    use indexrank::replica::Counts;

    fn run(failures: usize, companies: &str) -> Run {
        Run {
            wall_s: 1.0,
            cpu_s: 1.0,
            peak_mb: 1.0,
            measured: Some(Measured {
                wall_s: 1.0,
                pages: 2,
                failures,
                latency_p50_ms: 1.0,
                latency_p99_ms: 1.0,
            }),
            counts: Counts {
                requests: 2,
                connections: 1,
                bytes: 3,
            },
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
