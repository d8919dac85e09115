//! What the user may type.

use std::path::PathBuf;

use clap::builder::styling::Styles;
use clap::{Parser, Subcommand};
use indexrank::source::Origin;

use crate::contenders::ALL;

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

/// What the race starts as processes of their own.
#[derive(Debug, Subcommand)]
pub enum Part {
    /// Serve the pages; counts are told for each line of stdin
    #[command(hide = true)]
    Serve {
        from: String,
        companies: usize,
        latency: u64,
    },
    /// Run one contender and leave its result in a folder
    #[command(hide = true)]
    Run {
        name: String,
        site: String,
        workers: usize,
        out: PathBuf,
    },
    /// A child of the contender `processes`
    #[command(hide = true)]
    Worker { site: String },
}

#[derive(Debug, clap::Args)]
pub struct RaceArgs {
    /// Pages to race on: replica, or an archive FILE.warc[.gz]
    #[arg(long, value_name = "SOURCE", default_value = "replica", value_parser = servable)]
    pub from: Origin,
    /// Companies of the embedded market
    #[arg(long, value_name = "N", default_value = "496", value_parser = clap::value_parser!(u32).range(1..=400_000))]
    pub companies: u32,
    /// Milliseconds that the server waits before each answer; a table for each
    #[arg(long, value_name = "MS", default_value = "0,20", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub latency: Vec<u64>,
    /// Pages in flight at the same time; a table for each
    #[arg(long, value_name = "N", default_value = "32", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub workers: Vec<u64>,
    /// Runs of each contender that count, at the most; slow ones get fewer
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: u32,
    /// Seconds for all counted runs of a contender in one table
    #[arg(long, value_name = "SECONDS", default_value = "4", value_parser = clap::value_parser!(u64).range(1..))]
    pub budget: u64,
    /// Seconds after which a run is taken to hang
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = clap::value_parser!(u64).range(1..))]
    pub patience: u64,
    /// Only these contenders
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub only: Vec<String>,
    /// A program of your own, started by a shell with INDEXRANK_SITE and INDEXRANK_RATES (addresses
    /// of the server) and INDEXRANK_OUT (a folder for its rankings) in its environment
    #[arg(long, value_name = "NAME=COMMAND", value_parser = named_command)]
    pub also: Vec<(String, String)>,
    /// Write machine, versions, options and every result as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write one row for each run as CSV
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
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
