//! The journal: every page of a run that is under way, so that nothing is lost if it is cut short.
//!
//! It is a WARC archive like a recording, and becomes the recording if one was asked for. A run that
//! is to go on ([`Journal::resume`]) takes its pages from there as long as they are young enough.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::archive::{self, Archive};
use crate::meter::Meter;
use crate::output::OutputError;
use crate::page::Page;
use crate::recorder::{Checksum, Recorder};
use crate::{robots, source};

const NAME: &str = "unfinished.warc";
/// The first record, which tells whose journal it is, is shorter than that.
const LONGEST_FIRST: u64 = 1024;
/// Clocks differ by a little; a page from further in the future has no age that can be trusted.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_secs(60);

/// Where the journal of a run stands: beside its rankings, or beside the recording that it will
/// become.
pub fn place(out: &Path, record: Option<&Path>) -> PathBuf {
    match record {
        Some(record) => {
            let mut name = OsString::from("unfinished-");
            name.push(record.file_name().unwrap_or_default());
            record.with_file_name(name)
        }
        None => out.join(NAME),
    }
}

/// What makes a journal the journal of a run, as `name: value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity(pub Vec<(&'static str, String)>);

/// Why a run cannot go on from a journal.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    #[error("{} cannot be resumed: its {name} is {there:?}, not {wanted:?}; leave out --resume to begin anew", .path.display())]
    Another {
        path: PathBuf,
        name: &'static str,
        there: String,
        wanted: String,
    },
    #[error("{} cannot be resumed: {why}; leave out --resume to begin anew", .path.display())]
    NoJournal { path: PathBuf, why: String },
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// A journal that is being written.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    recorder: Recorder,
    old: Option<Old>,
}

/// What an earlier run left.
#[derive(Debug)]
struct Old {
    archive: Archive,
    /// Paths of the pages that are young enough and have not been taken yet.
    fresh: Mutex<HashSet<String>>,
}

impl Journal {
    /// A new journal, in place of one that is there.
    pub fn begin(
        path: PathBuf,
        checksum: Checksum,
        identity: &Identity,
    ) -> Result<Self, OutputError> {
        let recorder = Recorder::create(&path, checksum, &identity.0)?;
        Ok(Journal {
            path,
            recorder,
            old: None,
        })
    }

    /// Goes on with the journal that is there, if there is one.
    pub fn resume(
        path: PathBuf,
        checksum: Checksum,
        identity: &Identity,
        max_age: Duration,
    ) -> Result<Self, ResumeError> {
        let archive = match Archive::open(&path) {
            Ok(archive) => archive,
            // None, or one that was cut short in its first record.
            Err(_) if fs::metadata(&path).map_or(0, |file| file.len()) < LONGEST_FIRST => {
                return Ok(Journal::begin(path, checksum, identity)?);
            }
            Err(error) => {
                let why = format!("{error:#}");
                return Err(ResumeError::NoJournal { path, why });
            }
        };
        for (name, wanted) in &identity.0 {
            let there = archive.about(name).unwrap_or("unknown");
            if there != wanted {
                return Err(ResumeError::Another {
                    path,
                    name,
                    there: there.to_owned(),
                    wanted: wanted.clone(),
                });
            }
        }
        let recorder = Recorder::go_on(&path, checksum, archive.end())?;
        let now = Timestamp::now();
        let fresh = archive.good_pages().filter(|(_, date)| {
            let age = now.duration_since(*date);
            age >= -CLOCKS_DIFFER && age.unsigned_abs() <= max_age
        });
        let fresh = fresh.map(|(path, _)| path.to_owned()).collect();
        Ok(Journal {
            path,
            recorder,
            old: Some(Old {
                fresh: Mutex::new(fresh),
                archive,
            }),
        })
    }

    /// The page of a path as an earlier run left it, once: if it turns out to be no good, it is to
    /// be asked for.
    pub fn take(&self, path: &str, meter: &Meter) -> Option<Page> {
        let old = self.old.as_ref()?;
        let fresh = &mut *old.fresh.lock().expect("no panic holds the lock");
        if !fresh.remove(&*archive::decoded(path)) {
            return None;
        }
        let page = old.archive.get(path, Vec::new()).ok()?;
        meter.resumed.add(1);
        // Nobody has waited for it.
        Some(Page {
            elapsed: Duration::ZERO,
            ..page
        })
    }

    /// Keeps an answer, as it came.
    pub fn keep(&self, address: &str, page: &Page) {
        self.recorder.keep(address, page);
    }

    /// The first failure to write it, if there was one.
    pub fn failure(&self) -> Option<String> {
        let (path, error) = (self.path.display(), self.recorder.failure()?);
        Some(format!(
            "{path} could not be written to its end ({error}), so not all pages are kept"
        ))
    }

    /// Has the disk keep it and gives it the name of a recording.
    pub fn become_recording(self, target: &Path) -> Result<(), OutputError> {
        self.recorder.finish().map_err(OutputError::at(target))?;
        fs::rename(&self.path, target).map_err(OutputError::at(target))
    }

    /// Removes it: nothing is left to be done.
    pub fn remove(self) {
        // One that stays is in nobody's way.
        let _ = fs::remove_file(&self.path);
    }

    /// Leaves it for a run that goes on, unless no page of the index or a company is in it. Gives its
    /// place and the number of these pages.
    pub fn leave(self) -> Option<(PathBuf, usize)> {
        let _ = self.recorder.finish();
        let pages = Archive::open(&self.path).map_or(0, |archive| {
            let others = [robots::PATH, source::RATES_PATH];
            let is_other = |path: &str| others.iter().any(|other| path.starts_with(other));
            archive
                .good_pages()
                .filter(|(path, _)| !is_other(path))
                .count()
        });
        if pages == 0 {
            let _ = fs::remove_file(&self.path);
            return None;
        }
        Some((self.path, pages))
    }
}
