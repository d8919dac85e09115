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

/// Whether two paths lead to the same file or folder.
pub fn are_same(one: &Path, other: &Path) -> bool {
    let canonical = |path: &Path| path.canonicalize().ok();
    canonical(one).is_some_and(|one| Some(one) == canonical(other))
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

/// The folder of a file and its name there; the whole path on systems without [`FileId`].
type Name = (Option<FileId>, OsString);

/// The files that a run reads and writes.
#[derive(Debug, Default)]
pub struct UsedFiles {
    names: HashSet<Name>,
    /// Those that exist.
    existing: HashSet<FileId>,
}

impl UsedFiles {
    /// Adds a file or folder that the run does not replace. Of a link, both the link and its target count
    /// as used. A missing file is no error here; opening it reports that.
    pub fn add_kept(&mut self, path: &Path) -> Result<(), PathError> {
        let existing = fs::metadata(path).ok();
        let id = existing.as_ref().and_then(FileId::of);
        let is_new_file = id.is_none_or(|id| self.existing.insert(id));
        let paths = [Some(path.to_owned()), path.canonicalize().ok()];
        let names = paths.into_iter().flatten();
        let names: HashSet<_> = names.filter_map(|path| name_of(&path).ok()).collect();
        let is_new_name = names.is_disjoint(&self.names);
        self.names.extend(names);
        if is_new_file && is_new_name {
            Ok(())
        } else {
            Err(PathError::UsedTwice(path.to_owned()))
        }
    }

    /// Adds a file that the run only reads, which may be there twice. To be called before any other file is
    /// added.
    pub fn add_source(&mut self, path: &Path) {
        // An archive that is there twice is told of by its shard.
        let _ = self.add_kept(path);
    }

    /// Adds a file that the run writes, and the file beside it that the content goes to at first. Its
    /// folder exists.
    pub fn add_output(&mut self, path: &Path) -> Result<(), PathError> {
        let used_twice = || PathError::UsedTwice(path.to_owned());
        for path in [path, &staging_path(path)] {
            let name = name_of(path).map_err(OutputError::at(path))?;
            if !self.names.insert(name) {
                return Err(used_twice());
            }
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
}

/// The folder and the name of a file, which need not exist. The folder does.
fn name_of(path: &Path) -> io::Result<Name> {
    let name = path.file_name().unwrap_or_default();
    let folder = parent(path);
    Ok(match FileId::of(&fs::metadata(folder)?) {
        Some(id) => (Some(id), name.to_owned()),
        None => (None, folder.canonicalize()?.join(name).into_os_string()),
    })
}
