//! The command line: options, their help, the parsers of their values, and the settings that they make.
//! What the options do is in the rooms that the settings go to; `main` dispatches the subcommands.
//! Another option goes into this file, the parser of its value into `values`, a help text longer than a description into `help`.

#![expect(
    rustdoc::bare_urls,
    reason = "the help shows the docs of options as they are written"
)]

mod help;
mod values;

pub use crate::cli::values::bandwidth;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::styling::Styles;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use crossbeam_channel::Receiver;
use jiff::civil::Date;
use rust_decimal::Decimal;

use crate::cli::help::{EXAMPLES_AND_EXIT_CODES, FAULTS};
use crate::cli::values::{
    currency, date, header_value, index_name, min_companies, rate, recording, requests_per_second,
    seconds, servable, table, usd_rub, whole_number,
};
use crate::exit::Exit;
use crate::http::proxy::ProxyChoice;
use crate::http::tls::Authorities;
use crate::job::advice::Stop;
use crate::job::check::Check;
use crate::job::exchange_rate::RateChoice;
use crate::job::settings::{Access, DEFAULT_INDEX, Job, RetryTiming};
use crate::pipeline::PoolSizes;
use crate::pipeline::index_walk::{MAX_COMPANIES, WalkMode};
use crate::replica::{Faults, Line, Plan, SEED};
use crate::results::coverage::MinCompanies;
use crate::results::ranking::PeRange;
use crate::results::table;
use crate::results::write::Outputs;
use crate::site::currency::Currency;
use crate::source::origin::Origin;
use crate::telemetry::progress::Style;

/// The default number of parsers is at most this. Eight parse pages faster than any site serves them,
/// and each owns a buffer of 2 MiB.
const MAX_DEFAULT_PARSERS: usize = 8;

