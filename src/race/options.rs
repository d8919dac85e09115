//! Command-line options.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use crate::race::contenders::fault::Fault;
use crate::race::contenders::{ALL, MAX_IN_FLIGHT};
use crate::race::run::rivals::Rival;
use crate::replica::bandwidth;
use crate::source::origin::Origin;

/// Contenders that race unless others are selected: the product, its leanest rivals, and the baseline.
const DEFAULT_CONTENDERS: [&str; 4] = ["pipeline", "async", "sockets", "sequential"];

const EXIT_CODES: &str = "\
Exit codes:
    0  every participant gave the right answer
    2  wrong usage, or the system lacks what the race needs
    3  a participant was disqualified
    7  a file or stdout could not be written; all other results are complete
  130  interrupted (SIGINT, Ctrl-C): the results so far are printed and written
  143  terminated (SIGTERM): likewise";

/// What one table is measured under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    pub latency_ms: u64,
    /// Requests in flight at the same time.
    pub workers: u64,
}

/// Child processes of the race. Each gets its options as JSON.
#[derive(Debug, Subcommand)]
pub enum ChildCommand {
    /// Serve the pages, and write the counters for each line on stdin
    #[command(hide = true)]
    Serve { options: String },
    /// Run one contender and write its result to a folder
    #[command(hide = true)]
    Run { task: String },
    /// Run a child of the contender `processes`
    #[command(hide = true)]
    Worker { task: String },
}

#[derive(Debug, clap::Args)]
#[command(after_help = after_help(), args_conflicts_with_subcommands = true)]
pub struct RaceArgs {
    #[command(subcommand)]
    pub child: Option<ChildCommand>,
    /// Pages to race on: replica, or an archive FILE.warc[.gz]
    #[arg(long, value_name = "SOURCE", default_value = "replica", value_parser = page_source, help_heading = "Pages")]
    pub from: Origin,
    /// Companies of the embedded market [default: 100; 496 with --all and with --work cpu]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=400_000), help_heading = "Pages")]
    pub companies: Option<u32>,
    /// Fetch the addresses in FILE, one per line, instead of an index, and count the headings of
    /// each page. These are servers of other people: the defaults are one run for each contender
    /// and 8 pages in flight
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "companies", "work", "latency", "jitter", "bandwidth", "tls"], help_heading = "Pages")]
    pub urls: Option<PathBuf>,

    /// Work to do on the pages
    #[arg(
        long,
        value_enum,
        default_value = "job",
        help_heading = "Work and participants"
    )]
    pub work: WorkArg,
    /// Run only these contenders [default: pipeline, async, sockets and sequential]
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        help_heading = "Work and participants"
    )]
    pub only: Vec<String>,
    /// Run every contender, with 1, 2, 4 … 1,024 requests in flight, and show each at its best. Takes many
    /// minutes; the estimate is printed first. --companies 100 shortens it
    #[arg(long, help_heading = "Work and participants")]
    pub all: bool,
    /// Add programs: python, go, or NAME=COMMAND
    ///
    /// python (aiohttp, uvloop, selectolax) and go (net/http, goquery) come with indexrank. A COMMAND of
    /// your own is run by a shell with these variables: INDEXRANK_SITE and INDEXRANK_RATES, the addresses of
    /// the pages and of the exchange rates; INDEXRANK_IN_FLIGHT, the number of requests that may be under way
    /// at a time; INDEXRANK_OUT, the folder for its four rankings. All its processes end with it. Its time is
    /// that of the whole process, its memory at least that of the race. With --urls,
    /// INDEXRANK_URLS is the file, its answer is not checked, and it has no place in the order.
    #[arg(long, value_name = "PROGRAM", value_parser = programs, help_heading = "Work and participants")]
    pub also: Vec<Programs>,
    /// Maximum number of counted runs of each contender in one table [default: 15; 1 with --urls]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000), help_heading = "Work and participants")]
    pub rounds: Option<u32>,
    /// Seconds for all counted runs of a contender in one table; a slow contender gets fewer runs than
    /// --rounds, but at least two
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Work and participants")]
    pub budget: u64,
    /// Kill a run after this many seconds, and disqualify its contender
    #[arg(long, value_name = "SECONDS", default_value = "120", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Work and participants")]
    pub run_timeout: u64,
    /// Inject a fault into a contender, to check that the race detects it
    #[arg(long, value_name = "NAME=FAULT", value_parser = fault, hide = true)]
    pub fault: Option<(String, Fault)>,

    /// Milliseconds that the server waits before each response; one table for each value [default:
    /// 0,50]
    #[arg(long, value_name = "MS", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(0..=60_000), help_heading = "Conditions")]
    pub latency: Vec<u64>,
    /// Maximum of additional milliseconds, uniformly distributed; always the same for an address
    #[arg(long, value_name = "MS", default_value = "0", value_parser = clap::value_parser!(u64).range(0..=60_000), help_heading = "Conditions")]
    pub jitter: u64,
    /// Maximum of megabits per second of all responses together [default: no limit]
    #[arg(long, value_name = "MBIT", value_parser = bandwidth, help_heading = "Conditions")]
    pub bandwidth: Option<f64>,
    /// Serve over TLS, with an authority that is made at the start. Programs of --also find its certificate
    /// in the file INDEXRANK_CA, which is SSL_CERT_FILE too. Handshakes have no extra latency
    #[arg(long, help_heading = "Conditions")]
    pub tls: bool,
    /// Requests in flight at the same time; one table for each value [default: 8,32,128; 32 with --work;
    /// 8 with --urls]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=MAX_IN_FLIGHT as u64), help_heading = "Conditions")]
    pub workers: Vec<u64>,

    /// Show all columns of the tables, also if the terminal is too narrow for them
    #[arg(long, help_heading = "Results")]
    pub wide: bool,
    /// Write a self-contained HTML page with charts and timelines
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub html: Option<PathBuf>,
    /// Write machine, versions, options and all results as JSON
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub json: Option<PathBuf>,
    /// Write a CSV file with one row for each run
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    pub csv: Option<PathBuf>,
    /// Write a timeline of the workers for each contender, in Chrome's trace format for Perfetto
    /// (ui.perfetto.dev)
    #[arg(long, value_name = "DIR", help_heading = "Results")]
    pub trace: Option<PathBuf>,
    /// With --tls, write the certificate of the authority before the first run
    #[arg(
        long,
        value_name = "FILE.pem",
        requires = "tls",
        help_heading = "Results"
    )]
    pub ca_out: Option<PathBuf>,
}

