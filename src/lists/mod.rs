//! The subcommand `fetch`: any list of pages, and words in local files. Open → fetch → record → write.
//! How a page is fetched, throttled and retried is in `source` and `pipeline`, how objects get into a database in `store`, what is printed in `fetch` beside this room.
//! Another form of address goes into `addresses`, another kind of range into `pattern`, another column into `row`, `page` and `table`, another rule about downloads into `save`, about their names into `file_name`, another way to count into `count`.
//!
//! ```text
//!  addresses ──► walker ──► fetchers ──► parsers ──┐
//!                               │                  ├──► recorder (main thread) ──► journal, files, database
//!  local files ──► rayon pool ──┼──────────────────┘                                     │
//!                   bodies of downloads ──► part files                              table at the end
//! ```

pub mod addresses;
pub mod count;
pub mod file_name;
mod files;
mod journal;
mod message;
mod open;
mod page;
pub mod pattern;
mod recorder;
mod report;
pub mod row;
mod save;
pub mod settings;
mod table;

pub use crate::lists::recorder::Tally;

use std::collections::HashSet;
use std::convert::Infallible;
use std::fs;
use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use jiff::Timestamp;

use crate::disk::output::{OutputError, sync_folder};
use crate::disk::staging::StagedFile;
use crate::exit::Exit;
use crate::job::advice::Stop;
use crate::job::cancel_on_signal_or_timeout;
use crate::lists::journal::RowJournal;
use crate::lists::message::{Finished, Message};
use crate::lists::open::StagedTable;
use crate::lists::page::Rows;
use crate::lists::recorder::{Print, Recorder};
use crate::lists::report::{ListDigest, ListReport};
use crate::lists::row::Row;
use crate::lists::save::Folder;
use crate::lists::settings::ListJob;
use crate::lists::table::Columns;
use crate::pipeline::address_walk::AddressWalk;
use crate::pipeline::harvest::Ledger;
use crate::pipeline::task::Listed;
use crate::pipeline::{self, Walk};
use crate::results::report::write_json;
use crate::results::schema::SCHEMA;
use crate::results::table::Format;
use crate::source::Source;
use crate::source::throttle::Cause;
use crate::telemetry::counters::Counters;
use crate::telemetry::progress::Progress;
use crate::words::count;

/// Rows that may wait for the recorder. A row may have 16 MiB of JSON with it.
const QUEUED: usize = 32;

/// What a run has come to. Its rows are in its journal until it is [closed](Outcome::close).
#[derive(Debug)]
pub struct Outcome {
    pub tally: Tally,
    started: Timestamp,
    pub took: Duration,
    /// Further attempts at pages.
    pub retries: u64,
    /// Rows taken from the journal of an interrupted run.
    pub resumed: u64,
    pub warnings: Vec<String>,
    /// Whether `--resume` fetches what is missing.
    pub resumable: bool,
    /// Files and addresses of this run.
    listed: u64,
    journal: RowJournal,
    columns: Columns,
}

impl Outcome {
    /// [`Exit::Partial`] if a row has failed.
    pub fn exit(&self) -> Exit {
        if self.tally.failed > 0 {
            Exit::Partial
        } else {
            Exit::Complete
        }
    }

    /// The rows as a table for a terminal of this many columns, or for another stream. Keeps all of them in
    /// memory.
    pub fn table(&self, terminal: Option<usize>) -> Result<String, Stop> {
        let text = self.columns.text(&self.journal, terminal);
        text.map_err(unreadable)
    }

    /// Writes the rows as CSV, in the order of the list.
    pub fn write_csv(&self, out: &mut dyn Write) -> io::Result<()> {
        table::write(&self.journal, Format::Csv, &self.columns, out)
    }

