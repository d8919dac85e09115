//! The option `--dry-run`: its figures are those of a run, and it changes nothing.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use indexrank::job::dry_run::about;
use indexrank::replica::{Market, SEED};
use serde_json::{Value, json};

use crate::run::{INDEX_2, RATES};
use crate::support::{MARKET, Ran, Reply, TestServer, files, indexrank};

const ROBOTS: &str = "/robots.txt";
const INDEX_1: &str = "/index/components/s&p_500?p=1";

/// Two full pages of 46 companies, so the estimate is exact.
fn market() -> Market {
    Market::embedded(Some(92), SEED)
}

fn run(folder: &Path, address: &str, options: &[&str]) -> Ran {
    let from = ["--from", address, "--retry-pause", "10"];
    indexrank(folder, &[&from, options].concat())
}

/// The estimate of a dry run that succeeds and adds or removes no file.
#[track_caller]
fn estimate(folder: &Path, address: &str, options: &[&str]) -> Value {
    let names = || (files(folder), files(&folder.join("rankings")));
    let before = names();
    let options = [&["--dry-run", "--json"], options].concat();
    let ran = run(folder, address, &options);
    assert_eq!((ran.code, &*ran.stderr), (0, ""), "{}", ran.stdout);
    assert_eq!(names(), before);
    serde_json::from_str(&ran.stdout).unwrap()
}

#[test]
fn foresees_the_requests_of_a_run() {
    for options in [
        &[][..],
        &["--walk", "letters"],
        &["--walk", "both"],
        &["--rate", "USD=76.5"],
        &["--ignore-robots"],
    ] {
        let server = TestServer::start(market(), |_, _| None);
        let folder = tempfile::tempdir().unwrap();
        let estimated = estimate(folder.path(), server.address(), options);
        let sent = server.requests().len();
        assert_eq!(estimated["requests_sent"], sent);
        let robots = usize::from(options != ["--ignore-robots"]);
        assert_eq!([server.asked(ROBOTS), server.asked(INDEX_1)], [robots, 1]);
        assert_eq!(sent, robots + 1);

        let ran = run(folder.path(), server.address(), options);
        assert!([0, 6].contains(&ran.code), "{options:?}: {}", ran.stderr);
        let requests = &server.requests()[sent..];
        let of = |prefix| {
            let paths = requests.iter().map(|request| &request.path);
            paths.filter(|path| path.starts_with(prefix)).count()
        };
        let again = usize::from(options != ["--walk", "letters"]);
        for (kind, number) in [
            ("robots", of(ROBOTS)),
            ("rates", of(RATES)),
            ("index_pages", of("/index/components/") - again),
            ("companies", of("/stocks/")),
            ("page_1_again", again),
            ("requests", requests.len()),
        ] {
            assert_eq!(estimated[kind], number, "{kind} with {options:?}");
        }
    }
}

/// The last page of the embedded market has 36 companies, the others 46.
#[test]
fn prints_the_estimate() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--dry-run", "--max-time", "200", "-q", "--rps", "2"];
    let ran = run(folder.path(), "replica", &options);
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    assert_eq!(
        ran.stdout,
        "the embedded market, index s&p_500
robots.txt           1
exchange rates       1
index pages         11
companies          506  at most: 46 on each of 11 pages
page 1 again         1
in all             520  without retries
with --rps 2: about 4 min 20 s
warning: --max-time 200 s would cancel the run
2 requests sent for this estimate; no file was written
"
    );
    let ran = run(folder.path(), "replica", &options[..3]);
    let line = "\nwithout a limit (--rps): as fast as the site answers\n2 requests";
    assert!(ran.stdout.contains(line), "{}", ran.stdout);
    assert_eq!(files(folder.path()), [""; 0]);
}

