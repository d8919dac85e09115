//! The program `indexrank`: dispatches to a subcommand, prints the result, picks the exit code.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use indexrank::cli::{self, CheckArgs, Cli, Command, RunArgs, Verbosity};
use indexrank::console::{
    print, print_coloured, print_json, print_text, resume_command, say, say_command, say_error,
    say_panics, say_text, stream,
};
use indexrank::diff::diff;
use indexrank::exit::Exit;
use indexrank::fetch::fetch;
use indexrank::history::history;
use indexrank::inspect::{Inspected, OutputLine, inspect, read_file};
use indexrank::job::advice::Stop;
use indexrank::job::{self, Outcome};
use indexrank::results::findings::Findings;
use indexrank::results::{report, table, terminal};
use indexrank::serve::serve;
use indexrank::signals;
use indexrank::site::text::visible;
use indexrank::telemetry::log::Log;
use indexrank::telemetry::screen;
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
    // Closed until a run opens it, and ignored until then.
    let log = Arc::<Log>::default();
    let result = catch_unwind(AssertUnwindSafe(|| dispatch(cli, &log))).unwrap_or_else(|_| {
        let message = "internal error, described above: this is a bug in indexrank; no output file is incomplete";
        Err(Stop::new(Exit::Internal, message))
    });
    let exit = result.unwrap_or_else(|stop| {
        say_error(&stop.message);
        log.append(&stop.message);
        if stop.resumable {
            tell_command(&log, "to resume");
        }
        stop.exit
    });
    if let Some(warning) = log.warning() {
        say(&format!("warning: {warning}"));
    }
    exit.into()
}

fn dispatch(cli: Cli, log: &Arc<Log>) -> Result<Exit, Stop> {
    match cli.command {
        None if cli.run.dry_run => estimate(cli.run, log),
        None => rank(cli.run, log),
        Some(Command::Fetch(args)) => {
            let (exit, is_resumable) = fetch(args, log)?;
            if is_resumable {
                tell_command(log, "to fetch only what is missing");
            }
            Ok(exit)
        }
        Some(Command::Serve(args)) => serve(&args),
        Some(Command::Check(args)) => check(args),
        Some(Command::Diff(args)) => diff(&args),
        Some(Command::History(args)) => history(&args),
        Some(Command::Read { files }) => read(&files),
        #[cfg(feature = "race")]
        Some(Command::Race(args)) => indexrank::race::run(&args, &signals::receive()),
        #[cfg(not(feature = "race"))]
        Some(Command::Race { .. }) => Err(Stop::new(
            Exit::Usage,
            "this build has no race; build it with: cargo install --locked --path . --features race",
        )),
        Some(Command::Completions { shell }) => {
            print(&cli::completions(shell)).map(|()| Exit::Complete)
        }
    }
}

/// Runs the rankings job: `indexrank` without a subcommand.
fn rank(args: RunArgs, log: &Arc<Log>) -> Result<Exit, Stop> {
    let (job, verbosity) = args.into_job(signals::receive(), log.clone())?;
    let outcome = job::run(job, say)?;
    let printed = print_outcome(&outcome, verbosity);
    report_outcome(&outcome, verbosity, log);
    let written = outcome.end?;
    printed.map(|()| written.exit)
}

/// Estimates the requests and the time of a run: `indexrank --dry-run`.
fn estimate(args: RunArgs, log: &Arc<Log>) -> Result<Exit, Stop> {
    let (job, verbosity) = args.into_job(signals::receive(), log.clone())?;
    let estimate = job::dry_run::estimate(&job)?;
    let printed = if verbosity.json {
        print_json(|out| report::write_json(&estimate, out))
    } else {
        print_text(&estimate.text())
    };
    printed.map(|()| Exit::Complete)
}

/// Prints what a run has for stdout: its report as JSON, the table of all companies, the rankings as
/// tables, or nothing.
fn print_outcome(outcome: &Outcome, verbosity: Verbosity) -> Result<(), Stop> {
    if verbosity.json {
        return print_json(|out| outcome.document.write_json(out));
    }
    let (Some(rankings), Some(report)) = (&outcome.rankings, outcome.document.report()) else {
        return Ok(());
    };
    if let Some(format) = verbosity.table {
        // A program that reads the table may not see the exit code, so a failed run prints none. The table of
        // a run that only its database lacks is complete.
        if report.not_written.is_some() {
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
    let size = screen::size(io::stdout());
    let columns = size.map_or(80, |size| size.columns);
    let mut text = terminal::tables(rankings, report.price_currency, columns);
    for line in terminal::closing_lines(report).lines() {
        text += &screen::fit(&visible(line), size);
        text.push('\n');
    }
    print_coloured(&text)
}

/// Writes the summary to the log, and the problems of a run to stderr and the log. `--quiet` does not
/// shorten the log.
fn report_outcome(outcome: &Outcome, verbosity: Verbosity, log: &Log) {
    let (Some(_), Some(report)) = (&outcome.rankings, outcome.document.report()) else {
        return;
    };
    for line in terminal::closing_lines(report).lines() {
        log.append(line);
    }
    for line in terminal::problems(report, verbosity.verbose) {
        tell(log, &line);
    }
    for line in terminal::contradictions(report, verbosity.verbose) {
        if !verbosity.quiet {
            say(&line);
        }
        log.append(&line);
    }
    if matches!(&outcome.end, Ok(written) if written.resumable) {
        tell_command(log, "to fetch only what is missing");
    }
    if verbosity.verbose {
        tell(log, &terminal::usage(report));
    }
}

/// Writes a line to stderr and to the log.
fn tell(log: &Log, line: &str) {
    say(line);
    log.append(line);
}

/// Writes the command that resumes this run to stderr and to the log.
fn tell_command(log: &Log, what: &str) {
    let (intro, command) = resume_command(what);
    say_command(&intro, &command);
    log.append(&format!("{intro} {command}"));
}

/// The subcommand `check`.
fn check(args: CheckArgs) -> Result<Exit, Stop> {
    let json = args.json;
    let (checked, exit) = job::check::check(&args.into_check(signals::receive())?)?;
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
