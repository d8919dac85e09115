//! The files of a run: staged and locked before the first request, told apart by what they are, and
//! named all or none at the end, also if the process is killed in between.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::interrupted::{ended, slow_market, start};
use crate::support::{
    RANKINGS, Ran, Reply, TestServer, assert_expected_rankings, files, indexrank, json,
};

const REDO: &str = "unfinished-commit.json";
/// No server listens here, so a run that starts ends with code 4 and without results.
const NOWHERE: &str = "http://127.0.0.1:1";

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// All plain files below a folder and their contents.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = path.symlink_metadata().unwrap().file_type();
        if kind.is_dir() {
            all.extend(contents(&path));
        } else if kind.is_file() {
            all.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    all
}

/// Waits until a run has staged its outputs.
fn wait_for(file: &Path) {
    while !file.exists() {
        std::thread::yield_now();
    }
}

#[test]
fn a_second_run_with_one_common_output_is_refused() {
    let server = slow_market(100);
    let address = server.address();
    let folder = tempfile::tempdir().unwrap();
    for output in [
        ["--table", "all.csv"],
        ["--record", "run.warc"],
        ["--trace", "trace.json"],
    ] {
        let first = ["--from", &*address, "-q", "--out", "first"];
        let first = start(folder.path(), &[&first[..], &output].concat());
        let staged = match output[0] {
            "--record" => "unfinished-run.warc".to_owned(),
            _ => format!(".{}.indexrank", output[1]),
        };
        wait_for(&folder.path().join(staged));
        let second = ["--from", &*address, "-q", "--out", "second"];
        let second = indexrank(folder.path(), &[&second[..], &output].concat());
        assert_eq!(second.code, 7, "{output:?}: {}", second.stderr);
        assert!(
            second.stderr.contains("is writing there"),
            "{}",
            second.stderr
        );
        assert!(!folder.path().join("second").exists());
        let (_, first) = ended(first);
        assert_eq!(first.code, 0, "{}", first.stderr);
        assert_expected_rankings(&folder.path().join("first"));
    }
    assert_eq!(
        files(folder.path()),
        ["all.csv", "first", "run.warc", "trace.json"]
    );
}

/// Each run is refused before its first request, and no file changes.
#[test]
fn refuses_outputs_that_are_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let recorded = ["--from", "replica", "-q", "--record", "source.warc"];
    assert_eq!(indexrank(folder.path(), &recorded).code, 0);
    fs::hard_link(at("source.warc"), at("hard.csv")).unwrap();
    fs::hard_link(at("rankings/pe.json"), at("pe.ndjson")).unwrap();
    fs::hard_link(at("source.warc"), at("rankings/hard.json")).unwrap();
    symlink(at("rankings"), at("linked")).unwrap();
    symlink(at("source.warc"), at("link.csv")).unwrap();
    symlink(at("nothing"), at("dangling.csv")).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(at("pipe.csv"))
            .status()
            .unwrap()
            .success()
    );
    let before = contents(folder.path());
    let twice = "is used twice, for two results or for a result and the source";
    for (arguments, message) in [
        (&["--from", "source.warc", "--table", "hard.csv"][..], twice),
        (
            &[
                "--from",
                "source.warc",
                "--trace",
                "./linked/../source.warc",
            ],
            twice,
        ),
        (
            &["--from", "source.warc", "--trace", "rankings/hard.json"],
            twice,
        ),
        (&["--from", "source.warc", "--table", "pe.ndjson"], twice),
        (&["--from", "source.warc", "--log", "source.warc"], twice),
        (&["--from", "source.warc", "--log", "hard.csv"], twice),
        (
            &["--from", "replica", "--log", "linked/.pe.json.indexrank"],
            twice,
        ),
        (
            &["--from", "replica", "--trace", "linked/price.json"],
            twice,
        ),
        (
            &[
                "--from",
                "replica",
                "--trace",
                "rankings/../rankings/run.json",
            ],
            twice,
        ),
        (
            &["--from", "replica", "--trace", "linked/price.previous.json"],
            twice,
        ),
        (
            &["--from", "replica", "--trace", "linked/failed-run.json"],
            twice,
        ),
        (
            &[
                "--from",
                "replica",
                "--trace",
                "linked/unfinished-commit.json",
            ],
            twice,
        ),
        (
            &["--from", "replica", "--trace", "linked/unfinished.warc"],
            twice,
        ),
        (
            &["--from", "replica", "--trace", "linked/.run.json.indexrank"],
            twice,
        ),
        (
            &[
                "--from",
                "replica",
                "--trace",
                "rankings/.unfinished-commit.json.indexrank",
            ],
            twice,
        ),
        (
            &[
                "--from",
                "replica",
                "--table",
                "a.csv",
                "--table",
                "linked/../a.csv",
            ],
            twice,
        ),
        (
            &[
                "--from", "replica", "--table", "a.csv", "--trace", "./a.csv",
            ],
            twice,
        ),
        (
            &[
                "--from",
                "replica",
                "--record",
                "r.warc",
                "--trace",
                "unfinished-r.warc",
            ],
            twice,
        ),
        (
            &["--from", "replica", "--table", "link.csv"],
            "link.csv: it is a link",
        ),
        (
            &["--from", "replica", "--table", "dangling.csv"],
            "it is a link",
        ),
        (
            &["--from", "replica", "--table", "pipe.csv"],
            "it is a device or a pipe",
        ),
        (
            &["--from", "replica", "--trace", "/dev/stdout"],
            "it is a link",
        ),
        (
            &["--from", "replica", "--trace", "/dev/null"],
            "it is a device or a pipe",
        ),
    ] {
        let ran = indexrank(folder.path(), arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stderr);
        assert!(
            ran.stderr.contains(message),
            "{arguments:?}: {}",
            ran.stderr
        );
        assert_eq!(ran.stdout, "");
        assert_eq!(contents(folder.path()), before, "{arguments:?}");
    }
    assert!(at("link.csv").is_symlink() && at("dangling.csv").is_symlink());
    // A linked folder is a folder.
    let ran = indexrank(
        folder.path(),
        &["--from", "replica", "-q", "--out", "linked"],
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(at("linked").is_symlink());
    assert_expected_rankings(&at("rankings"));
}