/// The longer of the two intervals counts, and the dry run keeps it too.
#[test]
fn a_crawl_delay_takes_precedence_over_a_shorter_interval() {
    let server = TestServer::start(market(), |path, _| {
        let rules = "User-agent: *\nCrawl-delay: 0.2\nDisallow: /stocks/";
        (path == ROBOTS).then(|| Reply::Page(rules.into()))
    });
    let folder = tempfile::tempdir().unwrap();
    let by_robots = "with the crawl delay of robots.txt, 0.2 s: about 19 s";
    for (options, time, seconds) in [
        (&[][..], by_robots, 19.4),
        (&["--rps", "100"], by_robots, 19.4),
        (&["--rps", "4"], "with --rps 4: about 24 s", 24.25),
    ] {
        let sent = server.requests().len();
        let estimated = estimate(folder.path(), server.address(), options);
        assert_eq!(estimated["time"], time, "{options:?}");
        let error = estimated["seconds"].as_f64().unwrap() - seconds;
        assert!(error.abs() < 1e-6, "{estimated}");
        let warning = "company pages: the site's robots.txt forbids it (Disallow: /stocks/)";
        assert_eq!(estimated["warnings"], json!([warning]));
        let requests = server.requests();
        let apart = requests[sent + 1].at - requests[sent].at;
        assert!(apart > Duration::from_millis(120), "{apart:?}");
    }
}

#[test]
fn subtracts_the_pages_of_the_journal() {
    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    let server = TestServer::start(market(), move |path, _| {
        (path == INDEX_2 && down.load(SeqCst)).then(|| Reply::status("403 Forbidden"))
    });
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(folder.path(), server.address(), &[]).code, 4);
    is_down.store(false, SeqCst);
    let estimated = estimate(folder.path(), server.address(), &["--resume"]);
    let sent = server.requests().len();
    assert_eq!(run(folder.path(), server.address(), &["--resume"]).code, 0);
    assert_eq!(estimated["requests"], server.requests().len() - sent);
    assert!(estimated["in_journal"].as_u64() > Some(0), "{estimated}");
}

#[test]
fn needs_no_request_for_an_archive() {
    let folder = tempfile::tempdir().unwrap();
    for (walk, other) in [("pages", "letters"), ("letters", "pages")] {
        let record = ["--walk", walk, "--record", "a.warc", "-q"];
        assert_eq!(run(folder.path(), &MARKET.address(), &record).code, 0);
        let ran = run(folder.path(), "a.warc", &["--dry-run", "--walk", walk]);
        assert_eq!(
            ran.stdout,
            "a.warc, index s&p_500\nno request: all pages come from the archive\n\
             no requests sent for this estimate; no file was written\n"
        );
        let ran = run(folder.path(), "a.warc", &["--dry-run", "--walk", other]);
        assert_eq!((ran.code, &*ran.stdout), (4, ""), "{}", ran.stderr);
    }
}

/// A dry run that sees why the run would fail ends like it, and without advice to resume.
#[test]
fn fails_as_the_run_would() {
    let server = TestServer::start(market(), |path, earlier| match path {
        "/index/components/dax?p=1" => Some(Reply::Page(b"<html></html>".to_vec())),
        "/index/components/dow_jones?p=1" => Some(Reply::status("403 Forbidden")),
        INDEX_1 if earlier == 0 => Some(Reply::status("503 Busy")),
        _ => None,
    });
    let folder = tempfile::tempdir().unwrap();
    for index in ["none", "dax", "dow_jones"] {
        let options = ["--index", index, "--dry-run"];
        let dry = run(folder.path(), server.address(), &options);
        assert_eq!(files(folder.path()), [""; 0]);
        let ran = run(folder.path(), server.address(), &options[..2]);
        assert_eq!((dry.code, &*dry.stdout), (ran.code, ""));
        assert!(dry.code >= 4, "{}", dry.stderr);
        assert!(
            ran.stderr.starts_with(dry.stderr.trim_end()),
            "{}",
            dry.stderr
        );
        std::fs::remove_dir_all(folder.path().join("rankings")).unwrap();
    }
    let retried = estimate(folder.path(), server.address(), &[]);
    assert_eq!([&retried["requests_sent"], &retried["requests"]], [3, 97]);
}

#[test]
fn says_durations_in_words() {
    for (seconds, expected) in [
        (0.4, "less than a second"),
        (59.4, "about 59 s"),
        (260.0, "about 4 min 20 s"),
        (3_569.0, "about 59 min 29 s"),
        (3_570.0, "about 1 h 0 min"),
    ] {
        assert_eq!(about(seconds), expected, "{seconds}");
    }
}