/// A value of `--also`.
#[derive(Debug, Clone)]
pub enum Programs {
    Rivals(Vec<&'static Rival>),
    /// A program of the user, and its shell command.
    Named(String, String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WorkArg {
    /// The whole job
    Job,
    /// Fetch only: pages from a list of addresses, not parsed
    Io,
    /// Inflate and parse only: pages from memory
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
    pub fn companies(&self) -> u32 {
        let whole_index = self.all || self.work == WorkArg::Cpu;
        self.companies
            .unwrap_or(if whole_index { 496 } else { 100 })
    }

    /// The conditions, in the order in which they are raced.
    pub fn conditions(&self) -> Vec<Condition> {
        let workers = self.worker_counts();
        let of_latency = |latency_ms| {
            let condition = move |workers: &u64| Condition {
                latency_ms,
                workers: *workers,
            };
            workers.iter().map(condition).collect::<Vec<_>>()
        };
        self.latencies().into_iter().flat_map(of_latency).collect()
    }

    /// Latencies in milliseconds.
    pub fn latencies(&self) -> Vec<u64> {
        if self.urls.is_some() || self.work == WorkArg::Cpu {
            return vec![0];
        }
        match &*self.latency {
            [] => vec![0, 50],
            given => without_duplicates(given),
        }
    }

    pub fn worker_counts(&self) -> Vec<u64> {
        match &*self.workers {
            // Servers of other people are spared a sweep.
            [] if self.urls.is_some() => vec![8],
            [] if self.work == WorkArg::Cpu => vec![32],
            [] if self.all => (0..=10).map(|power| 1 << power).collect(),
            [] if self.work == WorkArg::Io => vec![32],
            [] => vec![8, 32, 128],
            given => without_duplicates(given),
        }
    }

    /// Whether a contender takes part.
    pub fn includes(&self, name: &str) -> bool {
        if self.only.is_empty() {
            self.all || DEFAULT_CONTENDERS.contains(&name)
        } else {
            self.only.iter().any(|only| only == name)
        }
    }

    /// Whether a participant runs with this many requests in flight. The sweep of `--all` stops at the
    /// bound of each contender.
    pub fn sweeps(&self, name: &str, workers: u64) -> bool {
        let bound = ALL.iter().find(|contender| contender.name == name);
        let is_beyond = bound.is_some_and(|bound| workers > bound.max_in_flight as u64);
        !(self.all && self.workers.is_empty() && is_beyond)
    }

    /// The maximum number of counted rounds, and whether an uncounted warm-up round precedes them.
    pub fn rounds(&self) -> (u32, bool) {
        if self.urls.is_some() {
            (self.rounds.unwrap_or(1), false)
        } else {
            (self.rounds.unwrap_or(15), true)
        }
    }

    /// How many counted runs of this many seconds fit into the budget: two at least, for a range.
    pub fn affordable_rounds(&self, seconds: f64) -> u32 {
        let (rounds, _) = self.rounds();
        let affordable = (self.budget as f64 / seconds) as u32;
        affordable.max(2).min(rounds)
    }
}

fn without_duplicates(values: &[u64]) -> Vec<u64> {
    let mut distinct = Vec::new();
    for value in values {
        if !distinct.contains(value) {
            distinct.push(*value);
        }
    }
    distinct
}

/// The end of the help.
fn after_help() -> String {
    let lines = ALL.iter().map(|contender| {
        let bound = match contender.max_in_flight {
            1 | MAX_IN_FLIGHT => String::new(),
            bound => format!("; a sweep stops at {bound}"),
        };
        format!(
            "\n  {:<16} {}{bound}",
            contender.name, contender.description
        )
    });
    format!("Contenders:{}\n\n{EXIT_CODES}", lines.collect::<String>())
}

fn page_source(text: &str) -> Result<Origin, String> {
    match text.parse()? {
        origin @ (Origin::Replica | Origin::Archive(_)) => Ok(origin),
        _ => Err("expected replica, FILE.warc or FILE.warc.gz".to_owned()),
    }
}

fn programs(text: &str) -> Result<Programs, String> {
    if let Some((name, command)) = text.split_once('=') {
        if !name.is_empty() && !command.is_empty() {
            return Ok(Programs::Named(name.to_owned(), command.to_owned()));
        }
    } else if let Some(rivals) = text.split(',').map(Rival::by_name).collect() {
        return Ok(Programs::Rivals(rivals));
    }
    Err("expected python, go, or a name and a command, like mine=\"node scrape.js\"".to_owned())
}

fn fault(text: &str) -> Result<(String, Fault), String> {
    let (name, fault) = text.split_once('=').ok_or("expected NAME=FAULT")?;
    Ok((name.to_owned(), Fault::from_str(fault, false)?))
}
