//! Runs with too few companies: no file is written or replaced, and a resumed run completes them.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use indexrank::pipeline::harvest::Ledger;
use indexrank::replica::{Market, Pages, SEED};
use indexrank::results::coverage::{MinCompanies, shortfall};
use serde_json::Value;

use crate::run::{RATES, Run, unnamed};
use crate::support::{RANKINGS, Ran, Reply, TestServer, command, files, indexrank, json, ledger};

fn market(companies: usize) -> Market {
    Market::embedded(Some(companies), SEED)
}

/// Paths of the first companies of a market.
fn paths(companies: usize, count: usize) -> Vec<String> {
    let market = market(companies);
    let paths = market.companies().iter().map(|company| &company.path);
    paths.take(count).cloned().collect()
}

/// A server whose first `gone` companies answer 404.
fn without(companies: usize, gone: usize) -> TestServer {
    answering(companies, gone, "404 Not Found")
}

/// A server whose first `gone` companies answer with this status.
fn answering(companies: usize, gone: usize, status: &'static str) -> TestServer {
    let gone = paths(companies, gone);
    TestServer::start(market(companies), move |path, _| {
        gone.iter()
            .any(|gone| gone == path)
            .then(|| Reply::status(status))
    })
}

/// Asserts that a run ended for too few companies, said so on stderr, and left the old results as they
/// were.
#[track_caller]
fn assert_too_few(run: &Run, words: &[&str]) {
    let Ran { code, stderr, .. } = &run.ran;
    assert_eq!(*code, 8, "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "no {word:?} in {stderr}");
    }
    for name in RANKINGS.into_iter().chain(["run.json"]) {
        assert_eq!(run.read(name), "old", "{name}");
    }
    let mut names = files(&run.folder.path().join("rankings"));
    names.retain(|name| name != "unfinished.warc");
    assert_eq!(names.len(), 6, "{names:?}");
    assert!(names.contains(&"failed-run.json".to_owned()));
}

#[test]
fn counts_the_companies_needed() {
    use MinCompanies::*;
    // Listed, skipped, and the least number of companies.
    for (min, listed, skipped, needed) in [
        (Usual, 496, 0, 472),
        (Usual, 500, 0, 475),
        (Usual, 496, 16, 472),
        (Usual, 60, 0, 57),
        (Usual, 59, 0, 57),
        (Usual, 30, 0, 28),
        (Usual, 3, 0, 1),
        (Usual, 2, 0, 0),
        (Usual, 0, 0, 0),
        (Number(1), 496, 0, 1),
        (Number(497), 496, 0, 497),
        (Number(496), 496, 1, 496),
        (PerCent(1), 496, 0, 5),
        (PerCent(99), 496, 0, 492),
        (PerCent(100), 496, 0, 496),
        (PerCent(100), 496, 1, 496),
        (PerCent(50), 3, 0, 2),
    ] {
        let ledger = |ok| Ledger {
            listed,
            ok,
            failed: listed.saturating_sub(ok + skipped),
            skipped,
            not_attempted: 0,
        };
        assert_eq!(
            min.needed(&ledger(0)),
            needed,
            "{min:?} of {listed}, {skipped} skipped"
        );
        assert_eq!(shortfall(&ledger(needed), min), None);
        if let Some(fewer) = needed.checked_sub(1) {
            assert!(shortfall(&ledger(fewer), min).is_some());
        }
    }
}

/// A missing company is one whose page failed. Two, or 5 % if that is more, may be missing.
#[test]
fn a_run_needs_95_per_cent_or_all_but_two_companies() {
    for (companies, gone, options, code) in [
        (3, 2, &[][..], 3),
        (40, 2, &[], 3),
        (40, 3, &[], 8),
        (60, 3, &[], 3),
        (60, 4, &[], 8),
        (496, 24, &[], 3),
        (496, 25, &[], 8),
        (60, 4, &["--min-companies", "56"], 3),
        (60, 4, &["--min-companies", "57"], 8),
        (60, 4, &["--min-companies", "93%"], 3),
        (60, 4, &["--min-companies", "94%"], 8),
        (60, 59, &["--min-companies", "1"], 3),
        (60, 1, &["--min-companies", "100%"], 8),
        (60, 0, &["--min-companies", "100%"], 0),
        (60, 0, &["--min-companies", "61"], 8),
    ] {
        let server = without(companies, gone);
        let run = Run::new(&server, options);
        let what = format!("{gone} of {companies}, {options:?}");
        assert_eq!(run.ran.code, code, "{what}: {}", run.ran.stderr);
        assert_eq!(run.read("price.json") == "old", code == 8, "{what}");
        let journal = run.folder.path().join("rankings/unfinished.warc");
        assert_eq!(journal.exists(), code == 8, "{what}");
    }
}

