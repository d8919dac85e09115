//! The subcommand `race` on a small market: its results, and its messages about faulty participants.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{command, files, json};

pub const CONTENDERS: [&str; 10] = [
    "pipeline",
    "inline",
    "sequential",
    "thread-per-page",
    "rayon-only",
    "processes",
    "async",
    "async-single",
    "async-reqwest",
    "sockets",
];

pub struct Raced {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub results: Vec<Value>,
}

/// Runs a race. Unless the arguments differ, it has two rounds at 0 ms on 60 companies, with 32 requests in
/// flight.
pub fn race(folder: &Path, arguments: &[&str]) -> Raced {
    let small: &[&str] = if arguments.contains(&"--urls") {
        // A list of addresses excludes options about the server.
        &[]
    } else if arguments.contains(&"--latency") || arguments.contains(&"cpu") {
        &["--companies", "60", "--rounds", "2"]
    } else {
        &["--companies", "60", "--rounds", "2", "--latency", "0"]
    };
    let one_table: &[&str] = if arguments.contains(&"--urls") || arguments.contains(&"--workers") {
        &[]
    } else {
        &["--workers", "32"]
    };
    let output = Command::new(env!("CARGO_BIN_EXE_indexrank"))
        .args(["race", "--json", "race.json"])
        .args(small)
        .args(one_table)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let file = folder.join("race.json");
    let results = if file.exists() {
        json(&file)["results"].as_array().unwrap().clone()
    } else {
        Vec::new()
    };
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Raced {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
        results,
    }
}

