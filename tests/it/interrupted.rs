//! Runs that are cut short, at any moment and in any way, and go on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use indexrank::replica::{Line, Market, Pages, Plan, SEED, Server};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{
    Ran, Reply, TestServer, assert_expected_rankings, command, files, indexrank, json,
};

/// The embedded market behind a line that makes a run last 0.2 s and more.
pub fn slow_market(latency: u64) -> Server {
    let pages = Pages::of_market(&Market::embedded(None, SEED));
    let line = Line {
        latency: Duration::from_millis(latency),
        ..Line::default()
    };
    Server::start(pages, 0, line, None).unwrap()
}

pub fn start(folder: &Path, arguments: &[&str]) -> Child {
    let mut command = command(folder, arguments);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

pub fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id() as i32), signal).unwrap();
}

pub fn ended(child: Child) -> (Option<i32>, Ran) {
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let ran = Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    };
    (output.status.code(), ran)
}

pub fn resumed(folder: &Path) -> u64 {
    json(&folder.join("rankings/run.json"))["resumed"]
        .as_u64()
        .unwrap()
}

pub fn leftovers(folder: &Path) -> Vec<String> {
    let mut there = files(folder);
    there.retain(|name| !name.ends_with(".json"));
    there
}

/// A journal of the market that was cut short by a signal.
pub fn cut_short(folder: &Path, server: &Server, more: &[&str]) {
    let address = server.address();
    let few = ["--from", &*address, "-q", "--workers", "8"];
    let child = start(folder, &[&few, more].concat());
    thread::sleep(Duration::from_millis(400));
    signal(&child, Signal::SIGTERM);
    let (_, ran) = ended(child);
    assert_eq!(ran.code, 143, "{}", ran.stderr);
}

/// Kills runs at thirty moments from the first millisecond to the last, each with the pages of those
/// before thrown away, and goes on.
#[test]
fn a_killed_run_goes_on_from_where_it_was() {
    let server = slow_market(5);
    let address = server.address();
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    assert_eq!(
        indexrank(folder.path(), &["--from", &address, "-q"]).code,
        0
    );
    let whole = started.elapsed();
    let (mut kept_something, mut most) = (0, 0);
    for moment in 0..30 {
        let folder = tempfile::tempdir().unwrap();
        // Old results must stay whole.
        let out = folder.path().join("rankings");
        fs::create_dir(&out).unwrap();
        fs::write(out.join("price.json"), "old").unwrap();
        let child = start(folder.path(), &["--from", &address, "-q"]);
        let jitter = Duration::from_micros(fastrand::u64(..3000));
        thread::sleep(whole * moment / 29 + jitter);
        signal(&child, Signal::SIGKILL);
        let (code, _) = ended(child);
        if code.is_none() {
            for name in files(&out).iter().filter(|name| name.ends_with(".json")) {
                let content = fs::read_to_string(out.join(name)).unwrap();
                assert!(content == "old" || content.ends_with("}\n") || content.ends_with("]\n"));
            }
        }
        // Requests of the one that is dead are still on their way.
        thread::sleep(Duration::from_millis(100));
        let before = server.counts().requests;
        let ran = indexrank(folder.path(), &["--from", &address, "--resume"]);
        assert_eq!(ran.code, 0, "{moment}: {}", ran.stderr);
        assert_expected_rankings(&out);
        let requests = server.counts().requests - before;
        let resumed = resumed(folder.path());
        // Every page once, from here or from there, and the index page that is looked at again.
        assert_eq!(requests + resumed, 510, "{moment}: {resumed} resumed");
        assert_eq!(leftovers(&out), [""; 0], "{moment}");
        kept_something += usize::from(resumed > 0);
        most = most.max(resumed);
    }
    assert!(
        kept_something >= 10 && most > 250,
        "{kept_something} {most}"
    );
}

