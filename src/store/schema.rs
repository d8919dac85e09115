//! The file: how it is opened, what it contains, and how an older one gets the present schema.
//!
//! A file is recognised by its `application_id`, its version is its `user_version`. A file of another
//! program or of a later version is never changed.
//!
//! The file keeps SQLite's rollback journal, because of what a reader may find: one file that can be
//! copied, mailed, and read in a read-only folder. A write-ahead log would keep readers and writers out of
//! each other's way, but needs two more files that a reader must be able to write, and takes the last runs
//! with it if only the file is copied. Here a run writes for some 3 ms a day (`cargo bench --bench store`), and nobody reads for long:
//! `diff` and `history` close the file before they print. A file that another program has switched to a
//! write-ahead log stays so.
//!
//! After `kill -9` within a transaction, the journal beside the file has the pages of before, and the next
//! opening puts them back. The journal, the file and the folder are synced before a run counts as
//! appended.

use std::path::{Path, PathBuf, absolute};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::store::error::{Access, StoreError, run_command};

/// `application_id` of the files of this program, in bytes `idxr`. `file` and `sqlite3 .dbinfo` print it.
const APPLICATION_ID: i32 = 0x6964_7872;

/// The scripts that create the present schema, in their order. The number of scripts that a file has seen
/// is its version.
const SCRIPTS: &[&str] = &[VERSION_1];

/// Version 1: all tables and views, with the unit of each column.
///
/// No index besides the primary keys: `diff` and `history` look up companies of known runs. One on the
/// code alone would touch 500 pages for each run of 500 companies.
///
/// ```sql
#[doc = include_str!("schema_1.sql")]
/// ```
const VERSION_1: &str = include_str!("schema_1.sql");

/// How long a statement waits for another program that has the file locked. A run holds the lock for some
/// 3 ms, longer where the disk is slow to sync.
pub const WAIT: Duration = Duration::from_secs(30);

/// An open database.
#[derive(Debug)]
pub struct Database {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
}

impl Database {
    /// Opens the database of a run for writing. Creates the file if it does not exist, gives it the
    /// present schema, and tries to write. It is not locked afterwards.
    ///
    /// Waits up to `wait` for other programs.
    pub fn open_for_run(path: &Path, wait: Duration) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut database = Self::open(path, flags, Access::Write, wait)?;
        let version = database
            .migrate(SCRIPTS)
            .map_err(Access::Write.error(path))?;
        match version {
            Version::Known => Ok(database),
            Version::Later(version) => Err(later_version(path, version)),
            Version::None => Err(StoreError::misuse(
                format!(
                    "cannot write {}: it is a database of another program",
                    path.display()
                ),
                "choose another file",
            )),
        }
    }

    /// Opens an existing database for reading. All that is read from it is of one moment. No program can
    /// write to it until it is dropped, unless one has switched the file to a write-ahead log.
    pub fn open_for_reading(path: &Path) -> Result<Self, StoreError> {
        let shown = path.display();
        if path.symlink_metadata().is_err() {
            let what = format!("there is no file {shown}");
            let advice = format!(
                "`{}` creates it with its first run",
                run_command(path, None)
            );
            return Err(StoreError::misuse(what, advice));
        }
        // Not read-only: only a writer can roll back the journal of a killed run. In a read-only place, SQLite
        // opens the file for reading all the same.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let database = Self::open(path, flags, Access::Read, WAIT)?;
        let error = Access::Read.error(path);
        database.connection.execute_batch("BEGIN").map_err(&error)?;
        let header = Header::of(&database.connection).map_err(error)?;
        let latest = SCRIPTS.len() as i32;
        match header {
            _ if header.has_no_runs() => Err(StoreError::misuse(
                format!("{shown} has no run"),
                format!("`{}` adds one", run_command(path, None)),
            )),
            _ if header.application_id != APPLICATION_ID => Err(StoreError::misuse(
                format!("cannot read {shown}: it is a database of another program"),
                "choose the file of --db",
            )),
            _ if header.version > latest => Err(later_version(path, header.version)),
            _ if header.version < latest => Err(StoreError::misuse(
                format!(
                    "cannot read {shown}: an earlier version of indexrank has written it (schema {}, not {latest})",
                    header.version
                ),
                format!(
                    "the next `{}` brings it up to date",
                    run_command(path, None)
                ),
            )),
            _ => Ok(database),
        }
    }

    /// Opens a file without looking into it.
    pub(super) fn open(
        path: &Path,
        flags: OpenFlags,
        access: Access,
        wait: Duration,
    ) -> Result<Self, StoreError> {
        match (path.metadata(), path.symlink_metadata()) {
            (Ok(existing), _) if existing.is_dir() => return Err(access.no_file(path, "a folder")),
            (Ok(existing), _) if !existing.is_file() => {
                return Err(access.no_file(path, "a device or a pipe"));
            }
            (Err(_), Ok(_)) => return Err(access.no_file(path, "a link to nothing")),
            _ => {}
        }
        // SQLite takes `:memory:` and `file:` at the beginning of a name for something else.
        let name = absolute(path).unwrap_or_else(|_| path.to_owned());
        let open = || {
            let connection =
                Connection::open_with_flags(name, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
            connection.busy_timeout(wait)?;
            // EXTRA also syncs the folder after the journal is removed: without it, a power failure could
            // bring the journal back, and take the run out again.
            connection.pragma_update(None, "synchronous", "EXTRA")?;
            Ok(connection)
        };
        Ok(Database {
            connection: open().map_err(access.error(path))?,
            path: path.to_owned(),
        })
    }

    /// Gives the file the schema of these scripts. It changes nothing unless the version is known.
    ///
    /// Each call writes, and takes it back if the schema is there already: in a read-only folder, SQLite
    /// fails only when it needs the journal.
    fn migrate(&mut self, scripts: &[&str]) -> rusqlite::Result<Version> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let header = Header::of(&transaction)?;
        let latest = scripts.len() as i32;
        if !header.is_new() && header.application_id != APPLICATION_ID {
            return Ok(Version::None);
        }
        if header.version > latest {
            return Ok(Version::Later(header.version));
        }
        for script in scripts.iter().skip(header.version.max(0) as usize) {
            transaction.execute_batch(script)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", latest)?;
        if header.version == latest {
            transaction.rollback()?;
        } else {
            transaction.commit()?;
        }
        Ok(Version::Known)
    }
}

