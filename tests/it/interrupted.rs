//! Runs that a signal, `--max-time`, a full disk or a captive portal interrupts, and `--resume`.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use indexrank::replica::{Line, Market, Pages, Plan, SEED, Server};
use nix::sys::signal::Signal;

use crate::support::{
    Ran, Reply, TestServer, assert_expected_rankings, command, files, indexrank, json, signal,
};

/// The embedded market behind a line with this latency in milliseconds. A run takes 0.2 s or more.
pub fn slow_market(latency: u64) -> Server {
    let pages = Pages::of_market(&Market::embedded(None, SEED));
    let line = Line {
        latency: Duration::from_millis(latency),
        ..Line::default()
    };
    Server::start(pages, 0, line, None).unwrap()
}

/// Starts the binary with piped output.
pub fn start(folder: &Path, arguments: &[&str]) -> Child {
    let mut command = command(folder, arguments);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for a child to exit. Returns its exit code, or `None` and the code -1 if a signal killed it.
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

/// Number of pages that the run took from its journal.
pub fn resumed(folder: &Path) -> u64 {
    json(&folder.join("rankings/run.json"))["resumed"]
        .as_u64()
        .unwrap()
}

/// Files in an output folder that are no results: journals, locks, staged files.
pub fn leftovers(folder: &Path) -> Vec<String> {
    let mut names = files(folder);
    names.retain(|name| !name.ends_with(".json"));
    names
}

/// Starts a run and interrupts it after 400 ms, so that it leaves a journal.
pub fn cut_short(folder: &Path, server: &Server, more: &[&str]) {
    let address = server.address();
    let options = ["--from", &*address, "-q", "--workers", "8"];
    let child = start(folder, &[&options, more].concat());
    thread::sleep(Duration::from_millis(400));
    signal(&child, Signal::SIGTERM);
    let (_, ran) = ended(child);
    assert_eq!(ran.code, 143, "{}", ran.stderr);
}

/// Sends the interrupt signal after a delay. The run must end within 3 s.
#[track_caller]
fn interrupt(child: Child, delay: Duration, number: Signal) -> Ran {
    thread::sleep(delay);
    let sent = Instant::now();
    signal(&child, number);
    let (_, ran) = ended(child);
    assert!(
        sent.elapsed() < Duration::from_secs(3),
        "{:?}",
        sent.elapsed()
    );
    ran
}

/// A server that never responds to requests for company pages.
fn silent_server() -> TestServer {
    TestServer::start(crate::run::market(), |path, _| {
        path.starts_with("/stocks/").then(|| Reply::Raw(Vec::new()))
    })
}

/// Kills a run at thirty moments from its first millisecond to its last, each in an empty folder, and
/// resumes it.
#[test]
fn resumes_after_sigkill_at_thirty_moments() {
    let server = slow_market(5);
    let address = server.address();
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    assert_eq!(
        indexrank(folder.path(), &["--from", &address, "-q"]).code,
        0
    );
    let run_time = started.elapsed();
    let (mut runs_with_pages, mut most_resumed) = (0, 0);
    for moment in 0..30 {
        let folder = tempfile::tempdir().unwrap();
        // A killed run must not leave a half-written result.
        let out = folder.path().join("rankings");
        fs::create_dir(&out).unwrap();
        fs::write(out.join("price.json"), "old").unwrap();
        let child = start(folder.path(), &["--from", &address, "-q"]);
        let jitter = Duration::from_micros(fastrand::u64(..3000));
        thread::sleep(run_time * moment / 29 + jitter);
        signal(&child, Signal::SIGKILL);
        let (code, _) = ended(child);
        if code.is_none() {
            for name in files(&out).iter().filter(|name| name.ends_with(".json")) {
                let content = fs::read_to_string(out.join(name)).unwrap();
                assert!(content == "old" || content.ends_with("}\n") || content.ends_with("]\n"));
            }
        }
        // Waits for the server to count the last requests of the killed run.
        thread::sleep(Duration::from_millis(100));
        let before = server.counts().requests;
        let ran = indexrank(folder.path(), &["--from", &address, "--resume"]);
        assert_eq!(ran.code, 0, "{moment}: {}", ran.stderr);
        assert_expected_rankings(&out);
        let requests = server.counts().requests - before;
        let resumed = resumed(folder.path());
        // 509 pages, each from the journal or the server, and the second fetch of index page 1.
        assert_eq!(requests + resumed, 510, "{moment}: {resumed} resumed");
        assert_eq!(leftovers(&out), [""; 0], "{moment}");
        runs_with_pages += usize::from(resumed > 0);
        most_resumed = most_resumed.max(resumed);
    }
    assert!(
        runs_with_pages >= 10 && most_resumed > 250,
        "{runs_with_pages} runs resumed pages, {most_resumed} at most"
    );
}

/// SIGINT and SIGTERM end a run within 3 s, with the command that resumes it.
#[test]
fn signals_keep_fetched_pages_and_print_the_resume_command() {
    for (number, code, word) in [
        (Signal::SIGINT, 130, "interrupted"),
        (Signal::SIGTERM, 143, "terminated"),
    ] {
        let server = slow_market(100);
        let address = server.address();
        let folder = tempfile::tempdir().unwrap();
        let child = start(folder.path(), &["--from", &address, "--index", "s&p_500"]);
        let ran = interrupt(child, Duration::from_millis(700), number);
        assert_eq!((ran.code, &*ran.stdout), (code, ""), "{}", ran.stderr);
        let binary = env!("CARGO_BIN_EXE_indexrank");
        let hint = format!("to resume: {binary} --from {address} --index 's&p_500' --resume");
        for words in [
            word,
            "no result was changed",
            "kept in rankings/unfinished.warc",
            &hint,
        ] {
            assert!(ran.stderr.contains(words), "no {words:?} in {}", ran.stderr);
        }
        assert_eq!(files(&folder.path().join("rankings")), ["unfinished.warc"]);
        let ran = indexrank(folder.path(), &["--from", &address, "--resume"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert_expected_rankings(&folder.path().join("rankings"));
        assert!((1..500).contains(&resumed(folder.path())));
    }
}

/// A pending request must not delay the end of the run.
#[test]
fn ctrl_c_cancels_requests_in_flight() {
    let server = silent_server();
    let folder = tempfile::tempdir().unwrap();
    let child = start(folder.path(), &["--from", server.address(), "-q"]);
    let ran = interrupt(child, Duration::from_millis(500), Signal::SIGINT);
    assert_eq!(ran.code, 130, "{}", ran.stderr);
}

#[test]
fn ends_a_run_after_max_time() {
    let server = silent_server();
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

/// The second run names the process of the first and changes nothing.
#[test]
fn refuses_a_folder_that_another_run_uses() {
    let server = slow_market(200);
    let address = server.address();
    let folder = tempfile::tempdir().unwrap();
    let first = start(folder.path(), &["--from", &address, "-q"]);
    thread::sleep(Duration::from_millis(300));
    for more in [&[][..], &["--resume"]] {
        let second = indexrank(folder.path(), &[&["--from", &*address], more].concat());
        assert_eq!(second.code, 7, "{}", second.stderr);
        let words = format!(
            "cannot write rankings: process {} is writing there",
            first.id()
        );
        assert!(second.stderr.contains(&words), "{}", second.stderr);
    }
    let (_, ran) = ended(first);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_expected_rankings(&folder.path().join("rankings"));
    assert_eq!(leftovers(&folder.path().join("rankings")), [""; 0]);
}

/// `ulimit -f` limits the size of files, as a disk that fills up during the run does.
#[test]
fn keeps_old_results_when_the_disk_is_full() {
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
    // With files of at most 1 MiB the journal fails, but the results fit.
    let (code, stderr) = limited(1024, "");
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stderr.contains("unfinished.warc could not be written to its end"),
        "{stderr}"
    );
    assert_expected_rankings(&folder.path().join("rankings"));

    // With 16 KiB the table does not fit, so the run changes no result.
    let out = folder.path().join("rankings");
    assert_eq!(leftovers(&out), [""; 0]);
    let results = || -> Vec<Vec<u8>> {
        let mut names = files(&out);
        names.retain(|name| name.ends_with(".json") && name != "failed-run.json");
        names
            .iter()
            .map(|name| fs::read(out.join(name)).unwrap())
            .collect()
    };
    let before = results();
    let (code, stderr) = limited(16, "--top 5 --table all.csv");
    assert_eq!(code, 7, "{stderr}");
    assert!(stderr.contains("cannot write all.csv"), "{stderr}");
    assert!(
        stderr.contains("kept in rankings/unfinished.warc"),
        "{stderr}"
    );
    assert!(stderr.contains("to resume: "), "{stderr}");
    assert_eq!(before, results());

    // Without the limit, the run takes the recorded pages from the journal and fetches the others.
    let requests = server.counts().requests;
    let ran = indexrank(folder.path(), &["--from", &address, "-q", "--resume"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(server.counts().requests - requests <= 510);
    assert_expected_rankings(&out);

    // A recording is a result, so the run fails without it.
    let (code, stderr) = limited(1024, "--record run.warc");
    assert_eq!(code, 7, "{stderr}");
    assert!(stderr.contains("cannot write run.warc"), "{stderr}");
}

/// A folder takes the place of the journal after the first request, so that it cannot be renamed.
#[test]
fn reports_a_journal_that_cannot_be_renamed() {
    for (options, in_place, code) in [
        (&[][..], "rankings/unfinished.warc", 0),
        (&["--max-time", "1.5"], "rankings/unfinished.warc", 4),
        (&["--record", "run.warc"], "unfinished-run.warc", 7),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let in_its_place = folder.path().join(in_place);
        let server = TestServer::start(crate::run::market(), move |path, _| {
            // It is there from the second request on.
            let _ = fs::create_dir(&in_its_place);
            let never_sent = code == 4 && path == crate::run::COMPANY;
            never_sent.then(|| Reply::Raw(Vec::new()))
        });
        let ran = indexrank(
            folder.path(),
            &[&["--from", server.address()], options].concat(),
        );
        assert_eq!(ran.code, code, "{}", ran.stderr);
        let words = format!("{in_place} could not be created (Is a directory");
        assert!(ran.stderr.contains(&words), "{}", ran.stderr);
        assert!(
            ran.stderr.contains("so the pages stayed in "),
            "{}",
            ran.stderr
        );
        match code {
            0 => assert_eq!(
                leftovers(&folder.path().join("rankings")),
                ["unfinished.warc"]
            ),
            4 => {
                assert!(
                    ran.stderr.contains("pages kept in rankings/."),
                    "{}",
                    ran.stderr
                );
                assert!(!ran.stderr.contains("to resume: "), "{}", ran.stderr);
            }
            _ => {
                assert!(
                    ran.stderr.contains("cannot write run.warc"),
                    "{}",
                    ran.stderr
                );
                assert!(!folder.path().join("rankings/price.json").exists());
            }
        }
    }
}

/// A log-in portal redirects every request to another host. The failed resume must not shrink the
/// journal.
#[test]
fn keeps_the_journal_behind_a_captive_portal() {
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
