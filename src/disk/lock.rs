//! One run at a time: files that belong to a run as long as it lives.
//!
//! The claim is the operating system's lock on an open file, which ends with the process however
//! that ends; a file that is left behind claims nothing.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process;

use crate::disk::output::OutputError;

const LOCK: &str = ".indexrank.lock";

/// A folder that this run alone writes results into. Dropped, it gives the folder free.
#[derive(Debug)]
pub struct Claim {
    _lock: File,
    path: PathBuf,
    /// Made for this run; if nothing comes to stand in it, it goes again.
    new_folder: Option<PathBuf>,
}

impl Claim {
    pub fn on(folder: &Path) -> Result<Self, OutputError> {
        let new_folder = (!folder.exists()).then(|| folder.to_owned());
        fs::create_dir_all(folder).map_err(OutputError::at(folder))?;
        let path = folder.join(LOCK);
        loop {
            let mut file = open(&path).map_err(OutputError::at(&path))?;
            if let Err(cause) = lock(&file) {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                let cause = match cause.kind() {
                    io::ErrorKind::WouldBlock => {
                        io::Error::other(format!("process {} is at work there", holder.trim()))
                    }
                    _ => cause,
                };
                return Err(OutputError::at(folder)(cause));
            }
            // The one who had it may have removed the file after it was opened here.
            if is_same(&file, &path) {
                let written = file
                    .set_len(0)
                    .and_then(|()| writeln!(file, "{}", process::id()));
                written.map_err(OutputError::at(folder))?;
                return Ok(Claim {
                    _lock: file,
                    path,
                    new_folder,
                });
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // While it is still locked, so that nobody else's is removed.
        let _ = fs::remove_file(&self.path);
        if let Some(folder) = &self.new_folder {
            // Unless there is something in it.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Opens a file for reading and writing, made if need be, its content untouched.
///
/// A link would lead to a file of somebody else's.
pub fn open(path: &Path) -> io::Result<File> {
    if path.symlink_metadata().is_ok_and(|there| !there.is_file()) {
        return Err(io::Error::other("it is a link, a folder or a device"));
    }
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

/// Claims an open file; `WouldBlock` if another process has it.
pub fn lock(file: &File) -> io::Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        // Some network file systems have no locks; a run there is no worse than without.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(unix)]
fn is_same(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::metadata(path)) {
        (Ok(file), Ok(path)) => identity(file) == identity(path),
        _ => false,
    }
}

/// A file that is open cannot be removed there.
#[cfg(not(unix))]
fn is_same(_: &File, _: &Path) -> bool {
    true
}