/// A killed run leaves staged files. The next run replaces them and writes into none of them: one may
/// have become another name of a foreign file.
#[test]
fn replaces_the_staged_files_of_a_killed_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("rankings");
    fs::create_dir(&out).unwrap();
    let precious = folder.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    fs::write(out.join(".run.json.indexrank"), "process 1\n").unwrap();
    fs::write(out.join(".unfinished-commit.json.indexrank"), "half").unwrap();
    fs::hard_link(&precious, out.join(".price.json.indexrank")).unwrap();
    let run = ["--from", "replica", "-q"];
    let ran = indexrank(folder.path(), &run);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let mut expected = RANKINGS.to_vec();
    expected.push("run.json");
    assert_eq!(files(&out), expected);
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");

    // A link is not of this program.
    symlink(&precious, out.join(".pe.json.indexrank")).unwrap();
    let ran = indexrank(folder.path(), &run);
    assert_eq!(ran.code, 7, "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("cannot write rankings/pe.json: .pe.json.indexrank is a link"),
        "{}",
        ran.stderr
    );
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
}

/// A file and its content before and after a run.
struct Change {
    path: PathBuf,
    /// The name before the rename, in the same folder.
    from: String,
    old: Option<Vec<u8>>,
    new: Vec<u8>,
}

/// A run that was killed within its commit.
struct Killed {
    folder: tempfile::TempDir,
    changes: Vec<Change>,
}

impl Killed {
    /// The state after `renamed` of the renames of a run with a table and, if `record`, a recording.
    fn after(renamed: usize, record: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut run = vec!["--from", "replica", "-q", "--table", "all.csv"];
        if record {
            run.extend(["--record", "run.warc"]);
        }
        assert_eq!(indexrank(folder.path(), &run).code, 0);
        let mut names: Vec<String> = RANKINGS.map(|name| format!("rankings/{name}")).to_vec();
        names.extend(["all.csv".to_owned(), "rankings/run.json".to_owned()]);
        let mut changes: Vec<Change> = names
            .iter()
            .map(|name| {
                let path = at(name);
                let from = format!(".{}.indexrank", path.file_name().unwrap().display());
                let (old, new) = (Some(b"old".to_vec()), fs::read(&path).unwrap());
                Change {
                    path,
                    from,
                    old,
                    new,
                }
            })
            .collect();
        if record {
            let path = at("run.warc");
            let new = fs::read(&path).unwrap();
            let from = "unfinished-run.warc".to_owned();
            changes.push(Change {
                path,
                from,
                old: None,
                new,
            });
        }
        let mut renames = Vec::new();
        for (number, change) in changes.iter().enumerate() {
            let in_folder = change.path.parent().unwrap() == at("rankings");
            let place = folder.path().canonicalize().unwrap();
            renames.push(json!({
                "folder": (!in_folder).then_some(place),
                "from": change.from,
                "to": change.path.file_name().unwrap().to_str().unwrap(),
                "bytes": change.new.len(),
                "sha256": sha256(&change.new),
            }));
            if number >= renamed {
                fs::rename(&change.path, change.path.with_file_name(&change.from)).unwrap();
                if let Some(old) = &change.old {
                    fs::write(&change.path, old).unwrap();
                }
            }
        }
        fs::write(at("rankings/failed-run.json"), "old").unwrap();
        let redo = json!({
            "version": 1, "exit": 3, "renames": renames, "removes": ["failed-run.json"],
        });
        fs::write(at("rankings").join(REDO), redo.to_string()).unwrap();
        Killed { folder, changes }
    }

