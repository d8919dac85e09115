//! The end of a run: all of its files get their names, or none.
//!
//! No system renames several files at once. So a redo record lists the renames before the first one. If
//! the process is killed in between or a rename fails, the next run into the folder completes them.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf, absolute};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};
use serde::{Deserialize, Serialize};

use crate::disk::output::{OutputError, parent, sync_folder};
use crate::disk::staging::{Content, StagedFile, open_locked};
use crate::words;

/// The redo record in the folder of the results. Its staging file is the lock of the folder.
pub const REDO: &str = "unfinished-commit.json";
/// The version of the redo record.
const VERSION: u32 = 1;
/// Bytes of a path that the redo record escapes. `percent_encode` also escapes all that is not ASCII,
/// so every path has a form in JSON.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

#[derive(Debug, Serialize, Deserialize)]
struct Redo {
    version: u32,
    /// The exit code of the run whose files these are.
    exit: u8,
    renames: Vec<Rename>,
    /// Names in the folder of the record, of files to remove after the renames.
    removes: Vec<String>,
}

/// A rename within one folder. All paths are percent-encoded.
#[derive(Debug, Serialize, Deserialize)]
struct Rename {
    /// Absolute, or null for the folder of the redo record, which may be moved.
    folder: Option<String>,
    from: String,
    to: String,
    #[serde(flatten)]
    content: Content,
}

impl Rename {
    fn from(&self, out: &Path) -> PathBuf {
        self.folder(out).join(file_name(&self.from))
    }

    fn to(&self, out: &Path) -> PathBuf {
        self.folder(out).join(file_name(&self.to))
    }

    fn folder(&self, out: &Path) -> PathBuf {
        let folder = self.folder.as_deref();
        folder.map_or(out.to_owned(), |folder| decode(folder).into())
    }

    fn perform(&self, out: &Path) -> Result<(), OutputError> {
        let to = self.to(out);
        fs::rename(self.from(out), &to).map_err(OutputError::at(&to))
    }
}

fn encode(path: &OsStr) -> String {
    percent_encode(path.as_encoded_bytes(), ESCAPED).to_string()
}

#[cfg(unix)]
fn decode(text: &str) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(percent_decode_str(text).collect())
}

/// Decodes a file name. Only the last component counts, so a record cannot rename files outside its
/// folders.
fn file_name(text: &str) -> OsString {
    let name = PathBuf::from(decode(text));
    name.file_name().unwrap_or_default().to_owned()
}

/// Paths of other systems are Unicode, nearly always.
#[cfg(not(unix))]
fn decode(text: &str) -> OsString {
    percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
        .into()
}

/// Why not all files have their names.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// No file has changed.
    #[error(transparent)]
    Unchanged(#[from] OutputError),
    #[error(
        "cannot write {}: {}; {}; remove the obstacle, and the next run into {} completes them",
        .obstacle.path.display(), words::of_system(&.obstacle.cause), split(.new, .left), .folder.display()
    )]
    Unfinished {
        obstacle: OutputError,
        /// The files of the run that are in place.
        new: Vec<PathBuf>,
        /// The files that are not.
        left: Vec<PathBuf>,
        folder: PathBuf,
    },
}

/// `new: a, b; not yet written: c`
fn split(new: &[PathBuf], left: &[PathBuf]) -> String {
    format!("new: {}; not yet written: {}", list(new), list(left))
}

/// The paths, separated by commas.
pub fn list(paths: &[PathBuf]) -> String {
    if paths.is_empty() {
        return "no file".to_owned();
    }
    let paths: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(", ")
}

/// The renames at the end of a run, collected before they are performed.
#[derive(Debug)]
pub struct Commit {
    record: StagedFile,
    out: PathBuf,
    redo: Redo,
    /// Held, and with them their locks, until the commit is complete.
    staged: Vec<StagedFile>,
}

impl Commit {
    /// A commit without files. `record` is staged for [`REDO`].
    pub fn new(record: StagedFile, exit: u8) -> Self {
        Commit {
            out: parent(record.target()).to_owned(),
            record,
            redo: Redo {
                version: VERSION,
                exit,
                renames: Vec::new(),
                removes: Vec::new(),
            },
            staged: Vec::new(),
        }
    }

    /// Adds the rename of a complete file to its target.
    pub fn publish(&mut self, staged: StagedFile, content: Content) -> Result<(), OutputError> {
        self.rename(staged.path(), staged.target(), content)?;
        self.staged.push(staged);
        Ok(())
    }

    /// Adds a rename within one folder.
    pub fn rename(&mut self, from: &Path, to: &Path, content: Content) -> Result<(), OutputError> {
        let folder = parent(to);
        let folder = if folder == self.out {
            None
        } else {
            Some(absolute(folder).map_err(OutputError::at(to))?)
        };
        let name = |path: &Path| encode(path.file_name().unwrap_or_default());
        self.redo.renames.push(Rename {
            folder: folder.map(|folder| encode(folder.as_os_str())),
            from: name(from),
            to: name(to),
            content,
        });
        Ok(())
    }

    /// Adds the removal of a file in the folder of the results.
    pub fn remove(&mut self, name: &str) {
        self.redo.removes.push(name.to_owned());
    }

