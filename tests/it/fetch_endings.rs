//! The subcommand `fetch`: exit codes, signals, `--max-time`, journals and `--resume`.

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

#[cfg(unix)]
use nix::sys::signal::Signal;

#[cfg(unix)]
use crate::support::signal;
use crate::support::{Reply, command, fetch, files, page_server, sorted_rows};

#[test]
fn wrong_lists_end_before_the_first_request() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("list"),
        "http://127.0.0.1:1/\nsite.example/x\n",
    )
    .unwrap();
    for (arguments, code, words) in [
        (&["--urls", "list"][..], 2, "list, line 2"),
        (&["--urls", "none"], 2, "cannot read none"),
        (&["http://127.0.0.1:1/[1-"], 2, "closing"),
        (&["list"], 2, "only --count reads those"),
        (
            &["http://127.0.0.1:1/", "--resume"],
            2,
            "--resume needs --save or --table",
        ),
        (&["http://127.0.0.1:1/", "--table", "a.txt"], 2, ".csv"),
        (&["http://127.0.0.1:1/", "--save", "list/x"], 7, "list/x"),
        (
            &["http://127.0.0.1:1/", "--save", "x", "--max-size", "1T"],
            2,
            "500K",
        ),
        (&["http://127.0.0.1:1/", "--db", "x"], 2, "--into"),
        (&["http://127.0.0.1:1/", "--count", ""], 2, "empty"),
        (&[], 2, "required"),
    ] {
        let ran = fetch(folder.path(), arguments);
        assert_eq!(
            (ran.code, &*ran.stdout),
            (code, ""),
            "{arguments:?}: {}",
            ran.stderr
        );
        assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
        assert_eq!(files(folder.path()), ["list"], "{arguments:?}");
    }
}