#[test]
fn shows_the_tables_and_how_to_resume_and_writes_nothing() {
    let server = answering(60, 4, "503 Service Unavailable");
    let more = [
        "--retry-pause",
        "5",
        "--table",
        "all.csv",
        "--trace",
        "trace.json",
    ];
    let run = Run::new(&server, &more);
    let words = [
        "indexrank: 4 of 60 companies are missing from the rankings:\n",
        "indexrank: too few companies: 56 of 60, at least 57 are needed; --min-companies changes that; \
         no result was changed, 58 pages kept in rankings/unfinished.warc\n",
        "indexrank: to resume: ",
        "--trace trace.json --resume\n",
    ];
    assert_too_few(&run, &words);
    assert_eq!(files(run.folder.path()), ["rankings"]);
    let stdout = &run.ran.stdout;
    for words in [
        "Dearest",
        "Lowest P/E",
        "\n56 companies in ",
        ", 4 failures\n",
        "\nno file written, too few companies: 56 of 60, at least 57 are needed\n",
    ] {
        assert!(stdout.contains(words), "no {words:?} in {stdout}");
    }
    assert!(!stdout.contains("files in"), "{stdout}");

    // The others are not in run.json.
    let run = Run::new(&without(60, 6), &[]);
    assert_too_few(&run, &["  and 1 more, all in failed-run.json\n"]);

    let run = Run::new(&server, &["--quiet"]);
    assert_too_few(&run, &words[..3]);
    assert_eq!(run.ran.stdout, "");

    let run = Run::new(&server, &["--json"]);
    assert_too_few(&run, &words[..3]);
    let report: Value = serde_json::from_str(&run.ran.stdout).unwrap();
    assert_eq!(ledger(&report), [60, 56, 4, 0, 0]);
    assert_eq!(report["files"].to_string(), "[]");
    assert_eq!(
        report["not_written"],
        "too few companies: 56 of 60, at least 57 are needed"
    );
}

/// A server of 60 companies; four of them answer 404 until the switch is on.
fn recovering() -> (TestServer, Arc<AtomicBool>) {
    let recovered = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&recovered);
    let gone = paths(60, 4);
    let server = TestServer::start(market(60), move |path, _| {
        let fails = !recovered.load(SeqCst) && gone.iter().any(|gone| gone == path);
        fails.then(|| Reply::status("404 Not Found"))
    });
    (server, switch)
}

/// Compares the rankings in a folder with those of a run without faults.
#[track_caller]
fn assert_rankings_of_all(folder: &Path) {
    let undisturbed = Run::new(&without(60, 0), &[]);
    for name in RANKINGS {
        let written = fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(written, undisturbed.read(name), "{name}");
    }
}

