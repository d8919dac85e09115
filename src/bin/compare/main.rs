//! compare: the same job run in other ways, side by side.
//!
//! One server process; every run a fresh process with a fresh client; rounds interleaved over the
//! entrants, their order rotating, the first round not counted. CPU time and memory are what the
//! operating system says of the process and its children.
//!
//! | Module | |
//! |---|---|
//! | `cli` | what the user may type |
//! | `validate` | whether that makes sense, and who takes part |
//! | `task` | what every contender is asked to do |
//! | `contenders` | the ways of doing it, one file each |
//! | `setup` | where the pages are, and what is done with them |
//! | `round_set` | all rounds under one condition |
//! | `run` | one run, measured from outside |
//! | `child` | the server and one run, seen from inside |
//! | `headings` | what is read of a page that is no company's |
//! | `fault` | what a contender can be made to do wrong |
//! | `stats` | statistics of a few runs (pure) |
//! | `bottleneck` | what the figures of a heat say in words (pure) |
//! | `terminal` | the table on the terminal |
//! | `export` | JSON, CSV and traces |
//! | `html`, `chart` | the page and its pictures |

mod bottleneck;
mod chart;
mod child;
mod cli;
mod contenders;
mod export;
mod fault;
mod headings;
mod html;
mod round_set;
mod run;
mod samples;
mod setup;
mod stats;
mod task;
mod terminal;
mod validate;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use indexrank::disk::output::Staged;

use cli::{Cli, Part, RaceArgs};
use round_set::Heat;
use setup::Ground;

/// As of wrong options; 1 is for entrants that were found wanting.
const COULD_NOT_RACE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = match cli.part {
        Some(Part::Serve { serving }) => told(&serving).and_then(|told| child::serve(&told)),
        Some(Part::Run { task }) => told(&task).and_then(|task| child::run(&task)),
        Some(Part::Worker { task }) => told(&task).and_then(|task| contenders::worker(&task)),
        None => return exit(compare(&cli.race)),
    };
    exit(ended.map(|()| true))
}

fn told<T: serde::de::DeserializeOwned>(json: &str) -> Result<T> {
    Ok(serde_json::from_str(json)?)
}

fn exit(ended: Result<bool>) -> ExitCode {
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "compare: {error:#}");
            ExitCode::from(COULD_NOT_RACE)
        }
    }
}

/// Runs every condition and shows each table as soon as it is there. True if every entrant gave the
/// same answer in every run.
fn compare(args: &RaceArgs) -> Result<bool> {
    let entrants = validate::check(args)?;
    let mut heats = Vec::new();
    for latency_ms in args.latencies() {
        for workers in args.widths() {
            let mut ground = Ground::prepare(args, latency_ms)?;
            if let Some(words) = ground.politeness(entrants.len(), workers, args.rounds().0) {
                print(&words)?;
            }
            let heat = round_set::run(args, &entrants, &mut ground, workers)?;
            print(&terminal::heat(args, &heat))?;
            heats.push(heat);
        }
    }
    write_files(args, &heats)?;
    Ok(heats
        .iter()
        .flat_map(|heat| &heat.entries)
        .all(|entry| entry.broken.is_none()))
}

fn write_files(args: &RaceArgs, heats: &[Heat]) -> Result<()> {
    let report = export::json(args, heats);
    if let Some(file) = &args.html {
        Staged::whole(file, html::page(args, heats, &report).as_bytes())?.place()?;
    }
    if let Some(file) = &args.json {
        Staged::whole(file, &indexrank::results::report::json(&report))?.place()?;
    }
    if let Some(file) = &args.csv {
        Staged::whole(file, &export::csv(heats)?)?.place()?;
    }
    if let Some(folder) = &args.trace {
        for (name, trace) in export::traces(heats) {
            Staged::whole(&folder.join(name), &trace)?.place()?;
        }
    }
    Ok(())
}

fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}