/// The default User-Agent: the program, and an address with more about it.
const USER_AGENT: &str = concat!(
    "indexrank/",
    env!("CARGO_PKG_VERSION"),
    " (+",
    env!("CARGO_PKG_REPOSITORY"),
    ")"
);

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
    /// Show what the parsers find in saved pages, one line of JSON per file
    ///
    /// The exit code is 2 if a file cannot be read, and otherwise 5 if a file is of no known kind.
    Read {
        /// Saved index pages, company pages or lists of exchange rates, plain or gzipped
        #[arg(required = true)]
        files: Vec<PathBuf>,
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

#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
pub struct RunArgs {
    #[command(flatten)]
    site: SiteArgs,
    /// Walk the numbered pages of the index, its letter pages, or both
    ///
    /// The site drops some companies from the numbered pages: on 2022-01-01, these listed 496
    /// companies of the S&P 500, and the letter pages 505.
    #[arg(long, value_enum, default_value = "pages", help_heading = "Source")]
    walk: WalkArg,
    /// Use this rate, in roubles for one unit, e.g. EUR=86.56 [default: the Bank of Russia's rates]
    ///
    /// The option may be repeated. The bank is not asked, so companies quoted in a currency without a
    /// rate are not ranked by price. For pence, give the rate of the pound.
    #[arg(long = "rate", value_name = "CODE=ROUBLES", value_parser = rate, conflicts_with = "rate_date", help_heading = "Source")]
    rates: Vec<(Currency, Decimal)>,
    /// Use this rate of the dollar; short for --rate USD=ROUBLES
    #[arg(long, value_name = "ROUBLES", value_parser = usd_rub, conflicts_with = "rate_date", help_heading = "Source")]
    usd_rub: Option<Decimal>,
    /// Use the Bank of Russia's rates for this day [default: latest]
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = date, help_heading = "Source")]
    rate_date: Option<Date>,

    /// Write the rankings and the report, run.json, to the folder DIR
    ///
    /// The rankings are price.json, pe.json, growth.json and potential_profit.json. A run that fails
    /// changes none of these files, and keeps its pages in DIR/unfinished.warc for --resume. A run without
    /// usable exchange rates renames an earlier price.json to price.previous.json.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "rankings",
        help_heading = "Results"
    )]
    out: PathBuf,
    /// Put N companies in each ranking, 1 to 1000000
    #[arg(long, value_name = "N", default_value = "10", value_parser = whole_number::<1, 1_000_000>, help_heading = "Results")]
    top: usize,
    /// Rank prices in this currency, e.g. USD
    ///
    /// A price is multiplied by the rate of its own currency and divided by the rate of this one. If all
    /// companies are quoted in it, no rate is needed, and the Bank of Russia is not asked.
    #[arg(long = "in", value_name = "CODE", default_value = "RUB", value_parser = currency, help_heading = "Results")]
    price_currency: Currency,
    /// P/E ratios to rank
    #[arg(long, value_enum, default_value = "any", help_heading = "Results")]
    pe: PeArg,
    /// Write files only with at least N companies, or N% of the listed [default: 95%, or all but two]
    ///
    /// By default, 5 % of the listed companies may be missing, or two if that is more. With too few
    /// companies, the tables are shown, but no file is written or replaced. The exit code is 8, and
    /// --resume continues the run. A company listed twice is not missing.
    #[arg(long, value_name = "N|N%", value_parser = min_companies, help_heading = "Results")]
    min_companies: Option<MinCompanies>,
    /// Also write all companies, one row each, to FILE.csv, FILE.ndjson or FILE.jsonl
    ///
    /// The rows are ordered by code.
    #[arg(long, value_name = "FILE", value_parser = table, help_heading = "Results")]
    table: Option<(PathBuf, table::Format)>,
    /// Record all responses in a WARC archive, to repeat the run with --from FILE
    ///
    /// The archive holds the responses as received, and the file appears when the run is complete.
    /// With .gz, each record is compressed. The journal for --resume is unfinished-FILE beside it.
    #[arg(long, value_name = "FILE.warc[.gz]", value_parser = recording, help_heading = "Results")]
    record: Option<PathBuf>,
    /// Write a timeline of all threads in Chrome's trace format
    ///
    /// Open it with Perfetto, https://ui.perfetto.dev.
    #[arg(long, value_name = "FILE.json", help_heading = "Results")]
    trace: Option<PathBuf>,

    /// Fetch pages with at most N threads, 1 to 1024
    ///
    /// The pool starts small and grows while the parsers are idle.
    #[arg(long, value_name = "N", default_value = "32", value_parser = whole_number::<1, 1024>, help_heading = "Fetching")]
    workers: usize,
    /// Parse pages with N threads, 1 to 256 [default: one per core, at most 8]
    #[arg(long, value_name = "N", value_parser = whole_number::<1, 256>, help_heading = "Fetching")]
    readers: Option<usize>,
    /// Send at most N requests per second, 0.001 to 1000000 [default: no limit]
    ///
    /// For example 2 or 0.5. A longer crawl delay in the site's robots.txt takes precedence.
    #[arg(long, value_name = "N", value_parser = requests_per_second, help_heading = "Fetching")]
    rps: Option<f64>,
    #[command(flatten)]
    client: ClientArgs,
    /// Continue an earlier run of the same command that was interrupted or lacks pages
    ///
    /// Takes pages from the journal of the earlier run and fetches only the others. The journal is
    /// unfinished.warc in the folder of --out; with --record FILE, it is unfinished-FILE beside FILE.
    /// Version, source and index must be the same as in the earlier run.
    #[arg(long, help_heading = "Fetching")]
    resume: bool,
    /// With --resume, fetch pages again that are older than SECONDS, 0.001 to 86400
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = seconds, requires = "resume", help_heading = "Fetching")]
    max_age: Duration,
    /// Cancel the run after SECONDS, 0.001 to 86400 [default: no limit]
    ///
    /// The exit code is 4, and --resume continues the run.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "Fetching")]
    max_time: Option<Duration>,
    /// Abort an attempt at a page after SECONDS, 0.001 to 86400
    ///
    /// A page that arrives too late, or not intact, gets at most four attempts.
    #[arg(long, value_name = "SECONDS", default_value = "45", value_parser = seconds, help_heading = "Fetching")]
    timeout: Duration,
    /// Longest delay before the second attempt at a page, in milliseconds
    #[arg(long, value_name = "MS", default_value = "500", value_parser = whole_number::<0, 60_000>, hide = true)]
    retry_pause: usize,
    /// Seed of the random delays before retries
    #[arg(long, value_name = "N", hide = true)]
    retry_seed: Option<u64>,

    /// Print run.json to stdout instead of the tables
    #[arg(long, help_heading = "Terminal")]
    json: bool,
    /// Suppress tables, progress, and warnings about implausible figures
    ///
    /// Errors, other warnings and missing companies are still printed to stderr, and run.json to
    /// stdout with --json.
    #[arg(long, short, conflicts_with = "verbose", help_heading = "Terminal")]
    quiet: bool,
    /// List all missing companies and implausible figures, and the resources used
    ///
    /// Without it, at most five of each are listed. All of this goes to stderr.
    #[arg(long, short, help_heading = "Terminal")]
    verbose: bool,
}

