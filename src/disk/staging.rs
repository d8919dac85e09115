//! The file beside each output that its content goes to at first, under a fixed name.
//!
//! It is created and locked before the first request. So it shows that the output can be written, locks
//! out a second run with the same output, and takes the content at the end. The operating system
//! releases the lock when the process ends, even after a crash; the next run replaces what is left.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::disk::output::{OutputError, staging_path};
use crate::disk::same_file;
use crate::words;

/// Retries of a lock, and the time between them: 100 ms in all. A forked child shares the locks of its
/// parent until `exec` closes their files.
const LOCK_RETRIES: u32 = 10;
const LOCK_INTERVAL: Duration = Duration::from_millis(10);
/// The first line of a file without content, before the number of the process that holds it.
const HOLDER: &str = "process ";

/// Length and digest of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    pub bytes: u64,
    /// SHA-256 in hexadecimal, as `sha256sum` prints it.
    pub sha256: String,
}

impl Content {
    /// Reads a file to its end.
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut hashing = Hashing::new(io::sink());
        io::copy(&mut File::open(path)?, &mut hashing)?;
        Ok(hashing.content())
    }
}

/// Passes bytes on and computes their digest.
#[derive(Debug)]
pub struct Hashing<W> {
    inner: W,
    bytes: u64,
    sha256: Sha256,
}

impl<W: Write> Hashing<W> {
    pub fn new(inner: W) -> Self {
        Hashing {
            inner,
            bytes: 0,
            sha256: Sha256::new(),
        }
    }

    /// Passes later bytes on to another receiver.
    pub fn to<V>(self, inner: V) -> Hashing<V> {
        Hashing {
            inner,
            bytes: self.bytes,
            sha256: self.sha256,
        }
    }

    /// Bytes passed on so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn content(self) -> Content {
        Content {
            bytes: self.bytes,
            sha256: HEXLOWER.encode(&self.sha256.finalize()),
        }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += written as u64;
        self.sha256.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The file beside an output, locked. Dropped before it is renamed to its target, it is removed.
#[derive(Debug)]
pub struct StagedFile {
    target: PathBuf,
    path: PathBuf,
    file: File,
    /// Whether the file is to be removed.
    is_draft: AtomicBool,
}

impl StagedFile {
    /// Creates and locks the file beside `target`, in an existing folder. It replaces one that a killed
    /// run has left behind. If another run holds it, the error names the process.
    pub fn create(target: &Path) -> Result<Self, OutputError> {
        let path = staging_path(target);
        Ok(StagedFile {
            file: create_locked(&path).map_err(OutputError::at(target))?,
            path,
            target: target.to_owned(),
            is_draft: AtomicBool::new(true),
        })
    }

    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The present path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A second handle of the open file, empty and at its beginning.
    pub fn open_empty(&self) -> Result<File, OutputError> {
        let opened = self.empty().and_then(|()| self.file.try_clone());
        opened.map_err(OutputError::at(&self.target))
    }

    fn empty(&self) -> io::Result<()> {
        self.file.set_len(0)?;
        (&self.file).rewind()
    }

    /// Streams the content into the file and syncs it to the disk.
    pub fn write(
        &self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<Content, OutputError> {
        let written = || {
            self.empty()?;
            let mut out = BufWriter::new(Hashing::new(&self.file));
            write(&mut out)?;
            let hashing = out.into_inner().map_err(|error| error.into_error())?;
            self.file.sync_data()?;
            Ok(hashing.content())
        };
        written().map_err(OutputError::at(&self.target))
    }

    /// Renames the file to its target and replaces an existing one. The lock is held until the file is
    /// dropped.
    pub fn publish(&self) -> Result<(), OutputError> {
        fs::rename(&self.path, &self.target).map_err(OutputError::at(&self.target))?;
        self.keep();
        Ok(())
    }

    /// Keeps the file when it is dropped.
    pub fn keep(&self) {
        self.is_draft.store(false, Ordering::Relaxed);
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if self.is_draft.load(Ordering::Relaxed) {
            // The file is still locked here, so this cannot remove the file of another run. One that
            // cannot be removed locks nothing, and the next run replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Creates a file that this process alone may write, and locks it.
fn create_locked(path: &Path) -> io::Result<File> {
    loop {
        // Held until the new file is locked: another run that has opened it finds it locked or gone.
        let stale = open_locked(path)?;
        if stale.is_some() {
            fs::remove_file(path)?;
        }
        let created = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path);
        let mut file = match created {
            // Another run was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            created => created?,
        };
        try_lock(&mut file)?;
        if same_file::is_at(&file, path) {
            let named = writeln!(file, "{HOLDER}{}", process::id());
            if named.is_err() {
                // The disk may be full. The message is about that.
                let _ = fs::remove_file(path);
            }
            return named.map(|()| file);
        }
    }
}

/// Opens and locks an existing file for reading and writing. `None` if there is none.
///
/// A link is an error: it could lead to a file that belongs to another program.
pub fn open_locked(path: &Path) -> io::Result<Option<File>> {
    loop {
        match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
            Ok(existing) if !existing.is_file() => {
                let name = path.file_name().unwrap_or_default().display();
                let cause = format!("{name} is a link, a folder or a device: remove it");
                return Err(io::Error::other(cause));
            }
            Ok(_) => {}
        }
        let mut file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                let name = path.file_name().unwrap_or_default().display();
                let cause = format!("{name} of another run: {}", words::of_system(&error));
                return Err(io::Error::new(error.kind(), cause));
            }
            Ok(file) => file,
        };
        try_lock(&mut file)?;
        // The run that held the lock may have renamed or removed the file after it was opened here.
        if same_file::is_at(&file, path) {
            return Ok(Some(file));
        }
    }
}

/// Whether a lock has failed because the file system has none.
fn has_no_locks(error: &io::Error) -> bool {
    // NFS without a lock daemon.
    #[cfg(unix)]
    if error.raw_os_error() == Some(nix::errno::Errno::ENOLCK as i32) {
        return true;
    }
    error.kind() == io::ErrorKind::Unsupported
}

/// Locks an open file. If another process holds the lock, the error names it where the file does.
fn try_lock(file: &mut File) -> io::Result<()> {
    let mut locked = file.try_lock();
    for _ in 0..LOCK_RETRIES {
        if !matches!(locked, Err(TryLockError::WouldBlock)) {
            break;
        }
        thread::sleep(LOCK_INTERVAL);
        locked = file.try_lock();
    }
    match locked {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let mut start = String::new();
            // The message is correct without the number of the process too.
            let _ = file.take(64).read_to_string(&mut start);
            let number = start.strip_prefix(HOLDER);
            let holder = match number.and_then(|number| number.trim().parse::<u32>().ok()) {
                Some(process) => format!("process {process} is writing there"),
                None => "another run is writing there".to_owned(),
            };
            Err(io::Error::new(io::ErrorKind::WouldBlock, holder))
        }
        // Some network file systems have no locks. The run continues without a lock.
        Err(TryLockError::Error(error)) if has_no_locks(&error) => Ok(()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
