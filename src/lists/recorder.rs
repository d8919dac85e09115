//! The receiving end of a run over a list: rows go to the journal and to stdout, objects into the database,
//! and saved files get their names. One thread does all of it, so no two rows fight for a name.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crossbeam_channel::Receiver;

use crate::disk::output::OutputError;
use crate::job::advice::Stop;
use crate::lists::journal::{Entry, RowJournal};
use crate::lists::message::{Finished, Message};
use crate::lists::row::Row;
use crate::lists::save::{self, Placed};
use crate::source::Source;
use crate::store::objects::Objects;
use crate::store::schema::WAIT;
use crate::telemetry::counters::Counters;

/// Rows that are recorded together, and so their objects with one transaction.
const MAX_BATCH: usize = 256;
/// Objects that are inserted together, in bytes of JSON.
const MAX_BATCH_BYTES: usize = 16 << 20;
/// Failures that are listed by default. The table has all.
pub const LISTED_FAILURES: usize = 5;

/// How many rows there are, and which have failed.
#[derive(Debug, Default)]
pub struct Tally {
    pub ok: u64,
    pub failed: u64,
    /// Address and error of failed rows, as many as are listed.
    pub failures: Vec<String>,
    /// Bytes of all bodies.
    pub bytes: u64,
}

/// Prints a row.
pub type Print = dyn Fn(&Row) -> Result<(), Stop>;

pub struct Recorder<'a> {
    pub journal: RowJournal,
    /// The folder of saved files.
    pub folder: Option<PathBuf>,
    pub objects: Option<Objects>,
    /// Prints a row as soon as it is recorded.
    pub print: Option<&'a Print>,
    pub source: &'a Source,
    pub counters: &'a Counters,
    /// Whether all failures are listed.
    pub is_verbose: bool,
    pub tally: Tally,
}

impl Recorder<'_> {
    /// Counts the rows that an interrupted run has left.
    pub fn count_earlier_rows(&mut self) -> io::Result<()> {
        let (tally, is_verbose) = (&mut self.tally, self.is_verbose);
        self.journal.for_each_row(|row| {
            tally.add(&row, is_verbose);
            Ok(())
        })
    }

    /// Records messages until all senders are gone. The error is that of the first output that cannot be
    /// written; rows that arrived before it are recorded.
    pub fn run(&mut self, messages: &Receiver<Message>) -> Result<(), Stop> {
        for first in messages {
            let mut unwritable = None;
            let mut finished = Vec::new();
            let mut bytes = 0;
            let mut next = Some(first);
            while let Some(message) = next {
                match message {
                    Message::Finished(one) => {
                        bytes += one.objects.as_ref().map_or(0, Vec::len);
                        finished.push(one);
                    }
                    Message::Part(part) => {
                        self.journal.append(&Entry::Part(part))?;
                    }
                    Message::Unwritable(error) => unwritable = Some(error),
                }
                let is_full = finished.len() >= MAX_BATCH || bytes >= MAX_BATCH_BYTES;
                next = if is_full {
                    None
                } else {
                    messages.try_recv().ok()
                };
            }
            // The rows come after the objects: an interrupted run inserts some again, and loses none.
            self.insert(&mut finished)?;
            for Finished { row, .. } in finished {
                self.record(row)?;
            }
            unwritable.map_or(Ok(()), Err)?;
        }
        Ok(())
    }

    fn insert(&mut self, finished: &mut [Finished]) -> Result<(), Stop> {
        let Some(mut objects) = self.objects.take() else {
            return Ok(());
        };
        let with_objects = finished.iter_mut().filter_map(|one| {
            let objects = one.objects.take()?;
            Some((&mut one.row, objects))
        });
        let (rows, texts): (Vec<&mut Row>, Vec<Vec<u8>>) = with_objects.unzip();
        let started = Instant::now();
        let inserted = loop {
            match objects.insert_all(texts.iter().map(Vec::as_slice)) {
                Err(error) if error.is_locked() && self.may_wait(started) => {}
                inserted => break inserted?,
            }
        };
        for (row, inserted) in rows.into_iter().zip(inserted) {
            match inserted {
                Ok(rows) => row.rows = Some(rows),
                Err(error) => {
                    row.error = Some(error);
                    self.counters.failed.add(1);
                }
            }
        }
        self.objects = Some(objects);
        Ok(())
    }

    /// Whether to wait on for another program that has locked the database.
    fn may_wait(&self, started: Instant) -> bool {
        started.elapsed() < WAIT && self.source.cause().is_none()
    }

    fn record(&mut self, mut row: Row) -> Result<(), Stop> {
        match &self.folder {
            Some(folder) if row.file.is_some() => {
                let folder = folder.clone();
                self.place(&folder, &mut row)?;
            }
            _ => {
                self.journal.append(&Entry::Row(row.clone()))?;
            }
        }
        if let Some(print) = self.print {
            print(&row)?;
        }
        self.tally.add(&row, self.is_verbose);
        Ok(())
    }

    /// Records the row of a saved file and gives the file its name. The row comes first: if the process is
    /// killed in between, a resumed run [completes](complete) it.
    fn place(&mut self, folder: &Path, row: &mut Row) -> Result<(), OutputError> {
        let suggested = row.file.take().unwrap_or_default();
        loop {
            let name = save::free_name(folder, &suggested, row.position);
            row.file = Some(name.clone());
            let offset = self.journal.append(&Entry::Row(row.clone()))?;
            match save::place(folder, row.position, &name)? {
                Placed::Done => return Ok(()),
                // Another program has just created it.
                Placed::NameIsTaken => self.journal.replace(offset),
            }
        }
    }
}

impl Tally {
    pub fn add(&mut self, row: &Row, is_verbose: bool) {
        self.bytes += row.bytes.unwrap_or(0);
        let Some(error) = &row.error else {
            self.ok += 1;
            return;
        };
        self.failed += 1;
        if is_verbose || self.failures.len() < LISTED_FAILURES {
            self.failures.push(format!("{}: {error}", row.url));
        }
    }
}

/// Whether a row of an interrupted run still holds. That of a saved file does if the file is there with its
/// length; if the run was killed before the file got its name, it gets it now.
pub fn complete(folder: Option<&Path>, row: &Row) -> bool {
    let (Some(folder), Some(name)) = (folder, &row.file) else {
        return true;
    };
    // The journal may have been edited: no name leads out of the folder.
    if Path::new(name).file_name() != Some(name.as_ref()) {
        return false;
    }
    let length = |path: PathBuf| match path.symlink_metadata() {
        Ok(file) if file.is_file() => Ok(Some(file.len())),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let part = save::part_path(folder, row.position);
    if let Ok(Some(bytes)) = length(part)
        && Some(bytes) == row.bytes
    {
        // If another file has the name by now, the body is requested again.
        let _ = save::place(folder, row.position, name);
    }
    length(folder.join(name)).is_ok_and(|bytes| bytes == row.bytes)
}
