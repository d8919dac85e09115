//! The journal: every page of a run that is under way, so that nothing is lost if it is cut short.
//!
//! It is a WARC archive like a recording, and becomes the recording if one was asked for. A run that
//! is to go on ([`Journal::resume`]) takes its pages from there as long as they are young enough.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once};
use std::time::Duration;

use flate2::bufread::GzDecoder;
use jiff::{SignedDuration, Timestamp};
use memchr::memmem;

use crate::disk::lock;
use crate::disk::output::{self, OutputError};
use crate::http::page::Page;
use crate::source::{self, robots};
use crate::telemetry::counters::Meter;
use crate::warc::reader::{self, Archive};
use crate::warc::writer::{Checksum, Recorder};

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

/// Pages of the index and of companies; the rules and the rates are no reason to go on.
fn is_worth_resuming(path: &str) -> bool {
    ![robots::PATH, source::RATES_PATH]
        .iter()
        .any(|other| path.starts_with(other))
}

/// Whether a file may be replaced by a new journal: one of ours that nobody is writing.
fn claim_ours(path: &Path) -> io::Result<()> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    let mut file = lock::open(path)?;
    lock::lock(&file).map_err(|_| io::Error::other("another run is writing it"))?;
    let mut start = Vec::new();
    file.by_ref().take(LONGEST_FIRST).read_to_end(&mut start)?;
    let mut first = Vec::new();
    // Of a record that is cut short this gives what there is.
    let _ = GzDecoder::new(&start[..])
        .take(LONGEST_FIRST)
        .read_to_end(&mut first);
    let is_ours = |start: &[u8]| memmem::find(start, b"software: indexrank/").is_some();
    if start.is_empty() || is_ours(&start) || is_ours(&first) {
        return Ok(());
    }
    Err(io::Error::other(
        "there is a file that is no journal of this program",
    ))
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
    /// Where it is until it holds a page that is worth going on from: one that an earlier run has left
    /// is not given up for less.
    temporary: PathBuf,
    in_place: Once,
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
        claim_ours(&path).map_err(OutputError::at(&path))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = path.with_file_name(output::temporary_name(&name));
        let recorder = Recorder::create(&temporary, checksum, &identity.0)?;
        Ok(Journal {
            path,
            temporary,
            in_place: Once::new(),
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
        let in_place = Once::new();
        in_place.call_once(|| ());
        Ok(Journal {
            temporary: path.clone(),
            path,
            in_place,
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
        if !fresh.remove(&*reader::decoded(path)) {
            return None;
        }
        let page = old.archive.get(path, Vec::new()).ok()?;
        meter.resumed.add(1);
        Some(Page { kept: true, ..page })
    }

    /// Keeps an answer, as it came.
    pub fn keep(&self, path: &str, address: &str, page: &Page) {
        self.recorder.keep(address, page);
        if page.status == 200 && is_worth_resuming(path) {
            // Where that cannot be, the page is kept under the other name, and lost if nobody looks.
            self.in_place
                .call_once(|| drop(fs::rename(&self.temporary, &self.path)));
        }
    }

    fn place(&self) -> &Path {
        match self.in_place.is_completed() {
            true => &self.path,
            false => &self.temporary,
        }
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
        let place = self.place().to_owned();
        self.recorder.finish().map_err(OutputError::at(target))?;
        fs::rename(place, target).map_err(OutputError::at(target))
    }

    /// Removes it: nothing is left to be done.
    pub fn remove(self) {
        // One that stays is in nobody's way.
        let _ = fs::remove_file(self.place());
    }

    /// Leaves it for a run that goes on, unless no page of the index or a company is in it. Gives its
    /// place and the number of these pages.
    pub fn leave(self) -> Option<(PathBuf, usize)> {
        let place = self.place().to_owned();
        let _ = self.recorder.finish();
        let pages = Archive::open(&place).map_or(0, |archive| {
            let pages = archive.good_pages();
            pages.filter(|(path, _)| is_worth_resuming(path)).count()
        });
        if pages == 0 {
            let _ = fs::remove_file(place);
            return None;
        }
        Some((place, pages))
    }
}
