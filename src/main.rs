//! The command: what was asked for, what to print, which exit code.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use clap::Parser;
use indexrank::cli::{self, Cli, Command, RunArgs, ServeArgs, Voice};
use indexrank::exit::{Exit, Stop};
use indexrank::inspect::{self, Line, Seen};
use indexrank::job::{self, Outcome};
use indexrank::replica::{Market, Pages, SEED, Server};
use indexrank::results::{report, terminal};
use indexrank::signals;
use indexrank::source::Origin;
use indexrank::warc::reader::Archive;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = catch_unwind(|| run(cli)).unwrap_or_else(|_| {
        let fault = "this is a fault of the program, told above; no file was left half written";
        Err(Stop::new(Exit::Internal, fault))
    });
    let exit = result.unwrap_or_else(|stop| {
        say(&stop.message);
        if stop.resumable {
            say(&format!(
                "to go on from there: {}",
                resuming(env::args_os())
            ));
        }
        stop.exit
    });
    exit.into()
}

fn run(cli: Cli) -> Result<Exit, Stop> {
    match cli.command {
        None => rank(cli.run),
        Some(Command::Serve(args)) => serve(&args),
        Some(Command::Read { files }) => read_files(&files),
        Some(Command::Completions { shell }) => {
            print(&cli::completions(shell)).map(|()| Exit::Complete)
        }
    }
}

/// The command that goes on from where this one was cut short, as a shell takes it.
fn resuming(words: impl Iterator<Item = OsString>) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,%@".contains(c);
    let quoted = |word: String| match word.chars().all(plain) && !word.is_empty() {
        true => word,
        false => format!("'{}'", word.replace('\'', r"'\''")),
    };
    let words = words.map(|word| quoted(word.to_string_lossy().into_owned()));
    let words: Vec<String> = words.collect();
    let resume = "--resume".to_owned();
    let more = (!words.contains(&resume)).then_some(resume);
    words.into_iter().chain(more).collect::<Vec<_>>().join(" ")
}

/// Runs the job and shows how it ended.
fn rank(args: RunArgs) -> Result<Exit, Stop> {
    let (job, voice) = args.into_job(signals::listen());
    let outcome = job::run(&job)?;
    print(&shown(&outcome, voice))?;
    complain(&outcome, voice);
    Ok(outcome.exit)
}

fn shown(outcome: &Outcome, voice: Voice) -> Vec<u8> {
    if voice.json {
        return report::json(&outcome.report);
    }
    if voice.quiet {
        return Vec::new();
    }
    let width =
        terminal_size::terminal_size_of(io::stdout()).map_or(80, |(width, _)| usize::from(width.0));
    format!(
        "{}{}",
        terminal::tables(&outcome.rankings, width),
        terminal::closing_lines(&outcome.report)
    )
    .into_bytes()
}

/// What is missing, on stderr.
fn complain(outcome: &Outcome, voice: Voice) {
    const SHOWN: usize = 5;
    let report = &outcome.report;
    for warning in &report.warnings {
        say(&format!("warning: {warning}"));
    }
    if let Some(why) = &report.rate_error {
        say(&format!(
            "no exchange rate, so no ranking by price: {why}; give one with --usd-rub, or another --rate-date; an earlier price.json was left as it was"
        ));
    }
    let failures = &report.failures;
    if !failures.is_empty() {
        say(&format!(
            "{} of {} companies are missing, the rankings are of the others:",
            failures.len(),
            report.ledger.listed
        ));
        let shown = if voice.verbose { failures.len() } else { SHOWN };
        for failure in failures.iter().take(shown) {
            say(&format!("  {}: {}", failure.address, failure.error.detail));
        }
        if failures.len() > shown {
            say(&format!(
                "  and {} more, all in run.json",
                failures.len() - shown
            ));
        }
    }
    if !voice.quiet {
        let most = if voice.verbose { usize::MAX } else { SHOWN };
        let lines = terminal::suspicious(&report.suspicious, most);
        lines.iter().for_each(|line| say(line));
    }
    if outcome.resumable {
        let again = resuming(env::args_os());
        say(&format!("to ask only for what is missing: {again}"));
    }
    if voice.verbose {
        say(&terminal::resources(report));
    }
}

fn serve(args: &ServeArgs) -> Result<Exit, Stop> {
    let pages = match &args.from {
        Origin::Archive(_) if args.companies.is_some() || args.drop_rows > 0 => {
            let message = "--companies and --drop-rows are for the embedded market, leave them out with an archive";
            return Err(Stop::new(Exit::Usage, message));
        }
        Origin::Archive(path) => {
            let archive = Archive::open(path)
                .map_err(|error| Stop::new(Exit::Usage, format!("{error:#}")))?;
            archive
                .damage()
                .iter()
                .for_each(|damage| say(&format!("warning: {damage}")));
            Pages::of_archive(&archive)
        }
        _ => {
            let market = Market::embedded(args.companies, args.seed.unwrap_or(SEED));
            Pages::of_market(&market.dropping(args.drop_rows))
        }
    };
    let port = args.port as u16;
    let server = Server::start(
        pages,
        port,
        args.line(),
        Some(|number| say(&format!("{number} requests"))),
    );
    let server = server.map_err(|error| {
        let advice = "choose another --port, or 0 for a free one";
        Stop::new(
            Exit::Usage,
            format!("cannot listen on 127.0.0.1:{port}: {error}; {advice}"),
        )
    })?;
    if let Some(plan) = args.plan() {
        server.misbehave(plan);
    }
    print(format!("{}\n", server.address()).as_bytes())?;
    loop {
        thread::park();
    }
}

/// Shows every file; one that cannot be read is told and the others are shown all the same.
fn read_files(files: &[PathBuf]) -> Result<Exit, Stop> {
    let mut exit = Exit::Complete;
    for path in files {
        let file = &*path.to_string_lossy();
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                say(&format!(
                    "cannot read {file}: {error}; give files of saved pages"
                ));
                exit = Exit::Usage;
                continue;
            }
        };
        let seen = inspect::see(&bytes);
        if matches!(seen, Seen::Unknown { .. }) && exit == Exit::Complete {
            exit = Exit::Layout;
        }
        print(&report::json_line(&Line { file, seen: &seen }))?;
    }
    Ok(exit)
}

/// Writes to stdout. A reader that has seen enough (`| head`) is no fault.
fn print(bytes: &[u8]) -> Result<(), Stop> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Stop::new(
            Exit::Output,
            format!("cannot write to stdout: {error}; files, if any were asked for, are written"),
        )),
        _ => Ok(()),
    }
}

fn say(line: &str) {
    // When even stderr is gone, there is nobody to tell.
    let _ = writeln!(io::stderr(), "indexrank: {line}");
}
