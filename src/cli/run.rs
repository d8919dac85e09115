//! The options of a run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use crossbeam_channel::Receiver;
use jiff::civil::Date;
use rust_decimal::Decimal;

use crate::cli::site::{ClientArgs, SiteArgs};
use crate::cli::values::{
    TableTarget, currency, date, min_companies, rate, recording, requests_per_second, seconds,
    table, usd_rub, whole_number,
};
use crate::exit::Exit;
use crate::job::advice::Stop;
use crate::job::exchange_rate::RateChoice;
use crate::job::settings::{Job, RetryTiming};
use crate::pipeline::PoolSizes;
use crate::pipeline::index_walk::WalkMode;
use crate::results::coverage::MinCompanies;
use crate::results::ranking::PeRange;
use crate::results::table::Format;
use crate::results::write::Outputs;
use crate::site::currency::Currency;
use crate::source::shard::Shard;
use crate::telemetry::log::Log;
use crate::telemetry::progress::Style;

/// The default number of parsers is at most this. Eight parse pages faster than any site serves them,
/// and each owns a buffer of 2 MiB.
const MAX_DEFAULT_PARSERS: usize = 8;

/// One parser per core, up to a limit.
pub fn default_parsers() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    cores.min(MAX_DEFAULT_PARSERS)
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
    /// Fetch only the companies of shard K of N, and record them; rank all shards later with --from
    ///
    /// Each shard walks the whole index and fetches the companies that a hash of their addresses deals to it.
    /// It writes its recording and run.json, and no rankings. --rps and the crawl delay of robots.txt are for
    /// all N runs together, --min-companies is for each. Give the run that ranks them the same --walk, --in and
    /// --rate. For batch systems: testdata/cluster has an array job for Slurm and one for
    /// Kubernetes.
    #[arg(long, value_name = "K/N", requires = "record", conflicts_with_all = ["db", "tables", "dry_run"], help_heading = "Source")]
    shard: Option<Shard>,
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

    /// Write the rankings and the report, run.json, to the folder DIR [default: rankings; shard-K-of-N for a
    /// shard]
    ///
    /// The rankings are price.json, pe.json, growth.json and potential_profit.json. A run that fails
    /// changes none of these files, writes failed-run.json, and keeps its pages in DIR/unfinished.warc for
    /// --resume. A run without
    /// usable exchange rates renames an earlier price.json to price.previous.json.
    #[arg(long, value_name = "DIR", help_heading = "Results")]
    out: Option<PathBuf>,
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
    /// --resume continues the run. A company listed twice counts once.
    #[arg(long, value_name = "N|N%", value_parser = min_companies, help_heading = "Results")]
    min_companies: Option<MinCompanies>,
    /// Also write all companies, one row each, to FILE.csv, FILE.ndjson or FILE.jsonl
    ///
    /// The rows are ordered by code. The option may be repeated. `-` prints CSV to stdout instead of the
    /// rankings, `-.ndjson` NDJSON.
    ///
    /// Names and codes are written as the site has them. For a spreadsheet, import the columns of texts as
    /// text: it would take a name that begins with =, +, - or @ for a formula.
    #[arg(long = "table", value_name = "FILE", value_parser = table, allow_hyphen_values = true, help_heading = "Results")]
    tables: Vec<TableTarget>,
    /// Also append the run to FILE, an SQLite database, which is created if it does not exist
    ///
    /// `indexrank diff` shows what has changed since an earlier run, `indexrank history` the figures of a
    /// company. A run that fails after its first request is appended with the reason alone. If the run cannot
    /// be appended after its files are written, they stay, the exit code is 7, and --resume tries again.
    #[arg(long, value_name = "FILE", help_heading = "Results")]
    db: Option<PathBuf>,
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

    /// Fetch pages with at most N threads, 1 to 4096
    ///
    /// The pool starts small and grows while the parsers are idle.
    #[arg(long, value_name = "N", default_value = "32", value_parser = whole_number::<1, 4096>, help_heading = "Fetching")]
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

    /// Print how many requests the run would send and how long they would take; write no file
    ///
    /// Fetches robots.txt and page 1 of the index, and estimates the rest from them, without retries. The
    /// outputs are not checked. If page 1 would end the run, the exit code is that of the run.
    #[arg(long, help_heading = "Fetching")]
    pub dry_run: bool,

    /// Print run.json, or failed-run.json, to stdout instead of the tables
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
    /// Also append progress, warnings, errors and the summary to FILE, each line with the time in UTC
    ///
    /// For example for cron, with --quiet. Several runs may share the file.
    #[arg(long, value_name = "FILE", help_heading = "Terminal")]
    log: Option<PathBuf>,
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
    /// Prints the table of all companies to stdout.
    pub table: Option<Format>,
    pub quiet: bool,
    pub verbose: bool,
}

impl RunArgs {
    /// The settings of the run. A signal from `interrupts` cancels it, and it opens `log` if it has one. An
    /// error if options contradict each other.
    pub fn into_job(
        self,
        interrupts: Receiver<i32>,
        log: Arc<Log>,
    ) -> Result<(Job, Verbosity), Stop> {
        let rates = self.rate_choice()?;
        let stdout_table = self.stdout_table()?;
        let parsers = self.readers.unwrap_or_else(default_parsers);
        let verbosity = Verbosity {
            json: self.json,
            table: stdout_table,
            quiet: self.quiet,
            verbose: self.verbose,
        };
        let shard = self.shard;
        let folder = self.out.unwrap_or_else(|| match shard {
            Some(Shard { number, of }) => format!("shard-{number}-of-{of}").into(),
            None => "rankings".into(),
        });
        let job = Job {
            access: self.client.into_access(&self.site)?,
            shard,
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
                folder,
                tables: table_files(self.tables),
                record: self.record,
                trace: self.trace,
                database: self.db,
                log: self.log,
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
            log,
        };
        Ok((job, verbosity))
    }

    /// The format of the table on stdout, if there is one.
    fn stdout_table(&self) -> Result<Option<Format>, Stop> {
        let mut formats = self.tables.iter().filter_map(|table| match table {
            TableTarget::Stdout(format) => Some(*format),
            TableTarget::File(..) => None,
        });
        let format = formats.next();
        if format.is_some() && (self.json || formats.next().is_some()) {
            let message = "--table - and --json, or two tables, cannot share stdout: give a file to one of them";
            return Err(Stop::new(Exit::Usage, message));
        }
        Ok(format)
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

fn table_files(tables: Vec<TableTarget>) -> Vec<(PathBuf, Format)> {
    let files = tables.into_iter().filter_map(|table| match table {
        TableTarget::File(file, format) => Some((file, format)),
        TableTarget::Stdout(_) => None,
    });
    files.collect()
}
