//! The program `indexrank`: dispatches to a subcommand, prints the result, picks the exit code.

use std::io;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::process::ExitCode;

use indexrank::cli::{self, CheckArgs, Cli, Command, RunArgs, Verbosity};
use indexrank::console::{
    print, print_json, print_text, say, say_panics, say_resume_command, say_text, stream,
};
use indexrank::exit::Exit;
use indexrank::inspect::{Inspected, OutputLine, inspect, read_file};
use indexrank::job::advice::Stop;
use indexrank::job::{self, Outcome};
use indexrank::results::findings::Findings;
use indexrank::results::{report, table, terminal};
use indexrank::serve::serve;
use indexrank::signals;
use indexrank::words;

fn main() -> ExitCode {
    say_panics();
    let cli = match Cli::from_arguments() {
        Ok(cli) => cli,
        Err(error) => {
            say_text(&error);
            return Exit::Usage.into();
        }
    };
    let result = catch_unwind(|| dispatch(cli)).unwrap_or_else(|_| {
        let message = "internal error, described above: this is a bug in indexrank; no output file is incomplete";
        Err(Stop::new(Exit::Internal, message))
    });
    let exit = result.unwrap_or_else(|stop| {
        say(&stop.message);
        if stop.resumable {
            say_resume_command("to resume");
        }
        stop.exit
    });
    exit.into()
}

fn dispatch(cli: Cli) -> Result<Exit, Stop> {
    match cli.command {
        None => rank(cli.run),
        Some(Command::Serve(args)) => serve(&args),
        Some(Command::Check(args)) => check(args),
        Some(Command::Read { files }) => read(&files),
        Some(Command::Completions { shell }) => {
            print(&cli::completions(shell)).map(|()| Exit::Complete)
        }
    }
}

/// Runs the rankings job: `indexrank` without a subcommand.
fn rank(args: RunArgs) -> Result<Exit, Stop> {
    let (job, verbosity) = args.into_job(signals::receive())?;
    let outcome = job::run(job)?;
    let printed = print_to_stdout(&outcome, verbosity);
    print_to_stderr(&outcome, verbosity);
    let written = outcome.end?;
    printed.map(|()| written.exit)
}

/// Prints what a run has for stdout: its report as JSON, the table of all companies, the rankings as
/// tables, or nothing.
fn print_to_stdout(outcome: &Outcome, verbosity: Verbosity) -> Result<(), Stop> {
    if verbosity.json {
        return print_json(|out| outcome.document.write_json(out));
    }
    let (Some(rankings), Some(report)) = (&outcome.rankings, outcome.document.report()) else {
        return Ok(());
    };
    if let Some(format) = verbosity.table {
        // A program that reads the table may not see the exit code, so a failed run prints none.
        if outcome.end.is_err() {
            return Ok(());
        }
        let Findings {
            harvest, prices, ..
        } = &report.findings;
        return stream(|out| table::write(&harvest.companies, prices, format, out));
    }
    if verbosity.quiet {
        return Ok(());
    }
    let size = terminal_size::terminal_size_of(io::stdout());
    let width = size.map_or(80, |(width, _)| usize::from(width.0));
    let tables = terminal::tables(rankings, report.price_currency, width);
    print_text(&(tables + &terminal::closing_lines(report)))
}

/// Prints what a run prints to stderr at its end, line by line.
fn print_to_stderr(outcome: &Outcome, verbosity: Verbosity) {
    let (Some(_), Some(report)) = (&outcome.rankings, outcome.document.report()) else {
        return;
    };
    let say = |line: String| say(&line);
    terminal::problems(report, verbosity.verbose).for_each(say);
    if !verbosity.quiet {
        terminal::contradictions(report, verbosity.verbose).for_each(say);
    }
    if matches!(&outcome.end, Ok(written) if written.resumable) {
        say_resume_command("to fetch only what is missing");
    }
    if verbosity.verbose {
        say(terminal::usage(report));
    }
}

/// The subcommand `check`.
fn check(args: CheckArgs) -> Result<Exit, Stop> {
    let json = args.json;
    let (checked, exit) = job::check::check(&args.into_check(signals::receive()))?;
    let printed = if json {
        print_json(|out| report::write_json(&checked, out))
    } else {
        print_text(&checked.text())
    };
    printed.map(|()| exit)
}

/// The subcommand `read`. Reports a file that cannot be read, and goes on with the next.
fn read(files: &[PathBuf]) -> Result<Exit, Stop> {
    let mut exit = Exit::Complete;
    for path in files {
        let file = &*path.to_string_lossy();
        let bytes = match read_file(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                say(&format!(
                    "cannot read {file}: {}; expected a saved page",
                    words::of_system(&error)
                ));
                exit = Exit::Usage;
                continue;
            }
        };
        let seen = inspect(&bytes);
        if matches!(seen, Inspected::Unknown { .. }) && exit == Exit::Complete {
            exit = Exit::Layout;
        }
        let line = OutputLine { file, seen: &seen };
        print_json(|out| report::write_json_line(&line, out))?;
    }
    Ok(exit)
}
