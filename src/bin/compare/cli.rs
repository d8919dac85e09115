//! What the user may type.

use std::path::PathBuf;

use clap::builder::styling::Styles;
use clap::{Parser, Subcommand, ValueEnum};
use indexrank::source::Origin;

use crate::contenders::ALL;
use crate::fault::Fault;

/// Races ways of doing the same job against each other: threads, async, processes and more, on the
/// same pages, with the same answer.
#[derive(Debug, Parser)]
#[command(name = "compare", version, after_help = contenders(), max_term_width = 100, args_conflicts_with_subcommands = true, styles = Styles::plain())]
pub struct Cli {
    #[command(subcommand)]
    pub part: Option<Part>,
    #[command(flatten)]
    pub race: RaceArgs,
}

/// What the race starts as processes of their own; each is told what to do as JSON.
#[derive(Debug, Subcommand)]
pub enum Part {
    /// Serve the pages; counts are told for each line of stdin
    #[command(hide = true)]
    Serve { serving: String },
    /// Run one contender and leave its result in a folder
    #[command(hide = true)]
    Run { task: String },
    /// A child of the contender `processes`
    #[command(hide = true)]
    Worker { task: String },
}

#[derive(Debug, clap::Args)]
pub struct RaceArgs {
    /// Pages to race on: replica, or an archive FILE.warc[.gz]
    #[arg(long, value_name = "SOURCE", default_value = "replica", value_parser = servable, help_heading = "Pages")]
    pub from: Origin,
    /// Companies of the embedded market
    #[arg(long, value_name = "N", default_value = "496", value_parser = clap::value_parser!(u32).range(1..=400_000), help_heading = "Pages")]
    pub companies: u32,
    /// Race on the addresses in FILE, one a line, instead of an index: each is fetched and its
    /// headings are counted. Mind whose servers they are: one run each, 8 pages in flight, unless
    /// --rounds and --workers say more
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "companies", "work", "latency", "jitter", "bandwidth"], help_heading = "Pages")]
    pub urls: Option<PathBuf>,

    /// What is done with them
    #[arg(
        long,
        value_enum,
        default_value = "job",
        help_heading = "What is raced"
    )]
    pub work: WorkArg,
    /// Only these contenders
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = "What is raced"
    )]
    pub only: Vec<String>,
    /// A program of your own, started by a shell with INDEXRANK_SITE and INDEXRANK_RATES (addresses
    /// of the server) and INDEXRANK_OUT (a folder for its rankings) in its environment; with --urls,
    /// INDEXRANK_URLS is the file
    #[arg(long, value_name = "NAME=COMMAND", value_parser = named_command, help_heading = "What is raced")]
    pub also: Vec<(String, String)>,
    /// Runs of each contender that count, at the most; slow ones get fewer [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000), help_heading = "What is raced")]
    pub rounds: Option<u32>,
    /// Seconds for all counted runs of a contender in one table
    #[arg(long, value_name = "SECONDS", default_value = "4", value_parser = clap::value_parser!(u64).range(1..), help_heading = "What is raced")]
    pub budget: u64,
    /// Seconds after which a run is taken to hang
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = clap::value_parser!(u64).range(1..), help_heading = "What is raced")]
    pub patience: u64,
    /// A contender that does something wrong, to see that it is found out
    #[arg(long, value_name = "NAME=FAULT", value_parser = fault, hide = true)]
    pub fault: Option<(String, Fault)>,

    /// Milliseconds that the server waits before each answer; a table for each [default: 0,20]
    #[arg(long, value_name = "MS", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(0..=60_000), help_heading = "Conditions")]
    pub latency: Vec<u64>,
    /// Most milliseconds that this is longer, evenly distributed; the same for an address each time
    #[arg(long, value_name = "MS", default_value = "0", value_parser = clap::value_parser!(u64).range(0..=60_000), help_heading = "Conditions")]
    pub jitter: u64,
    /// Megabits per second that all answers together take at the most [default: no limit]
    #[arg(long, value_name = "MBIT", value_parser = indexrank::cli::bandwidth, help_heading = "Conditions")]
    pub bandwidth: Option<f64>,
    /// Pages in flight at the same time; a table for each [default: 32]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=1024), help_heading = "Conditions")]
    pub workers: Vec<u64>,

    /// Write a page with charts and timelines, complete in itself
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub html: Option<PathBuf>,
    /// Write machine, versions, options and every result as JSON
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub json: Option<PathBuf>,
    /// Write one row for each run as CSV
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub csv: Option<PathBuf>,
    /// Write what every worker of a contender did when, a file for each in Chrome's trace format,
    /// for Perfetto (ui.perfetto.dev)
    #[arg(long, value_name = "DIR", help_heading = "Results")]
    pub trace: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WorkArg {
    /// The whole job
    Job,
    /// Only fetching: bytes of each page, the addresses known beforehand
    Io,
    /// Only inflating and reading: pages in the system's memory
    Cpu,
}

impl WorkArg {
    pub fn name(self) -> &'static str {
        match self {
            WorkArg::Job => "job",
            WorkArg::Io => "io",
            WorkArg::Cpu => "cpu",
        }
    }
}

impl RaceArgs {
    pub fn latencies(&self) -> Vec<u64> {
        match &*self.latency {
            _ if self.urls.is_some() || self.work == WorkArg::Cpu => vec![0],
            [] => vec![0, 20],
            given => each_once(given),
        }
    }

    pub fn widths(&self) -> Vec<u64> {
        match &*self.workers {
            [] if self.urls.is_some() => vec![8],
            [] => vec![32],
            given => each_once(given),
        }
    }

    /// Runs that count, and whether one before them does not.
    pub fn rounds(&self) -> (u32, bool) {
        match self.rounds {
            None if self.urls.is_some() => (1, false),
            rounds => (rounds.unwrap_or(5), self.urls.is_none()),
        }
    }
}

fn each_once(values: &[u64]) -> Vec<u64> {
    let mut seen = Vec::new();
    values.iter().for_each(|value| {
        if !seen.contains(value) {
            seen.push(*value);
        }
    });
    seen
}

fn contenders() -> String {
    let lines = ALL
        .iter()
        .map(|contender| format!("\n  {:<16} {}", contender.name, contender.way));
    format!("Contenders:{}", lines.collect::<String>())
}

fn servable(text: &str) -> Result<Origin, String> {
    match text.parse()? {
        origin @ (Origin::Replica | Origin::Archive(_)) => Ok(origin),
        _ => Err("give replica or a file FILE.warc or FILE.warc.gz".to_owned()),
    }
}

fn named_command(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, command)) if !name.is_empty() && !command.is_empty() => {
            Ok((name.to_owned(), command.to_owned()))
        }
        _ => Err("give a name and a command, like mine=\"python3 scrape.py\"".to_owned()),
    }
}

fn fault(text: &str) -> Result<(String, Fault), String> {
    let (name, fault) = text.split_once('=').ok_or("give NAME=FAULT")?;
    Ok((name.to_owned(), Fault::from_str(fault, false)?))
}
