//! The trace of a run: what Perfetto would show.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::run::{COMPANY, OK, Run, once};
use crate::support::{MARKET, Reply, indexrank, json};

/// By path of a company: what was done with its page, sorted.
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

/// Names of the rows, in the order in which they are shown.
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
fn trace_of_a_run() {
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
    let of = |role: &str| rows.iter().filter(|row| row.starts_with(role)).count();
    assert_eq!(
        (of("rate"), of("fetcher"), of("reader")),
        (1, 4, 2),
        "{rows:?}"
    );
    assert!((1..=5).contains(&of("index")), "{rows:?}");
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

    // No worker does two things at once, and nothing takes longer than the run.
    let took = json(&folder.path().join("rankings/run.json"))["seconds"]
        .as_f64()
        .unwrap()
        * 1e6;
    let mut ends: BTreeMap<u64, u64> = BTreeMap::new();
    for span in spans(&trace) {
        let (row, start) = (span["tid"].as_u64().unwrap(), span["ts"].as_u64().unwrap());
        let before = ends.insert(row, start + span["dur"].as_u64().unwrap());
        assert!(before <= Some(start), "{span}");
    }
    let last = *ends.values().max().unwrap() as f64;
    assert!(last > took * 0.1 && last < took * 1.1, "{last} of {took}");
    let report = json(&folder.path().join("rankings/run.json"));
    assert!(
        report["files"]
            .as_array()
            .unwrap()
            .contains(&"deep/trace.json".into())
    );
}

/// A page that broke off is seen beside the one that came when it was asked for again.
#[test]
fn trace_of_a_failure() {
    let cut = || Reply::with_head(&format!("{OK}\r\nContent-Length: 100"), b"half");
    let server = once(COMPANY, cut);
    let run = Run::new(&server, &["--trace", "trace.json"]);
    assert_eq!(run.ran.code, 0);
    let trace = json(&run.folder.path().join("trace.json"));
    let each = [
        "failing",
        "pausing",
        "inflating",
        "reading",
        "receiving",
        "waiting",
    ];
    let mut with_failure = each;
    with_failure.sort();
    for (path, phases) in phases_of_companies(&trace) {
        let expected = if path == COMPANY {
            &with_failure[..]
        } else {
            &each[2..]
        };
        assert_eq!(phases, expected, "{path}");
    }
}
