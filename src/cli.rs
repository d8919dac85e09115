//! The command line: options, their checks, their help.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::styling::Styles;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use crossbeam_channel::Receiver;
use jiff::civil::Date;
use rust_decimal::Decimal;

use crate::http::proxy::ProxyChoice;
use crate::http::tls::Authorities;
use crate::job::exchange_rate::RateChoice;
use crate::job::settings::{Job, RetryTiming};
use crate::pipeline::PoolSizes;
use crate::pipeline::index_pages::MAX_COMPANIES;
use crate::pipeline::walker::WalkMode;
use crate::replica::{Faults, Line, Plan, SEED};
use crate::results::ranking::PeRange;
use crate::results::table;
use crate::results::write::Outputs;
use crate::site::{number, rates};
use crate::source::origin::Origin;
use crate::telemetry::progress::Style;

const EXAMPLES: &str = "\
Examples:
  indexrank --from replica                     the embedded market, no network needed
  indexrank                                    the S&P 500 as it is now
  indexrank --index nasdaq_100 --top 5         another index, shorter rankings
  indexrank --record run.warc.gz               keep every page …
  indexrank --from run.warc.gz --table all.csv … and run again from the file
  indexrank serve --port 8000 --latency 50     the embedded market for other clients

Exit codes:
  0 complete   2 wrong usage   3 written, some companies missing   4 unreachable
  5 layout not recognised   6 no usable rate   7 output cannot be written
  130, 143 interrupted, terminated";

/// Eight parsers parse more pages than any site serves, and each owns a buffer of 2 MiB.
const MAX_PARSERS: usize = 8;

/// The default User-Agent: the program, and where to find out more.
const USER_AGENT: &str = concat!(
    "indexrank/",
    env!("CARGO_PKG_VERSION"),
    " (+",
    env!("CARGO_PKG_REPOSITORY"),
    ")"
);

