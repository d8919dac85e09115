//! Runs the script for clusters, `testdata/cluster/slurm.sh`, in a Slurm of one node.
//!
//! Needs root and the packages slurm-wlm and munge of Debian:
//! `cargo test --all-features --test cluster -- --ignored`
#![cfg(target_os = "linux")]

mod slurm;

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::slurm::{Slurm, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_indexrank");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/cluster/slurm.sh");

/// A fifth of the first requests for each page fails. The second succeeds, and a shard has more retries left
/// than it needs: no page is missing, whatever the order of the requests.
const FAULTS: &str = "503@8%#1,reset-body@6%#1,short@6%#1";

/// Requests per second of all shards. A shard fetches about 135 pages at a quarter of it, so it runs for
/// more than ten seconds and is not complete when the test cancels it.
const RPS: &str = "40";

/// Bytes of a journal with about three pages.
const PAGES: u64 = 100_000;

const RANKINGS: [&str; 4] = [
    "growth.json",
    "pe.json",
    "potential_profit.json",
    "price.json",
];

/// `indexrank serve`, killed when it is dropped.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start() -> Self {
        let mut process = Command::new(PROGRAM)
            .args(["serve", "--faults", FAULTS])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut address = String::new();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        stdout.read_line(&mut address).unwrap();
        Server {
            process,
            address: address.trim_end().to_owned(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Writes the script with these settings, as its user would change them in an editor.
fn adapt(settings: &[(&str, &str)], script: &Path) {
    let text = fs::read_to_string(SCRIPT).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (name, value) in settings {
        let mut settings = lines
            .iter_mut()
            .filter(|line| line.starts_with(&format!("{name}=")));
        let line = settings.next().expect(name);
        *line = format!("{name}='{value}'");
        assert_eq!(settings.next(), None);
    }
    fs::write(script, lines.join("\n") + "\n").unwrap();
}

/// Submits the array job and the merge by `bash slurm.sh ARGUMENTS`. Returns their numbers.
fn submit(slurm: &Slurm, script: &Path, arguments: &[&str]) -> (String, String) {
    let mut path = OsString::from(Path::new(PROGRAM).parent().unwrap());
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap());
    let output = slurm
        .command("bash")
        .arg(script)
        .args(arguments)
        .env("PATH", path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut numbers = text.split(": job ").skip(1).map(|rest| {
        let digits = rest.split(|next: char| !next.is_ascii_digit());
        digits.take(1).collect::<String>()
    });
    (numbers.next().expect(&text), numbers.next().expect(&text))
}

#[test]
#[ignore = "needs Slurm"]
fn merges_the_shards_after_a_cancelled_task_has_run_again() {
    let work = tempfile::tempdir().unwrap();
    let results = work.path().join("results");
    let log = |name: &str| fs::read_to_string(results.join(name)).unwrap_or_default();
    let script = work.path().join("slurm.sh");
    let server = Server::start();
    let slurm = Slurm::start();
    let settings = [
        ("SHARDS", "4"),
        ("SOURCE", &server.address),
        ("RPS", RPS),
        ("FOLDER", results.to_str().unwrap()),
    ];
    adapt(&settings, &script);

    let (tasks, merge) = submit(&slurm, &script, &[]);
    let journal = results.join("unfinished-shard-2.warc.gz");
    wait_for("pages in the journal of shard 2", || {
        journal.metadata().is_ok_and(|file| file.len() > PAGES)
    });
    let second = format!("{tasks}_2");
    let cancelled = slurm.command("scancel").arg(&second).status().unwrap();
    assert!(cancelled.success());
    assert_eq!(
        slurm.wait(&second).state,
        "CANCELLED",
        "{}",
        log("shard-2.log")
    );
    for shard in [1, 3, 4] {
        let ended = slurm.wait(&format!("{tasks}_{shard}"));
        let log = log(&format!("shard-{shard}.log"));
        assert_eq!(ended.exit, "0:0", "{shard}: {ended:?}\n{log}");
    }
    assert!(journal.exists() && !results.join("shard-2.warc.gz").exists());

    let ended = slurm.wait(&merge);
    assert_eq!(ended.exit, "4:0", "{}", log("merge.log"));
    assert!(log("merge.log").contains("shard 2"), "{}", log("merge.log"));
    assert!(!results.join("rankings").exists());

    let (tasks, merge) = submit(&slurm, &script, &["2"]);
    let ended = slurm.wait(&format!("{tasks}_2"));
    assert_eq!(ended.exit, "0:0", "{ended:?}\n{}", log("shard-2.log"));
    let report = fs::read(results.join("shard-2/run.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert!(report["resumed"].as_u64() > Some(0), "{report}");
    let ended = slurm.wait(&merge);
    assert_eq!(ended.exit, "0:0", "{ended:?}\n{}", log("merge.log"));

    let single = work.path().join("single");
    let status = Command::new(PROGRAM)
        .args(["-q", "--from", &server.address, "--out"])
        .arg(&single)
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
    for name in RANKINGS {
        let merged = fs::read_to_string(results.join("rankings").join(name)).unwrap();
        assert_eq!(
            merged,
            fs::read_to_string(single.join(name)).unwrap(),
            "{name}"
        );
    }
}
