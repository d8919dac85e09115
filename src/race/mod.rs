//! The race: the job done in different ways, with their speed, memory and answers compared; its contenders,
//! tables and charts.
//! Not in here: the server, the fetching and the parsing, which the other rooms have.
//! A further contender is a file in `contenders/` and a line in its table `ALL`; a further output format is a
//! file beside `export` and a line in `publisher`.
//!
//! The server is one process. Every run is a fresh process with a fresh client. Each round runs
//! every participant once, in another order. The warm-up round is not counted. The operating system
//! reports CPU time and memory of a process and its children.
//!
//! A module imports only modules that come before it in this table.
//!
//! | Module | Content |
//! |---|---|
//! | `machine`, `start` | cores and CPU model; command line, time and load at the start |
//! | `stats`, `minimum_time`, `number_format` | statistics, the least possible time of a job, numbers as text (pure) |
//! | `contenders` | the job in different ways, one file each, and the task that they share |
//! | `run` | one run of a contender or program, measured from outside |
//! | `options` | command-line options |
//! | `findings` | what the runs show (pure) |
//! | `terminal`, `export`, `page` | tables; JSON, CSV and traces; the HTML page |
//! | `output_files`, `tls`, `validate` | files that are written after every condition, the certificates of a race over TLS, checks of the options |
//! | `setup`, `schedule`, `board` | where the pages come from, how long a race takes, the standings on stderr |
//! | `rounds`, `publisher`, `conditions` | all rounds under one condition, results to stdout and files, all conditions |

mod board;
mod conditions;
mod contenders;
mod export;
mod findings;
mod machine;
mod minimum_time;
mod number_format;
mod options;
mod output_files;
mod page;
mod publisher;
mod rounds;
mod run;
mod schedule;
mod setup;
mod start;
mod stats;
mod terminal;
mod tls;
mod validate;

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
use crate::race::publisher::Publisher;
use crate::race::run::participant::Participant;
use crate::race::start::Start;
use crate::race::tls::Certificates;
use crate::words::quantity;

/// A race that takes longer, in seconds, says so before it begins.
const LONG: f64 = 90.0;

/// The subcommand `race`. The exit code is [`Exit::Partial`] if a participant was disqualified, and
/// [`Exit::Output`] if a file or stdout could not be written. A signal ends the race after the results so
/// far are printed and written.
pub fn run(args: &RaceArgs, signals: &Receiver<i32>) -> Result<Exit, Stop> {
    let result = match &args.child {
        None => race(args, signals),
        Some(command) => run_child(command).map(|()| Exit::Complete),
    };
    result.map_err(stop)
}

fn run_child(command: &ChildCommand) -> Result<()> {
    match command {
        ChildCommand::Serve { options } => run::child::serve(&serde_json::from_str(options)?),
        ChildCommand::Run { task } => run::child::run(&serde_json::from_str(task)?),
        ChildCommand::Worker { task } => contenders::worker(&serde_json::from_str(task)?),
    }
}

/// Runs all conditions. The results of each are printed and written before the next begins.
fn race(args: &RaceArgs, signals: &Receiver<i32>) -> Result<Exit> {
    run::processes::adopt_orphans();
    let start = Start::now();
    let (participants, mut outputs) = validate::check(args, signals)?;
    let generate = || Certificates::generate(outputs.ca_out.take());
    let certificates = args.tls.then(generate).transpose()?;
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
    ended?;
    let mut entries = publisher.sets.iter().flat_map(|set| &set.entries);
    let is_broken = entries.any(|entry| entry.broken.is_some());
    Ok(if !publisher.is_complete() {
        Exit::Output
    } else if is_broken {
        Exit::Partial
    } else {
        Exit::Complete
    })
}

/// Says how long a long race takes.
fn announce(args: &RaceArgs, participants: &[Participant], board: &mut Board) {
    let seconds = schedule::total_seconds(args, participants);
    if args.urls.is_none() && (args.all || seconds > LONG) {
        let conditions = args.conditions().len();
        board.say(&format!(
            "the race of {} under {} takes about {}",
            quantity(participants.len(), "contender", "contenders"),
            quantity(conditions, "condition", "conditions"),
            duration(seconds)
        ));
    }
}

fn stop(error: anyhow::Error) -> Stop {
    let is_unwritable =
        error.is::<OutputError>() || matches!(error.downcast_ref(), Some(PathError::Unwritable(_)));
    let exit = if is_unwritable {
        Exit::Output
    } else {
        Exit::Usage
    };
    let message = format!("{error:#}");
    error
        .downcast()
        .unwrap_or_else(|_| Stop::new(exit, message))
}