/// Scrapes every company of a stock index with blocking threads and writes four top-ten rankings:
/// dearest in roubles, lowest P/E, highest growth, highest potential profit.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES, max_term_width = 100, args_conflicts_with_subcommands = true, styles = Styles::plain())]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve a market on 127.0.0.1 for any client, until it is interrupted
    ///
    /// Prints its address on the first line of stdout, and a line on stderr after every thousand
    /// requests.
    Serve(ServeArgs),
    /// Show what is seen in saved pages, a line of JSON for each file
    Read {
        /// Saved index pages, company pages or rate files, plain or gzipped
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Print a script that completes commands and options in a shell
    Completions {
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
pub struct RunArgs {
    /// Where pages come from: live, replica, FILE.warc[.gz], or http[s]://HOST:PORT
    #[arg(long, value_name = "SOURCE", default_value = "live", value_parser = Origin::from_str, help_heading = "Source")]
    from: Origin,
    /// Index to rank, as the site's addresses name it: 's&p_500', dow_jones, nasdaq_100, dax, …
    #[arg(long, value_name = "NAME", default_value = "s&p_500", value_parser = index_name, help_heading = "Source")]
    index: String,
    /// Pages of the index to walk: the numbered ones, from which the site loses some companies, those
    /// of the letters, or both, to be told what one lacks
    #[arg(long, value_enum, default_value = "pages", help_heading = "Source")]
    walk: WalkArg,
    /// Take this many roubles for a dollar, like 76.65, instead of asking the Bank of Russia
    #[arg(long, value_name = "RATE", value_parser = rate, conflicts_with = "rate_date", help_heading = "Source")]
    usd_rub: Option<Decimal>,
    /// Take the Bank of Russia's rate of this day instead of the latest
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = date, help_heading = "Source")]
    rate_date: Option<Date>,

    /// Folder of price.json, pe.json, growth.json, potential_profit.json and run.json
    #[arg(
        long,
        value_name = "DIR",
        default_value = "rankings",
        help_heading = "Results"
    )]
    out: PathBuf,
    /// Length of each ranking
    #[arg(long, value_name = "N", default_value = "10", value_parser = number::<1, 1_000_000>, help_heading = "Results")]
    top: usize,
    /// Whether a P/E of zero or less is ranked
    #[arg(long, value_enum, default_value = "any", help_heading = "Results")]
    pe: PeArg,
    /// Also write all companies, one row each, to FILE.csv, FILE.ndjson or FILE.jsonl
    #[arg(long, value_name = "FILE", value_parser = table, help_heading = "Results")]
    table: Option<(PathBuf, table::Format)>,
    /// Keep every page as it came, to run again with --from FILE
    #[arg(long, value_name = "FILE.warc[.gz]", value_parser = recording, help_heading = "Results")]
    record: Option<PathBuf>,
    /// Write what every thread did when, in Chrome's trace format, for Perfetto (ui.perfetto.dev)
    #[arg(long, value_name = "FILE.json", help_heading = "Results")]
    trace: Option<PathBuf>,

    /// Threads that fetch pages, at the most
    #[arg(long, value_name = "N", default_value = "32", value_parser = number::<1, 1024>, help_heading = "Fetching")]
    workers: usize,
    /// Threads that read them [default: one a core, eight at the most]
    #[arg(long, value_name = "N", value_parser = number::<1, 256>, help_heading = "Fetching")]
    readers: Option<usize>,
    /// Requests per second at the most, like 2 or 0.5 [default: no limit]
    #[arg(long, value_name = "N", value_parser = rps, help_heading = "Fetching")]
    rps: Option<f64>,
    /// Do not ask for robots.txt, on a server of your own
    #[arg(long, help_heading = "Fetching")]
    ignore_robots: bool,
    /// Go on from where an earlier run of the same command was cut short
    #[arg(long, help_heading = "Fetching")]
    resume: bool,
    /// With --resume, ask again for pages older than that
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = seconds, requires = "resume", help_heading = "Fetching")]
    max_age: Duration,
    /// Most seconds for the whole run [default: no limit]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "Fetching")]
    max_time: Option<Duration>,
    /// Most seconds for one page
    #[arg(long, value_name = "SECONDS", default_value = "45", value_parser = seconds, help_heading = "Fetching")]
    timeout: Duration,
    /// How the program names itself to the site
    #[arg(long, value_name = "TEXT", default_value = USER_AGENT, value_parser = header_value, help_heading = "Fetching")]
    user_agent: String,
    /// Proxy to go through [default: as the environment says]
    #[arg(long, value_name = "ADDRESS", value_parser = ProxyChoice::parse, help_heading = "Fetching")]
    proxy: Option<ProxyChoice>,
    /// Most milliseconds before the second attempt at a page
    #[arg(long, value_name = "MS", default_value = "500", value_parser = number::<0, 60_000>, hide = true)]
    retry_pause: usize,
    /// Seed of the pauses before another attempt
    #[arg(long, value_name = "N", hide = true)]
    retry_seed: Option<u64>,
    /// Trust the authorities in this file instead of the built-in ones, behind a proxy that opens
    /// https, say
    #[arg(long, value_name = "FILE.pem", value_parser = Authorities::read, help_heading = "Fetching")]
    ca_file: Option<Authorities>,

    /// Print the content of run.json instead of the tables
    #[arg(long, help_heading = "Terminal")]
    json: bool,
    /// Print nothing but errors, and the report with --json
    #[arg(long, short, conflicts_with = "verbose", help_heading = "Terminal")]
    quiet: bool,
    /// Say more on stderr: every company that is missing, and what the run has used
    #[arg(long, short, help_heading = "Terminal")]
    verbose: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PeArg {
    Any,
    Positive,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum WalkArg {
    Pages,
    Letters,
    Both,
}

/// What a run prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verbosity {
    pub json: bool,
    pub quiet: bool,
    pub verbose: bool,
}

impl RunArgs {
    /// The settings of the run. A signal from `interrupts` cancels it.
    pub fn into_job(self, interrupts: Receiver<i32>) -> (Job, Verbosity) {
        let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let parsers = self.readers.unwrap_or_else(|| cores().min(MAX_PARSERS));
        let job = Job {
            origin: self.from,
            index: self.index,
            walk: match self.walk {
                WalkArg::Pages => WalkMode::Pages,
                WalkArg::Letters => WalkMode::Letters,
                WalkArg::Both => WalkMode::Both,
            },
            sizes: PoolSizes {
                fetchers: self.workers,
                parsers,
            },
            top: self.top,
            pe_range: match self.pe {
                PeArg::Any => PeRange::Any,
                PeArg::Positive => PeRange::Positive,
            },
            rate: self
                .usd_rub
                .map_or(RateChoice::OfDay(self.rate_date), RateChoice::Given),
            outputs: Outputs {
                folder: self.out,
                table: self.table,
                record: self.record,
                trace: self.trace,
            },
            timeout: self.timeout,
            user_agent: self.user_agent,
            proxy: self.proxy.unwrap_or(ProxyChoice::FromEnvironment),
            rps: self.rps,
            ignore_robots: self.ignore_robots,
            max_time: self.max_time,
            resume: self.resume.then_some(self.max_age),
            retry: RetryTiming {
                seed: self.retry_seed,
                first_delay: Duration::from_millis(self.retry_pause as u64),
            },
            interrupts,
            authorities: self.ca_file,
            progress: Style::for_stderr(self.quiet),
        };
        (
            job,
            Verbosity {
                json: self.json,
                quiet: self.quiet,
                verbose: self.verbose,
            },
        )
    }
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// What to serve: replica, or an archive FILE.warc[.gz]
    #[arg(long, value_name = "SOURCE", default_value = "replica", value_parser = servable)]
    pub from: Origin,
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "N", default_value = "0", value_parser = number::<0, 65535>)]
    pub port: usize,
    /// Milliseconds to wait before each answer
    #[arg(long, value_name = "MS", default_value = "0", value_parser = number::<0, 600_000>)]
    latency: usize,
    /// Most milliseconds that this is longer, evenly distributed; the same for an address each time
    #[arg(long, value_name = "MS", default_value = "0", value_parser = number::<0, 600_000>)]
    jitter: usize,
    /// Megabits per second that all answers together take at the most [default: no limit]
    #[arg(long, value_name = "MBIT", value_parser = bandwidth)]
    bandwidth: Option<f64>,
    /// What goes wrong, like '503@20%,reset-body@5%,retry-after:2@/stocks/mmm-stock#1'
    #[arg(long, value_name = "SPEC")]
    pub faults: Option<Faults>,
    /// Companies of the embedded market [default: the 496 of a real crawl]
    #[arg(long, value_name = "N", value_parser = number::<1, MAX_COMPANIES>)]
    pub companies: Option<usize>,
    /// Companies of the embedded market that its numbered index pages lack, for --walk both to find
    #[arg(long, value_name = "N", default_value = "0", value_parser = number::<0, MAX_COMPANIES>)]
    pub drop_rows: usize,
    /// Seed of everything that is made up: the embedded market, the rows it drops, the jitter,
    /// the faults
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

