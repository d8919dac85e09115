//! Locks that let one run at a time write to a folder or file.
//!
//! The lock is the operating system's lock on an open file. The system releases it when the process
//! ends, even after a crash, so a leftover lock file locks nothing.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process;

use crate::disk::output::OutputError;

const LOCK: &str = ".indexrank.lock";

/// The lock on the folder of the results. Dropped, it releases the folder.
#[derive(Debug)]
pub struct FolderLock {
    _file: File,
    path: PathBuf,
    /// The folder, if this run has created it. It is removed again if it stays empty.
    new_folder: Option<PathBuf>,
}

impl FolderLock {
    /// Locks a folder, and creates it if it does not exist. If another run holds the lock, the error
    /// names its process.
    pub fn acquire(folder: &Path) -> Result<Self, OutputError> {
        let new_folder = (!folder.exists()).then(|| folder.to_owned());
        fs::create_dir_all(folder).map_err(OutputError::at(folder))?;
        let path = folder.join(LOCK);
        loop {
            let mut file = open(&path).map_err(OutputError::at(&path))?;
            if let Err(cause) = try_lock(&file) {
                let mut holder = String::new();
                // The message is correct without the process number too.
                let _ = file.read_to_string(&mut holder);
                let cause = match cause.kind() {
                    io::ErrorKind::WouldBlock => {
                        io::Error::other(format!("process {} is writing there", holder.trim()))
                    }
                    _ => cause,
                };
                return Err(OutputError::at(folder)(cause));
            }
            // The run that held the lock may have removed the file after it was opened here.
            if is_same_file(&file, &path) {
                let written = file
                    .set_len(0)
                    .and_then(|()| writeln!(file, "{}", process::id()));
                written.map_err(OutputError::at(folder))?;
                return Ok(FolderLock {
                    _file: file,
                    path,
                    new_folder,
                });
            }
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // The file is still locked here, so this cannot remove the lock file of another run. A file
        // that cannot be removed locks nothing.
        let _ = fs::remove_file(&self.path);
        if let Some(folder) = &self.new_folder {
            // This fails if the folder contains files, so results are never removed.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Opens a file for reading and writing, and creates it if it does not exist. The content stays.
///
/// A link is an error: it could lead to a file that belongs to another program.
pub fn open(path: &Path) -> io::Result<File> {
    if path.symlink_metadata().is_ok_and(|file| !file.is_file()) {
        return Err(io::Error::other("it is a link, a folder or a device"));
    }
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

/// Locks an open file; `WouldBlock` if another process holds the lock.
pub fn try_lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        // Some network file systems have no locks. The run continues without a lock.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(unix)]
fn is_same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::metadata(path)) {
        (Ok(file), Ok(path)) => identity(file) == identity(path),
        _ => false,
    }
}

/// On other systems an open file cannot be removed.
#[cfg(not(unix))]
fn is_same_file(_: &File, _: &Path) -> bool {
    true
}