    fn report(&self, job: &ListJob) -> ListReport {
        ListReport {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            shard: job.shard,
            list: ListDigest::of(job),
            started: self.started,
            finished: Timestamp::now(),
            seconds: self.took.as_secs_f64(),
            ledger: Ledger {
                listed: self.listed as usize,
                ok: self.tally.ok as usize,
                failed: self.tally.failed as usize,
                skipped: 0,
                not_attempted: 0,
            },
            retries: self.retries,
            resumed: self.resumed,
            bytes: self.tally.bytes,
            warnings: self.warnings.clone(),
        }
    }

    /// Removes the journal, unless `--resume` has a use for it. To be called when everything is printed.
    pub fn close(self) {
        if !self.resumable {
            self.journal.remove();
        }
    }
}

fn unreadable(error: io::Error) -> Stop {
    let message = format!("the rows of this run cannot be read again: {error}");
    Stop::new(Exit::Output, message)
}

/// Fetches a list and writes its results. `print` gets each row as it is completed. With `is_verbose`, the
/// tally lists all failures.
///
/// A page that fails is a row, and no error. The error is that of the outputs, of a journal that cannot be
/// resumed, of a signal or `--max-time`.
pub fn run(mut job: ListJob, print: Option<&Print>, is_verbose: bool) -> Result<Outcome, Stop> {
    let (messages_out, messages) = bounded(QUEUED);
    let mut opened = open::open(&mut job, &messages_out)?;
    let mut recorder = Recorder {
        journal: opened.journal,
        folder: job.outputs.save.as_ref().map(|save| save.folder.clone()),
        objects: opened.objects.take(),
        print,
        source: &opened.source,
        counters: &opened.counters,
        is_verbose,
        tally: Tally::default(),
    };
    recorder.count_earlier_rows().map_err(unreadable)?;
    let (source, counters) = (&opened.source, &opened.counters);
    let progress = Progress::start(job.progress, counters.clone(), job.log.clone());
    let (started, clock) = (Timestamp::now(), Instant::now());
    let list = List {
        job: &job,
        source,
        counters,
        done: &opened.done,
        folder: opened.folder.take(),
    };
    let recorded = list.fetch_and_record(&mut recorder, messages_out, messages);
    progress.finish();
    let took = clock.elapsed();
    let Recorder { journal, tally, .. } = recorder;
    let outcome = Outcome {
        started,
        took,
        retries: counters.retries.get(),
        resumed: opened.done.len() as u64,
        warnings: opened.warnings.drain(..).chain(source.warning()).collect(),
        resumable: false,
        listed: counters.listed.get(),
        journal,
        columns: opened.columns.clone(),
        tally,
    };
    let ended = match (recorded, source.cause()) {
        (Err(stop), None | Some(Cause::WalkFailed)) => Err(stop),
        (_, Some(cause)) => Err(Stop::of_cancellation(&cause)),
        (Ok(()), None) => {
            let staged = (opened.table, opened.report);
            finish(&job, &mut opened.source, staged, &outcome)
        }
    };
    match ended {
        Ok(resumable) => Ok(Outcome {
            resumable,
            ..outcome
        }),
        Err(stop) => Err(keep(outcome, stop, &mut opened.source)),
    }
}

/// What the threads of a run work with.
struct List<'a> {
    job: &'a ListJob,
    source: &'a Source,
    counters: &'a Counters,
    /// Positions that an interrupted run has completed.
    done: &'a HashSet<u64>,
    folder: Option<Arc<Folder>>,
}

