//! Databases that cannot be used or written, several runs at once, full disks. `.ci/store_faults.py` kills
//! a run at each system call of its append.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use indexrank::store::schema::Database;
use nix::sys::signal::Signal;
use rusqlite::Connection;

use crate::interrupted::{ended, slow_market, start};
use crate::store::{cell, exits, query};
use crate::support::{
    MARKET, RANKINGS, Ran, assert_expected_rankings, contents, files, indexrank, json, signal,
};
use crate::unusable_databases::{
    is_log, leave_hot_journal, unusable, usable_names, with_one_run, with_read_only,
};

/// No server listens on port 1: a request would end the run with code 4.
#[test]
fn refuses_an_unusable_file_before_the_first_request_and_leaves_it() {
    let folder = tempfile::tempdir().unwrap();
    let unusable = unusable(folder.path());
    let is_rankings = |path: &Path| path.starts_with(folder.path().join("rankings"));
    let mut before = contents(folder.path());
    before.retain(|path, _| !is_rankings(path));
    let names = usable_names(folder.path());
    for (name, message) in unusable {
        let run = ["--from", "http://127.0.0.1:1", "--db", name];
        let ran = indexrank(folder.path(), &run);
        let code = if name == "cut.sqlite" { 7 } else { 2 };
        let is_either = name == "head.sqlite" && [2, 7].contains(&ran.code);
        assert!(ran.code == code || is_either, "{name}: {}", ran.stderr);
        assert!(ran.stderr.contains(message), "{name}: {}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    }
    let mut after = contents(folder.path());
    after.retain(|path, _| !is_rankings(path) && !is_log(path));
    assert!(after == before, "a file has changed");
    assert_eq!(usable_names(folder.path()), names);
    assert_eq!(exits(&folder.path().join("market.sqlite")), [0]);
}

#[test]
fn an_empty_file_becomes_a_database_and_a_link_leads_to_one() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("empty"), "").unwrap();
    symlink("empty", folder.path().join("link")).unwrap();
    for name in ["empty", "link"] {
        let run = ["--from", "replica", "-q", "--db", name];
        assert_eq!(indexrank(folder.path(), &run).code, 0);
    }
    assert_eq!(exits(&folder.path().join("empty")), [0, 0]);
    assert_eq!(files(folder.path()), ["empty", "link", "rankings"]);
}

#[test]
fn refuses_a_database_that_is_another_output_or_the_source() {
    let folder = tempfile::tempdir().unwrap();
    with_one_run(folder.path());
    let at = |name: &str| folder.path().join(name);
    fs::hard_link(at("market.sqlite"), at("hard.csv")).unwrap();
    symlink("market.sqlite", at("link")).unwrap();
    let before = contents(folder.path());
    for arguments in [
        &["--db", "rankings/pe.json"][..],
        &["--db", "rankings/.pe.json.indexrank"],
        &["--db", "market.sqlite", "--log", "./market.sqlite"],
        &["--db", "market.sqlite", "--table", "hard.csv"],
        &["--db", "new.csv", "--table", "./new.csv"],
        &["--db", "a.warc", "--record", "a.warc"],
        &["--db", "link", "--trace", "market.sqlite-journal"],
        &["--db", "market.sqlite", "--trace", "market.sqlite-wal"],
        &["--db", "rankings/unfinished.warc"],
        &["--db", "rankings/unfinished-commit.json"],
        &["--db", "rankings"],
    ] {
        let ran = indexrank(
            folder.path(),
            &[&["--from", "http://127.0.0.1:1"], arguments].concat(),
        );
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("is used twice"), "{}", ran.stderr);
    }
    assert_eq!(contents(folder.path()), before);
}

#[test]
fn refuses_a_read_only_place_before_the_first_request() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("ro")).unwrap();
    let old = folder.path().join("ro/old.sqlite");
    with_one_run(folder.path());
    fs::copy(folder.path().join("market.sqlite"), &old).unwrap();
    for (name, message) in [
        (
            "ro/old.sqlite",
            "it or its folder is read-only; choose another place for it",
        ),
        (
            "ro/new.sqlite",
            "it or its journal cannot be opened for writing; check the permissions",
        ),
    ] {
        let script = format!("indexrank --from http://127.0.0.1:1 --db {name}");
        let ran = with_read_only(folder.path(), "ro", &script);
        assert_eq!(ran.code, 7, "{}", ran.stderr);
        assert!(ran.stderr.contains(message), "{}", ran.stderr);
    }
    assert_eq!(exits(&old), [0]);
    assert_eq!(files(&folder.path().join("ro")), ["old.sqlite"]);
}