/// What is fetched: the options that a run and a check share.
#[derive(Debug, Args)]
struct SiteArgs {
    /// Fetch pages from SOURCE: live, replica, FILE.warc[.gz] or http[s]://HOST:PORT
    ///
    /// live: https://markets.businessinsider.com, and https://www.cbr.ru for the exchange rates.
    ///
    /// replica: the embedded market, served on 127.0.0.1. It needs no network.
    ///
    /// FILE.warc or FILE.warc.gz: an archive, for example from --record. No request is sent; a page
    /// that the archive lacks counts as failed.
    ///
    /// http[s]://HOST:PORT: a server with the same paths, for example `indexrank serve`.
    #[arg(long, value_name = "SOURCE", default_value = "live", value_parser = Origin::from_str, help_heading = "Source")]
    from: Origin,
    /// Use the index NAME, as written in the site's addresses
    ///
    /// For example 's&p_500', dow_jones, nasdaq_100 or dax. A name with & needs quotes in a shell.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_INDEX, value_parser = index_name, help_heading = "Source")]
    index: String,
}

/// How requests are sent: the options that a run and a check share. Their order of 100 and more puts
/// them behind the other options of a run.
#[derive(Debug, Args)]
struct ClientArgs {
    /// Neither fetch nor obey robots.txt; only for servers of your own
    #[arg(long, help_heading = "Fetching")]
    ignore_robots: bool,
    /// User-Agent of all requests, in printable ASCII
    ///
    /// The part before the first slash or space selects the rules in robots.txt.
    #[arg(long, value_name = "TEXT", default_value = USER_AGENT, value_parser = header_value, display_order = 100, help_heading = "Fetching")]
    user_agent: String,
    /// Send requests through a proxy [default: from the environment]
    ///
    /// For example http://127.0.0.1:3128 or socks5://user:password@127.0.0.1:1080. The environment
    /// names a proxy in ALL_PROXY, HTTPS_PROXY or HTTP_PROXY, and exceptions in NO_PROXY. Requests to
    /// this machine use a proxy only if --proxy names one, and the embedded market never uses one.
    #[arg(long, value_name = "ADDRESS", value_parser = ProxyChoice::parse, display_order = 101, help_heading = "Fetching")]
    proxy: Option<ProxyChoice>,
    /// Trust the certificate authorities in FILE.pem instead of the built-in ones
    ///
    /// Needed, for example, behind a proxy that decrypts https.
    #[arg(long, value_name = "FILE.pem", value_parser = Authorities::read, display_order = 102, help_heading = "Fetching")]
    ca_file: Option<Authorities>,
}

impl ClientArgs {
    fn into_access(self, origin: Origin) -> Access {
        Access {
            origin,
            user_agent: self.user_agent,
            proxy: self.proxy.unwrap_or(ProxyChoice::FromEnvironment),
            authorities: self.ca_file,
            ignore_robots: self.ignore_robots,
        }
    }
}

#[derive(Debug, Args)]
pub struct CheckArgs {
    #[command(flatten)]
    site: SiteArgs,
    #[command(flatten)]
    client: ClientArgs,
    /// Print the verdicts as one JSON object
    #[arg(long, help_heading = "Terminal", display_order = 103)]
    pub json: bool,
    /// End the check after SECONDS
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds, hide = true)]
    max_time: Duration,
}