#[test]
fn a_resumed_run_fetches_only_what_is_missing() {
    let (server, recovered) = recovering();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("rankings");
    let command = ["--from", server.address()];
    assert_eq!(indexrank(folder.path(), &command).code, 8);
    assert_eq!(files(&out), ["failed-run.json", "unfinished.warc"]);
    // Another bound is enough to write what the journal has.
    let lower = ["--resume", "--min-companies", "50", "--out", "copy"];
    fs::create_dir(folder.path().join("copy")).unwrap();
    fs::copy(
        out.join("unfinished.warc"),
        folder.path().join("copy/unfinished.warc"),
    )
    .unwrap();
    let ran = indexrank(folder.path(), &[&command[..], &lower].concat());
    assert_eq!(ran.code, 3, "{}", ran.stderr);

    recovered.store(true, SeqCst);
    let before = server.requests().len();
    let ran = indexrank(folder.path(), &[&command[..], &["--resume"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    // Four companies, and index page 1 once more.
    assert_eq!(server.requests().len() - before, 5);
    assert_rankings_of_all(&out);
    let report = json(&out.join("run.json"));
    assert_eq!(ledger(&report), [60, 60, 0, 0, 0]);
    assert_eq!(report["not_written"], Value::Null);
    assert!(!out.join("unfinished.warc").exists());
}

#[test]
fn a_recording_appears_once_there_are_enough_companies() {
    let (server, recovered) = recovering();
    let folder = tempfile::tempdir().unwrap();
    let command = ["--from", server.address(), "--record", "run.warc"];
    let ran = indexrank(folder.path(), &command);
    assert_eq!(ran.code, 8, "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("58 pages kept in unfinished-run.warc\n"),
        "{}",
        ran.stderr
    );
    assert_eq!(files(folder.path()), ["rankings", "unfinished-run.warc"]);

    recovered.store(true, SeqCst);
    let ran = indexrank(folder.path(), &[&command[..], &["--resume"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(files(folder.path()), ["rankings", "run.warc"]);
    assert_rankings_of_all(&folder.path().join("rankings"));
    let replay = ["--from", "run.warc", "--out", "replay"];
    let ran = indexrank(folder.path(), &replay);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn an_archive_with_too_few_companies_offers_nothing_to_resume() {
    let server = without(60, 4);
    let folder = tempfile::tempdir().unwrap();
    let record = ["--from", server.address(), "--record", "run.warc"];
    let ran = indexrank(
        folder.path(),
        &[&record[..], &["--min-companies", "1", "-q"]].concat(),
    );
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let ran = indexrank(folder.path(), &["--from", "run.warc", "--out", "replay"]);
    assert_eq!(ran.code, 8, "{}", ran.stderr);
    let message = "at least 57 are needed; --min-companies changes that; no result was changed\n";
    assert!(ran.stderr.ends_with(message), "{}", ran.stderr);
    assert!(!ran.stderr.contains("resume"), "{}", ran.stderr);
    assert!(ran.stdout.contains("\nno file written, "), "{}", ran.stdout);
    assert_eq!(files(&folder.path().join("replay")), ["failed-run.json"]);
}

/// Nothing is missing, so a resumed run would end in the same way.
#[test]
fn a_bound_over_the_index_offers_nothing_to_resume() {
    let run = Run::new(&without(60, 0), &["--min-companies", "61"]);
    assert_too_few(&run, &["60 of 60, at least 61 are needed", "62 pages kept"]);
    assert!(!run.ran.stderr.contains("to resume"), "{}", run.ran.stderr);
}

/// A site without pages (4) and an unknown layout (5) come before too few companies (8), and those
/// before a missing rate (6).
#[test]
fn other_faults_come_before_or_after_too_few_companies() {
    let options = ["--min-companies", "100%"];
    Run::new(&without(60, 60), &options).assert_failed(4, &["none of the 60 company pages"]);

    let pages = Pages::of_market(&market(60));
    let gone = paths(60, 10);
    let server = TestServer::start(market(60), move |path, _| {
        if gone.iter().any(|gone| gone == path) {
            return Some(Reply::status("404 Not Found"));
        }
        let page = String::from_utf8(pages.get(path)?.plain_body()).ok()?;
        let page = page.replace("P/E Ratio", "Price/Earnings").into_bytes();
        path.starts_with("/stocks/").then_some(Reply::Page(page))
    });
    Run::new(&server, &options).assert_failed(5, &["50 of 50 pages show no P/E"]);

    let gone = paths(60, 4);
    let server = TestServer::start(market(60), move |path, _| {
        let fails = path == RATES || gone.iter().any(|gone| gone == path);
        fails.then(|| Reply::status("404 Not Found"))
    });
    let run = Run::new(&server, &[]);
    assert_too_few(
        &run,
        &["there is no ranking by price", "too few companies: 56"],
    );
    assert!(!run.ran.stderr.contains("price.json"), "{}", run.ran.stderr);
    assert_eq!(Run::new(&server, &["--min-companies", "56"]).ran.code, 6);
}

/// A page of a company that is listed under another path is missing under its own. Three of 60 may be.
#[test]
fn many_duplicates_are_too_few_companies() {
    let shown = paths(60, 5);
    let pages = Pages::of_market(&market(60));
    let server = TestServer::start(market(60), move |path, _| {
        let is_duplicate = shown[1..].iter().any(|shown| shown == path);
        is_duplicate.then(|| Reply::Page(unnamed(&pages.get(&shown[0]).unwrap().plain_body())))
    });
    let run = Run::new(&server, &[]);
    assert_too_few(
        &run,
        &["too few companies: 56 of 60, at least 57 are needed"],
    );
    let run = Run::new(&server, &["--min-companies", "56"]);
    assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
    let report = json(&run.folder.path().join("rankings/run.json"));
    assert_eq!(ledger(&report), [60, 56, 0, 4, 0]);
}

/// A server of 60 companies, of which `count` have no P/E and two no 52-week range. Three have no P/E in
/// any case.
fn without_pe(count: usize) -> TestServer {
    let market = market(60);
    let pages = Pages::of_market(&market);
    let companies = market.companies().iter();
    let with_pe = companies.filter(|company| company.pe.parse::<f64>().is_ok());
    let spoiled = with_pe.map(|company| company.path.clone());
    let spoiled: Vec<String> = spoiled.take(count - 3).collect();
    TestServer::start(market, move |path, _| {
        let position = spoiled.iter().position(|spoiled| spoiled == path)?;
        let page = String::from_utf8(pages.get(path)?.plain_body()).ok()?;
        let mut page = page.replace("P/E Ratio", "Beta");
        if position < 2 {
            page = page.replace("52 Week", "26 Week");
        }
        Some(Reply::Page(page.into_bytes()))
    })
}

#[test]
fn says_how_many_companies_lack_which_figure() {
    for count in [5, 12] {
        let run = Run::new(&without_pe(count), &[]);
        let Ran {
            code,
            stdout,
            stderr,
        } = &run.ran;
        assert_eq!(*code, 0, "{stderr}");
        let line = format!("\nwithout P/E {count}, 52-week range 2\n");
        assert!(stdout.ends_with(&line), "{stdout}");
        let warning = format!(
            "{count} of 60 companies have no P/E, more than the usual 3 %; if their pages show it, the \
             layout has changed (looked for at snapshot__header \"P/E Ratio\")"
        );
        let line = format!("indexrank: warning: {warning}\n");
        assert!(stderr.contains(&line), "{stderr}");
        let report = json(&run.folder.path().join("rankings/run.json"));
        assert_eq!(report["warnings"].as_array().unwrap(), &[warning]);
    }
    Run::new(&without_pe(13), &[]).assert_failed(5, &["13 of 60 pages show no P/E"]);
    for (companies, line) in [(60, "\nwithout P/E 3\n"), (3, "\nno figure is missing\n")] {
        let run = Run::new(&without(companies, 0), &[]);
        assert!(run.ran.stdout.ends_with(line), "{}", run.ran.stdout);
        assert_eq!(run.ran.stderr, "");
    }
}

/// Writes to `/dev/full` fail like those to a full disk.
#[test]
#[cfg(target_os = "linux")]
fn says_what_is_missing_even_if_stdout_cannot_be_written() {
    let server = without(60, 4);
    for (options, code, words) in [
        (&[][..], 8, "too few companies: 56 of 60"),
        (&["--min-companies", "1"], 7, "cannot write to stdout"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let full = fs::OpenOptions::new().write(true).open("/dev/full");
        let from = ["--from", server.address()];
        let mut command = command(folder.path(), &[&from[..], options].concat());
        let output = command.stdout(full.unwrap()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        for words in [words, "4 of 60 companies are missing"] {
            assert!(stderr.contains(words), "no {words:?} in {stderr}");
        }
    }
}