/// An interrupted run has a journal, and a resumed one fetches only what is missing.
#[cfg(unix)]
#[test]
fn resumes_after_a_kill() {
    let server = page_server(|path, _| {
        let number: u64 = path[1..].parse().unwrap_or(0);
        thread::sleep(Duration::from_millis(if number > 20 { 200 } else { 5 }));
        None
    });
    let list = format!("{}/[1-40]", server.address());
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("unfinished-a.ndjson.ndjson");
    let arguments = [
        "fetch",
        &list,
        "--table",
        "a.ndjson",
        "--workers-per-host",
        "4",
    ];
    let mut child = command(folder.path(), &arguments).spawn().unwrap();
    let lines = || fs::read_to_string(&journal).map_or(0, |text| text.lines().count());
    while lines() < 15 {
        thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What a kill can leave of the last line.
    let mut text = fs::read(&journal).unwrap();
    text.extend_from_slice(br#"{"row":{"position":39,"url":"#);
    fs::write(&journal, text).unwrap();
    let before = server.requests().len();

    let other = fetch(
        folder.path(),
        &[&list, "--table", "a.ndjson", "--headings", "--resume"],
    );
    assert_eq!(other.code, 2, "{}", other.stderr);
    assert!(other.stderr.contains("its extract is"), "{}", other.stderr);

    let ran = fetch(folder.path(), &[&arguments[1..], &["--resume"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let found = sorted_rows(&fs::read_to_string(folder.path().join("a.ndjson")).unwrap());
    let positions: Vec<u64> = found
        .iter()
        .filter_map(|row| row["position"].as_u64())
        .collect();
    assert_eq!(positions, (1..=40).collect::<Vec<u64>>());
    let requests = server.requests().len() - before;
    assert!((20..=28).contains(&requests), "{requests}");
    assert_eq!(files(folder.path()), ["a.ndjson"]);
}

/// Rows of failures are in the table, and `--resume` fetches them again.
#[test]
fn resumes_what_has_failed() {
    let server = page_server(|path, before| {
        (path == "/2" && before == 0).then(|| Reply::status("404 Not Found"))
    });
    let list = format!("{}/[1-3]", server.address());
    let folder = tempfile::tempdir().unwrap();
    let ran = fetch(folder.path(), &[&list, "--table", "a.csv"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("to fetch only what is missing"),
        "{}",
        ran.stderr
    );
    let ran = fetch(folder.path(), &[&list, "--table", "a.csv", "--resume"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let table = fs::read_to_string(folder.path().join("a.csv")).unwrap();
    assert_eq!(table.matches(",200,").count(), 3, "{table}");
    assert_eq!(["/1", "/2", "/3"].map(|path| server.asked(path)), [1, 2, 1]);
    assert_eq!(files(folder.path()), ["a.csv"]);
}

/// Until the list is read, Ctrl-C ends the program as usual.
#[cfg(unix)]
#[test]
fn an_endless_list_can_be_interrupted() {
    use std::os::unix::process::ExitStatusExt;
    let folder = tempfile::tempdir().unwrap();
    let mut child = command(folder.path(), &["fetch", "--urls", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    thread::sleep(Duration::from_millis(200));
    signal(&child, Signal::SIGINT);
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(2), "{status}");
}

#[cfg(unix)]
#[test]
fn ends_on_a_signal_and_after_max_time() {
    let server = page_server(|path, _| {
        if path != "/1" && path != "/robots.txt" {
            thread::sleep(Duration::from_secs(20));
        }
        None
    });
    let folder = tempfile::tempdir().unwrap();
    let list = format!("{}/[1-9]", server.address());
    let ran = fetch(
        folder.path(),
        &[&list, "--table", "a.csv", "--max-time", "3"],
    );
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("not done within --max-time 3 s; 1 row kept for --resume"),
        "{}",
        ran.stderr
    );
    assert_eq!(files(folder.path()), ["unfinished-a.csv.ndjson"]);

    let child = command(folder.path(), &["fetch", &list, "--table", "b.csv"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !folder.path().join("unfinished-b.csv.ndjson").exists() {
        thread::sleep(Duration::from_millis(5));
    }
    signal(&child, Signal::SIGINT);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(
        stderr.contains("interrupted; 1 row kept for --resume"),
        "{stderr}"
    );
    assert!(stderr.contains("--table b.csv --resume"), "{stderr}");
}

/// A pipe without a writer keeps a read waiting for ever, and a signal ends the run all the same.
#[cfg(unix)]
#[test]
fn a_silent_pipe_can_be_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .unwrap();
    assert!(made.success());
    for has_writer in [false, true] {
        let child = command(folder.path(), &["fetch", "--count", "a", "pipe"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Opening it waits for the reader.
        let writer = has_writer.then(|| fs::OpenOptions::new().write(true).open(&pipe).unwrap());
        thread::sleep(Duration::from_millis(300));
        signal(&child, Signal::SIGINT);
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(130),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        drop(writer);
    }
}

/// Another program may lock the database for as long as it likes: a signal ends the wait.
#[cfg(unix)]
#[test]
fn a_locked_database_can_be_waited_for_and_given_up() {
    let server =
        page_server(|path, _| (path == "/1").then(|| Reply::Page(b"{\"id\": 1}".to_vec())));
    let folder = tempfile::tempdir().unwrap();
    let list = format!("{}/1", server.address());
    let options = [
        "fetch", &*list, "--db", "x.sqlite", "--into", "t", "--key", "id",
    ];
    let other = rusqlite::Connection::open(folder.path().join("x.sqlite")).unwrap();
    other
        .execute_batch("CREATE TABLE mine (a); BEGIN EXCLUSIVE")
        .unwrap();
    let start = || {
        let child = command(folder.path(), &options)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_secs(3));
        child
    };
    let child = start();
    signal(&child, Signal::SIGINT);
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(130),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let child = start();
    other.execute_batch("ROLLBACK").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let rows: i64 = other
        .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 1);
}
