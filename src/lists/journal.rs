//! The journal of a run over a list: its rows as they come, and what is known of unfinished downloads.
//!
//! A line of JSON each, after a first one that says which run it is. A killed process can leave a part of
//! the last line; a resumed run drops it. The results are made of the journal, so a run of any length keeps
//! no rows in memory.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::disk::output::OutputError;
use crate::disk::staging::{StagedFile, open_locked};
use crate::lists::row::Row;
use crate::warc::journal::ResumeError;

/// How often the journal is synced. A power failure costs the rows since then.
const SYNC_INTERVAL: Duration = Duration::from_secs(2);

/// Maximum length of the first line in bytes. Words to count have at most 1 KiB each.
const MAX_HEADER: u64 = 1 << 20;

/// What identifies a run. Only a run with the same may resume its journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Name and version of the program.
    pub software: String,
    /// SHA-256 of the addresses as given.
    pub list: String,
    /// Which addresses of the list, `3/8` or `1/1`.
    pub shard: String,
    /// What is taken from each page, as options.
    pub extract: String,
}

/// A line of the journal after the first.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "nearly all are rows")]
pub enum Entry {
    Row(Row),
    Part(Part),
}

/// A download that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub position: u64,
    /// The `ETag` of the response, if it is a strong one, otherwise its `Last-Modified`. Without one, no later
    /// run continues the download.
    pub validator: Option<String>,
    /// The length of the whole body in bytes, if the response states it.
    pub length: Option<u64>,
}

/// What an interrupted run has left.
#[derive(Debug, Default)]
pub struct Earlier {
    /// Positions whose rows are in the journal.
    pub done: HashSet<u64>,
    pub parts: Vec<Part>,
}

/// A journal in progress.
#[derive(Debug)]
pub struct RowJournal {
    /// `None` for a file without a name, which cannot be resumed.
    path: Option<PathBuf>,
    /// The name of the file until its first entry: until then, it does not replace an earlier journal. It
    /// holds the lock as well.
    staged: StagedFile,
    is_published: bool,
    file: File,
    /// Its length in bytes.
    end: u64,
    /// Where rows begin that later ones replace.
    replaced: HashSet<u64>,
    synced: Instant,
}

impl RowJournal {
    /// Begins a journal. One that is there already is replaced with the first entry.
    pub fn begin(path: PathBuf, header: &Header) -> Result<Self, OutputError> {
        let staged = StagedFile::create(&path)?;
        check_replaceable(&path).map_err(OutputError::at(&path))?;
        Self::new(Some(path), staged, header)
    }

    /// A journal that ends with the process.
    pub fn without_name(header: &Header) -> Result<Self, OutputError> {
        let folder = std::env::temp_dir();
        let path = folder.join(format!("indexrank-{}", std::process::id()));
        Self::new(None, StagedFile::create(&path)?, header)
    }

    fn new(
        path: Option<PathBuf>,
        staged: StagedFile,
        header: &Header,
    ) -> Result<Self, OutputError> {
        let mut journal = RowJournal {
            path,
            file: staged.open_empty()?,
            staged,
            is_published: false,
            end: 0,
            replaced: HashSet::new(),
            synced: Instant::now(),
        };
        let written = line(header).and_then(|line| journal.write(&line));
        written.map_err(OutputError::at(journal.staged.target()))?;
        Ok(journal)
    }

    /// Continues the journal of an interrupted run, or begins one if there is none. Rows of pages that have
    /// failed, and those that `keep` refuses, are dropped: their pages are requested again.
    pub fn resume(
        path: PathBuf,
        header: &Header,
        keep: impl Fn(&Row) -> bool,
    ) -> Result<(Self, Earlier), ResumeError> {
        let opened = open_locked(&path).map_err(OutputError::at(&path))?;
        let Some(old) = opened else {
            return Ok((Self::begin(path, header)?, Earlier::default()));
        };
        check_header(&path, &old, header)?;
        let mut journal = Self::new(Some(path.clone()), StagedFile::create(&path)?, header)?;
        let copied = journal.copy(&old, keep);
        let earlier = copied.map_err(OutputError::at(&path))?;
        // The old file is locked until here, so no other run has taken its place.
        journal.publish()?;
        Ok((journal, earlier))
    }

    /// Copies what a resumed run needs: of each position the last row, and the last part of those without.
    fn copy(&mut self, old: &File, keep: impl Fn(&Row) -> bool) -> io::Result<Earlier> {
        let mut rows: HashMap<u64, u64> = HashMap::new();
        let mut parts: HashMap<u64, Part> = HashMap::new();
        for_each_entry(old, |offset, _, entry| {
            match entry {
                Entry::Row(row) if row.error.is_none() && keep(&row) => {
                    rows.insert(row.position, offset);
                }
                Entry::Row(row) => {
                    rows.remove(&row.position);
                }
                Entry::Part(part) => {
                    parts.insert(part.position, part);
                }
            }
            Ok(())
        })?;
        let mut earlier = Earlier::default();
        for_each_entry(old, |offset, text, entry| {
            if let Entry::Row(row) = entry
                && rows.get(&row.position) == Some(&offset)
            {
                earlier.done.insert(row.position);
                self.write(text)?;
            }
            Ok(())
        })?;
        parts.retain(|position, _| !earlier.done.contains(position));
        for part in parts.into_values() {
            self.write(&line(&Entry::Part(part.clone()))?)?;
            earlier.parts.push(part);
        }
        self.file.sync_data()?;
        Ok(earlier)
    }

