//! The subcommand `race` with `--work`, `--urls` and `--trace`.

use std::fs;

use serde_json::Value;

use crate::race::{CONTENDERS, names, race, result};
use crate::support::{MARKET, files, json};

/// The contenders request no index and no exchange rate, and all report the same sizes.
#[test]
fn work_io_only_fetches_company_pages() {
    let folder = tempfile::tempdir().unwrap();
    let raced = race(folder.path(), &["--all", "--work", "io", "--latency", "5"]);
    assert_eq!(raced.code, Some(0), "{}", raced.stdout);
    assert!(
        raced.stdout.contains("nothing is parsed"),
        "{}",
        raced.stdout
    );
    assert_eq!(names(&raced.results).len(), CONTENDERS.len());
    let digest = raced.results[0]["digest"].as_str().unwrap();
    for result in &raced.results {
        assert_eq!(result["requests"], 60.0, "{result}");
        assert_eq!(result["digest"].as_str(), Some(digest), "{result}");
    }
    let faulty = [
        "--work",
        "io",
        "--only",
        "inline,sequential",
        "--fault",
        "sequential=changes",
    ];
    let raced = race(folder.path(), &faulty);
    assert!(
        raced
            .stdout
            .contains("sequential is disqualified: different answer: got "),
        "{}",
        raced.stdout
    );
}

#[test]
fn work_cpu_parses_pages_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let raced = race(folder.path(), &["--all", "--work", "cpu"]);
    assert_eq!(raced.code, Some(0), "{}", raced.stdout);
    assert!(raced.stdout.contains("Pages in memory"), "{}", raced.stdout);
    assert!(
        raced.stdout.contains("the CPU time of the contender on "),
        "{}",
        raced.stdout
    );
    let mut expected = CONTENDERS;
    expected.sort_unstable();
    assert_eq!(names(&raced.results), expected);
    let digest = result(&raced.results, "pipeline")["digest"].clone();
    assert!(digest.is_string());
    for result in &raced.results {
        assert_eq!(result["digest"], digest, "{result}");
        assert_eq!(
            (&result["connections"], &result["requests"]),
            (&Value::Null, &63.0.into()),
            "{result}"
        );
    }
}

/// One run for each contender. Neither a failed address nor a different page disqualifies one.
#[test]
fn urls_counts_the_headings_of_listed_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let site = MARKET.address();
    let list = format!(
        "# mine\n\n{site}/index/components/s&p_500?p=1\n{site}/stocks/mmm-stock\n{site}/nowhere\n{site}/stocks/mmm-stock\n"
    );
    fs::write(folder.path().join("list"), list).unwrap();
    let raced = race(folder.path(), &["--all", "--urls", "list"]);
    assert_eq!(raced.code, Some(0), "{}{}", raced.stdout, raced.stderr);
    for part in [
        "1 address failed:\n  http://127.0.0.1",
        "/nowhere: HTTP status 404",
        "10 contenders request 3 addresses each in one run, 8 at a time. Use --rounds for more runs",
        "Addresses of list, 8 pages in flight",
    ] {
        assert!(raced.stdout.contains(part), "{part} in\n{}", raced.stdout);
    }
    assert_eq!(names(&raced.results).len(), CONTENDERS.len());
    let digest = raced.results[0]["digest"].as_str().unwrap();
    for result in &raced.results {
        assert_eq!(
            (&result["rounds"], &result["requests"]),
            (&1.into(), &3.0.into()),
            "{result}"
        );
        assert_eq!(result["digest"].as_str(), Some(digest), "{result}");
        assert_eq!(result["differs"], Value::Null, "{result}");
    }

    let faulty = [
        "--urls",
        "list",
        "--only",
        "inline,sequential",
        "--fault",
        "sequential=loses",
    ];
    let raced = race(folder.path(), &faulty);
    assert_eq!(raced.code, Some(0), "live pages may change between runs");
    assert!(
        raced
            .stdout
            .contains("sequential received different pages: got nothing, expected {"),
        "{}",
        raced.stdout
    );
}

/// In each contender's trace, each page has every phase exactly once.
#[test]
fn writes_a_trace_for_each_contender() {
    let folder = tempfile::tempdir().unwrap();
    let raced = race(folder.path(), &["--all", "--trace", "traces"]);
    assert_eq!(raced.code, Some(0), "{}", raced.stdout);
    let mut expected = CONTENDERS.map(|name| format!("{name}-0ms-32.json"));
    expected.sort_unstable();
    assert_eq!(files(&folder.path().join("traces")), expected);
    for file in expected {
        let trace = json(&folder.path().join("traces").join(&file));
        let phases = crate::trace::phases_of_companies(&trace);
        assert_eq!(phases.len(), 60, "{file}");
        let each = ["inflating", "reading", "receiving", "waiting"];
        for (path, phases) in phases {
            assert_eq!(phases, each, "{file} {path}");
        }
        assert!(
            crate::trace::rows(&trace)
                .iter()
                .filter(|row| row.starts_with("worker"))
                .count()
                <= 32,
            "{file}"
        );
    }
}
