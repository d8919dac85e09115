//! The beginning of a run over a list: its outputs are staged, its source is opened.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;

use crate::disk::output::{NewFolders, OutputError, parent};
use crate::disk::same_file::{self, PathError, UsedFiles};
use crate::disk::staging::StagedFile;
use crate::exit::Exit;
use crate::http::client::{Client, Options};
use crate::job::advice::Stop;
use crate::job::limits;
use crate::job::shards::SHARD;
use crate::lists::journal::{Earlier, Header, RowJournal};
use crate::lists::message::Message;
use crate::lists::recorder::complete;
use crate::lists::row::Row;
use crate::lists::save::{Folder, is_unfinished};
use crate::lists::settings::{ListJob, ObjectTable, Outputs, Table};
use crate::lists::table::Columns;
use crate::results::table::Format;
use crate::results::write::OutputsError;
use crate::source::get_with_retries::fetch_robots_of;
use crate::source::hosts::Hosts;
use crate::source::purpose::MAX_LISTED;
use crate::source::shard::Shard;
use crate::source::{ListHosts, Site, Source};
use crate::store::objects::Objects;
use crate::store::schema::WAIT;
use crate::telemetry::counters::Counters;
use crate::warc::journal::{Identity, Journal, journal_path};
use crate::warc::writer::Checksum;

/// The staging file of the table, and its format.
pub type StagedTable = (StagedFile, Format);

/// What a response may have besides its body, in bytes: the head, and the sizes of chunks.
const OVERHEAD: u64 = 8 << 20;
/// Recorded pages are not taken from the recording of an interrupted run, so their age does not matter.
const ANY_AGE: Duration = Duration::MAX;

/// Everything that a run needs.
pub struct Opened {
    pub source: Source,
    pub counters: Arc<Counters>,
    pub journal: RowJournal,
    /// Positions that an interrupted run has completed.
    pub done: HashSet<u64>,
    pub folder: Option<Arc<Folder>>,
    pub objects: Option<Objects>,
    pub table: Option<StagedTable>,
    pub report: Option<StagedFile>,
    pub columns: Columns,
    pub warnings: Vec<String>,
    /// Dropped last.
    _new_folders: NewFolders,
}

/// Lowers the number of workers in `job` to what the system allows, stages the outputs and opens the source.
pub fn open(job: &mut ListJob, messages: &Sender<Message>) -> Result<Opened, Stop> {
    let downloads = job.outputs.save.as_ref().map_or(0, |_| job.sizes.fetchers);
    let files = job.outputs.count() + downloads;
    let warning = limits::fit(&job.access.origin, &mut job.sizes, files)?;
    let new_folders = check_outputs(&job.outputs)?;
    let table = match &job.outputs.table {
        Some(Table::File(file, format)) => Some((StagedFile::create(file)?, *format)),
        _ => None,
    };
    let report = job.outputs.report_file();
    let report = report.map(|file| StagedFile::create(&file)).transpose()?;
    if let Some(log) = &job.outputs.log {
        job.log.open(log).map_err(OutputError::at(log))?;
    }
    let columns = Columns::new(&job.extract, &job.outputs);
    let (journal, earlier) = open_journal(job, &columns)?;
    let objects = job.outputs.objects.as_ref();
    let objects = objects.map(|to| open_objects(job, to));
    let source = source(job, &earlier)?;
    let done = earlier.done.len() as u64;
    let counters = Counters {
        is_list: true,
        ..Counters::default()
    };
    counters.listed.set(job.count_own());
    for counter in [&counters.fetched, &counters.parsed, &counters.resumed] {
        counter.set(done);
    }
    let mut warnings: Vec<String> = warning.into_iter().collect();
    if job.resume && done == 0 {
        warnings.push("there is no row to resume from".to_owned());
    }
    let save = job.outputs.save.clone();
    let folder = save.map(|save| Folder::new(save, earlier.parts, messages.clone()));
    Ok(Opened {
        source,
        counters: Arc::new(counters),
        journal,
        done: earlier.done,
        folder: folder.map(Arc::new),
        objects: objects.transpose()?,
        table,
        report,
        columns,
        warnings,
        _new_folders: new_folders,
    })
}

/// Fails if an output cannot be written or is used twice. Creates the folder of the bodies.
fn check_outputs(outputs: &Outputs) -> Result<NewFolders, Stop> {
    let mut folders = NewFolders::default();
    if let Some(save) = &outputs.save {
        folders.create(&save.folder)?;
    }
    let mut used = UsedFiles::default();
    let table = match &outputs.table {
        Some(Table::File(file, _)) => Some(file),
        _ => None,
    };
    let mut check = || {
        let report = outputs.report_file();
        let files = [table, outputs.record.as_ref(), report.as_ref()];
        for file in files.into_iter().flatten() {
            folders.create(parent(file))?;
            used.add_output(file)?;
        }
        if let (Some(save), Some(table)) = (&outputs.save, table)
            && same_file::are_same(parent(table), &save.folder)
        {
            // A saved file could get its name.
            return Err(PathError::UsedTwice(table.clone()));
        }
        let objects = outputs.objects.as_ref().map(|objects| &objects.database);
        for file in [outputs.log.as_ref(), objects].into_iter().flatten() {
            used.add_kept(file)?;
        }
        Ok(())
    };
    check().map_err(|error| Stop::from(OutputsError::Path(error)))?;
    Ok(folders)
}

