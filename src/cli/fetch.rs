//! The options of the subcommand `fetch`.

use std::ffi::OsString;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use crossbeam_channel::Receiver;

use crate::cli::run::default_parsers;
use crate::cli::site::ClientArgs;
use crate::cli::values::{
    TableTarget, recording, requests_per_second, seconds, size, table, whole_number,
};
use crate::exit::Exit;
use crate::job::advice::Stop;
use crate::lists::addresses::{Addresses, List, split_arguments};
use crate::lists::count::Words;
use crate::lists::settings::{Extract, ListJob, ObjectTable, Outputs, Save, Table};
use crate::pipeline::PoolSizes;
use crate::source::origin::Origin;
use crate::source::shard::Shard;
use crate::telemetry::log::Log;
use crate::telemetry::progress::Style;

/// The time limit of one attempt, unless it is a download.
const TIMEOUT: Duration = Duration::from_secs(45);

#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
pub struct FetchArgs {
    /// Addresses, with ranges and sets as curl has them: http://site/users/[1-500], {a,b}; with --count,
    /// local files too
    ///
    /// [1-500], [001-100], [a-z], [0-100:10] and {a,b,c} stand for several addresses, each for a row. A
    /// backslash before a bracket takes it as it is. An argument without a scheme is a local file.
    #[arg(value_name = "URL|FILE", required_unless_present = "urls")]
    addresses: Vec<OsString>,
    /// Also fetch the addresses in FILE, one a line; - reads stdin
    ///
    /// They come after those of the command line, and may have ranges and sets too. Empty lines and lines that
    /// begin with # are skipped.
    #[arg(long, value_name = "FILE", help_heading = "Source")]
    urls: Option<PathBuf>,

    /// Fetch only the addresses of shard K of N
    ///
    /// The whole list is read, and a hash of each address deals it to a shard. Each row has its position in the
    /// whole list; `cat` joins the NDJSON tables of all shards. run.json has the digest of the list, which must
    /// be the same in all. --rps and crawl delays are for all N runs together.
    #[arg(
        long,
        value_name = "K/N",
        requires = "out",
        conflicts_with = "db",
        help_heading = "Source"
    )]
    shard: Option<Shard>,

    /// Also take the headings h1 to h4 of each page
    #[arg(long, help_heading = "Results")]
    headings: bool,
    /// Count how often WORD occurs, in pages and in local files
    ///
    /// The option may be repeated. Counts like `text.count(word)` of Python: without overlaps, inside longer
    /// words too. Files may be in UTF-8, in UTF-16 with a byte order mark, or gzipped.
    #[arg(long = "count", value_name = "WORD", help_heading = "Results")]
    words: Vec<String>,
    /// Count words in upper and lower case alike
    #[arg(long, requires = "words", help_heading = "Results")]
    ignore_case: bool,
    /// Save the bodies as files in the folder DIR
    ///
    /// A file gets the name that the server suggests, or the last part of its address. No file is ever
    /// replaced: of two with the same name, one gets its position in the list behind it. A body that breaks
    /// off continues where it ended, also with --resume, if the server supports ranges and the file is still
    /// the same there.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["headings", "words", "record", "db"], help_heading = "Results")]
    save: Option<PathBuf>,
    /// Save no body larger than SIZE, such as 500K, 20M or 4G [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size, requires = "save", help_heading = "Results")]
    max_size: Option<u64>,
    /// Put the objects of JSON pages into a table of FILE, an SQLite database
    ///
    /// Each page is an object or an array of objects, each object a row. Texts, numbers and booleans are
    /// columns, what is nested is the text of its JSON. New columns are added to the table.
    #[arg(long, value_name = "FILE", requires_all = ["into", "key"], help_heading = "Results")]
    db: Option<PathBuf>,
    /// With --db, the name of the table, which is created if it does not exist
    #[arg(long, value_name = "TABLE", requires = "db", help_heading = "Results")]
    into: Option<String>,
    /// With --db, the column that identifies a row: an object replaces the row with the same value
    #[arg(long, value_name = "COLUMN", requires = "db", help_heading = "Results")]
    key: Option<String>,
    /// Write the rows to FILE.csv, FILE.ndjson or FILE.jsonl instead of a table to stdout
    ///
    /// CSV has them in the order of the list, NDJSON in that of their completion. `-` prints CSV to stdout,
    /// `-.ndjson` each row as soon as it is complete. Without this option, all rows are kept in memory.
    #[arg(long, value_name = "FILE", value_parser = table, allow_hyphen_values = true, help_heading = "Results")]
    table: Option<TableTarget>,
    /// Write a report, run.json, to the folder DIR when the run has ended
    #[arg(long, value_name = "DIR", help_heading = "Results")]
    out: Option<PathBuf>,
    /// Record all responses in a WARC archive
    #[arg(long, value_name = "FILE.warc[.gz]", value_parser = recording, help_heading = "Results")]
    record: Option<PathBuf>,

    /// Fetch pages with at most N threads, 1 to 4096
    #[arg(long, value_name = "N", default_value = "32", value_parser = whole_number::<1, 4096>, help_heading = "Fetching")]
    workers: usize,
    /// Send at most N requests at a time to one host, 1 to 4096
    ///
    /// So a slow host does not hold up the others.
    #[arg(long, value_name = "N", default_value = "8", value_parser = whole_number::<1, 4096>, help_heading = "Fetching")]
    workers_per_host: usize,
    /// Parse pages, and count words, with N threads, 1 to 256 [default: one per core, at most 8]
    #[arg(long, value_name = "N", value_parser = whole_number::<1, 256>, help_heading = "Fetching")]
    readers: Option<usize>,
    /// Send at most N requests per second to all hosts together, 0.001 to 1000000 [default: no limit]
    #[arg(long, value_name = "N", value_parser = requests_per_second, help_heading = "Fetching")]
    rps: Option<f64>,
    #[command(flatten)]
    client: ClientArgs,
    /// Continue an earlier run of the same command that was interrupted, or in which pages failed
    ///
    /// Takes the rows of the earlier run from its journal and fetches only the others. The journal is
    /// unfinished.ndjson in the folder of --save, or unfinished-FILE.ndjson beside the file of --table.
    #[arg(long, help_heading = "Fetching")]
    resume: bool,
    /// Cancel the run after SECONDS, 0.001 to 86400 [default: no limit]
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "Fetching")]
    max_time: Option<Duration>,
    /// Abort an attempt at a page after SECONDS, 0.001 to 86400 [default: 45; no limit with --save]
    ///
    /// A body may stall for at most ten seconds in any case.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "Fetching")]
    timeout: Option<Duration>,

    /// Suppress the table, progress and the summary
    #[arg(long, short, conflicts_with = "verbose", help_heading = "Terminal")]
    pub quiet: bool,
    /// List all failures on stderr, not only five
    #[arg(long, short, help_heading = "Terminal")]
    pub verbose: bool,
    /// Also append progress, warnings, errors and the summary to FILE, each line with the time in UTC
    #[arg(long, value_name = "FILE", help_heading = "Terminal")]
    log: Option<PathBuf>,
}

