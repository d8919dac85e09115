//! Output files that appear whole or not at all.
//!
//! A file is written under a temporary name in the folder of its target and renamed at the end. The
//! folder is checked before a run starts, so that a run fails early if it cannot keep its results.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::path::{Path, PathBuf, absolute};
use std::process;

use tempfile::NamedTempFile;

/// Prefix of the names of temporary files. The number of the process follows.
const TEMPORARY_PREFIX: &str = ".indexrank-";

/// A file or folder that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {cause}; choose another place for it", .path.display())]
pub struct OutputError {
    pub path: PathBuf,
    /// Part of the message, so it is no `#[source]`: a chain of causes would print it twice.
    pub cause: io::Error,
}

impl OutputError {
    /// Adds the path to an I/O error, as an argument of `map_err`.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |cause| OutputError {
            path: path.to_owned(),
            cause,
        }
    }
}

/// Checks that a file can be written to `target`. A folder, a device or a pipe is an error, because
/// the rename at the end would replace it.
pub fn check_writable(target: &Path) -> Result<(), OutputError> {
    let cause = match target.metadata() {
        Ok(existing) if existing.is_dir() => io::ErrorKind::IsADirectory.into(),
        Ok(existing) if !existing.is_file() => io::Error::other("it is a device or a pipe"),
        _ => return check_folder(parent(target)),
    };
    Err(OutputError::at(target)(cause))
}

/// Checks that files can be created in a folder. If the folder does not exist yet, its nearest
/// existing ancestor is checked. Leaves nothing behind.
fn check_folder(folder: &Path) -> Result<(), OutputError> {
    let mut existing = folder;
    // A dangling link counts as existing: nothing can be created in it.
    while existing.symlink_metadata().is_err() {
        existing = parent(existing);
    }
    tempfile::tempfile_in(existing)
        .map(drop)
        .map_err(OutputError::at(folder))
}

/// A path that occurs more than once, if there is one.
pub fn find_duplicate(paths: impl IntoIterator<Item = PathBuf>) -> Option<PathBuf> {
    let paths = paths.into_iter().filter_map(|path| absolute(path).ok());
    let mut paths: Vec<PathBuf> = paths.collect();
    paths.sort();
    let pair = paths.windows(2).find(|pair| pair[0] == pair[1])?;
    Some(pair[0].clone())
}

/// The folder of a file, `.` for a bare name.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// The name of a file until it is complete. It contains the number of this process.
pub fn temporary_name(name: &str) -> String {
    format!("{TEMPORARY_PREFIX}{}-{name}", process::id())
}

/// Removes temporary files of ended processes from a folder. A killed run leaves such files behind.
pub fn remove_stale_files(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| {
            let name = name.strip_prefix(TEMPORARY_PREFIX)?;
            name.split('-').next()?.parse().ok()
        });
        if process.is_some_and(|process| !is_alive(process)) {
            // A file that cannot be removed does no harm.
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(unix)]
fn is_alive(process: i32) -> bool {
    use nix::errno::Errno;
    use nix::sys::signal::kill;
    // EPERM means that the process exists and belongs to another user.
    kill(nix::unistd::Pid::from_raw(process), None) != Err(Errno::ESRCH)
}

#[cfg(not(unix))]
fn is_alive(_: i32) -> bool {
    true
}

/// Renames a file and replaces an existing one.
pub fn rename(from: &Path, to: &Path) -> Result<(), OutputError> {
    fs::rename(from, to).map_err(OutputError::at(to))
}

/// A complete file under a temporary name. Dropped before [`persist`](StagedFile::persist), it is
/// removed.
#[derive(Debug)]
pub struct StagedFile {
    file: NamedTempFile,
    target: PathBuf,
}

impl StagedFile {
    /// Writes a temporary file beside `target`, and creates the folder if it does not exist.
    pub fn new(target: &Path, content: &[u8]) -> Result<Self, OutputError> {
        let folder = parent(target);
        let write = || {
            fs::create_dir_all(folder)?;
            let prefix = temporary_name("");
            let mut builder = tempfile::Builder::new();
            builder.prefix(&prefix).permissions(default_permissions());
            let mut file = builder.tempfile_in(folder)?;
            // `file` itself would add its temporary name to an error.
            file.as_file_mut().write_all(content)?;
            Ok(file)
        };
        Ok(StagedFile {
            file: write().map_err(OutputError::at(target))?,
            target: target.to_owned(),
        })
    }

    /// Flushes the content to the disk.
    pub fn sync(&self) -> Result<(), OutputError> {
        let synced = self.file.as_file().sync_data();
        synced.map_err(OutputError::at(&self.target))
    }

    /// Renames the file to its target and replaces an existing one.
    pub fn persist(self) -> Result<(), OutputError> {
        let renamed = self.file.persist(&self.target);
        renamed
            .map(drop)
            .map_err(|error| OutputError::at(&self.target)(error.error))
    }
}

/// Temporary files are private to their owner by default. These become results, so the umask decides.
#[cfg(unix)]
fn default_permissions() -> Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o666)
}

#[cfg(not(unix))]
fn default_permissions() -> Permissions {
    fs::metadata(".")
        .map(|folder| folder.permissions())
        .expect("the working folder")
}
