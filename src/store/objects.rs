//! Answers in JSON into a table of the user: one row an object, found again by its key.
//!
//! The table may be in the file of the runs or in any other SQLite file. Its columns are declared without a
//! type, so that each value stays what it is: 1 and "1" are two keys.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension, Savepoint, Statement, Transaction,
    TransactionBehavior, params_from_iter,
};

use crate::store::error::{Access, StoreError};
use crate::store::json::{self, Row, shown};
use crate::store::schema::{self, Database};

/// What SQLite allows, unless it is built otherwise.
const MAX_COLUMNS: usize = 2000;

/// A table for objects. It is locked only within a call.
#[derive(Debug)]
pub struct Objects {
    database: Database,
    table: Table,
}

/// The names of a table and of its key, as the user wrote them.
#[derive(Debug)]
struct Table {
    name: String,
    key: String,
}

/// The columns of a table. The keys are their names in lower case, as SQLite compares them.
type Columns = HashMap<String, Column>;

#[derive(Debug, Clone)]
struct Column {
    name: String,
    /// Whether the table computes it.
    is_generated: bool,
}

/// Why an answer is not in the table.
enum Failure {
    /// The answer cannot be a part of this table.
    Answer(String),
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        use ErrorCode::{ConstraintViolation, TooBig, TypeMismatch, Unknown};
        match &error {
            // `Unknown` is what SQLite says of statements: columns that cannot be added or written, triggers.
            rusqlite::Error::SqliteFailure(cause, message)
                if matches!(
                    cause.code,
                    ConstraintViolation | TooBig | TypeMismatch | Unknown
                ) =>
            {
                let message = message.clone();
                Failure::Answer(message.unwrap_or_else(|| error.to_string()))
            }
            rusqlite::Error::SqlInputError { msg, .. } => Failure::Answer(msg.clone()),
            _ => Failure::Database(error),
        }
    }
}

/// How long one attempt waits for another program. Between two, a run looks for signals.
const ATTEMPT: Duration = Duration::from_secs(1);

