//! Readers of a database, `diff` and `history`: files that they cannot read, writers at the same time, and
//! streams that are closed or full.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use indexrank::store::schema::Database;
use rusqlite::Connection;
use serde_json::Value;

use crate::diff::{diff, two_runs};
use crate::store::exits;
use crate::stored_runs::Appended;
use crate::support::{contents, files, indexrank};
use crate::unusable_databases::{
    is_log, leave_hot_journal, unusable, usable_names, with_one_run, with_read_only,
};

/// Each file stays as it is, and none is created.
#[test]
fn refuses_an_unusable_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = unusable(folder.path());
    fs::write(folder.path().join("empty"), "").unwrap();
    all.extend([
        ("empty", "empty has no run; `indexrank --db empty` adds one"),
        (
            "missing.sqlite",
            "there is no file missing.sqlite; `indexrank --db missing.sqlite` creates it with its first run",
        ),
        ("missing/market.sqlite", "there is no file missing/market.sqlite"),
    ]);
    let before = contents(folder.path());
    let names = usable_names(folder.path());
    for (name, message) in all {
        for arguments in [&["diff"][..], &["history", "MMM"]] {
            let ran = indexrank(folder.path(), &[arguments, &["--db", name]].concat());
            assert_eq!(ran.code, 2, "{name}: {}", ran.stderr);
            assert_eq!(ran.stdout, "");
            assert!(ran.stderr.contains(message), "{name}: {}", ran.stderr);
            assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        }
    }
    let mut after = contents(folder.path());
    after.retain(|path, _| !is_log(path));
    assert!(after == before, "a file has changed");
    assert_eq!(usable_names(folder.path()), names);
}

#[test]
fn names_a_value_that_no_run_writes() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("market.sqlite");
    Appended::default().to(&database);
    Appended::default().to(&database);
    let connection = Connection::open(&database).unwrap();
    connection
        .execute_batch("UPDATE quotes SET price = 'much' WHERE code = 'A'")
        .unwrap();
    let ran = diff(folder.path(), &[]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    for words in [
        "cannot read market.sqlite: it has a value that no run writes (price: ",
        "restore it from a backup",
    ] {
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
}

#[test]
fn reads_in_a_read_only_place_and_rolls_back_a_killed_run() {
    let folder = tempfile::tempdir().unwrap();
    with_one_run(folder.path());
    with_one_run(folder.path());
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("ro")).unwrap();
    fs::copy(at("market.sqlite"), at("ro/market.sqlite")).unwrap();
    let script =
        "indexrank diff --db ro/market.sqlite && indexrank history MMM --db ro/market.sqlite";
    let ran = with_read_only(folder.path(), "ro", script);
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    assert!(
        ran.stdout.contains("no price or P/E ratio has changed"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("MMM, 3M Co., in USD"), "{}", ran.stdout);

    leave_hot_journal(&at("ro/market.sqlite"));
    let ran = with_read_only(folder.path(), "ro", script);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    let message = "cannot read ro/market.sqlite: a run was killed while it wrote there, and ro/market.sqlite-journal cannot be rolled back in a read-only place; copy both files to a folder that can be written, and read the copy";
    assert!(ran.stderr.contains(message), "{}", ran.stderr);
    assert_eq!(files(&at("ro")), ["market.sqlite", "market.sqlite-journal"]);

    let ran = indexrank(folder.path(), &["diff", "--db", "ro/market.sqlite"]);
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    assert_eq!(files(&at("ro")), ["market.sqlite"]);
    assert_eq!(exits(&at("ro/market.sqlite")), [0, 0]);
}

/// The readers of a write-ahead log write to a file beside the database.
#[test]
fn names_a_write_ahead_log_in_a_read_only_place() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("ro")).unwrap();
    Appended::default().to(&at("ro/market.sqlite"));
    let other = Connection::open(at("ro/market.sqlite")).unwrap();
    let mode = other.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
    assert_eq!(mode, Ok("wal".to_owned()));
    drop(other);
    let script = "indexrank diff --db ro/market.sqlite";
    let ran = with_read_only(folder.path(), "ro", script);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(!ran.stderr.contains("killed"), "{}", ran.stderr);
    let advice = "copy it, and ro/market.sqlite-wal if there is one, to a folder that can be written, and read the copy";
    assert!(ran.stderr.contains(advice), "{}", ran.stderr);
}

/// A run has begun to append itself. Readers see the runs before it, at once.
#[test]
fn reads_while_a_run_writes() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("market.sqlite");
    Appended::default().to(&database);
    Appended::default().to(&database);
    let writer = Connection::open(&database).unwrap();
    writer
        .execute_batch(
            "BEGIN IMMEDIATE;
             INSERT INTO runs (started, index_name, source, version, exit) VALUES ('2022-02-09T06:00:00.000Z', 's&p_500', '', '', 0);
             INSERT INTO quotes (run, code, name, path, currency) VALUES (3, 'A', '', '', 'USD')",
        )
        .unwrap();
    let ran = diff(folder.path(), &["--json"]);
    let changes: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(changes["after"]["run"], 2, "{}", ran.stderr);
}

/// Between two statements of a reader, no run can append itself.
#[test]
fn a_reader_sees_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("market.sqlite");
    Appended::default().to(&path);
    let writer = Connection::open(&path).unwrap();
    writer.busy_timeout(Duration::ZERO).unwrap();
    let reader = Database::open_for_reading(&path).unwrap();
    assert_eq!(reader.runs().unwrap().len(), 1);
    assert!(writer.execute_batch("DELETE FROM runs").is_err());
    assert_eq!(reader.quotes(1).unwrap().len(), 2);
    drop(reader);
    writer.execute_batch("DELETE FROM runs").unwrap();
}

/// The output is larger than a pipe, so the program waits for its reader.
#[test]
fn a_pager_does_not_keep_the_file_locked() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("market.sqlite");
    for _ in 0..400 {
        Appended::default().to(&database);
    }
    let mut history = crate::support::command(
        folder.path(),
        &["history", "A", "--db", "market.sqlite", "--json"],
    );
    let mut child = history.stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert!(
        child.try_wait().unwrap().is_none(),
        "the output fits into the pipe"
    );
    let other = Connection::open(&database).unwrap();
    other.busy_timeout(Duration::ZERO).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE; ROLLBACK").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let history: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(history["runs"].as_array().unwrap().len(), 400);
}

#[test]
fn a_closed_pipe_is_no_error_and_a_full_stdout_is() {
    let folder = tempfile::tempdir().unwrap();
    two_runs(folder.path());
    let binary = env!("CARGO_BIN_EXE_indexrank");
    for (command, code) in [
        ("diff --exit-code", 10),
        ("diff --json", 0),
        ("history A", 0),
        ("history A --csv", 0),
    ] {
        for (end, expected) in [
            ("| true; echo ${PIPESTATUS[0]}", code),
            ("> /dev/full; echo $?", 7),
        ] {
            let script = format!("{binary} {command} --db market.sqlite {end}");
            let output = Command::new("bash")
                .args(["-c", &script])
                .current_dir(folder.path())
                .output()
                .unwrap();
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(
                output.stdout,
                format!("{expected}\n").as_bytes(),
                "{script}: {stderr}"
            );
            assert_eq!(
                stderr.contains("cannot write to stdout"),
                expected == 7,
                "{stderr}"
            );
        }
    }
}
