//! Why a database cannot be used: what happened to which file, and what to do next.

use std::fmt::Display;
use std::path::Path;

use rusqlite::{ErrorCode, ffi};

use crate::site::paths::DEFAULT_INDEX;
use crate::telemetry::shell_word::quote;

/// Why a database cannot be opened, written or read, or has no answer.
#[derive(Debug, thiserror::Error)]
#[error("{what}; {advice}")]
pub struct StoreError {
    /// What happened, with the path of the file: `cannot write market.sqlite: the disk is full`.
    pub what: String,
    /// What to do next.
    pub advice: String,
    /// Whether the command is wrong: the file is no database of this program and version, or cannot answer.
    /// Other errors depend on the state of the file, its folder and the disk.
    pub is_misuse: bool,
    #[source]
    pub cause: Option<rusqlite::Error>,
}

/// What a database is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Write,
    Read,
}

impl Access {
    fn verb(self) -> &'static str {
        match self {
            Access::Write => "write",
            Access::Read => "read",
        }
    }

    /// The error of a file that is no plain file.
    pub fn no_file(self, path: &Path, what_it_is: &str) -> StoreError {
        let (verb, path) = (self.verb(), path.display());
        StoreError {
            what: format!("cannot {verb} {path}: it is {what_it_is}"),
            advice: "choose the name of a plain file".to_owned(),
            is_misuse: true,
            cause: None,
        }
    }

    /// The error of a statement, as an argument of `map_err`.
    pub fn error(self, path: &Path) -> impl Fn(rusqlite::Error) -> StoreError {
        move |cause| {
            let (why, advice) = explain(&cause, self, path);
            let (verb, path) = (self.verb(), path.display());
            StoreError {
                what: format!("cannot {verb} {path}: {why}"),
                advice,
                is_misuse: cause.sqlite_error_code() == Some(ErrorCode::NotADatabase),
                cause: Some(cause),
            }
        }
    }
}

impl StoreError {
    /// The error of a command that the file cannot answer.
    pub fn misuse(what: impl Into<String>, advice: impl Into<String>) -> Self {
        StoreError {
            what: what.into(),
            advice: advice.into(),
            is_misuse: true,
            cause: None,
        }
    }

    /// Whether another program keeps the file locked, so that the same call may succeed later.
    pub fn is_locked(&self) -> bool {
        matches!(
            self.code(),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
        )
    }

    /// Whether it is unknown if a run has been appended: the last sync of the folder can fail after the file
    /// has the run.
    pub fn may_be_appended(&self) -> bool {
        self.code() == Some(ErrorCode::SystemIoFailure)
    }

    fn code(&self) -> Option<ErrorCode> {
        self.cause.as_ref()?.sqlite_error_code()
    }
}

/// The command that appends a run of this index, the default one for `None`:
/// `indexrank --index dax --db market.sqlite`.
pub fn run_command(path: &Path, index: Option<&str>) -> String {
    let other = index.filter(|index| *index != DEFAULT_INDEX);
    let other = other.map(|index| format!("--index {} ", quote(index.as_ref())));
    let path = quote(path.as_os_str());
    format!("indexrank {}--db {path}", other.unwrap_or_default())
}

/// The cause in words, and what to do about it.
fn explain(error: &rusqlite::Error, access: Access, path: &Path) -> (String, String) {
    let (word, path) = (quote(path.as_os_str()), path.display());
    if let rusqlite::Error::FromSqlConversionFailure(_, _, what) = error {
        return (
            format!("it has a value that no run writes ({what})"),
            "restore it from a backup, or correct the value".to_owned(),
        );
    }
    let (why, advice) = match (error.sqlite_error_code(), access) {
        (Some(ErrorCode::NotADatabase), _) => (
            "it is no SQLite database".to_owned(),
            "choose another file".to_owned(),
        ),
        (Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked), _) => (
            "another program keeps it locked".to_owned(),
            "end that program, or try again later".to_owned(),
        ),
        (Some(ErrorCode::ReadOnly), Access::Read) if has_hot_journal(error) => (
            format!(
                "a run was killed while it wrote there, and {path}-journal cannot be rolled back in a read-only place"
            ),
            "copy both files to a folder that can be written, and read the copy".to_owned(),
        ),
        (Some(ErrorCode::ReadOnly), Access::Read) => (
            "it cannot be read in a read-only place".to_owned(),
            copy_with_log(&path),
        ),
        (Some(ErrorCode::ReadOnly), Access::Write) => (
            "it or its folder is read-only".to_owned(),
            "choose another place for it".to_owned(),
        ),
        (Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied), Access::Read) => (
            "it cannot be opened".to_owned(),
            format!(
                "check the permissions of the file and its folder; if it is in a read-only place, {}",
                copy_with_log(&path)
            ),
        ),
        (Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied), Access::Write) => (
            "it or its journal cannot be opened for writing".to_owned(),
            "check the permissions of the file and its folder, or choose another place for it"
                .to_owned(),
        ),
        (Some(ErrorCode::DiskFull), _) => {
            ("the disk is full".to_owned(), "free some space".to_owned())
        }
        (Some(ErrorCode::SystemIoFailure), _) => (
            "the system reports an I/O error".to_owned(),
            "check the disk and the limit of file sizes (`ulimit -f`)".to_owned(),
        ),
        (Some(ErrorCode::DatabaseCorrupt), _) => (
            format!("it is damaged ({error})"),
            format!(
                "restore it from a backup, or save what is left with `sqlite3 {word} .recover`"
            ),
        ),
        _ => (
            error.to_string(),
            format!("`sqlite3 {word} 'PRAGMA integrity_check'` shows whether it is damaged"),
        ),
    };
    (why, advice)
}

/// Whether a file in a read-only place has the journal of a killed run.
fn has_hot_journal(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    code == Some(ffi::SQLITE_READONLY_ROLLBACK)
}

/// What to do about a file that another program has switched to a write-ahead log: its readers write too.
fn copy_with_log(path: impl Display) -> String {
    format!(
        "copy it, and {path}-wal if there is one, to a folder that can be written, and read the copy"
    )
}
