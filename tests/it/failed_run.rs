//! `failed-run.json`: the report of a run that began and failed.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::interrupted::slow_market;
use crate::support::{Reply, TestServer, indexrank, json};

/// No server listens here.
const NOWHERE: &str = "http://127.0.0.1:1";

/// A run that began and failed leaves a report, and prints it with `--json`. The next success removes it.
#[test]
fn a_failed_run_leaves_a_report() {
    let server = slow_market(0);
    let address = server.address();
    let refusing = TestServer::start(crate::run::market(), |_, _| {
        Some(Reply::status("403 Forbidden"))
    });
    let unknown = TestServer::start(crate::run::market(), |path, _| {
        path.starts_with("/stocks/")
            .then(|| Reply::with_head(crate::run::OK, b"<html><body>other</body></html>"))
    });
    for (arguments, code, is_whole) in [
        (&["--from", NOWHERE, "--retry-pause", "1"][..], 4, false),
        (&["--from", refusing.address()], 4, false),
        (
            &["--from", unknown.address(), "--retry-pause", "1"],
            5,
            true,
        ),
        (&["--from", &address, "--min-companies", "1000"], 8, true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let ran = indexrank(folder.path(), &[arguments, &["--json"]].concat());
        assert_eq!(ran.code, code, "{}", ran.stderr);
        let failed = folder.path().join("rankings/failed-run.json");
        assert_eq!(fs::read_to_string(&failed).unwrap(), ran.stdout);
        let report = json(&failed);
        assert_eq!(
            (&report["exit"], &report["schema"]),
            (&code.into(), &1.into())
        );
        let error = report["error"].as_str().unwrap();
        assert!(ran.stderr.contains(error), "{error}: {}", ran.stderr);
        assert_eq!(report["ledger"].is_object(), is_whole, "{report}");
        assert_eq!(
            report["files"],
            if is_whole { json!([]) } else { Value::Null }
        );
        assert!(report["requests"].as_u64().unwrap() > 0);
        assert!(!folder.path().join("rankings/run.json").exists());

        let quiet = indexrank(folder.path(), arguments);
        assert!(code == 8 || quiet.stdout.is_empty(), "{}", quiet.stdout);
        assert!(failed.exists());
        assert_eq!(
            indexrank(folder.path(), &["--from", "replica", "-q"]).code,
            0
        );
        assert!(!failed.exists());
    }
}

/// A file cannot grow beyond `ulimit -f`, so the table cannot be written; the report can.
#[test]
fn a_run_that_cannot_write_leaves_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let binary = env!("CARGO_BIN_EXE_indexrank");
    let script =
        format!("ulimit -f 16; exec {binary} --from replica --json --top 5 --table all.csv");
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(7));
    let failed = json(&folder.path().join("rankings/failed-run.json"));
    assert_eq!(failed["exit"], 7);
    assert_eq!(failed["ledger"]["ok"], 496);
    assert!(
        failed["not_written"]
            .as_str()
            .unwrap()
            .contains("cannot write all.csv")
    );
    assert_eq!(
        serde_json::from_slice::<Value>(&output.stdout).unwrap(),
        failed
    );
}