/// What is known of the version of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    /// The file has the schema.
    Known,
    /// A later version of this program has written it.
    Later(i32),
    /// Another program has written it.
    None,
}

/// What a file says of itself.
#[derive(Debug, Clone, Copy)]
struct Header {
    application_id: i32,
    version: i32,
    /// Tables, indices and views.
    objects: i64,
}

impl Header {
    fn of(connection: &Connection) -> rusqlite::Result<Self> {
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get(0));
        Ok(Header {
            application_id: pragma("application_id")?,
            version: pragma("user_version")?,
            objects: connection
                .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?,
        })
    }

    /// Whether nothing has been written yet: the file has just been created, or is empty.
    fn is_new(self) -> bool {
        (self.application_id, self.version, self.objects) == (0, 0, 0)
    }

    /// Whether no run has been written yet: the file is new, or this program has created it for other tables.
    fn has_no_runs(self) -> bool {
        self.is_new() || (self.application_id, self.version) == (APPLICATION_ID, 0)
    }
}

/// Makes a new file one of this program, so that runs may be appended to it later. Changes no other file.
pub(super) fn mark_new(transaction: &Transaction) -> rusqlite::Result<()> {
    if Header::of(transaction)?.is_new() {
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    }
    Ok(())
}

/// The names of the tables and views of the runs.
pub(super) fn names() -> Vec<String> {
    let names = || {
        let connection = Connection::open_in_memory()?;
        for script in SCRIPTS {
            connection.execute_batch(script)?;
        }
        let mut select = connection.prepare("SELECT name FROM sqlite_schema")?;
        select.query_map([], |row| row.get(0))?.collect()
    };
    let names: rusqlite::Result<Vec<String>> = names();
    names.expect("the scripts create the schema")
}

fn later_version(path: &Path, version: i32) -> StoreError {
    StoreError::misuse(
        format!(
            "cannot use {}: a later version of indexrank has written it (schema {version}, this one knows up to {})",
            path.display(),
            SCRIPTS.len()
        ),
        "update indexrank, or choose another file",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of version 1 with a run keeps it when it becomes version 2, and is then too new for this
    /// version.
    #[test]
    fn migrates_an_older_file_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("market.sqlite");
        let mut database = Database::open_for_run(&path, WAIT).unwrap();
        database
            .connection
            .execute_batch("INSERT INTO runs (started, index_name, source, version, exit, error) VALUES ('', '', '', '', 4, 'why')")
            .unwrap();
        let broken = [
            VERSION_1,
            "ALTER TABLE runs ADD COLUMN host TEXT; SELECT no_column",
        ];
        assert!(database.migrate(&broken).is_err());
        let scripts = [VERSION_1, "ALTER TABLE runs ADD COLUMN host TEXT"];
        for _ in 0..2 {
            assert_eq!(database.migrate(&scripts).unwrap(), Version::Known);
        }
        let (error, host): (String, Option<String>) = database
            .connection
            .query_row("SELECT error, host FROM runs", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!((&*error, host), ("why", None));
        let error = Database::open_for_run(&path, WAIT).unwrap_err();
        assert!(
            error.what.contains("schema 2, this one knows up to 1"),
            "{error}"
        );
    }
}