impl FetchArgs {
    /// The settings of the run. Reads the list of addresses; an error names those that are none. Signals are
    /// caught only after that: reading a list from a terminal or a pipe can take any time.
    pub fn into_job(
        mut self,
        interrupts: impl FnOnce() -> Receiver<i32>,
        log: Arc<Log>,
    ) -> Result<ListJob, Stop> {
        let usage = |message: String| Stop::new(Exit::Usage, message);
        let (files, addresses) = split_arguments(mem::take(&mut self.addresses))
            .map_err(|error| usage(error.to_string()))?;
        if let (Some(file), true) = (files.first(), self.words.is_empty()) {
            let message = format!(
                "{} is a local file, and only --count reads those; an address begins with http:// or https://",
                file.display()
            );
            return Err(usage(message));
        }
        if let (Some(file), true) = (files.first(), self.shard.is_some()) {
            let message = format!(
                "{} is a local file, and --shard deals addresses; count in files without it",
                file.display()
            );
            return Err(usage(message));
        }
        let list = self
            .urls
            .as_deref()
            .map(List::read)
            .transpose()
            .map_err(usage)?;
        let addresses =
            Addresses::new(addresses, list).map_err(|error| usage(error.to_string()))?;
        let words = match &*self.words {
            [] => None,
            words => Some(
                Words::new(words, self.ignore_case).map_err(|error| usage(error.to_string()))?,
            ),
        };
        let is_download = self.save.is_some();
        let outputs = self.take_outputs();
        if self.resume && outputs.journal().is_none() {
            let message = "--resume needs --save or --table with a file: without them, a run leaves no journal";
            return Err(usage(message.to_owned()));
        }
        Ok(ListJob {
            files,
            addresses,
            shard: self.shard,
            extract: Extract {
                headings: self.headings,
                words,
                objects: outputs.objects.is_some(),
            },
            outputs,
            access: self.client.access(Origin::Site(String::new())),
            sizes: PoolSizes {
                fetchers: self.workers,
                parsers: self.readers.unwrap_or_else(default_parsers),
            },
            workers_per_host: self.workers_per_host,
            timeout: self.timeout.or((!is_download).then_some(TIMEOUT)),
            rps: self.rps,
            max_time: self.max_time,
            resume: self.resume,
            interrupts: interrupts(),
            progress: Style::for_stderr(self.quiet),
            log,
        })
    }

    /// Where the results go.
    fn take_outputs(&mut self) -> Outputs {
        let table = self.table.take().map(|table| match table {
            TableTarget::File(file, format) => Table::File(file, format),
            TableTarget::Stdout(format) => Table::Stdout(format),
        });
        let max_size = self.max_size.unwrap_or(u64::MAX);
        let save = self.save.take().map(|folder| Save { folder, max_size });
        let objects = self.db.take().zip(self.into.take()).zip(self.key.take());
        let objects = objects.map(|((database, table), key)| ObjectTable {
            database,
            table,
            key,
        });
        Outputs {
            table,
            save,
            objects,
            record: self.record.take(),
            report: self.out.take(),
            log: self.log.take(),
        }
    }
}
