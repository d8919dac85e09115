//! Which paths lead to one file. Files are told apart by device and inode, because `..`, linked folders
//! and hard links give one file many spellings.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::output::{OutputError, parent, staging_path};

/// Device and inode of a file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct FileId(u64, u64);

impl FileId {
    #[cfg(unix)]
    fn of(metadata: &fs::Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(FileId(metadata.dev(), metadata.ino()))
    }

    /// The standard library has no such numbers for other systems.
    #[cfg(not(unix))]
    fn of(_: &fs::Metadata) -> Option<Self> {
        None
    }
}

/// Whether an open file is still the one at `path`: another run may have renamed or removed it.
pub fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), path.symlink_metadata()) {
        (Ok(file), Ok(path)) => FileId::of(&file) == FileId::of(&path),
        _ => false,
    }
}

/// Why a path cannot be an output.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    #[error(
        "{} is used twice, for two results or for a result and the source; choose another name for one of them",
        .0.display()
    )]
    UsedTwice(PathBuf),
    #[error("cannot write {}: it is {}; choose the name of a plain file", .0.display(), .1)]
    NoFile(PathBuf, &'static str),
    #[error(transparent)]
    Unwritable(#[from] OutputError),
}

/// The files that a run reads and writes.
#[derive(Debug, Default)]
pub struct UsedFiles {
    /// Folder and name of each.
    names: HashSet<(Option<FileId>, OsString)>,
    /// Those that exist.
    existing: HashSet<FileId>,
}

impl UsedFiles {
    /// Adds a file that the run does not replace: one that it reads or appends to. A link is followed.
    pub fn add_source(&mut self, path: &Path) {
        // A source that cannot be read is the error of its reader.
        let existing = fs::metadata(path).ok();
        self.existing.extend(existing.as_ref().and_then(FileId::of));
        for path in [Some(path.to_owned()), path.canonicalize().ok()] {
            let _ = path.map(|path| self.add_name(&path));
        }
    }

    /// Adds a file that the run writes, and the file beside it that the content goes to at first. Its
    /// folder exists.
    pub fn add_output(&mut self, path: &Path) -> Result<(), PathError> {
        let is_new = self.add_name(path).map_err(OutputError::at(path))?
            && self
                .add_name(&staging_path(path))
                .map_err(OutputError::at(path))?;
        let used_twice = || PathError::UsedTwice(path.to_owned());
        if !is_new {
            return Err(used_twice());
        }
        let Ok(existing) = path.symlink_metadata() else {
            return Ok(());
        };
        if existing.is_dir() {
            let cause = io::ErrorKind::IsADirectory.into();
            return Err(OutputError::at(path)(cause).into());
        }
        if !existing.is_file() {
            let kind = if existing.is_symlink() {
                "a link"
            } else {
                "a device or a pipe"
            };
            return Err(PathError::NoFile(path.to_owned(), kind));
        }
        match FileId::of(&existing) {
            Some(id) if !self.existing.insert(id) => Err(used_twice()),
            _ => Ok(()),
        }
    }

    /// Returns false if the name is in use.
    fn add_name(&mut self, path: &Path) -> io::Result<bool> {
        let folder = FileId::of(&fs::metadata(parent(path))?);
        let name = match folder {
            Some(_) => path.file_name().unwrap_or_default().to_owned(),
            None => parent(path)
                .canonicalize()?
                .join(path.file_name().unwrap_or_default())
                .into_os_string(),
        };
        Ok(self.names.insert((folder, name)))
    }
}
