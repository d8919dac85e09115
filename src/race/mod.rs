//! The race: the job done in different ways, with their speed, memory and answers compared; its contenders, tables and charts.
//! Not in here: the server, the fetching and the parsing, which the other rooms have.
//! A further contender is a file in `contenders/` and a line in its table `ALL`; a further output format is a file beside `export` and a line in `publisher`.
//!
//! The server is one process. Every run is a fresh process with a fresh client. Each round runs
//! every participant once, in rotating order. The warm-up round is not counted. The operating system
//! reports CPU time and memory of a process and its children.
//!
//! A module imports only modules that come before it in this table.
//!
//! | Module | Content |
//! |---|---|
//! | `machine`, `start`, `headings`, `trust` | cores and CPU model, circumstances at the start, headings of a page, TLS of the contenders |
//! | `stats`, `minimum_time`, `number_format` | statistics, least possible time of a job, numbers as text (pure) |
//! | `extract`, `fault`, `blocking_walk`, `task` | the result of parsing a page, injected faults, the index walk of contenders with their own threads, the task of a run |
//! | `contenders`, `rivals` | the implementations of the job, one file each; programs in other languages |
//! | `options` | command-line options |
//! | `child`, `processes` | the child processes: the server, and one run of a contender; the end of all processes of a run |
//! | `server`, `samples` | a handle to the server, samples of a run over time |
//! | `output_files`, `tls`, `listen_drops` | files that are written after every condition, the certificates of a race over TLS, connections dropped by the system |
//! | `participant`, `answer`, `run` | contenders and programs of the user, their answers, one run measured from outside |
//! | `setup`, `round_set`, `schedule` | where the pages come from, the results under one condition, how long a race takes (pure) |
//! | `board`, `rounds` | the standings on stderr, all rounds under one condition |
//! | `bottleneck`, `comparison`, `sweep` | what bounds a round set, the paired times of two participants, the numbers in flight at one latency (pure) |
//! | `labels`, `connection_notes`, `verdict` | labels of results, sentences about dropped connections and handshakes, the sentences at the end (pure) |
//! | `terminal`, `export` | the tables on the terminal; JSON, CSV and traces |
//! | `palette`, `chart`, `timeline`, `condition`, `html` | colours of participants, SVG charts, timelines, the section of a condition, the HTML page |
//! | `validate` | checks of the options, selection of participants |
//! | `publisher`, `conditions` | prints and writes the results; all conditions, one after the other |

mod answer;
mod blocking_walk;
mod board;
mod bottleneck;
mod chart;
mod child;
mod comparison;
mod condition;
mod conditions;
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
mod output_files;
mod palette;
mod participant;
mod processes;
mod publisher;
mod rivals;
mod round_set;
mod rounds;
mod run;
mod samples;
mod schedule;
mod server;
mod setup;
mod start;
mod stats;
mod sweep;
mod task;
mod terminal;
mod timeline;
mod tls;
mod trust;
mod validate;
mod verdict;

use anyhow::Result;
use crossbeam_channel::Receiver;

use crate::disk::output::OutputError;
use crate::disk::same_file::PathError;
use crate::exit::Exit;
use crate::job::advice::Stop;
use crate::race::board::Board;
use crate::race::conditions::Conditions;
use crate::race::number_format::duration;
use crate::race::options::ChildCommand;
pub use crate::race::options::RaceArgs;
use crate::race::participant::Participant;
use crate::race::publisher::Publisher;
use crate::race::start::Start;
use crate::race::tls::Certificates;
use crate::words::quantity;

/// A race that takes longer, in seconds, says so before it begins.
const LONG: f64 = 90.0;

/// The subcommand `race`. The exit code is [`Exit::Partial`] if a participant was disqualified, and
/// [`Exit::Output`] if a file or stdout could not be written. A signal ends the race after the results so
/// far are printed and written.
pub fn run(args: &RaceArgs, signals: &Receiver<i32>) -> Result<Exit, Stop> {
    match &args.child {
        None => race(args, signals),
        Some(command) => run_child(command)
            .map(|()| Exit::Complete)
            .map_err(|error| stop(&error)),
    }
}

fn run_child(command: &ChildCommand) -> Result<()> {
    match command {
        ChildCommand::Serve { options } => child::serve(&serde_json::from_str(options)?),
        ChildCommand::Run { task } => child::run(&serde_json::from_str(task)?),
        ChildCommand::Worker { task } => contenders::worker(&serde_json::from_str(task)?),
    }
}

/// Runs all conditions. The results of each are printed and written before the next begins.
fn race(args: &RaceArgs, signals: &Receiver<i32>) -> Result<Exit, Stop> {
    processes::adopt_orphans();
    let start = Start::now();
    let (participants, mut outputs) = validate::check(args).map_err(|error| stop(&error))?;
    let generate = || Certificates::generate(outputs.ca_out.take());
    let certificates = args
        .tls
        .then(generate)
        .transpose()
        .map_err(|error| stop(&error))?;
    let mut board = Board::for_stderr();
    announce(args, &participants, &mut board);
    let mut publisher = Publisher::new(args, start, outputs);
    let conditions = Conditions {
        args,
        participants: &participants,
        certificates: certificates.as_ref(),
        signals,
    };
    let ended = conditions.run(&mut publisher, &mut board);
    publisher.finish(&mut board);
    if let Some((stopped_by, condition)) = ended.map_err(|error| stop(&error))? {
        let conditions = args.conditions();
        let place = conditions
            .iter()
            .position(|one| *one == condition)
            .unwrap_or(0);
        let message = format!(
            "interrupted at {}: {place} of {} complete",
            labels::condition(args, condition),
            quantity(conditions.len(), "condition", "conditions")
        );
        return Err(Stop::new(Exit::of_signal(stopped_by), message));
    }
    let mut entries = publisher.sets.iter().flat_map(|set| &set.entries);
    let is_broken = entries.any(|entry| entry.broken.is_some());
    Ok(match is_broken {
        _ if !publisher.is_complete() => Exit::Output,
        true => Exit::Partial,
        false => Exit::Complete,
    })
}

/// Says how long a long race takes.
fn announce(args: &RaceArgs, participants: &[Participant], board: &mut Board) {
    let seconds = schedule::total_seconds(args, participants);
    if args.urls.is_none() && (args.all || seconds > LONG) {
        let conditions = args.conditions().len();
        board.say(&format!(
            "{} under {} take about {}",
            quantity(participants.len(), "contender", "contenders"),
            quantity(conditions, "condition", "conditions"),
            duration(seconds)
        ));
    }
}

fn stop(error: &anyhow::Error) -> Stop {
    let output = error.downcast_ref::<OutputError>();
    let path = || match error.downcast_ref() {
        Some(PathError::Unwritable(output)) => Some(output),
        _ => None,
    };
    let exit = match output.or_else(path) {
        Some(_) => Exit::Output,
        None => Exit::Usage,
    };
    Stop::new(exit, format!("{error:#}"))
}