impl Objects {
    /// Opens a table for writing. Creates the file and the table if they do not exist, the table with the
    /// column of the key alone. Fails if the table is one of the runs, or if its key is not unique.
    ///
    /// Waits a second for another program that locks the file, as [`Objects::insert_all`] does. The error then
    /// [says so](StoreError::is_locked), and the caller may try again.
    pub fn open(path: &Path, table: &str, key: &str) -> Result<Self, StoreError> {
        let table = Table {
            name: table.to_owned(),
            key: key.to_owned(),
        };
        table.check_names(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut database = Database::open(path, flags, Access::Write, ATTEMPT)?;
        let error = Access::Write.error(path);
        let transaction = begin(&mut database.connection).map_err(&error)?;
        schema::mark_new(&transaction).map_err(&error)?;
        table.create(&transaction, path)?;
        transaction.commit().map_err(&error)?;
        Ok(Objects { database, table })
    }

    /// Inserts the objects of all answers in one transaction. Each answer is an object or an array of
    /// objects in JSON. An object replaces the row with the same key as a whole; columns that the table lacks
    /// are added.
    ///
    /// Returns for each answer the number of its objects, or what is wrong with it, to follow a colon. Of
    /// such an answer, nothing is inserted. After an error of the database, none of these answers is in the
    /// table.
    pub fn insert_all<'a>(
        &mut self,
        answers: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Vec<Result<u64, String>>, StoreError> {
        let path: PathBuf = self.database.path.clone();
        let error = Access::Write.error(&path);
        let mut transaction = begin(&mut self.database.connection).map_err(&error)?;
        // Another program may have changed the table since the last call.
        let mut columns = self.table.create(&transaction, &path)?;
        let mut results = Vec::new();
        for answer in answers {
            let savepoint = transaction.savepoint().map_err(&error)?;
            let before = columns.len();
            results.push(match self.table.insert(&savepoint, &mut columns, answer) {
                Ok(rows) => {
                    savepoint.commit().map_err(&error)?;
                    Ok(rows)
                }
                Err(Failure::Answer(why)) => {
                    savepoint.finish().map_err(&error)?;
                    if columns.len() > before {
                        columns = self.table.columns(&transaction).map_err(&error)?;
                    }
                    Err(why)
                }
                Err(Failure::Database(cause)) => return Err(error(cause)),
            });
        }
        transaction.commit().map_err(&error)?;
        Ok(results)
    }
}

/// Immediate: a transaction that begins as a reader fails at once when it meets a writer.
fn begin(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

impl Table {
    /// Rejects the names that no table and no column of a user can have.
    fn check_names(&self, path: &Path) -> Result<(), StoreError> {
        let is_of_runs = schema::names()
            .iter()
            .any(|name| name.eq_ignore_ascii_case(&self.name));
        let start = self.name.get(..RESERVED.len()).unwrap_or_default();
        let why = if is_of_runs {
            "it is one of the runs"
        } else if start.eq_ignore_ascii_case(RESERVED) {
            "SQLite keeps names that begin with sqlite_ for itself"
        } else if self.name.is_empty() {
            "its name is empty"
        } else if self.name.contains('\0') || self.key.contains('\0') {
            "its name or that of the key has a NUL"
        } else {
            return Ok(());
        };
        Err(self.refused(path, why, "choose another table"))
    }

    fn refused(&self, path: &Path, why: &str, advice: &str) -> StoreError {
        let what = format!(
            "cannot write the table {} of {}: {why}",
            shown(&self.name),
            path.display()
        );
        StoreError::misuse(what, advice)
    }

    /// Creates the table if the file has none of this name, and checks its key. Returns its columns.
    fn create(&self, transaction: &Transaction, path: &Path) -> Result<Columns, StoreError> {
        let error = Access::Write.error(path);
        let select =
            "SELECT type FROM sqlite_schema WHERE name = ? COLLATE NOCASE AND type <> 'trigger'";
        let kind = transaction.query_row(select, [&self.name], |row| row.get::<_, String>(0));
        match kind.optional().map_err(&error)?.as_deref() {
            Some("table") => {}
            Some(kind) => {
                let why = format!(
                    "there is {} of this name",
                    if kind == "view" { "a view" } else { "an index" }
                );
                return Err(self.refused(path, &why, "choose another table"));
            }
            None => {
                let (table, key) = (quoted(&self.name), quoted(&self.key));
                // To a table with row numbers, no columns named `oid` or `rowid` can be added.
                let create = format!("CREATE TABLE {table} ({key} PRIMARY KEY) WITHOUT ROWID");
                transaction.execute_batch(&create).map_err(&error)?;
            }
        }
        let columns = self.columns(transaction).map_err(&error)?;
        let key = shown(&self.key);
        let advice = "choose another table, or the name of its key";
        if !columns.contains_key(&self.key.to_ascii_lowercase()) {
            return Err(self.refused(path, &format!("it has no column {key}"), advice));
        }
        let upsert = self.upsert(&[&self.key], &Columns::new());
        match transaction.prepare(&upsert) {
            Err(cause) if cause.sqlite_error_code() == Some(ErrorCode::Unknown) => {
                let why = format!("it has no primary key or unique index of {key} alone");
                Err(self.refused(path, &why, advice))
            }
            Err(cause) => Err(error(cause)),
            Ok(_) => Ok(columns),
        }
    }

    fn columns(&self, connection: &Connection) -> rusqlite::Result<Columns> {
        let mut select = connection.prepare("SELECT name, hidden FROM pragma_table_xinfo(?)")?;
        let columns = select.query_map([&self.name], |row| {
            let name: String = row.get(0)?;
            let is_generated = row.get::<_, i64>(1)? != 0;
            Ok((name.to_ascii_lowercase(), Column { name, is_generated }))
        })?;
        columns.collect()
    }

    /// Inserts the objects of an answer. Returns their number.
    fn insert(
        &self,
        savepoint: &Savepoint,
        columns: &mut Columns,
        answer: &[u8],
    ) -> Result<u64, Failure> {
        let rows = json::rows(answer, &self.key).map_err(Failure::Answer)?;
        // The objects of one answer mostly have the same names.
        let mut prepared: Option<(String, Statement)> = None;
        for row in &rows {
            self.add_columns(savepoint, columns, row)?;
            let names: Vec<&str> = row.columns.iter().map(|(name, _)| &**name).collect();
            let upsert = self.upsert(&names, columns);
            let (_, statement) = match prepared.take().filter(|(sql, _)| *sql == upsert) {
                Some(same) => prepared.insert(same),
                None => {
                    let statement = savepoint.prepare(&upsert)?;
                    prepared.insert((upsert, statement))
                }
            };
            statement.execute(params_from_iter(row.columns.iter().map(|(_, value)| value)))?;
        }
        Ok(rows.len() as u64)
    }

    fn add_columns(
        &self,
        savepoint: &Savepoint,
        columns: &mut Columns,
        row: &Row,
    ) -> Result<(), Failure> {
        for (name, _) in &row.columns {
            let folded = name.to_ascii_lowercase();
            if columns.contains_key(&folded) {
                continue;
            }
            if columns.len() >= MAX_COLUMNS {
                return Err(Failure::Answer(format!(
                    "there is no room for the column {}: the table has 2,000, and SQLite allows no more",
                    shown(name)
                )));
            }
            let add = format!(
                "ALTER TABLE {} ADD COLUMN {}",
                quoted(&self.name),
                quoted(name)
            );
            savepoint.execute_batch(&add)?;
            let column = Column {
                name: name.clone(),
                is_generated: false,
            };
            columns.insert(folded, column);
        }
        Ok(())
    }

    /// The statement that inserts a row with these columns, or replaces that with the same key. Columns
    /// without a value get their default.
    ///
    /// Not `INSERT OR REPLACE`: that would also delete rows with which another unique index has a conflict.
    fn upsert(&self, names: &[&str], columns: &Columns) -> String {
        let list = names
            .iter()
            .map(|name| quoted(name))
            .collect::<Vec<_>>()
            .join(", ");
        let values = vec!["?"; names.len()].join(", ");
        let (table, key) = (quoted(&self.name), quoted(&self.key));
        let mut updates: Vec<String> = columns
            .values()
            .filter(|column| !column.is_generated && !column.name.eq_ignore_ascii_case(&self.key))
            .map(|column| quoted(&column.name))
            .map(|name| format!("{name} = excluded.{name}"))
            .collect();
        // The same text for the same columns, so that the statement is prepared once.
        updates.sort_unstable();
        let action = match &updates[..] {
            [] => "NOTHING".to_owned(),
            _ => format!("UPDATE SET {}", updates.join(", ")),
        };
        format!("INSERT INTO {table} ({list}) VALUES ({values}) ON CONFLICT ({key}) DO {action}")
    }
}

const RESERVED: &str = "sqlite_";

/// A name in SQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
