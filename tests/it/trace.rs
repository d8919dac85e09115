//! The trace of a run, in the JSON format that Perfetto shows.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::run::{COMPANY, OK, Run, once};
use crate::support::{MARKET, Reply, indexrank, json};

/// For each company's path the sorted names of the phases of its page.
pub fn phases_of_companies(trace: &Value) -> BTreeMap<&str, Vec<&str>> {
    let mut phases: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for span in spans(trace) {
        let path = span["args"]["path"].as_str().unwrap();
        if path.starts_with("/stocks/") {
            phases
                .entry(path)
                .or_default()
                .push(span["name"].as_str().unwrap());
        }
    }
    phases
        .values_mut()
        .for_each(|phases| phases.sort_unstable());
    phases
}

/// Names of the rows in display order.
pub fn rows(trace: &Value) -> Vec<&str> {
    let named = events(trace).filter(|event| event["name"] == "thread_name");
    named
        .map(|event| event["args"]["name"].as_str().unwrap())
        .collect()
}

fn events(trace: &Value) -> impl Iterator<Item = &Value> {
    trace["traceEvents"].as_array().unwrap().iter()
}

fn spans(trace: &Value) -> impl Iterator<Item = &Value> {
    events(trace).filter(|event| event["ph"] == "X")
}

#[test]
fn traces_every_page_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let site = MARKET.address();
    let run = [
        "--from",
        &site,
        "--workers",
        "4",
        "--readers",
        "2",
        "--quiet",
        "--trace",
        "deep/trace.json",
    ];
    let ran = indexrank(folder.path(), &run);
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    let trace = json(&folder.path().join("deep/trace.json"));

    let rows = rows(&trace);
    let count = |label: &str| rows.iter().filter(|row| row.starts_with(label)).count();
    assert_eq!(
        (count("rate"), count("fetcher"), count("reader")),
        (1, 4, 2),
        "{rows:?}"
    );
    assert!((1..=5).contains(&count("index")), "{rows:?}");
    assert_eq!(rows[0], "rate 1");

    let phases = phases_of_companies(&trace);
    assert_eq!(phases.len(), 496);
    for (path, phases) in phases {
        assert_eq!(
            phases,
            ["inflating", "reading", "receiving", "waiting"],
            "{path}"
        );
    }

    // Spans of a row do not overlap, and none ends after the run.
    let duration = json(&folder.path().join("rankings/run.json"))["seconds"]
        .as_f64()
        .unwrap()
        * 1e6;
    let mut ends: BTreeMap<u64, u64> = BTreeMap::new();
    for span in spans(&trace) {
        let (row, start) = (span["tid"].as_u64().unwrap(), span["ts"].as_u64().unwrap());
        let previous_end = ends.insert(row, start + span["dur"].as_u64().unwrap());
        assert!(previous_end <= Some(start), "{span}");
    }
    let last = *ends.values().max().unwrap() as f64;
    assert!(
        last > duration * 0.1 && last < duration * 1.1,
        "last span ends at {last} of {duration} µs"
    );
    let report = json(&folder.path().join("rankings/run.json"));
    assert!(
        report["files"]
            .as_array()
            .unwrap()
            .contains(&"deep/trace.json".into())
    );
}

/// The first response breaks off in the body, and the retry succeeds.
#[test]
fn traces_a_failed_attempt_beside_its_retry() {
    let truncated = || Reply::with_head(&format!("{OK}\r\nContent-Length: 100"), b"half");
    let server = once(COMPANY, truncated);
    let run = Run::new(&server, &["--trace", "trace.json"]);
    assert_eq!(run.ran.code, 0);
    let trace = json(&run.folder.path().join("trace.json"));
    let without_failure = ["inflating", "reading", "receiving", "waiting"];
    let mut with_failure = [&without_failure[..], &["failing", "pausing"]].concat();
    with_failure.sort();
    for (path, phases) in phases_of_companies(&trace) {
        let expected = if path == COMPANY {
            &with_failure[..]
        } else {
            &without_failure[..]
        };
        assert_eq!(phases, expected, "{path}");
    }
}
