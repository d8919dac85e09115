//! The command line: options, their help, the parsers of their values, and the settings that they make.
//! What the options do is in the rooms that the settings go to; `main` dispatches the subcommands.
//! Another option goes into the file of its command (`run`, `fetch`, `check`, `serve`, `database` for `diff` and `history`; `site` for run and check alike), the parser of its value into `values`, a help text longer than a description into `help`.

#![expect(
    rustdoc::bare_urls,
    reason = "the help shows the docs of options as they are written"
)]

mod check;
mod database;
mod fetch;
mod help;
mod run;
mod serve;
mod site;
mod values;

pub use crate::cli::check::CheckArgs;
pub use crate::cli::database::{DiffArgs, HistoryArgs};
pub use crate::cli::fetch::FetchArgs;
pub use crate::cli::run::{RunArgs, Verbosity};
pub use crate::cli::serve::ServeArgs;

#[cfg(not(feature = "race"))]
use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::styling::Styles;
use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, Parser, Subcommand};

use crate::cli::help::{DIFF, EXAMPLES_AND_EXIT_CODES, FAULTS, FETCH, HISTORY};
use crate::http::proxy::{without_credentials, without_secrets};
#[cfg(feature = "race")]
use crate::race::RaceArgs;

/// Scrapes every company of a stock index with blocking threads and writes four top-ten rankings:
/// highest price in roubles, lowest P/E, highest growth in a year, highest potential profit.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES_AND_EXIT_CODES, max_term_width = 100, args_conflicts_with_subcommands = true, styles = Styles::plain())]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the embedded market or an archive on 127.0.0.1, for any HTTP client
    ///
    /// Runs until it is interrupted. The first line of stdout is the address of the server. After
    /// every thousand requests, stderr gets a line with their number.
    #[command(after_long_help = FAULTS)]
    Serve(ServeArgs),
    /// Fetch one page of each kind and report which landmarks of the site are there
    ///
    /// Fetches robots.txt, the first page of the index, its first company and the exchange rate, with at
    /// most five requests in ten seconds. Prints a line for each landmark: a text that a run finds figures by.
    /// Writes no file.
    ///
    /// The exit code is 0 if all of them are there, 4 if a page cannot be had, 5 if a landmark is missing,
    /// and 6 if only the exchange rate is.
    Check(CheckArgs),
    /// Fetch any list of pages: status, length, title, headings, words, files, JSON into a database
    ///
    /// Each address gets a row. A page with a status of 400 or more, or without a response after four
    /// attempts, has failed; the exit code is then 3, and the row says why.
    #[command(after_help = FETCH)]
    Fetch(FetchArgs),
    /// Show what has changed between two runs in a database of --db
    ///
    /// Compares the latest run with the one before: which companies entered and left each ranking and
    /// which moved, and the largest changes of price, in the currency of the quote, and of P/E. A run that
    /// failed is passed over.
    ///
    /// The exit code is 0 whether or not something has changed; with --exit-code it is 10 if a place, a
    /// price or a P/E ratio has. It is 2 if there are no two runs to compare.
    #[command(after_help = DIFF)]
    Diff(DiffArgs),
    /// Show the figures of a company over the runs in a database of --db
    #[command(after_help = HISTORY)]
    History(HistoryArgs),
    /// Show what the parsers find in saved pages, one line of JSON per file
    ///
    /// The exit code is 2 if a file cannot be read, and otherwise 5 if a file is of no known kind.
    Read {
        /// Saved index pages, company pages or lists of exchange rates, plain or gzipped
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Race threads, async, processes and more against each other on the same job
    ///
    /// All contenders get the same pages and must give the same answer.
    #[cfg(feature = "race")]
    Race(RaceArgs),
    /// Race threads and async on the same job; needs a build with the cargo feature `race`
    #[cfg(not(feature = "race"))]
    Race {
        #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Print a shell script that completes commands and options
    ///
    /// To try it in bash: source <(indexrank completions bash)
    Completions {
        /// Shell to print the script for
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

impl Cli {
    /// Parses the command line of this process. An error is text for stderr, without the user and the
    /// password of an address. Asked for help or the version, prints these and exits.
    pub fn from_arguments() -> Result<Self, String> {
        Cli::try_parse().map_err(|mut error| {
            if !error.use_stderr() {
                error.exit();
            }
            let text = |kind| match error.get(kind) {
                Some(ContextValue::String(text)) => text.as_str(),
                _ => "",
            };
            let (option, value) = (
                text(ContextKind::InvalidArg),
                text(ContextKind::InvalidValue),
            );
            let printed = if option.starts_with("--proxy") {
                Some(without_secrets(value))
            } else {
                without_credentials(value).filter(|_| value.contains("://"))
            };
            if let Some(printed) = printed {
                error.insert(ContextKind::InvalidValue, ContextValue::String(printed));
            }
            error.render().to_string()
        })
    }
}

/// The completion script for a shell.
pub fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "indexrank", &mut script);
    script
}