pub fn names(results: &[Value]) -> Vec<&str> {
    let mut names: Vec<&str> = results
        .iter()
        .map(|result| result["name"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn all_contenders_give_the_same_answer() {
    let folder = tempfile::tempdir().unwrap();
    let raced = race(
        folder.path(),
        &["--all", "--csv", "race.csv", "--workers", "4,16"],
    );
    assert_eq!(raced.code, Some(0), "{}{}", raced.stdout, raced.stderr);
    assert_eq!(raced.stdout.matches("pages in flight\n").count(), 2);
    for part in [
        "Server waits 0 ms, 4 pages in flight",
        "▸ pipeline",
        "Least possible time: ",
    ] {
        assert!(raced.stdout.contains(part), "{part} in\n{}", raced.stdout);
    }
    let mut expected = [CONTENDERS, CONTENDERS].concat();
    expected.sort_unstable();
    assert_eq!(names(&raced.results), expected);
    let digest = raced
        .results
        .iter()
        .find_map(|result| result["digest"].as_str())
        .unwrap();
    for result in &raced.results {
        let name = result["name"].as_str().unwrap();
        assert_eq!(result["broken"], Value::Null, "{result}");
        // 60 company pages, two index pages, one list of exchange rates.
        assert_eq!(result["requests"], 63.0, "{name}");
        assert_eq!(result["digest"].as_str(), Some(digest), "{name}");
        let connections = result["connections"].as_f64().unwrap();
        assert!(
            connections >= 1.0 && (name != "sequential" || connections == 1.0),
            "{name}: {connections}"
        );
        let rounds = result["rounds"].as_u64().unwrap();
        assert_eq!(result["samples"].as_array().unwrap().len() as u64, rounds);
        let wall = &result["wall_s"];
        assert!(
            wall["min"].as_f64() <= wall["median"].as_f64()
                && wall["median"].as_f64() <= wall["max"].as_f64()
        );
        for key in ["pages_per_s", "cpu_ms_per_page", "peak_mb"] {
            assert!(result[key].as_f64().unwrap() > 0.0, "{key} of {name}");
        }
    }
    let rows = fs::read_to_string(folder.path().join("race.csv"))
        .unwrap()
        .lines()
        .count() as u64;
    let runs: u64 = raced
        .results
        .iter()
        .filter(|result| result["copied"] == false)
        .map(|result| result["rounds"].as_u64().unwrap())
        .sum();
    assert_eq!(rows, runs + 1);
    assert_eq!(files(folder.path()), ["race.csv", "race.json"]);
}

pub fn result<'a>(results: &'a [Value], name: &str) -> &'a Value {
    results
        .iter()
        .find(|result| result["name"] == name)
        .unwrap()
}

#[test]
fn disqualifies_faulty_contenders_and_continues_with_the_others() {
    for (fault, reason) in [
        ("loses", "different answer: "),
        ("changes", "different answer: "),
        ("crashes", "failed with signal: 6"),
        ("hangs", "timed out: killed after 12 s"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let fault = format!("async={fault}");
        let arguments = [
            "--only",
            "inline,async",
            "--fault",
            &fault,
            "--run-timeout",
            "12",
        ];
        let raced = race(folder.path(), &arguments);
        assert_eq!(
            raced.code,
            Some(3),
            "{fault}: {}{}",
            raced.stdout,
            raced.stderr
        );
        let message = format!("async is disqualified: {reason}");
        assert!(
            raced.stdout.contains(&message),
            "{message} in\n{}",
            raced.stdout
        );
        let rounds = |name: &str| result(&raced.results, name)["rounds"].as_u64();
        assert_eq!(
            (rounds("async"), rounds("inline")),
            (Some(0), Some(2)),
            "{fault}"
        );
    }
}

/// An incomplete first answer does not become the expected answer of the others.
#[test]
fn disqualifies_the_first_participant_if_it_loses_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--only", "inline,async", "--fault", "inline=admits"];
    let raced = race(folder.path(), &arguments);
    assert!(
        raced
            .stdout
            .contains("inline is disqualified: lost 1 page\n"),
        "{}",
        raced.stdout
    );
    let rounds = |name: &str| result(&raced.results, name)["rounds"].as_u64();
    assert_eq!((rounds("inline"), rounds("async")), (Some(0), Some(2)));
}

#[test]
fn rejects_invalid_options_before_the_first_run() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("taken"), "").unwrap();
    fs::write(folder.path().join("bad"), "http://127.0.0.1:1/\nftp://x\n").unwrap();
    for (arguments, code, words) in [
        (
            &["--only", "nobody"][..],
            2,
            "unknown contender \"nobody\"; --only accepts pipeline, sockets",
        ),
        (
            &["--also", "nameless"],
            2,
            "expected python, go, or a name and a command",
        ),
        (
            &["--from", "http://127.0.0.1:1"],
            2,
            "expected replica, FILE.warc or FILE.warc.gz",
        ),
        (&["--workers", "0"], 2, "0 is not in 1..=4096"),
        (&["--urls", "nowhere"], 2, "cannot read nowhere"),
        (
            &["--urls", "taken"],
            2,
            "taken contains no addresses; write one address per line",
        ),
        (&["--urls", "bad"], 2, "bad, line 2: ftp://x"),
        (
            &["--urls", "bad", "--latency", "5"],
            2,
            "cannot be used with",
        ),
        (
            &["--work", "cpu", "--also", "mine=true"],
            2,
            "--also runs the whole job",
        ),
        (
            &["--trace", "taken", "--only", "inline"],
            7,
            "cannot write taken",
        ),
        (
            &["--html", "taken/race.html", "--only", "inline"],
            7,
            "cannot write taken",
        ),
        (
            &["--csv", "taken/race.csv", "--only", "inline"],
            7,
            "cannot write taken",
        ),
    ] {
        let raced = race(folder.path(), arguments);
        assert_eq!(raced.code, Some(code), "{arguments:?}: {}", raced.stderr);
        assert!(
            raced.stderr.contains(words),
            "{arguments:?}: {}",
            raced.stderr
        );
        assert_eq!(raced.stdout, "", "{arguments:?}: a run was started");
    }
}

#[test]
fn a_sweep_stops_at_the_bound_of_each_contender() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "race",
        "--all",
        "--only",
        "pipeline,processes,sequential",
        "--latency",
        "0",
        "--rounds",
        "1",
        "--companies",
        "5",
        "--json",
        "race.json",
    ];
    let raced = command(folder.path(), &arguments).output().unwrap();
    assert_eq!(raced.status.code(), Some(0), "{raced:?}");
    let report = json(&folder.path().join("race.json"));
    let most = |name: &str| {
        let results = report["results"].as_array().unwrap().iter();
        let of_name = results.filter(|result| result["name"] == name);
        of_name
            .filter_map(|result| result["workers"].as_u64())
            .max()
    };
    assert_eq!(
        (most("pipeline"), most("processes")),
        (Some(1024), Some(64))
    );
}
