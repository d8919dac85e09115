//! Shards of the rankings job: each records its part, and all of them together rank like one run.

use std::fs;
use std::path::Path;
use std::thread;

use indexrank::replica::{Market, SEED};
use indexrank::source::shard::Shard;

use crate::run::{COMPANIES, COMPANY, INDEX_2, RATES, company_html, market, unnamed};
use crate::support::{RANKINGS, Ran, Reply, TestServer, contents, files, indexrank, json, ledger};

const SHARDS: u32 = 3;

fn quiet_server() -> TestServer {
    TestServer::start(market(), |_, _| None)
}

/// Runs a shard of [`SHARDS`] into `NUMBER.warc`.
fn record(folder: &Path, server: &TestServer, number: u32, options: &[&str]) -> Ran {
    let shard = format!("{number}/{SHARDS}");
    let file = format!("{number}.warc");
    let own = ["--from", server.address(), "--shard", &shard, "--record"];
    indexrank(folder, &[&own[..], &[&file], options].concat())
}

/// A folder with the recordings of all shards.
fn recorded(server: &TestServer) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for number in 1..=SHARDS {
        let ran = record(folder.path(), server, number, &[]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    folder
}

/// Ranks archives.
fn merge(folder: &Path, archives: &[&str], options: &[&str]) -> Ran {
    let from = archives.iter().flat_map(|archive| ["--from", archive]);
    indexrank(folder, &[&from.collect::<Vec<_>>(), options].concat())
}

/// Asserts that archives are not ranked, with one error that contains all of `words`, and that no file was
/// changed.
#[track_caller]
fn assert_rejected(folder: &Path, archives: &[&str], code: i32, words: &[&str]) {
    let before = contents(folder);
    let ran = merge(folder, archives, &[]);
    assert_eq!(ran.code, code, "{archives:?}: {}", ran.stderr);
    for word in words {
        assert!(ran.stderr.contains(word), "{word:?}: {}", ran.stderr);
    }
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    assert!(contents(folder) == before, "{archives:?}");
}

const ALL: [&str; 3] = ["1.warc", "2.warc", "3.warc"];

#[test]
fn all_shards_in_any_order_rank_like_one_run() {
    let server = quiet_server();
    let folder = recorded(&server);
    for company in market().companies() {
        assert_eq!(server.asked(&company.path), 1, "{}", company.path);
    }
    assert_eq!(server.asked(INDEX_2), SHARDS as usize);
    let whole = indexrank(folder.path(), &["--from", server.address(), "-q"]);
    assert_eq!(whole.code, 0, "{}", whole.stderr);
    for order in [[0, 1, 2], [2, 0, 1]] {
        let archives = order.map(|at| ALL[at]);
        let ran = merge(folder.path(), &archives, &["--out", "merged", "-q"]);
        assert_eq!((ran.code, &*ran.stderr), (0, ""));
        for ranking in RANKINGS {
            let read = |out: &str| fs::read(folder.path().join(out).join(ranking)).unwrap();
            assert!(read("merged") == read("rankings"), "{ranking}");
        }
        let report = json(&folder.path().join("merged/run.json"));
        assert_eq!(
            ledger(&report),
            [COMPANIES as u64, COMPANIES as u64, 0, 0, 0]
        );
        assert!(report["shard"].is_null());
        assert_eq!(report["source"], archives.join(" "));
    }
}

#[test]
fn a_shard_writes_its_recording_and_its_report_alone() {
    let server = quiet_server();
    let folder = recorded(&server);
    let mut listed = 0;
    let digests = [1, 2, 3].map(|number| {
        let out = folder.path().join(format!("shard-{number}-of-{SHARDS}"));
        assert_eq!(files(&out), ["run.json"]);
        let report = json(&out.join("run.json"));
        assert_eq!(report["shard"]["number"], number);
        assert_eq!(report["shard"]["of"], SHARDS);
        assert_eq!(report["shard"]["index"]["companies"], COMPANIES);
        let market = market();
        let of_shard = market.companies().iter().filter(|company| {
            let shard: Shard = format!("{number}/{SHARDS}").parse().unwrap();
            shard.takes(&company.path)
        });
        let of_shard = of_shard.count() as u64;
        assert_eq!(ledger(&report), [of_shard, of_shard, 0, 0, 0]);
        listed += of_shard;
        report["shard"]["index"]["sha256"].clone()
    });
    assert_eq!(listed, COMPANIES as u64);
    assert!(digests.iter().all(|digest| *digest == digests[0]));
    assert_eq!(digests[0].as_str().map(str::len), Some(64));
}

#[test]
fn a_shard_needs_a_recording_and_a_folder_without_rankings() {
    let server = quiet_server();
    let folder = tempfile::tempdir().unwrap();
    let from = ["--from", server.address(), "--shard", "1/3"];
    let ran = indexrank(folder.path(), &from);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("--record"), "{}", ran.stderr);
    for shard in ["0/3", "4/3", "3"] {
        let ran = indexrank(folder.path(), &["--shard", shard, "--record", "1.warc"]);
        assert_eq!(ran.code, 2);
        assert!(ran.stderr.contains("like 3/8"), "{}", ran.stderr);
    }
    let whole = indexrank(folder.path(), &["--from", server.address(), "-q"]);
    assert_eq!(whole.code, 0, "{}", whole.stderr);
    let before = contents(folder.path());
    let ran = record(folder.path(), &server, 1, &["--out", "rankings"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("--out"), "{}", ran.stderr);
    assert!(contents(folder.path()) == before);
}

#[test]
fn names_the_shards_that_are_missing() {
    let server = quiet_server();
    let folder = recorded(&server);
    let words = ["shards 2-3 of 3 are missing", "--allow-missing"];
    assert_rejected(folder.path(), &["1.warc"], 4, &words);
    let words = ["shard 2 of 3 is missing"];
    assert_rejected(folder.path(), &["3.warc", "1.warc"], 4, &words);
    // A script names all files, those too whose runs have failed.
    let words = ["shard 2 of 3 is missing", "2.warc.gz: it is not there"];
    assert_rejected(folder.path(), &["1.warc", "2.warc.gz", "3.warc"], 4, &words);
    let words = ["a.warc: it is not there", "b.warc: it is not there"];
    assert_rejected(folder.path(), &["a.warc", "b.warc"], 4, &words);
    assert_rejected(folder.path(), &["a.warc"], 2, &["there is no file a.warc"]);
}

#[test]
fn names_the_shard_that_is_given_twice() {
    let server = quiet_server();
    let folder = recorded(&server);
    fs::copy(
        folder.path().join("2.warc"),
        folder.path().join("copy.warc"),
    )
    .unwrap();
    for second in ["2.warc", "./2.warc", "copy.warc"] {
        let archives = ["1.warc", "2.warc", second, "3.warc"];
        let words = ["shard 2/3", "2.warc", "once"];
        assert_rejected(folder.path(), &archives, 2, &words);
    }
}

#[test]
fn names_the_shards_of_two_jobs() {
    let (server, other) = (quiet_server(), quiet_server());
    let folder = recorded(&server);
    let from = |server: &TestServer, file: &str, options: &[&str]| {
        let own = ["--from", server.address(), "--record", file];
        let ran = indexrank(folder.path(), &[&own[..], options].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    };
    from(&other, "of-other.warc", &["--shard", "2/3"]);
    from(&server, "of-four.warc", &["--shard", "2/4"]);
    from(&server, "whole.warc", &["--out", "whole"]);
    let words = [
        "shard 1/3",
        "shard 2/3",
        "two jobs",
        "source",
        other.address(),
    ];
    assert_rejected(
        folder.path(),
        &["1.warc", "of-other.warc", "3.warc"],
        2,
        &words,
    );
    let words = ["shard 1/3", "shard 2/4", "two jobs"];
    assert_rejected(
        folder.path(),
        &["1.warc", "of-four.warc", "3.warc"],
        2,
        &words,
    );
    let words = ["whole.warc", "without --shard"];
    assert_rejected(folder.path(), &["1.warc", "whole.warc"], 2, &words);
    // Nor with what may be missing.
    let ran = merge(
        folder.path(),
        &["1.warc", "of-other.warc"],
        &["--allow-missing"],
    );
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    let ran = merge(folder.path(), &["1.warc", server.address()], &[]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains(server.address()), "{}", ran.stderr);
}

/// Two shards of indices with another company, or with another growth.
#[test]
fn names_the_shards_of_a_changed_index() {
    type Change = fn(&str) -> String;
    let changes: [Change; 2] = [
        |html| html.replace("/stocks/a-stock", "/stocks/other-stock"),
        |html| {
            let at = html.rfind("%</span>").unwrap();
            format!("{}1{}", &html[..at], &html[at..])
        },
    ];
    for change in changes {
        let first = market().index_page(1);
        let changed = change(&first);
        assert_ne!(changed, first);
        // The first shard asks for the page twice.
        let server = TestServer::start(market(), move |path, before| {
            let is_changed = path.ends_with("?p=1") && before >= 2;
            is_changed.then(|| Reply::Page(changed.clone().into_bytes()))
        });
        let folder = tempfile::tempdir().unwrap();
        for number in 1..=SHARDS {
            let ran = record(folder.path(), &server, number, &[]);
            assert!([0, 3].contains(&ran.code), "{}", ran.stderr);
        }
        // Two shards of three have the same index, and the other one is to be run again.
        let words = ["shard 1/3 (1.warc)", "another index", "than shard 2/3"];
        assert_rejected(folder.path(), &ALL, 2, &words);
        let ran = merge(folder.path(), &ALL, &["--allow-missing", "--out", "merged"]);
        assert_eq!(ran.code, 3, "{}", ran.stderr);
        assert!(ran.stderr.contains("another index"), "{}", ran.stderr);
        let report = json(&folder.path().join("merged/run.json"));
        // The index of two shards.
        assert_eq!(ledger(&report)[0], COMPANIES as u64);
    }
}

/// Everything that a crash, a full disk or a bad copy makes of a recording.
#[test]
fn names_the_shard_that_is_torn() {
    let server = quiet_server();
    let folder = recorded(&server);
    let intact = fs::read(folder.path().join("2.warc")).unwrap();
    let record_starts: Vec<usize> = memchr::memmem::find_iter(&intact, b"WARC/1.1\r\n").collect();
    let last = *record_starts.last().unwrap();
    let mut flipped = intact.clone();
    flipped[record_starts[5] + 700] ^= 1;
    let mut of_another_type = intact.clone();
    let kind =
        record_starts[5] + memchr::memmem::find(&intact[record_starts[5]..], b"response").unwrap();
    of_another_type[kind] ^= 1;
    let surplus = |bytes: &[u8]| [&intact, bytes].concat();
    let one_record = &intact[record_starts[2]..record_starts[3]];
    let torn = [
        intact[..last].to_vec(),
        intact[..last + 20].to_vec(),
        intact[..intact.len() - 5].to_vec(),
        intact[..record_starts[3]].to_vec(),
        flipped,
        surplus(b"surplus"),
        surplus(one_record),
        [&intact[..record_starts[5]], &intact[record_starts[6]..]].concat(),
        of_another_type,
    ];
    for (number, bytes) in torn.iter().enumerate() {
        fs::write(folder.path().join("2.warc"), bytes).unwrap();
        let words = ["shard 2/3 (2.warc) is not complete", "--allow-missing"];
        assert_rejected(folder.path(), &ALL, 4, &words);
        let ran = merge(
            folder.path(),
            &ALL,
            &["--allow-missing", "--min-companies", "1", "--out", "merged"],
        );
        assert_eq!(ran.code, 3, "{number}: {}", ran.stderr);
        assert!(ran.stderr.contains("shard 2/3"), "{number}: {}", ran.stderr);
    }
    let number = memchr::memmem::find(&intact, b"shard: 2/3").unwrap() + "shard: ".len();
    let mut without_number = intact.clone();
    without_number[number] = b'1';
    fs::write(folder.path().join("2.warc"), &without_number).unwrap();
    assert_rejected(
        folder.path(),
        &["2.warc"],
        4,
        &["a shard without its number"],
    );
    fs::write(folder.path().join("2.warc"), &intact[record_starts[1]..]).unwrap();
    assert_rejected(folder.path(), &["2.warc"], 4, &["has lost the record"]);
    for bytes in [&b""[..], &intact[..30], b"<html>", &without_number] {
        fs::write(folder.path().join("2.warc"), bytes).unwrap();
        assert_rejected(
            folder.path(),
            &ALL,
            4,
            &["2.warc", "shard 2 of 3 is missing"],
        );
    }
}

#[test]
fn rejects_files_that_are_no_recording_of_one_shard() {
    let server = quiet_server();
    let folder = recorded(&server);
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    let joined = [read("1.warc"), read("2.warc")].concat();
    fs::write(folder.path().join("joined.warc"), joined).unwrap();
    let words = ["shard 1/3 (joined.warc) has two recordings"];
    assert_rejected(
        folder.path(),
        &["joined.warc", "2.warc", "3.warc"],
        2,
        &words,
    );

    let list = format!("{}{COMPANY}", server.address());
    let options = [
        "fetch",
        &list,
        "--shard",
        "1/3",
        "--record",
        "list.warc",
        "--out",
        "list",
    ];
    assert_eq!(indexrank(folder.path(), &options).code, 0);
    let words = ["shard 1/3 (list.warc) is of a list of addresses"];
    assert_rejected(folder.path(), &["list.warc", "2.warc", "3.warc"], 2, &words);

    fs::create_dir(folder.path().join("folder.warc")).unwrap();
    let words = ["folder.warc is not a plain file", "shard 1 of 3 is missing"];
    assert_rejected(
        folder.path(),
        &["folder.warc", "2.warc", "3.warc"],
        4,
        &words,
    );
    assert_rejected(
        folder.path(),
        &["folder.warc"],
        2,
        &["folder.warc is not a plain file"],
    );
}

/// To open a pipe without a writer would block.
#[cfg(unix)]
#[test]
fn opens_no_pipe() {
    let server = quiet_server();
    let folder = recorded(&server);
    let pipe = folder.path().join("pipe.warc");
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .unwrap();
    assert!(made.success());
    // If the pipe was opened, the run would get this and end with another error. Waits for that.
    thread::spawn(move || fs::write(&pipe, "no archive"));
    let ran = merge(folder.path(), &["pipe.warc", "2.warc", "3.warc"], &[]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("pipe.warc is not a plain file"),
        "{}",
        ran.stderr
    );
}

#[test]
fn writes_over_no_archive() {
    let server = quiet_server();
    let folder = recorded(&server);
    let before = contents(folder.path());
    let ran = merge(folder.path(), &ALL, &["--log", "2.warc"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("2.warc"), "{}", ran.stderr);
    assert!(contents(folder.path()) == before);
}

/// Figures that look wrong are told of once, by the run that ranks them.
#[test]
fn a_shard_is_silent_about_figures_that_look_wrong() {
    let server = TestServer::start(Market::embedded(None, SEED), |_, _| None);
    let folder = tempfile::tempdir().unwrap();
    for number in 1..=SHARDS {
        assert_eq!(record(folder.path(), &server, number, &[]).stderr, "");
    }
    let ran = merge(folder.path(), &ALL, &[]);
    assert!(ran.stderr.contains("ranked unchanged"), "{}", ran.stderr);
}

/// Of 60 companies, three may be missing.
#[test]
fn ranks_what_is_there_under_the_rules_of_coverage() {
    let server = quiet_server();
    let folder = recorded(&server);
    let before = contents(folder.path());
    let archives = ["1.warc", "3.warc"];
    let ran = merge(
        folder.path(),
        &archives,
        &["--allow-missing", "--out", "merged"],
    );
    assert_eq!(ran.code, 8, "{}", ran.stderr);
    let mut after = contents(folder.path());
    after.retain(|path, _| !path.ends_with("merged/failed-run.json"));
    assert!(after == before);
    let options = [
        "--allow-missing",
        "--min-companies",
        "50%",
        "--out",
        "merged",
    ];
    let ran = merge(folder.path(), &archives, &options);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("warning: shard 2 of 3 is missing"),
        "{}",
        ran.stderr
    );
    let report = json(&folder.path().join("merged/run.json"));
    let missing = json(&folder.path().join("shard-2-of-3/run.json"));
    let missing = ledger(&missing)[0];
    let all = COMPANIES as u64;
    assert_eq!(ledger(&report), [all, all - missing, missing, 0, 0]);
    assert_eq!(report["failures"][0]["reason"], "not_archived");
}

/// A company that fails in its shard fails in the ranking too, and no rates are needed from each shard.
#[test]
fn companies_that_fail_in_a_shard_are_missing_from_the_rankings() {
    let server = TestServer::start(market(), |path, before| {
        let is_gone = path == COMPANY || (path.starts_with(RATES) && before == 0);
        is_gone.then(|| Reply::status("404 Not Found"))
    });
    let folder = tempfile::tempdir().unwrap();
    let codes = [1, 2, 3].map(|number| record(folder.path(), &server, number, &[]).code);
    assert!(codes.contains(&3), "{codes:?}");
    let ran = merge(folder.path(), &ALL, &["--out", "merged"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let report = json(&folder.path().join("merged/run.json"));
    assert_eq!(report["failures"][0]["path"], COMPANY);
    assert_eq!(report["failures"][0]["reason"], "gone");
    assert!(report["rate_error"].is_null(), "{report}");
}

#[test]
fn resumes_an_interrupted_shard_and_rejects_another_one() {
    let server = TestServer::start(market(), |_, _| None);
    let folder = tempfile::tempdir().unwrap();
    let slow = ["--rps", "60", "--max-time", "1"];
    let ran = record(folder.path(), &server, 2, &slow);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    let journal = folder.path().join("unfinished-2.warc");
    assert!(journal.exists());
    // Its pages are no complete shard.
    let ran = merge(folder.path(), &["unfinished-2.warc"], &[]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("its run has not ended"),
        "{}",
        ran.stderr
    );
    // Another shard takes no pages from the journal.
    let options = ["--shard", "1/3", "--record", "2.warc", "--resume"];
    let ran = indexrank(
        folder.path(),
        &[&["--from", server.address()], &options[..]].concat(),
    );
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("its shard is \"2/3\", not \"1/3\""),
        "{}",
        ran.stderr
    );
    for number in 1..=SHARDS {
        let ran = record(folder.path(), &server, number, &["--resume"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    let report = json(&folder.path().join("shard-2-of-3/run.json"));
    assert!(report["resumed"].as_u64().unwrap() > 0, "{report}");
    let whole = indexrank(folder.path(), &["--from", server.address(), "-q"]);
    assert_eq!(whole.code, 0, "{}", whole.stderr);
    assert_eq!(merge(folder.path(), &ALL, &["--out", "merged"]).code, 0);
    for ranking in RANKINGS {
        let read = |out: &str| fs::read(folder.path().join(out).join(ranking)).unwrap();
        assert!(read("merged") == read("rankings"), "{ranking}");
    }
}

/// In two seconds, a shard of three sends some six requests, with the rates of the whole job up to 20.
#[test]
fn rate_limits_are_those_of_all_shards_together() {
    let robots = || Reply::Page(b"User-agent: *\nCrawl-delay: 0.1\n".to_vec());
    let with_delay = move |path: &str, _| (path == "/robots.txt").then(robots);
    for (options, server) in [
        (&["--rps", "10"][..], quiet_server()),
        (&[], TestServer::start(market(), with_delay)),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let options = [options, &["--max-time", "2"]].concat();
        let ran = record(folder.path(), &server, 1, &options);
        assert_eq!(ran.code, 4, "{}", ran.stderr);
        assert!(server.requests().len() <= 10, "{options:?}");
    }
}

/// The shard of `of` that these companies are dealt to, if it has no others.
fn shard_of_only(companies: usize, of: u32) -> Shard {
    let market = market();
    let mut shards = (1..=of).map(|number| format!("{number}/{of}").parse::<Shard>().unwrap());
    let has_as_many = |shard: &Shard| {
        let paths = market.companies().iter().map(|company| &*company.path);
        paths.filter(|path| shard.takes(path)).count() == companies
    };
    shards.find(has_as_many).unwrap()
}

/// A page without a figure, or that is gone, tells of a changed layout only in a whole run.
#[test]
fn records_a_shard_of_one_company_or_none() {
    let gone = TestServer::start(market(), |path, _| {
        let is_company = path.starts_with("/stocks/");
        is_company.then(|| Reply::status("404 Not Found"))
    });
    let without_figures = TestServer::start(market(), |path, _| {
        let html = String::from_utf8(company_html(COMPANY)).unwrap();
        let is_company = path.starts_with("/stocks/");
        let html = html.replace("P/E Ratio", "P/B Ratio");
        is_company.then(|| Reply::Page(unnamed(html.as_bytes())))
    });
    for (server, companies, code) in [
        (&without_figures, 1, 0),
        (&without_figures, 0, 0),
        (&gone, 1, 3),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let shard = shard_of_only(companies, 60).to_string();
        let options = ["--shard", &shard, "--record", "few.warc", "--out", "few"];
        let options = [&["--from", server.address()], &options[..]].concat();
        let ran = indexrank(folder.path(), &options);
        assert_eq!(ran.code, code, "{companies}: {}", ran.stderr);
        let report = json(&folder.path().join("few/run.json"));
        assert_eq!(ledger(&report)[0], companies as u64);
        assert_rejected(folder.path(), &["few.warc"], 4, &["of 60 are missing"]);
    }
}

/// The letter pages list companies that the numbered pages lack.
#[test]
fn shards_are_ranked_by_the_walk_that_recorded_them() {
    let server = TestServer::start(market().dropping(4), |_, _| None);
    let folder = tempfile::tempdir().unwrap();
    for number in 1..=SHARDS {
        let ran = record(folder.path(), &server, number, &["--walk", "both"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let report = json(&folder.path().join(format!("shard-{number}-of-3/run.json")));
        assert_eq!(report["shard"]["index"]["companies"], COMPANIES);
    }
    let words = ["60 companies", "found 56", "--walk"];
    assert_rejected(folder.path(), &ALL, 2, &words);
    let ran = merge(folder.path(), &ALL, &["--walk", "both", "--out", "merged"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let whole = ["--from", server.address(), "--walk", "both", "-q"];
    assert_eq!(indexrank(folder.path(), &whole).code, 0);
    for ranking in RANKINGS {
        let read = |out: &str| fs::read(folder.path().join(out).join(ranking)).unwrap();
        assert!(read("merged") == read("rankings"), "{ranking}");
    }
}

#[test]
fn checks_the_archives_of_all_shards() {
    let server = quiet_server();
    let folder = recorded(&server);
    let all = [
        "check", "--from", "1.warc", "--from", "2.warc", "--from", "3.warc",
    ];
    let ran = indexrank(folder.path(), &all);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let ran = indexrank(folder.path(), &all[..5]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("shard 3 of 3 is missing"),
        "{}",
        ran.stderr
    );
}