    fn run(&self, more: &[&str]) -> Ran {
        let run = [&["--from", NOWHERE, "--retry-pause", "1"], more].concat();
        indexrank(self.folder.path(), &run)
    }

    #[track_caller]
    fn assert_new(&self) {
        for change in &self.changes {
            assert!(
                fs::read(&change.path).unwrap() == change.new,
                "{}",
                change.path.display()
            );
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

#[test]
fn the_next_run_completes_a_commit_that_was_cut_short() {
    for record in [false, true] {
        for renamed in 0..=if record { 7 } else { 6 } {
            let killed = Killed::after(renamed, record);
            let ran = killed.run(&[]);
            assert_eq!(ran.code, 4, "{}", ran.stderr);
            killed.assert_new();
            let told = "the files of an earlier run are in place now: rankings/growth.json, ";
            assert!(ran.stderr.contains(told), "{}", ran.stderr);
            let mut expected = vec!["failed-run.json"];
            expected.extend(RANKINGS);
            expected.push("run.json");
            assert_eq!(files(&killed.at("rankings")), expected, "{renamed}");
            // This run has failed, and that one had not.
            assert_eq!(json(&killed.at("rankings/failed-run.json"))["exit"], 4);
            let again = killed.run(&[]);
            assert!(!again.stderr.contains("earlier run"), "{}", again.stderr);
            killed.assert_new();
        }
    }
}

/// All pages are in the recording, so a run that resumes has nothing to fetch. Its exit code is that of
/// the killed run.
#[test]
fn resuming_a_recorded_run_that_lacked_only_its_renames_fetches_nothing() {
    for renamed in 0..=7 {
        let killed = Killed::after(renamed, true);
        let ran = killed.run(&["--resume", "--record", "run.warc"]);
        assert_eq!(ran.code, 3, "{}", ran.stderr);
        assert!(ran.stderr.contains("nothing was fetched"), "{}", ran.stderr);
        killed.assert_new();
    }
}

#[test]
fn names_the_obstacle_to_a_commit_and_changes_nothing() {
    let killed = Killed::after(2, false);
    let obstacle = killed.at("rankings/price.json");
    fs::remove_file(&obstacle).unwrap();
    fs::create_dir(&obstacle).unwrap();
    let before = contents(killed.folder.path());
    for more in [&[][..], &["--resume"]] {
        let ran = killed.run(more);
        assert_eq!(ran.code, 7, "{}", ran.stderr);
        for words in [
            "cannot write rankings/price.json: is a directory",
            "new: rankings/growth.json, rankings/pe.json; not yet written: ",
            "rankings/run.json; remove the obstacle, and the next run into rankings completes them",
        ] {
            assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
        }
        assert_eq!(contents(killed.folder.path()), before);
    }
    fs::remove_dir(&obstacle).unwrap();
    assert_eq!(killed.run(&[]).code, 4);
    killed.assert_new();
}

/// A run into another folder may have replaced the table since.
#[test]
fn tells_of_files_that_a_later_run_has_replaced() {
    let killed = Killed::after(0, false);
    let other = [
        "--from", "replica", "-q", "--top", "3", "--out", "other", "--table", "all.csv",
    ];
    assert_eq!(indexrank(killed.folder.path(), &other).code, 0);
    let table = fs::read(killed.at("all.csv")).unwrap();
    fs::write(killed.at("all.csv"), [&table[..], b"\n"].concat()).unwrap();
    let ran = killed.run(&[]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("replaced by a later run: "),
        "{}",
        ran.stderr
    );
    assert_eq!(
        fs::read_to_string(killed.at("rankings/price.json"))
            .unwrap()
            .as_bytes(),
        killed.changes[3].new
    );
    assert!(fs::read(killed.at("all.csv")).unwrap().ends_with(b"\n\n"));
}

#[test]
fn refuses_a_record_of_another_program() {
    for record in ["", "{}", "{\"version\": 1", "not JSON"] {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("rankings")).unwrap();
        fs::write(folder.path().join("rankings").join(REDO), record).unwrap();
        let ran = indexrank(folder.path(), &["--from", "replica"]);
        assert_eq!(ran.code, 7, "{}", ran.stderr);
        assert!(
            ran.stderr.contains("it is no record of this program"),
            "{}",
            ran.stderr
        );
        assert_eq!(files(&folder.path().join("rankings")), [REDO]);
    }
}

#[test]
fn the_report_has_the_digest_of_every_file() {
    let folder = tempfile::tempdir().unwrap();
    let run = [
        "--from",
        "replica",
        "-q",
        "--table",
        "all.csv",
        "--table",
        "all.ndjson",
        "--record",
        "run.warc.gz",
        "--trace",
        "trace.json",
    ];
    assert_eq!(indexrank(folder.path(), &run).code, 0);
    let report = json(&folder.path().join("rankings/run.json"));
    let digests = report["sha256"].as_object().unwrap();
    let written = report["files"].as_array().unwrap();
    assert_eq!((digests.len(), written.len()), (8, 9));
    for file in written {
        let file = file.as_str().unwrap();
        let content = fs::read(folder.path().join(file)).unwrap();
        match digests.get(file) {
            Some(digest) => assert_eq!(digest, &sha256(&content), "{file}"),
            None => assert_eq!(file, "rankings/run.json"),
        }
    }
}

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

#[test]
fn prints_the_table_of_all_companies() {
    let folder = tempfile::tempdir().unwrap();
    let run = [
        "--from",
        "replica",
        "--table",
        "all.csv",
        "--table",
        "all.ndjson",
    ];
    assert_eq!(indexrank(folder.path(), &run).code, 0);
    for (target, file) in [
        ("-", "all.csv"),
        ("-.csv", "all.csv"),
        ("-.jsonl", "all.ndjson"),
    ] {
        for quiet in [&[][..], &["-q"]] {
            let arguments = [&["--from", "replica", "--table", target], quiet].concat();
            let ran = indexrank(folder.path(), &arguments);
            assert_eq!(ran.code, 0, "{}", ran.stderr);
            assert_eq!(
                ran.stdout,
                fs::read_to_string(folder.path().join(file)).unwrap()
            );
        }
    }
    for arguments in [
        &["--table", "-", "--json"][..],
        &["--table", "-", "--table", "-.ndjson"],
    ] {
        let ran = indexrank(folder.path(), arguments);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains("cannot share stdout"), "{}", ran.stderr);
    }
    // A reader of the table may not see the exit code.
    let few = [
        "--from",
        "replica",
        "--table",
        "-",
        "--min-companies",
        "1000",
    ];
    let ran = indexrank(folder.path(), &few);
    assert_eq!((ran.code, &*ran.stdout), (8, ""), "{}", ran.stderr);
}

/// The staging file of another run may have been removed, or its folder moved.
#[test]
fn tells_of_files_that_are_gone() {
    let killed = Killed::after(2, false);
    fs::remove_file(killed.at("rankings/.price.json.indexrank")).unwrap();
    fs::remove_file(killed.at("rankings/price.json")).unwrap();
    let moved = killed.at("moved");
    fs::rename(killed.at("rankings"), &moved).unwrap();
    let ran = killed.run(&["--out", "moved"]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    let told = "lost, because the file or its folder is gone: moved/price.json";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    assert!(!moved.join(REDO).exists());
    for change in &killed.changes {
        let name = change.path.file_name().unwrap();
        if change.path.starts_with(killed.at("rankings")) && name != "price.json" {
            assert_eq!(fs::read(moved.join(name)).unwrap(), change.new);
        }
    }
}

/// `| head` closes the pipe before the table is complete.
#[test]
fn a_closed_pipe_ends_the_table_quietly() {
    let binary = env!("CARGO_BIN_EXE_indexrank");
    let folder = tempfile::tempdir().unwrap();
    for table in ["-", "-.ndjson"] {
        let script = format!(
            "set -o pipefail; {binary} --from replica --table {table} -q | head -n 1 >&2; echo ${{PIPESTATUS[0]}}"
        );
        let output = Command::new("bash")
            .args(["-c", &script])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.stdout, b"0\n", "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}