impl CheckArgs {
    /// The settings of the check. A signal from `interrupts` ends it.
    pub fn into_check(self, interrupts: Receiver<i32>) -> Check {
        Check {
            access: self.client.into_access(self.site.from),
            index: self.site.index,
            max_time: self.max_time,
            interrupts,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PeArg {
    /// All ratios, also zero and negative ones
    Any,
    /// Only ratios above zero
    Positive,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum WalkArg {
    /// The numbered pages, ?p=1, ?p=2 and so on
    Pages,
    /// The 27 letter pages, /A to /Z and /0-9
    Letters,
    /// All of these; a warning and run.json name the companies that one kind of page lacks
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
    /// The settings of the run. A signal from `interrupts` cancels it. An error if options contradict each
    /// other.
    pub fn into_job(self, interrupts: Receiver<i32>) -> Result<(Job, Verbosity), Stop> {
        let rates = self.rate_choice()?;
        let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let parsers = self
            .readers
            .unwrap_or_else(|| cores().min(MAX_DEFAULT_PARSERS));
        let verbosity = Verbosity {
            json: self.json,
            quiet: self.quiet,
            verbose: self.verbose,
        };
        let job = Job {
            access: self.client.into_access(self.site.from),
            index: self.site.index,
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
            min_companies: self.min_companies.unwrap_or(MinCompanies::Usual),
            rates,
            price_currency: self.price_currency,
            outputs: Outputs {
                folder: self.out,
                table: self.table,
                record: self.record,
                trace: self.trace,
            },
            timeout: self.timeout,
            rps: self.rps,
            max_time: self.max_time,
            resume: self.resume.then_some(self.max_age),
            retry: RetryTiming {
                seed: self.retry_seed,
                first_delay: Duration::from_millis(self.retry_pause as u64),
            },
            interrupts,
            progress: Style::for_stderr(self.quiet),
        };
        Ok((job, verbosity))
    }

    /// The rates given, or the day of the bank's.
    fn rate_choice(&self) -> Result<RateChoice, Stop> {
        let dollar = self.usd_rub.map(|rate| (Currency::USD, rate));
        let mut given = BTreeMap::new();
        for (currency, rate) in dollar.into_iter().chain(self.rates.iter().copied()) {
            if given.insert(currency, rate).is_some() {
                let options = match (currency, dollar) {
                    (Currency::USD, Some(_)) => "--usd-rub and --rate",
                    _ => "--rate",
                };
                let message = format!("{options}: two rates of {currency} are given, expected one");
                return Err(Stop::new(Exit::Usage, message));
            }
        }
        if given.is_empty() {
            return Ok(RateChoice::OfDay(self.rate_date));
        }
        Ok(RateChoice::Given(given))
    }
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Serve SOURCE: replica (the embedded market), or an archive FILE.warc[.gz]
    #[arg(long, value_name = "SOURCE", default_value = "replica", value_parser = servable)]
    pub from: Origin,
    /// Listen on port N of 127.0.0.1, 0 to 65535; 0 picks a free port
    #[arg(long, value_name = "N", default_value = "0", value_parser = whole_number::<0, 65535>)]
    pub port: usize,
    /// Delay each response by MS milliseconds, 0 to 600000
    #[arg(long, value_name = "MS", default_value = "0", value_parser = whole_number::<0, 600_000>)]
    latency: usize,
    /// Add a random delay of up to MS milliseconds to each response, 0 to 600000
    ///
    /// The delay is uniformly distributed. It depends on --seed and the address alone, so an address
    /// has the same delay for every client.
    #[arg(long, value_name = "MS", default_value = "0", value_parser = whole_number::<0, 600_000>)]
    jitter: usize,
    /// Limit all responses together to MBIT megabits per second, 0.001 to 1000000 [default: no limit]
    #[arg(long, value_name = "MBIT", value_parser = bandwidth)]
    bandwidth: Option<f64>,
    /// Inject faults, e.g. '503@20%,reset#1'; --help lists them
    #[arg(
        long,
        value_name = "SPEC",
        long_help = "Inject faults, e.g. '503@20%,reset#1'; see Faults at the end of this help"
    )]
    pub faults: Option<Faults>,
    /// Serve N companies in the index s&p_500 of the embedded market, 1 to 100000 [default: 496]
    ///
    /// The first 496 have the figures of a crawl of the S&P 500 on 2022-01-31. Further companies are
    /// synthetic and depend on --seed. The market has two more indices: dax, 40 companies quoted in
    /// euros, and mixed, 50 companies quoted in several currencies, of which one is unknown to the bank.
    #[arg(long, value_name = "N", value_parser = whole_number::<1, MAX_COMPANIES>)]
    pub companies: Option<usize>,
    /// Drop N companies from the numbered pages of s&p_500 in the embedded market, 0 to 100000
    ///
    /// Only the letter pages list these companies, so `indexrank --walk both` reports them. The first
    /// company of each page is never dropped, so no page is empty.
    #[arg(long, value_name = "N", default_value = "0", value_parser = whole_number::<0, MAX_COMPANIES>)]
    pub drop_rows: usize,
    /// Seed of the embedded market, its dropped companies, the jitter and the faults [default: 500]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

impl ServeArgs {
    /// The plan of `--faults`, or `None` if all responses are normal.
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

/// The completion script for a shell.
pub fn completions(shell: clap_complete::Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "indexrank", &mut script);
    script
}
