//! Shards of a list of addresses.

use std::fs;

use crate::run::market;
use crate::support::{Reply, TestServer, indexrank, json, json_lines, ledger};

fn server() -> TestServer {
    TestServer::start(market(), |path, _| {
        let number = path.strip_prefix("/users/")?;
        Some(Reply::Page(format!("user {number}").into_bytes()))
    })
}

#[test]
fn the_rows_of_all_shards_are_those_of_the_list() {
    let server = server();
    let folder = tempfile::tempdir().unwrap();
    let range = format!("{}/users/[1-40]", server.address());
    let list = format!(
        "{}/users/7\n{}/users/41\n",
        server.address(),
        server.address()
    );
    fs::write(folder.path().join("list"), list).unwrap();
    let mut positions = Vec::new();
    let mut listed = 0;
    let mut digests = Vec::new();
    for number in 1..=3 {
        let (shard, out) = (format!("{number}/3"), format!("out-{number}"));
        let table = format!("{out}/rows.ndjson");
        let ran = indexrank(
            folder.path(),
            &[
                "fetch", &range, "--urls", "list", "--shard", &shard, "--table", &table, "--out",
                &out,
            ],
        );
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let report = json(&folder.path().join(&out).join("run.json"));
        let rows = json_lines(&fs::read_to_string(folder.path().join(table)).unwrap());
        assert_eq!(ledger(&report)[..2], [rows.len() as u64; 2]);
        assert_eq!(report["shard"]["number"], number);
        assert_eq!(report["list"]["addresses"], 42);
        digests.push(report["list"]["sha256"].clone());
        listed += rows.len();
        for row in rows {
            let url = row["url"].as_str().unwrap();
            let last = url.rsplit_once('/').unwrap().1.parse::<u64>().unwrap();
            let position = row["position"].as_u64().unwrap();
            assert!(
                position == last || (position, last) == (41, 7) || (position, last) == (42, 41)
            );
            positions.push(position);
        }
    }
    positions.sort_unstable();
    assert_eq!(positions, (1..=42).collect::<Vec<u64>>());
    assert_eq!(listed, 42);
    assert!(digests.iter().all(|digest| *digest == digests[0]));
    // Both times, by the same shard.
    assert_eq!(server.asked("/users/7"), 2);
}

#[test]
fn a_shard_does_not_resume_the_journal_of_another_one() {
    let server = TestServer::start(market(), |_, _| None);
    let folder = tempfile::tempdir().unwrap();
    let range = format!("{}/missing/[1-9]", server.address());
    let run = |shard: &str, options: &[&str]| {
        let own = [
            "fetch",
            &range,
            "--shard",
            shard,
            "--table",
            "rows.ndjson",
            "--out",
            "out",
        ];
        indexrank(folder.path(), &[&own[..], options].concat())
    };
    assert_eq!(run("1/2", &[]).code, 3);
    let other = run("2/2", &["--resume"]);
    assert_eq!(other.code, 2, "{}", other.stderr);
    let words = "its shard is \"1/2\", not \"2/2\"";
    assert!(other.stderr.contains(words), "{}", other.stderr);
    assert_eq!(run("1/2", &["--resume"]).code, 3);
}

#[test]
fn rejects_local_files() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.log"), "error").unwrap();
    let options = [
        "fetch", "a.log", "--count", "error", "--shard", "1/2", "--out", "out",
    ];
    let ran = indexrank(folder.path(), &options);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("a.log is a local file"),
        "{}",
        ran.stderr
    );
}