impl List<'_> {
    /// Fetches on other threads and records on this one.
    fn fetch_and_record(
        self,
        recorder: &mut Recorder,
        messages_out: Sender<Message>,
        messages: Receiver<Message>,
    ) -> Result<(), Stop> {
        let (source, max_time, interrupts) = (self.source, self.job.max_time, &self.job.interrupts);
        let (running, ended) = bounded::<Infallible>(0);
        thread::scope(|scope| {
            scope.spawn(move || cancel_on_signal_or_timeout(interrupts, max_time, source, &ended));
            // It owns all senders of messages, so the recorder ends when it does.
            scope.spawn(move || self.fetch(messages_out, running));
            let recorded = recorder.run(&messages);
            if recorded.is_err() {
                source.cancel(Cause::WalkFailed);
            }
            // Senders that wait for room end now.
            drop(messages);
            recorded
        })
    }

    /// Counts the words of the files, then fetches the addresses. `_running` tells the end.
    fn fetch(self, messages: Sender<Message>, _running: Sender<Infallible>) {
        files::count(self.job, self.source, self.counters, self.done, &messages);
        if self.job.addresses.is_empty() {
            return;
        }
        let rows = Rows {
            extract: &self.job.extract,
            messages: messages.clone(),
        };
        let failed = |listed: Listed, error| {
            let row = Row::of_failure(&listed, &error);
            // Without a receiver, the run has ended.
            let _ = messages.send(Message::Finished(Finished::row(row)));
        };
        let walk = AddressWalk::new(self.listed(), self.job.workers_per_host, failed);
        let walk = Walk::Addresses(walk);
        let (source, sizes, counters) = (self.source, self.job.sizes, self.counters);
        // An address that fails is a row, so the walk does not fail.
        let _ = pipeline::run(
            walk,
            source,
            sizes,
            counters,
            |target, page, inflater, lane| rows.of_page(target, page, inflater, lane),
        );
    }

    /// The addresses whose rows are missing.
    fn listed(&self) -> impl Iterator<Item = Listed> + Send {
        let list = self.source.list.as_ref().expect("the source of a list");
        let addresses = self.job.own_addresses();
        let addresses = addresses.filter(|listed| !self.done.contains(&listed.position));
        addresses.map(|addresses::Listed { position, address }| Listed {
            position,
            host: list.hosts.of(&address),
            sink: self
                .folder
                .as_ref()
                .map(|folder| Arc::new(folder.download(position)) as _),
            address,
            seen: None,
        })
    }
}

/// Keeps the journals of a run that has ended early.
fn keep(outcome: Outcome, mut stop: Stop, source: &mut Source) -> Stop {
    let rows = outcome.tally.ok + outcome.tally.failed;
    let is_resumable = outcome.journal.is_resumable();
    if let Some(journal) = source.take_journal() {
        journal.close_for_resume();
    }
    match outcome.journal.close() {
        Ok(()) if is_resumable => {
            stop.resumable = true;
            let rows = count(rows as usize, "row", "rows");
            stop.message += &format!("; {rows} kept for --resume");
        }
        _ => stop.resumable = false,
    }
    stop
}

/// Writes the table, the recording and the report of a complete run. Returns whether `--resume` may fetch what has
/// failed: not of a run that records, because its recording is complete.
fn finish(
    job: &ListJob,
    source: &mut Source,
    (table, report): (Option<StagedTable>, Option<StagedFile>),
    outcome: &Outcome,
) -> Result<bool, Stop> {
    let rows = outcome.tally.ok + outcome.tally.failed;
    let expected = outcome.listed;
    if rows != expected {
        let message = format!("internal error: {rows} rows for {expected} addresses");
        return Err(Stop::new(Exit::Internal, message));
    }
    if let Some((staged, format)) = table {
        staged.write(|out| table::write(&outcome.journal, format, &outcome.columns, out))?;
        staged.publish()?;
    }
    let is_recorded = job.outputs.record.is_some();
    if let (Some(journal), Some(target)) = (source.take_journal(), &job.outputs.record) {
        let recording = journal.finish_recording(target, &[])?;
        fs::rename(&recording.path, target).map_err(OutputError::at(target))?;
    }
    if let Some(staged) = report {
        let report = outcome.report(job);
        staged.write(|out| write_json(&report, out))?;
        staged.publish()?;
    }
    let is_resumable = outcome.tally.failed > 0 && outcome.journal.is_resumable() && !is_recorded;
    if let Some(save) = &job.outputs.save {
        if !is_resumable {
            save::remove_parts(&save.folder)?;
        }
        sync_folder(&save.folder).map_err(OutputError::at(&save.folder))?;
    }
    Ok(is_resumable)
}