impl ServeArgs {
    pub fn plan(&self) -> Option<Plan> {
        let faults = self.faults.clone()?;
        Some(Plan::new(faults, self.seed.unwrap_or(SEED)))
    }

    pub fn line(&self) -> Line {
        let milliseconds = |number| Duration::from_millis(number as u64);
        Line {
            latency: milliseconds(self.latency),
            jitter: milliseconds(self.jitter),
            bandwidth: self.bandwidth.map(|megabits| megabits * 1e6),
            seed: self.seed.unwrap_or(SEED),
        }
    }
}

/// The script for a shell.
pub fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "indexrank", &mut script);
    script
}

fn number<const MIN: usize, const MAX: usize>(text: &str) -> Result<usize, String> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (MIN..=MAX).contains(number));
    number.ok_or_else(|| format!("give a whole number from {MIN} to {MAX}"))
}

fn index_name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "&_-.".contains(c);
    if text.is_empty() || !text.chars().all(plain) {
        return Err(
            "give a name as in the site's addresses, like s&p_500, dow_jones or nasdaq_100"
                .to_owned(),
        );
    }
    Ok(text.to_owned())
}

fn rate(text: &str) -> Result<Decimal, String> {
    let rate = number::parse_decimal_comma(text)
        .ok()
        .filter(|rate| *rate > Decimal::ZERO && *rate < rates::MAX_RATE);
    rate.ok_or_else(|| "give roubles for one dollar, like 76.65".to_owned())
}

fn date(text: &str) -> Result<Date, String> {
    text.parse()
        .map_err(|_| "give a day like 2022-02-04".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text
        .parse()
        .ok()
        .filter(|seconds| (0.001..=86_400.0).contains(seconds));
    seconds
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "give seconds from 0.001 to 86400".to_owned())
}

fn rps(text: &str) -> Result<f64, String> {
    let rps = text.parse().ok().filter(|rps| (0.001..=1e6).contains(rps));
    rps.ok_or_else(|| "give requests per second from 0.001 to 1000000".to_owned())
}

pub fn bandwidth(text: &str) -> Result<f64, String> {
    let megabits = text.parse().ok();
    megabits
        .filter(|megabits| (0.001..=1e6).contains(megabits))
        .ok_or_else(|| "give megabits per second from 0.001 to 1000000".to_owned())
}

fn header_value(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err("give a text of printable ASCII characters".to_owned());
    }
    Ok(text.to_owned())
}

fn table(text: &str) -> Result<(PathBuf, table::Format), String> {
    let path = PathBuf::from(text);
    let format =
        table::Format::of(&path).ok_or("give a file that ends in .csv, .ndjson or .jsonl")?;
    Ok((path, format))
}

fn recording(text: &str) -> Result<PathBuf, String> {
    if !text.ends_with(".warc") && !text.ends_with(".warc.gz") {
        return Err("give a file that ends in .warc or .warc.gz".to_owned());
    }
    Ok(text.into())
}

fn servable(text: &str) -> Result<Origin, String> {
    match text.parse()? {
        origin @ (Origin::Replica | Origin::Archive(_)) => Ok(origin),
        _ => Err("give replica or a file FILE.warc or FILE.warc.gz".to_owned()),
    }
}
