//! `--log FILE`: the lines of a run with the time, for runs without a terminal.

use std::fs;
use std::path::Path;

use crate::run::market;
use crate::support::{MARKET, Ran, TestServer, files, indexrank, start_serve};

fn run(folder: &Path, options: &[&str]) -> Ran {
    let address = MARKET.address();
    indexrank(folder, &[&["--from", &address], options].concat())
}

/// The lines of a log without their times and numbers of processes, which are checked.
fn messages(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.ends_with('\n'), "{text:?}");
    let message = |line: &str| {
        let (time, rest) = line.split_once(" indexrank[").expect(line);
        let time: jiff::Timestamp = time.parse().expect(line);
        assert!(time <= jiff::Timestamp::now(), "{line}");
        let (process, message) = rest.split_once("]: ").expect(line);
        assert!(process.parse::<u32>().is_ok(), "{line}");
        message.to_owned()
    };
    text.lines().map(message).collect()
}

#[test]
fn quiet_runs_append_everything_to_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("logs/daily.log");
    let options = ["--quiet", "--log", "logs/daily.log"];
    let ran = run(folder.path(), &options);
    assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (0, "", ""));
    let first = messages(&log);
    let is_there = |start: &str| first.iter().any(|line| line.starts_with(start));
    for start in [
        "1 USD = 76.6501 RUB",
        "496 companies in ",
        "without P/E 11",
        "warning: MRK: 52-week low 15.32 looks wrong",
    ] {
        assert!(is_there(start), "{first:#?}");
    }
    assert_eq!(run(folder.path(), &options).code, 0);
    let both = messages(&log);
    assert_eq!(both[..first.len()], first);
    let summaries = both.iter().filter(|line| line.starts_with("496 companies"));
    assert_eq!(summaries.count(), 2, "{both:#?}");
}

#[test]
fn log_repeats_what_stderr_gets() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(folder.path(), &["--verbose", "--log", "log"]);
    assert_eq!(ran.code, 0);
    let log = messages(&folder.path().join("log"));
    for line in ran.stderr.lines() {
        let line = line.strip_prefix("indexrank: ").unwrap_or(line);
        assert!(log.iter().any(|logged| logged == line), "{line}\n{log:#?}");
    }
}

#[test]
fn log_gets_the_error_that_ends_a_run_and_the_command_to_resume_it() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(
        folder.path(),
        &["--min-companies", "1000", "--quiet", "--log", "log"],
    );
    assert_eq!(ran.code, 8);
    let log = messages(&folder.path().join("log"));
    let error = ran.stderr.lines().last().unwrap();
    assert_eq!(format!("indexrank: {}", log.last().unwrap()), error);

    let (mut server, address) = start_serve(folder.path(), &["--latency", "100"]);
    let options = ["--max-time", "1", "--quiet", "--log", "log"];
    let ran = indexrank(
        folder.path(),
        &[&["--from", &*address], &options[..]].concat(),
    );
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(ran.code, 4);
    let log = messages(&folder.path().join("log"));
    let command = log.last().unwrap().strip_prefix("to resume: ").unwrap();
    assert!(command.ends_with(" --resume"), "{command}");
}

/// A log that cannot be opened ends the run before its first request and changes nothing.
#[test]
fn refuses_logs_that_are_no_plain_files() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    let mut cases = vec![("folder", "is a directory"), ("folder/", "is a directory")];
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        symlink("nothing", folder.path().join("dangling")).unwrap();
        symlink("pipe", folder.path().join("link")).unwrap();
        cases.extend([
            ("pipe", "it is a device or a pipe"),
            ("link", "it is a device or a pipe"),
            ("/dev/full", "it is a device or a pipe"),
            ("dangling", "File exists"),
        ]);
    }
    let before = files(folder.path());
    for (log, why) in cases {
        let ran = indexrank(
            folder.path(),
            &["--from", "http://127.0.0.1:9", "--log", log],
        );
        assert_eq!(ran.code, 7, "{log}: {}", ran.stderr);
        assert!(
            ran.stderr.contains(&format!("cannot write {log}: ")) && ran.stderr.contains(why),
            "{}",
            ran.stderr
        );
        assert_eq!(files(folder.path()), before);
    }
}

#[test]
fn refuses_a_log_that_is_a_result() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), &["--quiet"]).code, 0);
    let result = folder.path().join("rankings/price.json");
    let before = fs::read(&result).unwrap();
    for log in ["rankings/price.json", "rankings/run.json", "rankings"] {
        let ran = run(folder.path(), &["--quiet", "--log", log]);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains("is used twice"), "{}", ran.stderr);
    }
    assert_eq!(fs::read(&result).unwrap(), before);
}

/// `ulimit -f` limits the size of files, as a full disk does.
#[cfg(unix)]
#[test]
fn a_full_disk_costs_the_log_and_not_the_results() {
    let server = TestServer::start(market(), |_, _| None);
    let folder = tempfile::tempdir().unwrap();
    let log = fs::File::create(folder.path().join("log")).unwrap();
    log.set_len(128 << 20).unwrap();
    let script = format!(
        "ulimit -f 65536; exec {} --from {} --quiet --log log",
        env!("CARGO_BIN_EXE_indexrank"),
        server.address()
    );
    let output = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.path())
        .env("NO_PROXY", "*")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(
        stderr.starts_with("indexrank: warning: cannot write log: File too large"),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(folder.path().join("rankings/run.json").exists());
}

/// Lines of runs at the same time do not mix.
#[test]
fn runs_share_a_log() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for out in ["a", "b", "c"] {
            let folder = folder.path();
            scope.spawn(move || {
                let ran = run(folder, &["--quiet", "--log", "log", "--out", out]);
                assert_eq!(ran.code, 0, "{}", ran.stderr);
            });
        }
    });
    let log = messages(&folder.path().join("log"));
    let summaries = log.iter().filter(|line| line.starts_with("496 companies"));
    assert_eq!(summaries.count(), 3, "{log:#?}");
}
