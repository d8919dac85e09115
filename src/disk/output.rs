//! Files that appear whole or not at all.
//!
//! A file is written under a temporary name in the folder of its target and renamed at the end. The
//! folder is tried before a run starts, so that nobody waits for a result that cannot be kept.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::path::{Path, PathBuf, absolute};
use std::process;

use tempfile::NamedTempFile;

/// How the names of files begin that are on their way to their places; the number of the process
/// follows.
const LEFTOVER: &str = ".indexrank-";

/// A file or folder that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {cause}; choose another place for it", .path.display())]
pub struct OutputError {
    pub path: PathBuf,
    pub cause: io::Error,
}

impl OutputError {
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |cause| OutputError {
            path: path.to_owned(),
            cause,
        }
    }
}

/// Whether files can be made in a folder, which need not exist yet: then its nearest ancestor that
/// does is tried. Leaves nothing behind.
fn try_folder(folder: &Path) -> Result<(), OutputError> {
    let mut existing = folder;
    // A link that leads nowhere exists, and nothing can be made in it.
    while existing.symlink_metadata().is_err() {
        existing = parent(existing);
    }
    tempfile::tempfile_in(existing)
        .map(drop)
        .map_err(OutputError::at(folder))
}

/// Whether a file can be put in its place. A device or a pipe would be replaced by a file.
pub fn try_file(target: &Path) -> Result<(), OutputError> {
    let cause = match target.metadata() {
        Ok(there) if there.is_dir() => io::ErrorKind::IsADirectory.into(),
        Ok(there) if !there.is_file() => io::Error::other("it is a device or a pipe"),
        _ => return try_folder(parent(target)),
    };
    Err(OutputError::at(target)(cause))
}

/// A place that is named more than once, if there is one.
pub fn named_twice(places: impl IntoIterator<Item = PathBuf>) -> Option<PathBuf> {
    let places = places.into_iter().filter_map(|place| absolute(place).ok());
    let mut places: Vec<PathBuf> = places.collect();
    places.sort();
    let twice = places.windows(2).find(|pair| pair[0] == pair[1])?;
    Some(twice[0].clone())
}

/// The folder of a file, `.` for a bare name.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// The name of a file that is on its way, which tells whose it is.
pub fn temporary_name(name: &str) -> String {
    format!("{LEFTOVER}{}-{name}", process::id())
}

/// Removes what runs left in a folder that were killed while they wrote their results.
pub fn clear_leftovers(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let process = name
            .to_str()
            .and_then(|name| name.strip_prefix(LEFTOVER)?.split('-').next()?.parse().ok());
        if process.is_some_and(|process| !is_alive(process)) {
            // What cannot be removed is in nobody's way.
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(unix)]
fn is_alive(process: i32) -> bool {
    use nix::errno::Errno;
    use nix::sys::signal::kill;
    // Somebody else's process may not be asked, but is there.
    kill(nix::unistd::Pid::from_raw(process), None) != Err(Errno::ESRCH)
}

#[cfg(not(unix))]
fn is_alive(_: i32) -> bool {
    true
}

/// A file on its way to its place. Dropped before, it leaves nothing.
#[derive(Debug)]
pub struct Staged {
    file: NamedTempFile,
    target: PathBuf,
}

impl Staged {
    /// Starts a file, making its folder if need be.
    pub fn new(target: &Path) -> Result<Self, OutputError> {
        let folder = parent(target);
        let started = fs::create_dir_all(folder).and_then(|()| {
            let prefix = temporary_name("");
            let mut builder = tempfile::Builder::new();
            builder.prefix(&prefix).permissions(everyone_may_read());
            builder.tempfile_in(folder)
        });
        let file = started.map_err(OutputError::at(target))?;
        Ok(Staged {
            file,
            target: target.to_owned(),
        })
    }

    /// A whole file at once, not yet in its place.
    pub fn whole(target: &Path, content: &[u8]) -> Result<Self, OutputError> {
        let mut staged = Staged::new(target)?;
        staged
            .file
            .write_all(content)
            .map_err(OutputError::at(target))?;
        Ok(staged)
    }

    /// Has the disk keep what was written.
    pub fn sync(&self) -> Result<(), OutputError> {
        self.file
            .as_file()
            .sync_data()
            .map_err(OutputError::at(&self.target))
    }

    /// Puts the file in its place, over one that is there.
    pub fn place(self) -> Result<(), OutputError> {
        let placed = self.file.persist(&self.target);
        placed
            .map(drop)
            .map_err(|error| OutputError::at(&self.target)(error.error))
    }
}

/// Temporary files are made for their owner alone; these are results, so the umask decides.
#[cfg(unix)]
fn everyone_may_read() -> Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o666)
}

#[cfg(not(unix))]
fn everyone_may_read() -> Permissions {
    fs::metadata(".")
        .map(|folder| folder.permissions())
        .expect("the working folder")
}