    /// Writes the redo record, then renames and removes the files.
    pub fn run(self) -> Result<(), CommitError> {
        let renames: Vec<&Rename> = self.redo.renames.iter().collect();
        check_targets(&self.out, &renames)?;
        sync_folders(&self.out, &self.redo.renames)?;
        let redo = &self.redo;
        self.record.write(|out| {
            serde_json::to_writer_pretty(&mut *out, redo)?;
            writeln!(out)
        })?;
        self.record.publish()?;
        if let Err(cause) = sync_folder(&self.out) {
            let undone = fs::remove_file(self.record.target());
            // A record that cannot be removed would be replayed by the next run, so the commit continues.
            if undone.is_ok() {
                return Err(OutputError::at(&self.out)(cause).into());
            }
        }
        match perform(&self.out, &self.redo, &renames, Vec::new()) {
            // Nothing has a new name yet, so the run can be taken back.
            Err(CommitError::Unfinished { new, obstacle, .. })
                if new.is_empty() && fs::remove_file(self.record.target()).is_ok() =>
            {
                Err(obstacle.into())
            }
            Err(error) => {
                self.staged.iter().for_each(StagedFile::keep);
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }
}

/// Fails if a folder has appeared in the place of a target, before anything has changed.
fn check_targets(out: &Path, renames: &[&Rename]) -> Result<(), OutputError> {
    let mut targets = renames.iter().map(|rename| rename.to(out));
    match targets.find(|target| target.is_dir()) {
        Some(target) => Err(OutputError::at(&target)(io::ErrorKind::IsADirectory.into())),
        None => Ok(()),
    }
}

fn sync_folders(out: &Path, renames: &[Rename]) -> Result<(), OutputError> {
    let folders = renames.iter().map(|rename| rename.folder(out));
    let mut folders: Vec<PathBuf> = folders.collect();
    folders.sort_unstable();
    folders.dedup();
    folders.retain(|folder| folder.exists());
    folders
        .iter()
        .try_for_each(|folder| sync_folder(folder).map_err(OutputError::at(folder)))
}

/// Performs these renames and the removals of a redo record that is in place, and removes the record.
/// The files in `new` have their names already.
fn perform(
    out: &Path,
    redo: &Redo,
    renames: &[&Rename],
    mut new: Vec<PathBuf>,
) -> Result<(), CommitError> {
    let mut left = renames.iter().map(|rename| rename.to(out));
    let mut steps = || {
        for rename in renames {
            rename.perform(out)?;
            new.extend(left.next());
        }
        for name in &redo.removes {
            let path = out.join(file_name(name));
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(OutputError::at(&path)(error));
                }
                _ => {}
            }
        }
        sync_folders(out, &redo.renames)
    };
    if let Err(obstacle) = steps() {
        return Err(CommitError::Unfinished {
            left: left.collect(),
            new,
            obstacle,
            folder: out.to_owned(),
        });
    }
    // A record that cannot be removed lists only renames that are done.
    let _ = fs::remove_file(out.join(REDO));
    Ok(())
}

/// What [`recover`] has completed.
#[derive(Debug)]
pub struct Recovered {
    /// The files of the earlier run that are in place now.
    pub new: Vec<PathBuf>,
    /// Files of the earlier run that a run into another folder has replaced since.
    pub replaced: Vec<PathBuf>,
    /// Files of the earlier run that are gone, with the folder or alone.
    pub lost: Vec<PathBuf>,
    /// The exit code of the earlier run.
    pub exit: u8,
}

/// Completes the commit of a run that was killed, or whose rename failed. `None` if there is none. The
/// caller holds the lock of the folder.
pub fn recover(out: &Path) -> Result<Option<Recovered>, CommitError> {
    let path = out.join(REDO);
    let Some(record) = open_locked(&path).map_err(OutputError::at(&path))? else {
        return Ok(None);
    };
    let redo = serde_json::from_reader(BufReader::new(record)).map_err(|error| error.to_string());
    let redo = redo.and_then(|redo: Redo| match redo.version {
        VERSION => Ok(redo),
        other => Err(format!("version {other}")),
    });
    let redo = redo.map_err(|why| {
        let cause = format!("it is no record of this program ({why}): remove it");
        OutputError::at(&path)(io::Error::other(cause))
    })?;
    let has_content =
        |path: &Path, content: &Content| Content::of(path).is_ok_and(|found| found == *content);
    let mut to_do = Vec::new();
    let (mut new, mut replaced, mut lost) = (Vec::new(), Vec::new(), Vec::new());
    for rename in &redo.renames {
        let to = rename.to(out);
        if has_content(&rename.from(out), &rename.content) {
            to_do.push(rename);
        } else if has_content(&to, &rename.content) {
            new.push(to);
        } else if to.exists() {
            replaced.push(to);
        } else {
            lost.push(to);
        }
    }
    let targets = || to_do.iter().map(|rename| rename.to(out));
    if let Err(obstacle) = check_targets(out, &to_do) {
        return Err(CommitError::Unfinished {
            obstacle,
            new,
            left: targets().collect(),
            folder: out.to_owned(),
        });
    }
    perform(out, &redo, &to_do, new.clone())?;
    new.extend(targets());
    Ok(Some(Recovered {
        new,
        replaced,
        lost,
        exit: redo.exit,
    }))
}
