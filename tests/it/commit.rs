//! The commit: the files of a run get their names all or none, also if the process is killed in between.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::{RANKINGS, Ran, contents, files, indexrank, json};

const REDO: &str = "unfinished-commit.json";
/// No server listens here, so a run that starts ends with code 4 and without results.
const NOWHERE: &str = "http://127.0.0.1:1";

fn sha256(content: &[u8]) -> String {
    Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
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
        assert!(!ran.stderr.contains("lacks that run"), "{}", ran.stderr);
        killed.assert_new();
    }
    // A run is appended to its database after its renames.
    let killed = Killed::after(3, true);
    let ran = killed.run(&["--resume", "--record", "run.warc", "--db", "market.sqlite"]);
    let told = "market.sqlite lacks that run: run the command again with --from run.warc, without --record and --resume";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
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
