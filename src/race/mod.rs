//! The race: the job done in different ways, with their speed, memory and answers compared; its contenders, tables and charts.
//! Not in here: the server, the fetching and the parsing, which the other rooms have.
//! A further contender is a file in `contenders/` and a line in its table `ALL`; a further output format is a file beside `export` and a line in `write_files`.
//!
//! The server is one process. Every run is a fresh process with a fresh client. Each round runs
//! every participant once, in rotating order. The warm-up round is not counted. The operating system
//! reports CPU time and memory of a process and its children.
//!
//! A module imports only modules that come before it in this table.
//!
//! | Module | Content |
//! |---|---|
//! | `machine`, `progress`, `headings`, `trust` | cores and CPU model, progress line, headings of a page, TLS of the contenders |
//! | `stats`, `minimum_time`, `number_format` | statistics, minimum time of a job, numbers as text (pure) |
//! | `extract`, `fault`, `blocking_walk`, `task` | the result of parsing a page, injected faults, the index walk of contenders with their own threads, the task of a run |
//! | `contenders`, `rivals` | the implementations of the job, one file each; programs in other languages |
//! | `options` | command-line options |
//! | `child`, `processes` | the child processes: the server, and one run of a contender; the end of all processes of a run |
//! | `server`, `samples` | a handle to the server, samples of a run over time |
//! | `tls`, `listen_drops` | the certificates of a race over TLS, connections dropped by the system |
//! | `participant`, `answer`, `run` | contenders and programs of the user, their answers, one run measured from outside |
//! | `setup`, `round_set` | where the pages come from, all rounds under one condition |
//! | `bottleneck`, `labels` | what limits a round set, labels of results |
//! | `connection_notes` | sentences about dropped connections and TLS handshakes |
//! | `terminal`, `export` | the table on the terminal; JSON, CSV and traces |
//! | `chart`, `html` | SVG charts, the HTML page |
//! | `validate` | checks of the options, selection of participants |

mod answer;
mod blocking_walk;
mod bottleneck;
mod chart;
mod child;
mod connection_notes;
mod contenders;
mod export;
mod extract;
mod fault;
mod headings;
mod html;
mod labels;
mod listen_drops;
mod machine;
mod minimum_time;
mod number_format;
mod options;
mod participant;
mod processes;
mod progress;
mod rivals;
mod round_set;
mod run;
mod samples;
mod server;
mod setup;
mod stats;
mod task;
mod terminal;
mod tls;
mod trust;
mod validate;

use std::io::Write;

use anyhow::Result;
use crossbeam_channel::Receiver;

use crate::disk::output::OutputError;
use crate::disk::staging::StagedFile;
use crate::exit::Exit;
use crate::job::advice::Stop;
use crate::race::options::ChildCommand;
pub use crate::race::options::RaceArgs;
use crate::race::round_set::{Interrupted, RoundSet};
use crate::race::setup::Setup;
use crate::race::tls::Certificates;
use crate::race::validate::Outputs;

/// The subcommand `race`. The exit code is [`Exit::Partial`] if a participant was disqualified.
pub fn run(args: &RaceArgs, signals: &Receiver<i32>) -> Result<Exit, Stop> {
    let result = match &args.child {
        None => race(args, signals),
        Some(command) => run_child(command).map(|()| Exit::Complete),
    };
    result.map_err(|error| match error.downcast_ref() {
        Some(Interrupted(signal)) => Stop::new(Exit::of_signal(*signal), "interrupted"),
        None => match error.downcast::<OutputError>() {
            Ok(unwritable) => unwritable.into(),
            Err(error) => Stop::new(Exit::Usage, format!("{error:#}")),
        },
    })
}

fn run_child(command: &ChildCommand) -> Result<()> {
    match command {
        ChildCommand::Serve { options } => child::serve(&serde_json::from_str(options)?),
        ChildCommand::Run { task } => child::run(&serde_json::from_str(task)?),
        ChildCommand::Worker { task } => contenders::worker(&serde_json::from_str(task)?),
    }
}

/// Runs all round sets and prints each table as soon as it is complete.
fn race(args: &RaceArgs, signals: &Receiver<i32>) -> Result<Exit> {
    processes::adopt_orphans();
    let (participants, mut outputs) = validate::check(args)?;
    let generate = || Certificates::generate(outputs.ca_out.take());
    let certificates = args.tls.then(generate).transpose()?;
    let mut sets = Vec::new();
    for latency_ms in args.latencies() {
        for workers in args.worker_counts() {
            let mut setup = Setup::prepare(args, certificates.as_ref(), latency_ms)?;
            let (rounds, _) = args.rounds();
            if let Some(text) = setup.announcement(participants.len(), workers, rounds) {
                print(&text)?;
            }
            let set = round_set::run(args, &participants, &mut setup, workers, signals)?;
            print(&terminal::report(args, &set))?;
            sets.push(set);
        }
    }
    write_files(args, outputs, &sets)?;
    let mut entries = sets.iter().flat_map(|set| &set.entries);
    let is_broken = entries.any(|entry| entry.broken.is_some());
    Ok(if is_broken {
        Exit::Partial
    } else {
        Exit::Complete
    })
}

fn write_files(args: &RaceArgs, outputs: Outputs, sets: &[RoundSet]) -> Result<()> {
    let report = export::json(args, sets);
    if let Some(file) = outputs.html {
        write_file(&file, html::page(args, sets, &report).as_bytes())?;
    }
    if let Some(file) = outputs.json {
        write_file(&file, &crate::results::report::json(&report))?;
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