#[test]
fn eight_runs_at_once_append_eight_runs() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("market.sqlite");
    let address = MARKET.address();
    for round in 1..=2 {
        let runs: Vec<_> = (0..8)
            .map(|number| {
                let out = format!("out-{number}");
                let run = [
                    "--from",
                    &*address,
                    "-q",
                    "--db",
                    "market.sqlite",
                    "--out",
                    &*out,
                ];
                start(folder.path(), &run)
            })
            .collect();
        for run in runs {
            let (_, ran) = ended(run);
            assert_eq!(ran.code, 0, "{}", ran.stderr);
        }
        assert_eq!(exits(&database), vec![0; 8 * round]);
    }
    assert_eq!(cell(&database, "SELECT count(*) FROM quotes"), "7936");
    assert_eq!(cell(&database, "SELECT count(*) FROM places"), "640");
}

/// While pages are fetched, another program can lock the file for itself.
#[test]
fn does_not_lock_the_file_while_pages_are_fetched() {
    let server = slow_market(100);
    let address = server.address();
    let folder = tempfile::tempdir().unwrap();
    with_one_run(folder.path());
    let run = ["--from", &*address, "-q", "--db", "market.sqlite"];
    let report = folder.path().join("rankings/run.json");
    let before = fs::read(&report).unwrap();
    let mut child = start(folder.path(), &run);
    while !folder.path().join("rankings/unfinished.warc").exists() {
        thread::yield_now();
    }
    let other = Connection::open(folder.path().join("market.sqlite")).unwrap();
    other.busy_timeout(Duration::ZERO).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    // The run writes its report, the last of its files, and waits for longer than one attempt.
    while fs::read(&report).is_ok_and(|report| report == before) {
        assert!(child.try_wait().unwrap().is_none(), "the run has ended");
        thread::sleep(Duration::from_millis(10));
    }
    thread::sleep(Duration::from_secs(2));
    assert!(
        child.try_wait().unwrap().is_none(),
        "the run has not waited"
    );
    other.execute_batch("ROLLBACK").unwrap();
    let (_, ran) = ended(child);
    let waits = "indexrank: another program keeps market.sqlite locked; waiting for up to 30 s\n";
    assert_eq!((ran.code, &*ran.stderr), (0, waits));
    assert_eq!(exits(&folder.path().join("market.sqlite")), [0, 0]);
}

#[test]
fn names_a_lock_that_is_not_released() {
    let folder = tempfile::tempdir().unwrap();
    with_one_run(folder.path());
    let path = folder.path().join("market.sqlite");
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = Database::open_for_run(&path, Duration::from_millis(50)).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot write {}: another program keeps it locked; end that program, or try again later",
            path.display()
        )
    );

    // A run that a signal ends waits 2 s, not 30.
    other.execute_batch("ROLLBACK").unwrap();
    let server = slow_market(200);
    let address = server.address();
    let run = ["--from", &*address, "-q", "--db", "market.sqlite"];
    let child = start(folder.path(), &run);
    thread::sleep(Duration::from_millis(500));
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    signal(&child, Signal::SIGTERM);
    let started = Instant::now();
    let (_, ran) = ended(child);
    let took = started.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(ran.code, 143, "{}", ran.stderr);
    let message = "terminated; no result was changed";
    assert!(ran.stderr.contains(message), "{}", ran.stderr);
    let message = "cannot write market.sqlite: another program keeps it locked";
    assert!(ran.stderr.contains(message), "{}", ran.stderr);
    let message = "keeps market.sqlite locked; waiting for up to 2 s";
    assert!(ran.stderr.contains(message), "{}", ran.stderr);

    // A signal ends the wait before the first request.
    let child = start(folder.path(), &run);
    thread::sleep(Duration::from_millis(500));
    signal(&child, Signal::SIGINT);
    let started = Instant::now();
    let (_, ran) = ended(child);
    let took = started.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(ran.code, 7, "{}", ran.stderr);
    let message = "cannot write market.sqlite: another program keeps it locked";
    assert!(ran.stderr.contains(message), "{}", ran.stderr);
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(exits(&path), [0]);
}