/// Opens the database. Waits for another program that has locked it, as long as [`WAIT`] and no signal.
fn open_objects(job: &ListJob, to: &ObjectTable) -> Result<Objects, Stop> {
    let started = Instant::now();
    loop {
        match Objects::open(&to.database, &to.table, &to.key) {
            Err(error) if error.is_locked() && started.elapsed() < WAIT => {
                if let Ok(signal) = job.interrupts.try_recv() {
                    return Err(Stop::of_signal(signal));
                }
            }
            opened => return Ok(opened?),
        }
    }
}

fn open_journal(job: &ListJob, columns: &Columns) -> Result<(RowJournal, Earlier), Stop> {
    let header = Header {
        software: concat!("indexrank/", env!("CARGO_PKG_VERSION")).to_owned(),
        list: job.addresses.digest(&job.files),
        shard: job.shard.unwrap_or(Shard::WHOLE).to_string(),
        extract: columns.describe(job),
    };
    let save = job.outputs.save.as_ref().map(|save| save.folder.as_path());
    let Some(path) = job.outputs.journal() else {
        return Ok((RowJournal::without_name(&header)?, Earlier::default()));
    };
    if job.resume {
        check_folder(job, &path)?;
        let positions = 1..=job.count_all();
        let keep = |row: &Row| positions.contains(&row.position) && complete(save, row);
        return Ok(RowJournal::resume(path, &header, keep)?);
    }
    Ok((RowJournal::begin(path, &header)?, Earlier::default()))
}

/// Fails if the folder of the bodies has files and no journal: a run would save all of them again.
fn check_folder(job: &ListJob, journal: &Path) -> Result<(), Stop> {
    let Some(save) = &job.outputs.save else {
        return Ok(());
    };
    let files = fs::read_dir(&save.folder).map_err(OutputError::at(&save.folder))?;
    let is_saved =
        |file: io::Result<fs::DirEntry>| file.is_ok_and(|file| !is_unfinished(&file.file_name()));
    if journal.exists() || !files.into_iter().any(is_saved) {
        return Ok(());
    }
    let folder = save.folder.display();
    let message = format!(
        "{folder} has files and no journal, so nothing is left to resume; leave out --resume to save all of it again"
    );
    Err(Stop::new(Exit::Usage, message))
}

fn source(job: &ListJob, earlier: &Earlier) -> Result<Source, Stop> {
    // A variable of the environment that cannot be used is an error before the first request.
    if let Some(first) = job.addresses.iter().next() {
        let proxy = job.access.proxy.get(&first.address);
        proxy.map_err(|error| Stop::new(Exit::Usage, error.to_string()))?;
    }
    let record = job.outputs.record.as_deref();
    let recording = record.map(|record| open_recording(job, record, earlier));
    let client = Client::new(Options {
        connections: job.sizes.fetchers,
        timeout: job.timeout,
        max_response: match &job.outputs.save {
            Some(save) => save.max_size.saturating_add(OVERHEAD),
            None => MAX_LISTED + OVERHEAD,
        },
        user_agent: job.access.user_agent.clone(),
        proxy: job.access.proxy.clone(),
        authorities: job.access.authorities.clone(),
    });
    let site = Site {
        client,
        pages: String::new(),
        rates: String::new(),
        journal: recording.transpose()?,
    };
    let mut source = Source::site(site, job.sizes.fetchers);
    source.runs = job.shard.map_or(1, |shard| shard.of.get());
    let user_agent = (!job.access.ignore_robots).then(|| job.access.user_agent.clone());
    source.list = Some(ListHosts {
        hosts: Hosts::new(job.workers_per_host, user_agent),
        fetch_rules: fetch_robots_of,
    });
    if let Some(rps) = job.rps {
        source.limit_rate(rps);
    }
    Ok(source)
}

/// Begins the recording, or continues that of an interrupted run.
fn open_recording(job: &ListJob, record: &Path, earlier: &Earlier) -> Result<Journal, Stop> {
    let ListJob { shard, resume, .. } = *job;
    let path = journal_path(parent(record), Some(record));
    let software = concat!("indexrank/", env!("CARGO_PKG_VERSION")).to_owned();
    let identity = Identity(vec![
        ("software", software),
        (SHARD, shard.unwrap_or(Shard::WHOLE).to_string()),
    ]);
    if !resume || earlier.done.is_empty() {
        return Ok(Journal::begin(path, Checksum::Sha1, &identity)?);
    }
    if !path.exists() {
        let path = path.display();
        let message = format!(
            "{path} is gone, which has the pages of the rows so far; leave out --resume to begin anew"
        );
        return Err(Stop::new(Exit::Usage, message));
    }
    Ok(Journal::resume(path, Checksum::Sha1, &identity, ANY_AGE)?)
}