    /// Appends an entry. Returns where it begins. The first one gives the journal its name, so that
    /// `--resume` finds it.
    pub fn append(&mut self, entry: &Entry) -> Result<u64, OutputError> {
        let begins = self.end;
        let mut written = line(entry).and_then(|line| self.write(&line));
        if written.is_ok() && self.synced.elapsed() >= SYNC_INTERVAL {
            written = self.file.sync_data();
            self.synced = Instant::now();
        }
        written.map_err(OutputError::at(self.staged.target()))?;
        self.publish()?;
        Ok(begins)
    }

    /// Notes that a later row replaces the one that begins at this offset.
    pub fn replace(&mut self, offset: u64) {
        self.replaced.insert(offset);
    }

    /// Writes at the cursor of the file. It is at the end: every walk over the entries reads up to there.
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.file.write_all(line)?;
        self.end += line.len() as u64;
        Ok(())
    }

    fn publish(&mut self) -> Result<(), OutputError> {
        if self.path.is_some() && !self.is_published {
            self.staged.publish()?;
            self.is_published = true;
        }
        Ok(())
    }

    /// Calls `each` with every row in the order of the journal.
    pub fn for_each_row(&self, mut each: impl FnMut(Row) -> io::Result<()>) -> io::Result<()> {
        for_each_entry(&self.file, |offset, _, entry| match entry {
            Entry::Row(row) if !self.replaced.contains(&offset) => each(row),
            _ => Ok(()),
        })
    }

    /// Calls `each` with every row in the order of the list. Keeps 16 bytes of each row in memory.
    pub fn for_each_row_in_order(
        &self,
        mut each: impl FnMut(Row) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut offsets = Vec::new();
        for_each_entry(&self.file, |offset, _, entry| {
            if let Entry::Row(row) = entry
                && !self.replaced.contains(&offset)
            {
                offsets.push((row.position, offset));
            }
            Ok(())
        })?;
        offsets.sort_unstable();
        let mut reader = BufReader::new(&self.file);
        let mut text = Vec::new();
        for (_, offset) in offsets {
            // Rows that follow each other are mostly near, so the buffer is used again.
            let position = reader.stream_position()?;
            reader.seek_relative(offset as i64 - position as i64)?;
            text.clear();
            reader.read_until(b'\n', &mut text)?;
            if let Some(Entry::Row(row)) = parse(&text) {
                each(row)?;
            }
        }
        Ok(())
    }

    /// Whether `--resume` finds the journal.
    pub fn is_resumable(&self) -> bool {
        self.is_published
    }

    /// Removes the journal of a complete run.
    pub fn remove(self) {
        if let Some(path) = &self.path {
            // A journal that cannot be removed does no harm.
            let _ = fs::remove_file(path);
        }
    }

    /// Syncs the journal, to be resumed.
    pub fn close(self) -> io::Result<()> {
        self.file.sync_data()
    }
}

fn line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

/// An entry from its line; `None` for a line that is damaged or cut short.
fn parse(text: &[u8]) -> Option<Entry> {
    let whole = text.strip_suffix(b"\n")?;
    serde_json::from_slice(whole).ok()
}

/// Calls `each` with the offset, the line and the value of every entry from the beginning.
fn for_each_entry(
    file: &File,
    mut each: impl FnMut(u64, &[u8], Entry) -> io::Result<()>,
) -> io::Result<()> {
    let mut reader = BufReader::new(file);
    reader.seek(SeekFrom::Start(0))?;
    let mut text = Vec::new();
    let mut offset = reader.read_until(b'\n', &mut text)? as u64;
    loop {
        text.clear();
        let length = reader.read_until(b'\n', &mut text)?;
        if length == 0 {
            return Ok(());
        }
        if let Some(entry) = parse(&text) {
            each(offset, &text, entry)?;
        }
        offset += length as u64;
    }
}

/// Fails if the file in the place of a new journal is of another program, or of a run in progress.
fn check_replaceable(path: &Path) -> io::Result<()> {
    let Some(file) = open_locked(path)? else {
        return Ok(());
    };
    if file.metadata()?.len() == 0 || header(&file)?.is_some() {
        return Ok(());
    }
    Err(io::Error::other(
        "a file that is not a journal of this program is in its place",
    ))
}

/// The first line of a journal; `None` if the file is none.
fn header(mut file: &File) -> io::Result<Option<Header>> {
    file.rewind()?;
    let mut text = Vec::new();
    BufReader::new(file)
        .take(MAX_HEADER)
        .read_until(b'\n', &mut text)?;
    Ok(serde_json::from_slice(&text).ok())
}

/// Fails if the journal is of another run.
fn check_header(path: &Path, file: &File, wanted: &Header) -> Result<(), ResumeError> {
    let Some(found) = header(file).map_err(OutputError::at(path))? else {
        return Err(ResumeError::NoJournal {
            path: path.to_owned(),
            why: "its first line, which states the list, is damaged".to_owned(),
        });
    };
    for (name, found, wanted) in [
        ("software", found.software, &wanted.software),
        ("list of addresses", found.list, &wanted.list),
        ("shard", found.shard, &wanted.shard),
        ("extract", found.extract, &wanted.extract),
    ] {
        if found != *wanted {
            return Err(ResumeError::Another {
                path: path.to_owned(),
                name,
                found,
                wanted: wanted.clone(),
            });
        }
    }
    Ok(())
}