/// A file cannot grow beyond `ulimit -f`, so the second run does not fit into the database.
#[test]
fn files_stay_if_the_run_does_not_fit_into_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("market.sqlite");
    let recorded = [
        "--from",
        "replica",
        "-q",
        "--db",
        "market.sqlite",
        "--record",
        "run.warc",
    ];
    assert_eq!(indexrank(folder.path(), &recorded).code, 0);
    let binary = env!("CARGO_BIN_EXE_indexrank");
    let limited = |kilobytes: u32, options: &str| {
        let script = format!("ulimit -f {kilobytes}; exec {binary} --db market.sqlite {options}");
        let output = Command::new("bash")
            .args(["-c", &script])
            .current_dir(folder.path())
            .output()
            .unwrap();
        Ran::from(output)
    };
    let message = "cannot write market.sqlite: the system reports an I/O error; check the disk and the limit of file sizes (`ulimit -f`), then run the command again; the files in rankings are written, but the database may lack this run";
    for options in ["", "--json", "--table -", "-q"] {
        for name in RANKINGS {
            fs::write(folder.path().join("rankings").join(name), "old").unwrap();
        }
        let ran = limited(100, &format!("--from run.warc {options}"));
        assert_eq!(ran.code, 7, "{}", ran.stderr);
        assert!(
            ran.stderr.ends_with(&format!("{message}\n")),
            "{}",
            ran.stderr
        );
        assert_expected_rankings(&folder.path().join("rankings"));
        let report = json(&folder.path().join("rankings/run.json"));
        assert_eq!(report["not_written"], serde_json::Value::Null);
        assert!(!folder.path().join("rankings/failed-run.json").exists());
        match options {
            "" => assert!(ran.stdout.contains("files in rankings"), "{}", ran.stdout),
            "--json" => assert_eq!(
                ran.stdout,
                fs::read_to_string(folder.path().join("rankings/run.json")).unwrap()
            ),
            "--table -" => assert_eq!(ran.stdout.lines().count(), 497),
            _ => assert_eq!(ran.stdout, ""),
        }
        assert_eq!(exits(&database), [0]);
    }

    // The pages of a site are kept, so that the run need not ask for them again.
    let address = MARKET.address();
    let ran = limited(100, &format!("--from {address} -q"));
    assert_eq!(ran.code, 7, "{}", ran.stderr);
    let message = "then run the command again with --resume; the files in rankings are written, but the database may lack this run, ";
    assert!(ran.stderr.contains(message), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("pages kept in rankings/unfinished.warc")
    );
    assert!(ran.stderr.contains("to resume: "), "{}", ran.stderr);
    let again = [
        "--from",
        &*address,
        "-q",
        "--db",
        "market.sqlite",
        "--resume",
    ];
    assert_eq!(indexrank(folder.path(), &again).code, 0);
    let report = json(&folder.path().join("rankings/run.json"));
    assert!(report["resumed"].as_u64().unwrap() > 0, "{report}");
    assert_eq!(exits(&database), [0, 0]);

    // The pages of a recording are in it.
    let ran = limited(
        40_000,
        &format!("--from {address} -q --record again.warc --in USD"),
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    fs::remove_file(folder.path().join("again.warc")).unwrap();
    let big = Connection::open(&database).unwrap();
    // No other limit lets the recording pass, and not the database.
    big.execute_batch("CREATE TABLE big (x); INSERT INTO big VALUES (zeroblob(40900000))")
        .unwrap();
    drop(big);
    let ran = limited(40_000, &format!("--from {address} -q --record again.warc"));
    assert_eq!(ran.code, 7, "{}", ran.stderr);
    let message = "run the command again, with --from again.warc in place of --record; the files in rankings are written";
    assert!(ran.stderr.contains(message), "{}", ran.stderr);
    assert!(!ran.stderr.contains("to resume"), "{}", ran.stderr);
    let again = ["--from", "again.warc", "-q", "--db", "market.sqlite"];
    assert_eq!(indexrank(folder.path(), &again).code, 0);
    assert_eq!(exits(&database), [0, 0, 0, 0]);
}

/// The file is replaced while the run fetches its pages.
#[test]
fn checks_the_file_again_before_it_appends() {
    let server = slow_market(20);
    let address = server.address();
    for (text, code) in [(Some("Buy low, sell high.\n"), 7), (None, 0)] {
        let folder = tempfile::tempdir().unwrap();
        with_one_run(folder.path());
        let database = folder.path().join("market.sqlite");
        let run = ["--from", &*address, "-q", "--db", "market.sqlite"];
        let child = start(folder.path(), &run);
        while !folder.path().join("rankings/unfinished.warc").exists() {
            thread::yield_now();
        }
        fs::remove_file(&database).unwrap();
        if let Some(text) = text {
            fs::write(&database, text).unwrap();
        }
        let (_, ran) = ended(child);
        assert_eq!(ran.code, code, "{}", ran.stderr);
        assert_expected_rankings(&folder.path().join("rankings"));
        match text {
            Some(text) => {
                assert_eq!(fs::read_to_string(&database).unwrap(), text);
                let message = "only the database lacks this run";
                assert!(ran.stderr.contains(message), "{}", ran.stderr);
            }
            None => assert_eq!(exits(&database), [0]),
        }
    }
}

/// A run that is killed as it writes leaves a journal beside the file, which the next opening rolls back.
#[test]
fn rolls_back_the_journal_of_a_killed_writer() {
    let folder = tempfile::tempdir().unwrap();
    with_one_run(folder.path());
    let at = |name: &str| folder.path().join(name);
    leave_hot_journal(&at("market.sqlite"));
    assert!(at("market.sqlite-journal").exists());
    with_one_run(folder.path());
    assert!(!at("market.sqlite-journal").exists());
    assert_eq!(exits(&at("market.sqlite")), [0, 0]);
    assert_eq!(
        query(
            &at("market.sqlite"),
            "SELECT DISTINCT name = '' FROM quotes"
        ),
        [[Some("0".to_owned())]]
    );
}
