//! The file of `--log`: what a run says, line by line, with the time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Mutex, OnceLock, PoisonError};

use jiff::Timestamp;

use crate::site::text::visible;

/// A log that several runs may share. Ignores all lines until it is opened.
#[derive(Debug, Default)]
pub struct Log(OnceLock<Opened>);

#[derive(Debug)]
struct Opened {
    path: PathBuf,
    file: File,
    /// The first error of a write.
    error: Mutex<Option<io::Error>>,
}

impl Log {
    /// Opens the file, and creates it and its folder if they do not exist. An existing one must be a plain
    /// file: opening a pipe would block, and a device keeps nothing. A link to an existing file is
    /// followed.
    pub fn open(&self, path: &Path) -> io::Result<()> {
        let file = match path.metadata() {
            Ok(existing) if existing.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(existing) if !existing.is_file() => {
                return Err(io::Error::other("it is a device or a pipe"));
            }
            Ok(_) => OpenOptions::new().append(true).open(path)?,
            Err(_) => {
                if let Some(folder) = path.parent() {
                    fs::create_dir_all(folder)?;
                }
                // Fails for a link to nothing, which may lead to a file that the run is to write.
                let mut options = OpenOptions::new();
                options.append(true).create_new(true).open(path)?
            }
        };
        // A log that is open already keeps its file.
        let _ = self.0.set(Opened {
            path: path.to_owned(),
            file,
            error: Mutex::default(),
        });
        Ok(())
    }

    /// Whether the run has a log.
    pub fn is_open(&self) -> bool {
        self.0.get().is_some()
    }

    /// Appends a line with the time in UTC and the number of the process. It is one write to the end of
    /// the file, so lines of several runs do not mix. [Hidden](crate::site::text::is_hidden) characters
    /// become escapes.
    pub fn append(&self, line: &str) {
        let Some(opened) = self.0.get() else { return };
        let line = visible(line);
        let (now, process) = (Timestamp::now(), process::id());
        let line = format!("{now:.3} indexrank[{process}]: {}\n", line.trim_end());
        let written = (&opened.file).write_all(line.as_bytes());
        if let Err(error) = written {
            let mut first = opened.error.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(error);
        }
    }

    /// A warning if a line could not be written.
    pub fn warning(&self) -> Option<String> {
        let opened = self.0.get()?;
        let error = opened.error.lock().unwrap_or_else(PoisonError::into_inner);
        let error = error.as_ref()?;
        let path = opened.path.display();
        Some(format!(
            "cannot write {path}: {error}; lines are missing there"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_without_control_characters() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log");
        let log = Log::default();
        log.append("before it is open");
        log.open(&file).unwrap();
        log.append("two\nlines, \x1b[31mred\x1b[0m, \u{202e}reversed\n");
        let text = fs::read_to_string(file).unwrap();
        let (_, message) = text.split_once("]: ").unwrap();
        assert_eq!(
            message,
            "two\\u{a}lines, \\u{1b}[31mred\\u{1b}[0m, \\u{202e}reversed\\u{a}\n"
        );
        assert_eq!(log.warning(), None);
    }
}
