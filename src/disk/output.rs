//! What all files that a run writes have in common: the error that names one, the name of the file beside
//! each, and their folders.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

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

/// The folder of a file, `.` for a bare name.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// The path of the staging file of an output: `.NAME.indexrank` in the same folder.
pub fn staging_path(target: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(".indexrank");
    target.with_file_name(name)
}

/// Folders that a run has created for its outputs. Dropped, it removes those that are empty.
#[derive(Debug, Default)]
pub struct NewFolders(Vec<PathBuf>);

impl NewFolders {
    /// Creates a folder and its missing ancestors.
    pub fn create(&mut self, folder: &Path) -> Result<(), OutputError> {
        let mut missing: Vec<&Path> = Vec::new();
        let mut existing = folder;
        // Any other error ends the search: `create_dir_all` reports it. So does a dangling link, which
        // exists.
        while existing
            .symlink_metadata()
            .is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
        {
            missing.push(existing);
            existing = parent(existing);
        }
        let created = fs::create_dir_all(folder);
        self.0.extend(missing.into_iter().rev().map(Path::to_owned));
        created
            .map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => io::Error::other("it is not a folder"),
                _ => error,
            })
            .and_then(|()| check_syncable(folder))
            .map_err(OutputError::at(folder))
    }
}

impl Drop for NewFolders {
    fn drop(&mut self) {
        for folder in self.0.iter().rev() {
            // This fails if the folder contains files, so results are never removed.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Fails if a folder cannot be opened, as [`sync_folder`] has to.
fn check_syncable(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?;
    }
    Ok(())
}

/// Syncs the names in a folder to the disk: those of new, renamed and removed files.
#[cfg(unix)]
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Some network file systems cannot sync a folder.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        synced => synced,
    }
}

/// Other systems cannot open a folder as a file.
#[cfg(not(unix))]
pub fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
