//! compare: runs the same job in different ways and compares their speed, memory and answers.
//!
//! In here: the race, its contenders, and its tables and charts. Not in here: the server, the
//! fetching and the parsing, which are the library's. A further contender is one file in
//! `contenders/` and one line in its table; a further output format is one file beside `export` and
//! one line in `write_files`.
//!
//! The server is one process. Every run is a fresh process with a fresh client. Each round runs
//! every participant once, in rotating order. The warm-up round is not counted. The operating system
//! reports CPU time and memory of a process and its children.
//!
//! A module imports only modules that come before it in this table.
//!
//! | Module | Content |
//! |---|---|
//! | `machine`, `progress`, `headings` | cores and CPU model, progress line, headings of a page |
//! | `stats`, `minimum_time`, `number_format` | statistics, minimum time of a job, numbers as text (pure) |
//! | `extract`, `fault`, `blocking_walk`, `task` | the result of parsing a page, injected faults, the index walk of contenders with their own threads, the task of a run |
//! | `contenders` | the implementations of the job, one file each |
//! | `cli` | command-line options |
//! | `child` | the child processes: the server, and one run of a contender |
//! | `server`, `samples` | a handle to the server, samples of a run over time |
//! | `participant`, `answer`, `run` | contenders and programs of the user, their answers, one run measured from outside |
//! | `setup`, `round_set` | where the pages come from, all rounds under one condition |
//! | `bottleneck`, `labels` | what limits a round set, labels of results |
//! | `terminal`, `export` | the table on the terminal; JSON, CSV and traces |
//! | `chart`, `html` | SVG charts, the HTML page |
//! | `validate` | checks of the options, selection of participants |

mod answer;
mod blocking_walk;
mod bottleneck;
mod chart;
mod child;
mod cli;
mod contenders;
mod export;
mod extract;
mod fault;
mod headings;
mod html;
mod labels;
mod machine;
mod minimum_time;
mod number_format;
mod participant;
mod progress;
mod round_set;
mod run;
mod samples;
mod server;
mod setup;
mod stats;
mod task;
mod terminal;
mod validate;

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use indexrank::disk::staging::StagedFile;

use cli::{ChildCommand, Cli, RaceArgs};
use round_set::RoundSet;
use setup::Setup;
use validate::Outputs;

/// Exit code if the race could not run, as for invalid options. Exit code 1 means that a participant
/// was disqualified.
const COULD_NOT_RACE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.child {
        None => race(&cli.race),
        Some(command) => run_child(command).map(|()| true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // If stderr is closed, the exit code still reports the error.
            let _ = writeln!(
                std::io::stderr(),
                "compare: {}",
                indexrank::site::text::visible(&format!("{error:#}"))
            );
            ExitCode::from(COULD_NOT_RACE)
        }
    }
}

fn run_child(command: ChildCommand) -> Result<()> {
    match command {
        ChildCommand::Serve { options } => child::serve(&serde_json::from_str(&options)?),
        ChildCommand::Run { task } => child::run(&serde_json::from_str(&task)?),
        ChildCommand::Worker { task } => contenders::worker(&serde_json::from_str(&task)?),
    }
}

/// Runs all round sets and prints each table as soon as it is complete. Returns true if no
/// participant was disqualified.
fn race(args: &RaceArgs) -> Result<bool> {
    let (participants, outputs) = validate::check(args)?;
    let mut sets = Vec::new();
    for latency_ms in args.latencies() {
        for workers in args.worker_counts() {
            let mut setup = Setup::prepare(args, latency_ms)?;
            let (rounds, _) = args.rounds();
            if let Some(text) = setup.announcement(participants.len(), workers, rounds) {
                print(&text)?;
            }
            let set = round_set::run(args, &participants, &mut setup, workers)?;
            print(&terminal::report(args, &set))?;
            sets.push(set);
        }
    }
    write_files(args, outputs, &sets)?;
    Ok(sets
        .iter()
        .flat_map(|set| &set.entries)
        .all(|entry| entry.broken.is_none()))
}

fn write_files(args: &RaceArgs, outputs: Outputs, sets: &[RoundSet]) -> Result<()> {
    let report = export::json(args, sets);
    if let Some(file) = outputs.html {
        write_file(&file, html::page(args, sets, &report).as_bytes())?;
    }
    if let Some(file) = outputs.json {
        write_file(&file, &indexrank::results::report::json(&report))?;
    }
    if let Some(file) = outputs.csv {
        write_file(&file, &export::csv(sets)?)?;
    }
    if let Some(folder) = &args.trace {
        for (name, timeline) in export::traces(sets) {
            let file = StagedFile::create(&folder.join(name))?;
            file.write(|out| timeline.write_chrome(out))?;
            file.publish()?;
        }
    }
    Ok(())
}

fn write_file(file: &StagedFile, content: &[u8]) -> Result<()> {
    file.write(|out| out.write_all(content))?;
    Ok(file.publish()?)
}

fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}