/// SIGINT and SIGTERM end a run at once, with the command that goes on.
#[test]
fn ctrl_c_keeps_what_came_and_says_how_to_go_on() {
    for (number, code, word) in [
        (Signal::SIGINT, 130, "interrupted"),
        (Signal::SIGTERM, 143, "terminated"),
    ] {
        let server = slow_market(100);
        let address = server.address();
        let folder = tempfile::tempdir().unwrap();
        let child = start(folder.path(), &["--from", &address, "--index", "s&p_500"]);
        thread::sleep(Duration::from_millis(700));
        let asked = Instant::now();
        signal(&child, number);
        let (_, ran) = ended(child);
        assert!(
            asked.elapsed() < Duration::from_secs(3),
            "{:?}",
            asked.elapsed()
        );
        assert_eq!((ran.code, &*ran.stdout), (code, ""), "{}", ran.stderr);
        let binary = env!("CARGO_BIN_EXE_indexrank");
        let hint =
            format!("to go on from there: {binary} --from {address} --index 's&p_500' --resume");
        for words in [
            word,
            "no result was changed",
            "kept in rankings/unfinished.warc",
            &hint,
        ] {
            assert!(ran.stderr.contains(words), "{words:?} in {}", ran.stderr);
        }
        assert_eq!(files(&folder.path().join("rankings")), ["unfinished.warc"]);
        let ran = indexrank(folder.path(), &["--from", &address, "--resume"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert_expected_rankings(&folder.path().join("rankings"));
        assert!((1..500).contains(&resumed(folder.path())));
    }
}

/// A server that never answers holds nobody who presses the key.
#[test]
fn ctrl_c_breaks_off_what_is_under_way() {
    let server = TestServer::start(crate::run::market(), |path, _| {
        path.starts_with("/stocks/").then(|| Reply::Raw(Vec::new()))
    });
    let folder = tempfile::tempdir().unwrap();
    let child = start(folder.path(), &["--from", server.address(), "-q"]);
    thread::sleep(Duration::from_millis(500));
    let asked = Instant::now();
    signal(&child, Signal::SIGINT);
    let (_, ran) = ended(child);
    assert_eq!(ran.code, 130, "{}", ran.stderr);
    assert!(
        asked.elapsed() < Duration::from_secs(3),
        "{:?}",
        asked.elapsed()
    );
}

/// Row 15: nothing holds a run longer than it may take.
#[test]
fn a_run_ends_when_its_time_is_over() {
    let server = TestServer::start(crate::run::market(), |path, _| {
        path.starts_with("/stocks/").then(|| Reply::Raw(Vec::new()))
    });
    let started = Instant::now();
    let run = crate::run::Run::new(&server, &["--max-time", "0.7"]);
    assert!(started.elapsed() < Duration::from_secs(2));
    run.assert_failed(
        4,
        &[
            "not done within --max-time 0.7 s",
            "no result was changed",
            "--resume",
        ],
    );
}

/// Row 53: the second says which process is there, and changes nothing.
#[test]
fn one_run_at_a_time_has_a_folder() {
    let server = slow_market(200);
    let address = server.address();
    let folder = tempfile::tempdir().unwrap();
    let first = start(folder.path(), &["--from", &address, "-q"]);
    thread::sleep(Duration::from_millis(300));
    for more in [&[][..], &["--resume"]] {
        let second = indexrank(folder.path(), &[&["--from", &*address], more].concat());
        assert_eq!(second.code, 7, "{}", second.stderr);
        let words = format!(
            "cannot write rankings: process {} is at work there",
            first.id()
        );
        assert!(second.stderr.contains(&words), "{}", second.stderr);
    }
    let (_, ran) = ended(first);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_expected_rankings(&folder.path().join("rankings"));
    assert_eq!(leftovers(&folder.path().join("rankings")), [""; 0]);
    // A lock that a killed run left is nobody's.
    fs::write(folder.path().join("rankings/.indexrank.lock"), "1\n").unwrap();
    assert_eq!(
        indexrank(folder.path(), &["--from", &address, "-q"]).code,
        0
    );
}

/// What a run that was killed while it wrote has left, goes with the next.
#[test]
fn leftovers_are_cleared_away() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("rankings");
    fs::create_dir(&out).unwrap();
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    let dead = out.join(format!(".indexrank-{}-abc123", gone.id()));
    let alive = out.join(format!(".indexrank-{}-abc123", std::process::id()));
    fs::write(&dead, "half").unwrap();
    fs::write(&alive, "half").unwrap();
    assert_eq!(
        indexrank(folder.path(), &["--from", "replica", "-q"]).code,
        0
    );
    assert!(!dead.exists() && alive.exists());
}

/// Row 52: a disk that fills up in the middle. The old results stay, and so does what was kept.
#[test]
fn a_full_disk_leaves_old_results_as_they_were() {
    let server = slow_market(0);
    let address = server.address();
    let folder = tempfile::tempdir().unwrap();
    let binary = env!("CARGO_BIN_EXE_indexrank");
    let limited = |kilobytes: u32, arguments: &str| -> (i32, String) {
        let script = format!("ulimit -f {kilobytes}; exec {binary} --from {address} {arguments}");
        let output = Command::new("bash")
            .args(["-c", &script])
            .current_dir(folder.path())
            .env("NO_PROXY", "*")
            .output()
            .unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    // Files of at most a megabyte: the journal breaks off, the results fit.
    let (code, stderr) = limited(1024, "");
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stderr.contains("unfinished.warc could not be written to its end"),
        "{stderr}"
    );
    assert_expected_rankings(&folder.path().join("rankings"));

    // A table does not: nothing changes.
    let out = folder.path().join("rankings");
    let before: Vec<_> = files(&out)
        .iter()
        .map(|name| fs::read(out.join(name)).unwrap())
        .collect();
    let (code, stderr) = limited(16, "--top 5 --table all.csv");
    assert_eq!(code, 7, "{stderr}");
    assert!(stderr.contains("cannot write all.csv"), "{stderr}");
    assert!(
        stderr.contains("kept in rankings/unfinished.warc"),
        "{stderr}"
    );
    assert!(stderr.contains("to go on from there: "), "{stderr}");
    let after: Vec<PathBuf> = files(&out).iter().map(|name| out.join(name)).collect();
    let after = after
        .iter()
        .filter(|path| path.extension().is_some_and(|end| end == "json"));
    let after: Vec<_> = after.map(|path| fs::read(path).unwrap()).collect();
    assert_eq!(before, after);

    // Room again: the pages that came are taken, the others asked for.
    let requests = server.counts().requests;
    let ran = indexrank(folder.path(), &["--from", &address, "-q", "--resume"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(server.counts().requests - requests <= 510);
    assert_expected_rankings(&out);

    // A recording is a result: without it the run has failed.
    let (code, stderr) = limited(1024, "--record run.warc");
    assert_eq!(code, 7, "{stderr}");
    assert!(stderr.contains("cannot write run.warc"), "{stderr}");
}

/// What was kept stays, whatever a run that was to go on met instead of the site.
#[test]
fn a_portal_in_the_way_costs_no_page() {
    let server = slow_market(40);
    let folder = tempfile::tempdir().unwrap();
    cut_short(folder.path(), &server, &[]);
    let journal = folder.path().join("rankings/unfinished.warc");
    let before = fs::metadata(&journal).unwrap().len();
    server.misbehave(Plan::new(
        "redirect:http://localhost:1/log-in".parse().unwrap(),
        1,
    ));
    let address = server.address();
    thread::sleep(Duration::from_millis(1100));
    let resume = ["--from", &*address, "-q", "--resume", "--max-age", "1"];
    let ran = indexrank(folder.path(), &resume);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(fs::metadata(&journal).unwrap().len() >= before);
}
