//! Databases that tests make: one with a run, others that no command can use, and one of a killed run.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use rusqlite::Connection;

use crate::support::{Ran, files, indexrank};

/// Makes a database of this program with one run.
pub fn with_one_run(folder: &Path) {
    let run = ["--from", "replica", "-q", "--db", "market.sqlite"];
    let ran = indexrank(folder, &run);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

/// Files that are no database of this version, each with the sentence about it.
pub fn unusable(folder: &Path) -> Vec<(&'static str, &'static str)> {
    let at = |name: &str| folder.join(name);
    with_one_run(folder);
    fs::write(at("notes.txt"), "Buy low, sell high.\n").unwrap();
    fs::write(at("short"), "SQLite format 3").unwrap();
    let other = Connection::open(at("other.sqlite")).unwrap();
    other.execute_batch("CREATE TABLE t (a)").unwrap();
    let versioned = Connection::open(at("versioned.sqlite")).unwrap();
    versioned.execute_batch("PRAGMA user_version = 1").unwrap();
    let logged = Connection::open(at("logged.sqlite")).unwrap();
    let log = "PRAGMA journal_mode = WAL; CREATE TABLE t (a); PRAGMA application_id = 7";
    logged.execute_batch(log).unwrap();
    fs::copy(at("market.sqlite"), at("later.sqlite")).unwrap();
    let later = Connection::open(at("later.sqlite")).unwrap();
    later.execute_batch("PRAGMA user_version = 7").unwrap();
    let whole = fs::read(at("market.sqlite")).unwrap();
    fs::write(at("cut.sqlite"), &whole[..whole.len() / 2]).unwrap();
    fs::write(at("head.sqlite"), &whole[..100]).unwrap();
    symlink(at("nothing"), at("dangling")).unwrap();
    let pipe = Command::new("mkfifo").arg(at("pipe")).status().unwrap();
    assert!(pipe.success());
    fs::create_dir(at("folder")).unwrap();
    vec![
        ("notes.txt", "it is no SQLite database; choose another file"),
        ("short", "it is no SQLite database"),
        (
            "other.sqlite",
            "it is a database of another program; choose",
        ),
        ("versioned.sqlite", "it is a database of another program"),
        ("logged.sqlite", "it is a database of another program"),
        (
            "later.sqlite",
            "cannot use later.sqlite: a later version of indexrank has written it (schema 7, this one knows up to 1); update indexrank",
        ),
        (
            "dangling",
            "it is a link to nothing; choose the name of a plain file",
        ),
        ("pipe", "it is a device or a pipe"),
        ("folder", "it is a folder"),
        (
            "cut.sqlite",
            "it is damaged (database disk image is malformed); restore it from a backup, or save what is left with `sqlite3 cut.sqlite .recover`",
        ),
        ("head.sqlite", "head.sqlite: it is"),
    ]
}

/// Whether this is a file of the write-ahead log of another program's database, which SQLite creates to
/// read that.
pub fn is_log(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("logged.sqlite-")
}

/// The names in a folder, also of pipes and links, without that log.
pub fn usable_names(folder: &Path) -> Vec<String> {
    let mut names = files(folder);
    names.retain(|name| !is_log(Path::new(name)));
    names
}

/// `unshare` gives the program a file system of its own, in which the folder is read-only also for root.
pub fn with_read_only(folder: &Path, read_only: &str, script: &str) -> Ran {
    let binary = env!("CARGO_BIN_EXE_indexrank");
    let script = format!(
        "mount --bind {read_only} {read_only} && mount -o remount,ro,bind {read_only} && {}",
        script.replace("indexrank", binary)
    );
    let output = Command::new("unshare")
        .args(["--mount", "--map-root-user", "bash", "-c", &script])
        .current_dir(folder)
        .output()
        .unwrap();
    output.into()
}

/// Leaves a database as a program does that is killed within a transaction: half of it changed, and the
/// journal beside it.
pub fn leave_hot_journal(database: &Path) {
    let copy = database.with_extension("copy");
    let connection = Connection::open(database).unwrap();
    // With a cache of one page, the changes go to the file before the transaction ends.
    let change =
        "PRAGMA cache_size = 1; BEGIN; UPDATE quotes SET name = ''; UPDATE places SET code = code";
    connection.execute_batch(change).unwrap();
    let journal = database.with_file_name("market.sqlite-journal");
    let kept = fs::read(&journal).unwrap();
    assert!(kept.len() > 10_000, "{}", kept.len());
    fs::copy(database, &copy).unwrap();
    connection.execute_batch("ROLLBACK").unwrap();
    drop(connection);
    fs::rename(copy, database).unwrap();
    fs::write(journal, kept).unwrap();
}
